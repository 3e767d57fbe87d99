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
	if f.AuthURL != "" {
		u, err := discovery.ParseURL(f.AuthURL)
		if err == nil {
			err = checkParams(u.Query())
		}
		if err != nil {
			return fmt.Errorf("login: Flow.AuthURL %w", err)
		}
	}
	if f.EndSessionURL != "" {
		if _, err := discovery.ParseURL(f.EndSessionURL); err != nil {
			return fmt.Errorf("login: Flow.EndSessionURL %w", err)
		}
	}
	ownURL := discovery.ParseURL
	if f.Auth.Cookies.InsecureHTTP {
		ownURL = discovery.ParseInsecureURL
	}
	var err error
	if f.callback, err = ownURL(f.RedirectURL); err != nil {
		return fmt.Errorf("login: Flow.RedirectURL %w", err)
	}
	f.origin = f.callback.Scheme + "://" + f.callback.Host
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
