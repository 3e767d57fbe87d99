package refresh

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// Validate reports a mistake in the configuration, naming the field. It reads
// the files of the Key.
func (o *OAuth2) Validate() error {
	switch {
	case o == nil:
		return errors.New("refresh: the OAuth2 is nil")
	case o.ClientID == "":
		return errors.New("refresh: OAuth2.ClientID is empty")
	case o.TokenURL == "" && o.Discovery == nil:
		return errors.New("refresh: OAuth2.TokenURL is empty and OAuth2.Discovery is nil")
	case o.Timeout < 0:
		return errors.New("refresh: OAuth2.Timeout is negative")
	}
	for _, field := range []struct{ name, url string }{
		{"TokenURL", o.TokenURL},
		{"RevokeURL", o.RevokeURL},
		{"PushURL", o.PushURL},
		{"IntrospectURL", o.IntrospectURL},
		{"UserInfoURL", o.UserInfoURL},
	} {
		if field.url == "" {
			continue
		}
		if _, err := discovery.ParseURL(field.url); err != nil {
			return fmt.Errorf("refresh: OAuth2.%s %w", field.name, err)
		}
	}
	if o.Discovery != nil {
		if err := o.Discovery.Validate(); err != nil {
			return fmt.Errorf("refresh: OAuth2.Discovery: %w", err)
		}
	}
	for name := range o.TokenParams {
		if name == "" || slices.Contains(ownParameters, name) {
			return fmt.Errorf("refresh: OAuth2.TokenParams has %.50q, which the OAuth2 sets by itself", name)
		}
	}
	return o.validateAuth()
}

// ownParameters are the parameters of a token request that other fields set.
// Each may be there only once (RFC 6749, section 3.2).
var ownParameters = []string{
	"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
	"client_id", "client_secret", "client_assertion", "client_assertion_type",
}

// validateAuth checks that the client has what its method needs, and nothing
// that would not be used.
func (o *OAuth2) validateAuth() error {
	method := o.AuthMethod
	switch {
	case method != "" && !slices.Contains(clientauth.Methods(), method):
		return fmt.Errorf("refresh: OAuth2.AuthMethod is %.50q, which is none of %s", method, strings.Join(clientauth.Methods(), ", "))
	case o.ClientSecret != "" && o.Secret != nil:
		return errors.New("refresh: OAuth2.ClientSecret and OAuth2.Secret are both set")
	case o.hasSecret() && o.Key != nil:
		return errors.New("refresh: OAuth2.Key is set, and a secret as well: a client authenticates in one way")
	case clientauth.UsesSecret(method) && !o.hasSecret():
		return fmt.Errorf("refresh: OAuth2.AuthMethod is %s, and OAuth2.ClientSecret is empty", method)
	case method != "" && !clientauth.UsesSecret(method) && o.hasSecret():
		return fmt.Errorf("refresh: OAuth2.AuthMethod is %s, and a secret is set, which it does not use", method)
	case method == clientauth.PrivateKeyJWT && o.Key == nil:
		return fmt.Errorf("refresh: OAuth2.AuthMethod is %s, and OAuth2.Key is nil", method)
	case (clientauth.UsesSecret(method) || method == clientauth.None) && o.Key != nil:
		return fmt.Errorf("refresh: OAuth2.AuthMethod is %s, and OAuth2.Key is set, which it does not use", method)
	}
	if o.Key != nil {
		if err := o.Key.Validate(); err != nil {
			return fmt.Errorf("refresh: OAuth2.Key: %w", err)
		}
	}
	if clientauth.UsesTLS(method) {
		if _, err := o.transport(method); err != nil {
			return fmt.Errorf("refresh: OAuth2.AuthMethod is %s: %w", method, err)
		}
	}
	return nil
}

func (o *OAuth2) hasSecret() bool { return o.ClientSecret != "" || o.Secret != nil }
