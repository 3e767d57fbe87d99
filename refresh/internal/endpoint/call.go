// Package endpoint calls the endpoints of providers, as every refresher of this
// module does: one request at a time, bounded, never redirected, and with errors
// that hold nothing of what was sent or answered. Their texts begin with
// "refresh", which is where users meet them.
package endpoint

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

const (
	// Timeout bounds a call where nobody has said otherwise.
	Timeout = 10 * time.Second

	// MaxLifetime is the longest life of a token that is believed. Beyond it is
	// a provider's mistake in the unit, or a way to say that there is no end.
	MaxLifetime = 10 * 365 * 24 * time.Hour

	maxBody       = 1 << 20   // of an answer
	maxRetryAfter = time.Hour // keeps a provider's mistake from locking users out for days
)

// Client returns a client with the transport of c alone: no cookies, and no
// redirects, which would carry the refresh token and the client's secret to
// wherever the answer points. Answers are read whole before they are returned,
// within a bound and the request's context.
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

// answers reads each answer whole, within the bound and the request's context,
// and straightens what package oauth2 would stumble over. It would then throw
// away the new tokens while the old ones are spent at the provider.
type answers struct{ next http.RoundTripper }

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // it is the caller's
	r.Header.Set("Accept", "application/json")
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
	if fixed, ok := straighten(body); ok {
		body = fixed
		resp.Header.Set("Content-Type", "application/json")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// straighten makes sure that a JSON object is read as one, whatever its
// Content-Type, and that its expires_in is a whole number or absent: it is a
// hint, and no reason to lose a login.
func straighten(body []byte) ([]byte, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return nil, false
	}
	in, ok := object["expires_in"]
	if !ok {
		return body, true
	}
	var value any
	if json.Unmarshal(in, &value) != nil {
		return nil, false
	}
	whole, err := json.Marshal(int64(Seconds(value).Seconds()))
	if err != nil {
		return nil, false
	}
	object["expires_in"] = whole
	fixed, err := json.Marshal(object)
	return fixed, err == nil
}

// Seconds reads a lifetime as providers write it; 0 where it makes no sense.
func Seconds(v any) time.Duration {
	var s float64
	switch v := v.(type) {
	case float64:
		s = v
	case int64:
		s = float64(v) // from an answer in the form of a query
	case string:
		s, _ = strconv.ParseFloat(v, 64)
	case json.Number:
		s, _ = v.Float64()
	}
	if math.IsNaN(s) || s <= 0 || s > MaxLifetime.Seconds() {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// RetryAfter reads the header of that name (RFC 9110, section 10.2.3).
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
