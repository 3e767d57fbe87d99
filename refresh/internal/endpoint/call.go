// Package endpoint is what the refreshers of this module share to call the
// endpoints of providers: a client whose answers are bounded and which follows
// no redirects, and errors that hold nothing of a request or an answer. The
// texts of the errors begin with "refresh", which is the package that users
// know.
package endpoint

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

const (
	// Timeout is the default bound of a call.
	Timeout = 10 * time.Second

	// MaxLifetime is the longest life of a token that is believed. A longer one
	// is a mistake in the unit, or means that the token does not expire.
	MaxLifetime = 10 * 365 * 24 * time.Hour

	maxBody       = 1 << 20   // of an answer
	maxRetryAfter = time.Hour // keeps a provider's mistake from locking users out for days
)

// Client returns a client with the transport of c. It has no cookies, and
// follows no redirects, which would send the refresh token and the client's
// secret to another server. It reads the whole body of an answer before it
// returns, within a bound and the request's context.
func Client(c *http.Client) *http.Client {
	t := http.DefaultTransport
	if c != nil && c.Transport != nil {
		t = c.Transport
	}
	return &http.Client{
		Transport:     answers{t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answers is a RoundTripper that reads the whole body of each answer.
type answers struct{ next http.RoundTripper }

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errTooLong
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// Seconds returns a lifetime in seconds, in one of the types in which providers
// write it. It returns 0 if v is malformed, not positive, or more than
// MaxLifetime.
func Seconds(v any) time.Duration {
	var s float64
	switch v := v.(type) {
	case float64:
		s = v
	case string:
		s, _ = strconv.ParseFloat(v, 64)
	}
	if math.IsNaN(s) || s <= 0 || s > MaxLifetime.Seconds() {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// RetryAfter returns the duration in the header of that name (RFC 9110, section
// 10.2.3), at most an hour. It returns 0 if value is empty or malformed.
func RetryAfter(value string) time.Duration {
	if value == "" {
		return 0
	}
	wait := time.Duration(0)
	if n, err := strconv.Atoi(value); err == nil {
		wait = time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), maxRetryAfter)
}
