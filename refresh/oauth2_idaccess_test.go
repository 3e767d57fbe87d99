package refresh_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// opaqueTokens is a transport that makes the access tokens of a provider opaque,
// and can leave out the ID token.
type opaqueTokens struct {
	next    http.RoundTripper
	without int // answers to come without an ID token
}

func (o *opaqueTokens) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		return nil, err
	}
	if m["access_token"] != nil {
		m["access_token"] = "ya29.opaque"
		if o.without > 0 {
			o.without--
			delete(m, "id_token")
		}
	}
	body, err := json.Marshal(m)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, err
}

func TestIDTokenAsAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := refresh.Tokens{Access: idToken(nil), Refresh: "r1"}
		time.Sleep(4 * time.Minute)
		fresh := idToken(nil)
		for _, c := range []struct {
			name, body string
			want       string // of the error; empty: none
			refresh    string // that is returned
		}{
			{"an ID token", `{"access_token":"opaque","refresh_token":"r2","expires_in":3600,"id_token":"` + fresh + `"}`, "", "r2"},
			{"no new refresh token", `{"access_token":"opaque","id_token":"` + fresh + `"}`, "", "r1"},
			{"no access token at all", `{"refresh_token":"r2","id_token":"` + fresh + `"}`, "", "r2"},
			{"an access token of another kind", `{"access_token":"a","token_type":"N_A","refresh_token":"r2","id_token":"` + fresh + `"}`, "", "r2"},
			{"no ID token", `{"access_token":"opaque","refresh_token":"r2"}`, "has no ID token, and OAuth2.IDTokenAsAccess", "r2"},
			{"neither", `{"refresh_token":"r2"}`, "has no ID token, and OAuth2.IDTokenAsAccess", "r2"},
			{"no ID token and no new refresh token", `{"access_token":"opaque"}`, "has no ID token, and OAuth2.IDTokenAsAccess", ""},
			{"garbage", `{"access_token":"opaque","refresh_token":"r2","id_token":"garbage"}`, "cannot be read", "r2"},
			{"another nonce", `{"access_token":"opaque","refresh_token":"r2","id_token":"` + idToken(claims{"nonce": "n2"}) + `"}`, "another nonce", "r2"},
			{"one that has expired", `{"access_token":"opaque","refresh_token":"r2","id_token":"` + idToken(claims{"exp": 946684000}) + `"}`, "has expired", "r2"},
			{"another user's", `{"access_token":"opaque","refresh_token":"r2","id_token":"` + idToken(claims{"sub": "bob"}) + `"}`, "another subject", ""},
		} {
			client := answering(200, "application/json", c.body)
			client.IDTokenAsAccess = true
			got, err := client.Refresh(t.Context(), old)
			if c.want == "" {
				if err != nil || got.Access != fresh || got.ID != fresh || got.Refresh != c.refresh || !got.Expiry.Equal(time.Now().Add(5*time.Minute)) {
					t.Errorf("%s: %v, %v, want the ID token in both places, for five minutes", c.name, got, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, refresh.ErrDenied) || errors.Is(err, refresh.ErrOtherSubject) != strings.HasPrefix(c.name, "another user") {
				t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
			}
			if got.Refresh != c.refresh || got.Access == old.Access || got.Access != "" && strings.Contains(c.body, got.Access) || got.Expiry.After(time.Now()) {
				t.Errorf("%s: tokens %q %q, want the refresh token %q and nothing to be used", c.name, got.Access, got.Refresh, c.refresh)
			}
		}

		client := answering(200, "application/json", `{"access_token":"opaque","refresh_token":"r1","expires_in":3600,"id_token":"`+fresh+`"}`)
		client.IDTokenAsAccess = true
		if got, err := client.Exchange(t.Context(), "code", "", ""); err != nil || got.Access != fresh || !got.Expiry.Equal(time.Now().Add(5*time.Minute)) {
			t.Errorf("Exchange = %v, %v, want the ID token", got, err)
		}
		client = answering(200, "application/json", `{"access_token":"opaque","refresh_token":"r1"}`)
		client.IDTokenAsAccess = true
		if got, err := client.Exchange(t.Context(), "code", "", ""); err == nil || got != (refresh.Tokens{}) {
			t.Errorf("Exchange without an ID token = %v, %v", got, err)
		}
		client.RevokeURL = client.TokenURL
		client.Client = nil
		if err := client.Revoke(t.Context(), refresh.Tokens{Access: fresh}); err != nil {
			t.Errorf("an ID token is revoked: %v", err)
		}
	})
}

// One answer without an ID token costs a request, and not the login: the
// provider, which is strict, sees each refresh token once.
func TestAnAnswerWithoutItsIDTokenCostsNoLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := new(refreshtest.Provider)
		wire := &opaqueTokens{next: provider.Client().Transport}
		client := &refresh.OAuth2{
			ClientID: "client", TokenURL: provider.URL("/token"), IDTokenAsAccess: true, Client: &http.Client{Transport: wire},
		}
		ids, err := verify.New(verify.Issuer{URL: provider.URL(""), KeysURL: provider.URL("/jwks"), Audience: []string{"client"}})
		if err != nil {
			t.Fatal(err)
		}
		defer ids.Close()
		ids.Client = provider.Client()
		auth := &middleware.Auth{Verifier: ids, Refresher: client}
		defer auth.Close()
		site := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, _ := middleware.FromContext(r.Context())
			io.WriteString(w, token.Subject)
		}))
		login := provider.Login("alice")
		login.Access = login.ID
		browser := httptest.NewRequest(http.MethodGet, "/", nil)
		middlewaretest.SignIn(auth, browser, login)
		visit := func(want int) {
			t.Helper()
			w := httptest.NewRecorder()
			site.ServeHTTP(w, browser)
			if w.Code != want || want == 200 && w.Body.String() != "alice" {
				t.Fatalf("%d %s, want %d", w.Code, w.Body, want)
			}
			middlewaretest.Keep(browser, w.Result())
		}
		visit(200)
		time.Sleep(6 * time.Minute)
		visit(200)
		wire.without = 1
		time.Sleep(6 * time.Minute)
		visit(503)
		time.Sleep(2 * time.Second)
		visit(200)
		time.Sleep(6 * time.Minute)
		visit(200)
		if s := provider.Stats(); s.Reused != 0 || s.Refreshed != 4 {
			t.Errorf("the provider has seen %+v", s)
		}
	})
}
