package login

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/tokenlife/tokenlife/refresh/discovery"
)

func (f *Flow) setUpURLs() error {
	provider := f.Client.Discovery
	f.issuer = f.Issuer
	if f.issuer == "" && provider != nil {
		f.issuer = provider.Issuer
	}
	switch {
	case f.issuer == "":
		return errors.New("login: Flow.Issuer is empty, and Client.Discovery is nil")
	case provider != nil && provider.Issuer != f.issuer:
		return errors.New("login: Flow.Issuer is not that of Client.Discovery")
	case f.AuthURL == "" && provider == nil:
		return errors.New("login: Flow.AuthURL is empty, and Client.Discovery is nil")
	case f.PushRequests && provider == nil && f.Client.PushURL == "":
		return errors.New("login: Flow.PushRequests is set, and Client.PushURL is empty, and Client.Discovery nil")
	case f.RedirectURL == "":
		return errors.New("login: Flow.RedirectURL is empty")
	}
	ownURL := discovery.ParseURL
	if f.Auth.Cookies.InsecureHTTP {
		ownURL = discovery.ParseInsecureURL
	}
	for _, field := range []struct {
		name, url string
		parse     func(string) (*url.URL, error)
	}{
		{"AuthURL", f.AuthURL, discovery.ParseURL},
		{"EndSessionURL", f.EndSessionURL, discovery.ParseURL},
		{"RedirectURL", f.RedirectURL, ownURL},
	} {
		if field.url == "" {
			continue
		}
		u, err := field.parse(field.url)
		if err != nil {
			return fmt.Errorf("login: Flow.%s %w", field.name, err)
		}
		if field.name == "AuthURL" {
			if err := checkParams(u.Query()); err != nil {
				return fmt.Errorf("login: Flow.AuthURL %w", err)
			}
		}
		f.callback, f.origin = u, u.Scheme+"://"+u.Host // the last one is RedirectURL's
	}
	return nil
}

// authURL returns the authorization endpoint, and whether it is sent pushed
// requests (RFC 9126).
func (f *Flow) authURL(ctx context.Context) (at *url.URL, push bool, err error) {
	raw, push := f.AuthURL, f.PushRequests
	if raw == "" {
		m, err := f.Client.Discovery.Metadata(ctx)
		if err != nil {
			return nil, false, fmt.Errorf("login: %w", err)
		}
		if raw = m.AuthorizationEndpoint; raw == "" {
			return nil, false, errors.New("login: the provider's metadata has no authorization_endpoint")
		}
		push = push || m.RequirePushedAuthorizationRequests
	}
	if at, err = url.Parse(raw); err != nil {
		return nil, false, errors.New("login: the authorization endpoint is not a URL")
	}
	return at, push, nil
}
