package login_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tokenlife/tokenlife/middleware/login"
)

// A pushed is a provider's endpoint for pushed authorization requests.
type pushed struct {
	required bool
	status   int    // of the answer
	answer   string // the body; empty: with a request_uri
	form     url.Values
	calls    int
}

const requestURI = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"

// serve puts p before the provider of a site.
func (p *pushed) serve(f *login.Flow) {
	next := f.Client.Client.Transport
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case "/par":
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			p.form, p.calls = r.PostForm, p.calls+1
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(p.status)
			body := p.answer
			if body == "" {
				encoded, err := json.Marshal(map[string]any{"request_uri": requestURI, "expires_in": 60})
				if err != nil {
					return nil, err
				}
				body = string(encoded)
			}
			_, err := w.WriteString(body)
			return w.Result(), err
		case "/.well-known/openid-configuration":
			resp, err := next.RoundTrip(r)
			if err == nil {
				err = edit(resp, func(m map[string]any) {
					m["pushed_authorization_request_endpoint"] = "https://provider.test/par"
					m["require_pushed_authorization_requests"] = p.required
				})
			}
			return resp, err
		}
		return next.RoundTrip(r)
	})
	f.Client.Client, f.Client.Discovery.Client = &http.Client{Transport: transport}, &http.Client{Transport: transport}
}

func TestPushedAuthorizationRequests(t *testing.T) {
	for _, test := range []struct {
		name   string
		p      pushed
		change func(f *login.Flow)
		want   int
		pushes bool
		query  url.Values // of the browser's request; nil: with all parameters
	}{
		{"the provider offers it", pushed{status: 201}, func(*login.Flow) {}, http.StatusFound, false, nil},
		{"the provider requires it", pushed{status: 201, required: true}, func(*login.Flow) {}, http.StatusFound, true, url.Values{"client_id": {"client"}, "request_uri": {requestURI}}},
		{"the program asks for it", pushed{status: 201}, func(f *login.Flow) { f.PushRequests = true }, http.StatusFound, true, url.Values{"client_id": {"client"}, "request_uri": {requestURI}}},
		{"the endpoint has a query of its own", pushed{status: 201}, func(f *login.Flow) {
			f.PushRequests, f.AuthURL = true, "https://provider.test/authorize?p=policy"
		}, http.StatusFound, true, url.Values{"p": {"policy"}, "client_id": {"client"}, "request_uri": {requestURI}}},
		{"200, which is not to the letter", pushed{status: 200, required: true}, func(*login.Flow) {}, http.StatusFound, true, url.Values{"client_id": {"client"}, "request_uri": {requestURI}}},
		{"the provider refuses it", pushed{status: 400, required: true, answer: `{"error":"invalid_request","error_description":"no such scope"}`}, func(*login.Flow) {}, http.StatusBadGateway, true, nil},
		{"the provider refuses the client", pushed{status: 401, required: true, answer: `{"error":"invalid_client"}`}, func(*login.Flow) {}, http.StatusBadGateway, true, nil},
		{"the provider has too much to do", pushed{status: 429, required: true, answer: `{}`}, func(*login.Flow) {}, http.StatusServiceUnavailable, true, nil},
		{"the provider is down", pushed{status: 503, required: true, answer: `<html>`}, func(*login.Flow) {}, http.StatusServiceUnavailable, true, nil},
		{"an answer without request_uri", pushed{status: 201, required: true, answer: `{"expires_in":60}`}, func(*login.Flow) {}, http.StatusServiceUnavailable, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &test.p
				s, b := newSite(t, func(f *login.Flow) {
					f.AuthParams = url.Values{"resource": {"https://a.test", "https://b.test"}, "acr_values": {"gold"}}
					p.serve(f)
					test.change(f)
				}), newBrowser()
				resp := b.open(s, s.start, "/login")
				if resp.StatusCode != test.want || (p.calls == 1) != test.pushes {
					t.Fatalf("status %d after %d calls, want %d", resp.StatusCode, p.calls, test.want)
				}
				if len(resp.Cookies()) != 0 && test.want != http.StatusFound {
					t.Error("an attempt has begun")
				}
				if test.want != http.StatusFound {
					return
				}
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || !strings.HasPrefix(to.String(), "https://provider.test/authorize?") {
					t.Fatalf("to %s, %v", to, err)
				}
				q := to.Query()
				if test.query != nil {
					if !reflect.DeepEqual(q, test.query) {
						t.Errorf("the browser carries %v, want %v", q, test.query)
					}
					q = p.form
				}
				for _, name := range []string{"response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "client_id", "acr_values"} {
					if len(q[name]) != 1 {
						t.Errorf("%s is there %d times", name, len(q[name]))
					}
				}
				if len(q["resource"]) != 2 {
					t.Errorf("%d resources", len(q["resource"]))
				}
				s.silent(t)
			})
		})
	}
	f := newFlow()
	f.Client.TokenURL, f.Client.Discovery = "https://provider.test/token", nil
	f.Issuer, f.AuthURL, f.PushRequests, f.IDTokens = "https://provider.test", "https://provider.test/auth", true, named("alice")
	if err := f.Validate(); err == nil || !strings.Contains(err.Error(), "Client.PushURL") {
		t.Errorf("without an endpoint: %v", err)
	}
}
