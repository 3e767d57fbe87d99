package refresh

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxBody is the longest answer of a token endpoint that is read.
const maxBody = 1 << 20

var errTooLong = errors.New("refresh: the provider's answer is longer than 1 MiB")

// client is the configured transport alone: no cookies, and no redirects,
// which would carry the refresh token and the client's secret to wherever the
// answer points.
func (o *OAuth2) client() *http.Client {
	t := http.DefaultTransport
	if o.Client != nil && o.Client.Transport != nil {
		t = o.Client.Transport
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
	whole, err := json.Marshal(int64(seconds(value).Seconds()))
	if err != nil {
		return nil, false
	}
	object["expires_in"] = whole
	fixed, err := json.Marshal(object)
	return fixed, err == nil
}
