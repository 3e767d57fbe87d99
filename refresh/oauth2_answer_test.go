package refresh_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// answering is an OAuth2 whose provider gives one answer.
func answering(status int, contentType, body string) *refresh.OAuth2 {
	return &refresh.OAuth2{
		ClientID: "client", TokenURL: "https://provider.test/token",
		Client: refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			w.Write([]byte(body))
		})),
	}
}

func TestOAuth2ReadsTheAnswersOfRealProviders(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name          string
		body          string
		refresh, id   string
		expiry, until time.Duration // from now; 0: zero
	}{
		{"all there is", `{"access_token":"new","token_type":"Bearer","refresh_token":"r2","id_token":"%s","expires_in":300,"refresh_expires_in":1800}`, "r2", "new", 300 * time.Second, 1800 * time.Second},
		{"the least there is", `{"access_token":"new"}`, "r1", "i1", 0, day},
		{"the same refresh token", `{"access_token":"new","refresh_token":"r1"}`, "r1", "i1", 0, day},
		{"the same refresh token, prolonged", `{"access_token":"new","refresh_token":"r1","refresh_expires_in":60}`, "r1", "i1", 0, time.Minute},
		{"a new refresh token, and not for how long", `{"access_token":"new","refresh_token":"r2"}`, "r2", "i1", 0, 0},
		{"an offline login, without an end", `{"access_token":"new","refresh_token":"r2","refresh_expires_in":0}`, "r2", "i1", 0, 0},
		{"the other name for it", `{"access_token":"new","refresh_token":"r2","refresh_token_expires_in":"60"}`, "r2", "i1", 0, time.Minute},
		{"nulls", `{"access_token":"new","token_type":null,"refresh_token":null,"id_token":null,"expires_in":null}`, "r1", "i1", 0, day},
		{"a type in lower case", `{"access_token":"new","token_type":"bearer"}`, "r1", "i1", 0, day},
		{"seconds in a string", `{"access_token":"new","expires_in":"300"}`, "r1", "i1", 300 * time.Second, day},
		{"seconds with a fraction", `{"access_token":"new","expires_in":299.9}`, "r1", "i1", 299 * time.Second, day},
		{"seconds with an exponent", `{"access_token":"new","expires_in":3e2}`, "r1", "i1", 300 * time.Second, day},
		{"nanoseconds", `{"access_token":"new","expires_in":300000000000}`, "r1", "i1", 0, day},
		{"more than any integer", `{"access_token":"new","expires_in":1e300,"refresh_expires_in":1e300}`, "r1", "i1", 0, day},
		{"a negative time", `{"access_token":"new","expires_in":-1,"refresh_expires_in":-1}`, "r1", "i1", 0, day},
		{"no number at all", `{"access_token":"new","expires_in":"","refresh_expires_in":{}}`, "r1", "i1", 0, day},
		{"something unknown", `{"access_token":"new","scope":["a"],"ext":{"a":[1]}}`, "r1", "i1", 0, day},
	} {
		for _, contentType := range []string{"application/json", "application/json;charset=UTF-8", "text/plain", "text/html", ""} {
			t.Run(c.name+" as "+contentType, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					old := refresh.Tokens{Access: "a1", Refresh: "r1", ID: "i1", RefreshExpiry: time.Now().Add(day)}
					fresh := idToken(nil)
					body := strings.Replace(c.body, "%s", fresh, 1)
					if c.id == "new" {
						c.id = fresh
					}
					got, err := answering(http.StatusOK, contentType, body).Refresh(t.Context(), old)
					if err != nil {
						t.Fatal(err)
					}
					want := refresh.Tokens{
						Access: "new", Refresh: c.refresh, ID: c.id,
						Expiry: after(c.expiry), RefreshExpiry: after(c.until),
					}
					if got.Access != want.Access || got.Refresh != want.Refresh || got.ID != want.ID {
						t.Errorf("tokens %s %s %s, want %s %s %s", got.Access, got.Refresh, got.ID, want.Access, want.Refresh, want.ID)
					}
					if !got.Expiry.Equal(want.Expiry) || !got.RefreshExpiry.Equal(want.RefreshExpiry) {
						t.Errorf("times %v, %v, want %v, %v", got.Expiry, got.RefreshExpiry, want.Expiry, want.RefreshExpiry)
					}
				})
			})
		}
	}
}

func TestOAuth2ReadsAnAnswerInTheFormOfAQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fresh := idToken(nil)
		got, err := answering(http.StatusOK, "application/x-www-form-urlencoded",
			"access_token=new&refresh_token=r2&id_token="+fresh+"&token_type=bearer&expires_in=300&refresh_expires_in=60").
			Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		want := refresh.Tokens{Access: "new", Refresh: "r2", ID: fresh, Expiry: after(300 * time.Second), RefreshExpiry: after(time.Minute)}
		if got.Access != want.Access || got.Refresh != want.Refresh || got.ID != want.ID ||
			!got.Expiry.Equal(want.Expiry) || !got.RefreshExpiry.Equal(want.RefreshExpiry) {
			t.Errorf("tokens %#v, want %#v", got, want)
		}
	})
}

func after(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

func TestOAuth2KnowsWhatEndsALogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		denied bool
		code   string // empty: none
	}{
		{"invalid_grant", 400, `{"error":"invalid_grant"}`, true, "invalid_grant"},
		{"invalid_grant with 401", 401, `{"error":"invalid_grant"}`, true, "invalid_grant"},
		{"invalid_grant with 403", 403, `{"error":"invalid_grant"}`, true, "invalid_grant"},
		{"invalid_grant with 200", 200, `{"error":"invalid_grant"}`, true, "invalid_grant"},
		{"invalid_grant with 429", 429, `{"error":"invalid_grant"}`, false, "invalid_grant"},
		{"invalid_grant with 500", 500, `{"error":"invalid_grant"}`, false, "invalid_grant"},
		{"invalid_grant with 503", 503, `{"error":"invalid_grant"}`, false, "invalid_grant"},
		{"invalid_request", 400, `{"error":"invalid_request"}`, true, "invalid_request"},
		{"a code of their own", 400, `{"error":"TokenGone"}`, true, ""},
		{"an error that is no string", 400, `{"error":{"code":7}}`, false, ""},
		{"nothing", 400, ``, false, ""},
		{"nothing with 401", 401, ``, false, ""},
		{"nothing with 403", 403, ``, false, ""},
		{"nothing with 404", 404, ``, false, ""},
		{"a page with 400", 400, `<h1>Bad request</h1>`, false, ""},
		{"invalid_client", 401, `{"error":"invalid_client"}`, false, "invalid_client"},
		{"invalid_client with 400", 400, `{"error":"invalid_client"}`, false, "invalid_client"},
		{"unauthorized_client", 400, `{"error":"unauthorized_client"}`, false, "unauthorized_client"},
		{"unsupported_grant_type", 400, `{"error":"unsupported_grant_type"}`, false, "unsupported_grant_type"},
		{"invalid_scope", 400, `{"error":"invalid_scope"}`, false, "invalid_scope"},
		{"server_error", 400, `{"error":"server_error"}`, false, "server_error"},
		{"temporarily_unavailable", 400, `{"error":"temporarily_unavailable"}`, false, "temporarily_unavailable"},
		{"slow_down", 400, `{"error":"slow_down"}`, false, "slow_down"},
		{"another error with 200", 200, `{"error":"slow_down","access_token":"new"}`, false, "slow_down"},
	} {
		for _, contentType := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded", ""} {
			t.Run(c.name+" as "+contentType, func(t *testing.T) {
				_, err := answering(c.status, contentType, c.body).Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
				if denied := errors.Is(err, refresh.ErrDenied); denied != c.denied {
					t.Errorf("denied: %t, want %t", denied, c.denied)
				}
				refused, ok := errors.AsType[*refresh.ProviderError](err)
				if !ok || refused.Status != c.status || refused.Code != c.code {
					t.Errorf("error is %v, want %d %q", err, c.status, c.code)
				}
			})
		}
	}
}

// A proxy's page is not the provider's word, whatever its status.
func TestOAuth2APageEndsNoLogin(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 429, 500, 502} {
		for _, contentType := range []string{"text/html", "text/html; charset=utf-8", "TEXT/HTML"} {
			_, err := answering(status, contentType, `<h1>Bad request</h1>`).Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
			if refused, ok := errors.AsType[*refresh.ProviderError](err); !ok || refused.Status != status || errors.Is(err, refresh.ErrDenied) {
				t.Errorf("%d, %s: %v, want a temporary error", status, contentType, err)
			}
		}
	}
	_, err := answering(400, "text/html", `{"error":"invalid_grant"}`).Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
	if !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("invalid_grant, called a page: %v", err)
	}
}

func TestOAuth2TakesNoOtherAnswerForTokens(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"nothing", ``},
		{"no tokens", `{}`},
		{"null", `null`},
		{"a list", `[{"access_token":"new"}]`},
		{"an empty access token", `{"access_token":""}`},
		{"an access token that is no string", `{"access_token":7}`},
		{"a token of another type", `{"access_token":"new","token_type":"DPoP"}`},
		{"text behind it", `{"access_token":"new"} and more`},
		{"half of it", `{"access_token":"new"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := answering(http.StatusOK, "application/json", c.body).Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
			if err == nil || errors.Is(err, refresh.ErrDenied) || tok != (refresh.Tokens{}) {
				t.Errorf("Refresh = %v, %v, want no tokens and a temporary error", tok, err)
			}
		})
	}
}

func TestOAuth2RetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for value, want := range map[string]time.Duration{
			"": 0, "7": 7 * time.Second, "0": 0, "-7": 0, "x": 0, "99999999999999": time.Hour, "1.5": 0,
			time.Now().Add(time.Minute).UTC().Format(http.TimeFormat):  time.Minute,
			time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat): 0,
			time.Now().AddDate(9, 0, 0).UTC().Format(http.TimeFormat):  time.Hour,
		} {
			client := answering(0, "", "")
			client.Client = refreshtest.Client(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", value)
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
			refused, ok := errors.AsType[*refresh.ProviderError](err)
			if !ok || refused.RetryAfter != want {
				t.Errorf("%q is %v, want %v", value, refused.RetryAfter, want)
			}
		}
	})
}

// Whatever a provider answers, there are complete tokens or there is an error,
// and an error shows nothing of the answer.
func FuzzOAuth2Answer(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"new","expires_in":300,"refresh_token":"r2"}`)
	f.Add(200, "text/plain", `access_token=new&expires_in=300`)
	f.Add(200, "application/json", `{"access_token":"new","expires_in":1e999}`)
	f.Add(200, "application/json", `{"refresh_token":"r2"}`)
	f.Add(400, "application/json", `{"error":"invalid_grant","error_description":"refresh-token-0123456789"}`)
	f.Add(503, "text/html", `<h1>refresh-token-0123456789</h1>`)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		client := &refresh.OAuth2{
			ClientID: "client", TokenURL: "https://provider.test/token",
			Client: &http.Client{Transport: answer{status, contentType, body}},
		}
		begin := time.Now()
		tok, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
		switch {
		case err == nil && (tok.Access == "" || tok.Refresh == "" || status < 200 || status > 299):
			t.Errorf("incomplete tokens from a %d", status)
		case err == nil && !tok.Expiry.IsZero() && !tok.Expiry.After(begin):
			t.Errorf("new tokens that have expired: %v", tok.Expiry)
		case err != nil && tok != (refresh.Tokens{}) && (tok.Refresh == "" || tok.Refresh == "r1" || strings.Contains(body, tok.Access)):
			t.Error("tokens and an error, and not because of a new refresh token")
		case err != nil:
			// The texts of our own errors are no secret.
			known := err.Error()
			for i := 0; i+12 <= len(body); i++ {
				if part := body[i : i+12]; strings.Contains(known, part) && !strings.Contains(ours, part) {
					t.Errorf("%q shows %q", known, part)
				}
			}
		}
	})
}

// ours is every word that an error of a call may have.
const ours = "refresh: the provider refused with status , refresh: the provider's answer is not a token response " +
	"refresh: the provider's answer is longer than 1 MiB refresh: the provider's token_type is not Bearer " +
	"invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope " +
	"access_denied server_error temporarily_unavailable unsupported_token_type invalid_token insufficient_scope " +
	"authorization_pending slow_down expired_token invalid_target invalid_dpop_proof use_dpop_nonce " +
	"interaction_required login_required account_selection_required consent_required " +
	"mfa_required bad_refresh_token bad_verification_code invalid_refresh_token token_expired token_revoked account_inactive " +
	"invalid_code code_already_used invalid_request_object invalid_request_uri incorrect_client_credentials redirect_uri_mismatch " +
	"invalid_client_id bad_client_secret bad_redirect_uri ratelimited internal_error fatal_error service_unavailable " +
	"request_timeout accesslimited team_added_to_org org_login_required " +
	"refresh: the provider's answer has a refresh_token and no access_token"

// An answer is a transport that gives it.
type answer struct {
	status            int
	contentType, body string
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {a.contentType}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}
