package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// A source gets the keys of one issuer: from Keys, KeysURL or discovery.
type source struct {
	rules     *rules
	client    *http.Client
	limits    *limits
	discovery *discovery.Provider // nil where the rules say it all
}

func newSource(r *rules, client *http.Client, l *limits) *source {
	s := &source{rules: r, client: client, limits: l}
	if r.KeysURL == "" && r.Keys == nil {
		s.discover()
	}
	return s
}

func (s *source) discover() {
	s.discovery = &discovery.Provider{Issuer: s.rules.URL, Client: s.client, Timeout: s.limits.timeout}
}

// load is a [loadFunc].
func (s *source) load(ctx context.Context, old *snapshot) (*snapshot, error) {
	d, err := s.document(ctx, old)
	if err != nil {
		return nil, err
	}
	next := &snapshot{url: d.url, etag: d.etag, lifetime: s.limits.maxAge}
	if d.maxAge >= 0 {
		next.lifetime = min(max(d.maxAge, minLifetime), s.limits.maxAge)
	}
	if d.unchanged {
		next.parsedSet, next.etag = old.parsedSet, old.etag
		return next, nil
	}
	if next.parsedSet, err = parseKeys(d.body); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return next, nil
}

func (s *source) document(ctx context.Context, old *snapshot) (document, error) {
	if s.rules.Keys != nil {
		body, err := s.rules.Keys(ctx)
		if err == nil && len(body) > maxDocument {
			err = errors.New("document is larger than 1 MiB")
		}
		return document{body: body, maxAge: -1}, err
	}
	keysURL := s.rules.KeysURL
	if s.discovery != nil {
		m, err := s.discovery.Metadata(ctx)
		if err != nil {
			return document{}, err
		}
		if m.JWKSURI == "" {
			return document{}, cmp.Or(m.Unusable("jwks_uri"), errors.New("discovery: the document names no jwks_uri"))
		}
		keysURL = m.JWKSURI
	}
	etag := ""
	if old != nil && old.url == keysURL {
		etag = old.etag
	}
	d, err := fetch(ctx, s.client, keysURL, etag)
	if err != nil && s.discovery != nil {
		// The keys may have moved since the discovery document was read.
		s.discover()
	}
	return d, err
}

// kidGap returns the minimum time between fetches for unknown key IDs.
func (s *source) kidGap() time.Duration {
	if s.rules.Keys != nil {
		return min(s.limits.cooldown, time.Second)
	}
	return s.limits.cooldown
}
