package providers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tokenlife/tokenlife/middleware"
)

// bearer sends a request with an access token in its header.
func (v *visitor) bearer(token string) int {
	r := httptest.NewRequest(http.MethodGet, origin+"/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	v.site.ServeHTTP(w, r)
	return w.Code
}

// A token that the user has given to another client of the provider is not one
// for this program: else whoever runs that client would be the user here.
func TestATokenOfAnotherClientIsRefused(t *testing.T) {
	asked := 0
	for _, test := range logins {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, test.habits)
			v := visit(t, test.preset(), f)
			want := http.StatusUnauthorized
			if test.folder == "slack" {
				want = http.StatusOK // it does not say; the preset's comment does
			}
			if got := v.bearer(f.foreign()); got != want {
				t.Errorf("%s: status %d, want %d", test.name, got, want)
			}
			asked++
		})
	}
	if asked < 18 {
		t.Errorf("only %d presets are tried", asked)
	}
}

// What says nothing of a token neither lets it in nor signs its user out.
func TestAProviderThatCannotSayIsNoRefusal(t *testing.T) {
	for _, test := range []struct {
		folder string
		status int
		body   string
		want   int
	}{
		{"github", 500, `{"message":"Server Error"}`, 503},
		{"github", 403, `{"message":"API rate limit exceeded"}`, 503},
		{"github", 422, `{"message":"Validation Failed"}`, 503},
		{"github", 302, ``, 503},
		{"github", 200, `<!doctype html>`, 503},
		{"github", 401, `{"message":"Bad credentials"}`, 503}, // the client's, not the user's
		{"github", 404, `{"message":"Not Found"}`, 401},
		{"gitlab", 500, `{"error":"server_error"}`, 503},
		{"gitlab", 200, `{"active":false}`, 401},
		{"gitlab", 200, `{"active":true,"client_id":"another-client"}`, 401},
		{"gitlab", 200, `[]`, 503},
		{"linkedin", 429, `{"status":429}`, 503},
		{"linkedin", 200, `{"active":false,"status":"revoked"}`, 401},
		{"discord", 429, `{"message":"You are being rate limited.","retry_after":65}`, 503},
		{"discord", 401, `{"message":"401: Unauthorized","code":0}`, 401},
		{"discord", 200, `{"application":{"id":"shop-client"}}`, 401}, // a token of the application, and of no user
		{"discord", 200, `{"message":"You need to update your app"}`, 401},
		{"discord", 200, `null`, 503},
		{"slack", 200, `{"ok":false,"error":"invalid_auth"}`, 401},
		{"slack", 200, `{"ok":false,"error":"token_revoked"}`, 401},
		{"slack", 200, `{"ok":false,"error":"internal_error"}`, 503},
		{"slack", 200, `{"ok":false}`, 503},
		{"slack", 200, `{"ok":true}`, 401},
		{"slack", 429, `{"ok":false,"error":"ratelimited"}`, 503},
		{"hydra", 503, ``, 503},
		{"hydra", 401, `{"error":"request_unauthorized"}`, 401},
		{"salesforce", 500, ``, 503},
		{"zitadel", 200, `{"active":false}`, 401},
	} {
		t.Run(test.folder+" "+test.body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, l := range logins {
					if l.name != test.folder {
						continue
					}
					f := newFake(t, l.habits)
					f.down, f.downAs = test.status, test.body
					v := visit(t, l.preset(), f)
					if got := v.bearer("opaque-of-nobody"); got != test.want {
						t.Errorf("status %d, want %d: %v", got, test.want, v.failures())
					}
				}
			})
		})
	}
}

// GitHub's answer has the token itself. It must not be where a program reads
// what the provider says of the user.
func TestTheClaimsHoldNoToken(t *testing.T) {
	for _, test := range logins {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, test.habits)
			v := visit(t, test.preset(), f)
			var claims map[string]any
			v.site = v.parts.Auth.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				token, _ := middleware.FromContext(r.Context())
				if err := token.Claims(&claims); err != nil {
					t.Error(err)
				}
			}))
			mine := f.foreign()
			f.sessions[mine].client = clientID
			if v.bearer(mine) != http.StatusOK {
				return // a JWT is what it is
			}
			text, err := json.Marshal(claims)
			if err != nil || strings.Contains(string(text), mine) {
				t.Errorf("%s: the claims hold the token: %v", test.name, err)
			}
			if claims["sub"] != f.userID {
				t.Errorf("%s: sub is %v", test.name, claims["sub"])
			}
		})
	}
}
