package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxDocument  = 1 << 20
	maxRedirects = 3
	maxETag      = 256
	minLifetime  = time.Minute // of a key set, whatever its Cache-Control says
)

// A document is a JWKS document, or says that the last one is unchanged.
type document struct {
	body      []byte
	unchanged bool
	url       string // from which it was fetched
	etag      string
	maxAge    time.Duration // from Cache-Control; negative: not given
}

// newClient returns the client for key sets, whose requests end with ctx. Of
// base it uses only the transport, and no cookie jar or lax redirect policy.
// Without a base its connections are closed after each response, as the next
// request is minutes away.
func newClient(ctx context.Context, base *http.Client) *http.Client {
	transport := http.DefaultTransport
	if base != nil && base.Transport != nil {
		transport = base.Transport
	} else if t, ok := transport.(*http.Transport); ok {
		t = t.Clone()
		t.DisableKeepAlives = true
		transport = t
	}
	return &http.Client{Transport: boundTransport{ctx, transport}, CheckRedirect: checkRedirect}
}

// A boundTransport is a transport whose requests end with a context, whoever
// makes them.
type boundTransport struct {
	ctx  context.Context
	next http.RoundTripper
}

func (u boundTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(u.ctx, cancel)
	response, err := u.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	response.Body = &cancelOnClose{response.Body, func() { stop(); cancel() }}
	return response, nil
}

// A cancelOnClose is a body that calls then after it is closed.
type cancelOnClose struct {
	io.ReadCloser
	then func()
}

func (c *cancelOnClose) Close() error {
	defer c.then()
	return c.ReadCloser.Close()
}

// checkRedirect follows redirects only on the host that the configuration
// names.
func checkRedirect(r *http.Request, via []*http.Request) error {
	switch from := via[0].URL; {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case r.URL.Scheme != from.Scheme || r.URL.Host != from.Host:
		return errors.New("redirect to another host")
	case r.URL.User != nil:
		return errors.New("redirect to a URL with a user name")
	}
	return nil
}

// fetch gets the document at keysURL. With the etag of an earlier document from
// the same URL, the result may be marked as unchanged and have no body.
func fetch(ctx context.Context, client *http.Client, keysURL, etag string) (document, error) {
	d := document{url: keysURL}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, keysURL, nil)
	if err != nil {
		return d, errors.New("URL cannot be fetched")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := client.Do(request)
	if err != nil {
		// A *url.Error begins with the URL, whose query may not be for logs.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return d, err
	}
	defer response.Body.Close()
	if etag := response.Header.Get("ETag"); len(etag) <= maxETag {
		d.etag = etag
	}
	d.maxAge = maxAge(response.Header.Get("Cache-Control"))
	switch {
	case response.StatusCode == http.StatusNotModified && etag != "":
		d.unchanged = true
		return d, nil
	case response.StatusCode != http.StatusOK:
		return d, fmt.Errorf("status %d", response.StatusCode)
	case response.ContentLength > maxDocument:
		return d, errors.New("document is larger than 1 MiB")
	}
	d.body, err = io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case err != nil:
		return d, fmt.Errorf("reading the document: %w", err)
	case len(d.body) > maxDocument:
		return d, errors.New("document is larger than 1 MiB")
	}
	return d, nil
}

// maxAge returns the max-age of a Cache-Control field (RFC 9111 section 5.2.2),
// 0 if it forbids caching, and -1 if it says neither.
func maxAge(field string) time.Duration {
	age := time.Duration(-1)
	for directive := range strings.SplitSeq(field, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	return age
}
