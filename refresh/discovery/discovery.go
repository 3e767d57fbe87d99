package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	defaultTimeout = 5 * time.Second
	maxBody        = 256 << 10
	maxRedirects   = 5

	maxAge       = 24 * time.Hour  // a document is fetched again when it is older
	retryWithout = time.Second     // pause after a failure, while there is no document
	retryWith    = 5 * time.Minute // pause after a failure, while there is an old document
)

// A Provider is a source of the metadata of one issuer.
//
// The document is fetched at the first use, from the issuer's URL followed by
// /.well-known/openid-configuration (OpenID Connect Discovery 1.0, section 4).
// If there is none, as at a provider of OAuth 2.0 alone, it is fetched from
// /.well-known/oauth-authorization-server followed by the issuer's path (RFC
// 8414, section 3.1).
// After a day it is fetched again in the background, while callers get the old
// one. A failed fetch never replaces a document. While there is none, the error
// is returned to all callers that wait for the fetch, and to those within a
// second after it.
//
// Use a Provider by pointer and do not change its fields after the first use.
// Its methods are safe for concurrent use. It needs no closing: nothing that it
// starts lives longer than Timeout.
type Provider struct {
	// Issuer is the issuer's URL, exactly as the provider writes it, with or
	// without a trailing slash. It must be https, or http on a loopback host,
	// without query or fragment.
	Issuer string

	// Client reaches the provider. Only its Transport is used; redirects are
	// followed within the same scheme and host only. Default: a client with
	// [http.DefaultTransport].
	Client *http.Client

	// Timeout bounds one fetch, from the connection to the last byte. Default
	// 5 s.
	Timeout time.Duration

	mu      sync.Mutex
	known   *Metadata
	due     time.Time // when to fetch next; zero: at once
	failure error     // of the last fetch, while known is nil
	running *flight   // nil: no fetch is under way
}

// A flight is a fetch that is under way. Its results are set before done is
// closed.
type flight struct {
	done chan struct{}
	meta *Metadata
	err  error
}

// Validate reports a mistake in the configuration, naming the field.
func (p *Provider) Validate() error {
	if p.Issuer == "" {
		return errors.New("discovery: Issuer is empty")
	}
	if _, err := ParseURL(p.Issuer); err != nil {
		return fmt.Errorf("discovery: Issuer %w", err)
	}
	if strings.Contains(p.Issuer, "?") {
		return errors.New("discovery: Issuer contains a query")
	}
	if p.Timeout < 0 {
		return errors.New("discovery: Timeout is negative")
	}
	return nil
}

// Metadata returns the provider's metadata. It waits for a fetch only while
// none has succeeded yet. If ctx ends before the fetch does, the fetch goes on
// for other callers.
//
// Without a document it returns an error: that of [Provider.Validate], that of
// ctx, or that of the fetch. The last two are temporary.
func (p *Provider) Metadata(ctx context.Context) (Metadata, error) {
	p.mu.Lock()
	if p.running == nil && !time.Now().Before(p.due) {
		if err := p.Validate(); err != nil {
			p.mu.Unlock()
			return Metadata{}, err
		}
		p.start(ctx)
	}
	known, failure, running := p.known, p.failure, p.running
	p.mu.Unlock()

	switch {
	case known != nil:
		return known.clone(), nil
	case running == nil:
		return Metadata{}, failure
	}
	select {
	case <-running.done:
		if running.err != nil {
			return Metadata{}, running.err
		}
		return running.meta.clone(), nil
	case <-ctx.Done():
		return Metadata{}, fmt.Errorf("discovery: %s: %w", p.Issuer, ctx.Err())
	}
}

// start begins a fetch, which does not end with ctx. The caller holds p.mu.
func (p *Provider) start(ctx context.Context) {
	f := &flight{done: make(chan struct{})}
	p.running = f
	timeout := p.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	go func() {
		defer cancel()
		f.meta, f.err = p.fetchGuarded(ctx)
		if f.err != nil {
			f.err = fmt.Errorf("discovery: %s: %w", p.Issuer, f.err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.apply(f)
		close(f.done)
	}()
}

// apply sets the fields of p by the result of f. The caller holds p.mu.
func (p *Provider) apply(f *flight) {
	p.running = nil
	now := time.Now()
	switch {
	case f.err == nil:
		p.known, p.failure, p.due = f.meta, nil, now.Add(maxAge)
	case p.known != nil:
		p.due = now.Add(retryWith)
	default:
		p.failure, p.due = f.err, now.Add(retryWithout)
	}
}

// fetchGuarded is fetch, but a panic of the transport is a failure: in a
// goroutine of ours it would end the whole program.
func (p *Provider) fetchGuarded(ctx context.Context) (m *Metadata, err error) {
	defer func() {
		if recover() != nil { // its value may hold anything
			m, err = nil, errors.New("the transport panicked")
		}
	}()
	return p.fetch(ctx)
}

// A notThereError says that the provider has answered, and that what it has at
// an address is no document.
type notThereError struct{ error }

func (e notThereError) Unwrap() error { return e.error }

// fetch fetches the document from the place that OpenID Connect Discovery gives
// it or, if the provider has none there, from that of RFC 8414.
func (p *Provider) fetch(ctx context.Context) (*Metadata, error) {
	// A trailing slash of the issuer is removed here only (OpenID Connect
	// Discovery 1.0, section 4.1).
	at := strings.TrimSuffix(p.Issuer, "/")
	m, err := p.fetchFrom(ctx, at+"/.well-known/openid-configuration")
	if _, ok := errors.AsType[notThereError](err); !ok {
		return m, err
	}
	u, parsed := url.Parse(at)
	if parsed != nil {
		return nil, err
	}
	// Between the host and the path (RFC 8414, section 3.1).
	at = u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.EscapedPath()
	m, second := p.fetchFrom(ctx, at)
	if _, ok := errors.AsType[notThereError](second); ok {
		return nil, err
	}
	return m, second
}

func (p *Provider) fetchFrom(ctx context.Context, at string) (*Metadata, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, errors.New("the issuer does not make a URL")
	}
	req.Header.Set("Accept", "application/json")

	resp, err := p.client().Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	switch status := resp.StatusCode; {
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		return nil, notThereError{fmt.Errorf("answered %d", status)}
	case status != http.StatusOK:
		return nil, fmt.Errorf("answered %d", status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	m, err := parse(p.Issuer, body)
	if err == errNoDocument { // such as the page that a site has for every path
		return nil, notThereError{err}
	}
	return m, err
}

// client returns a client with the configured transport that follows redirects
// within a host only. Another host could serve a document with the right issuer
// and endpoints of its own.
func (p *Provider) client() *http.Client {
	c := &http.Client{CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		switch {
		case req.URL.Scheme != first.Scheme || req.URL.Host != first.Host:
			return errors.New("redirected to another host")
		case len(via) > maxRedirects:
			return errors.New("redirected too often")
		}
		return nil
	}}
	if p.Client != nil {
		c.Transport = p.Client.Transport
	}
	return c
}

// withoutURL removes the method and URL from an error of net/http. The caller's
// error names the issuer.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
