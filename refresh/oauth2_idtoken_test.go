package refresh_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// idToken returns an ID token of alice for "client", with other claims; nil
// removes one.
func idToken(changes map[string]any) string {
	now := time.Now()
	claims := map[string]any{
		"iss": "https://provider.test", "sub": "alice", "aud": "client",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": 946684000, "nonce": "n1",
	}
	maps.Copy(claims, changes)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode(payload) + "." + encode([]byte("signature"))
}

type claims = map[string]any

func TestARefreshedIDTokenIsOfTheSameLogin(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new claims // of the ID tokens; nil old: it was not kept
		kept     bool   // the old one stays
		other    bool   // it is another user's
	}{
		{"the same again", claims{}, claims{}, false, false},
		{"without auth_time and nonce", claims{}, claims{"auth_time": nil, "nonce": nil}, false, false},
		{"several audiences", claims{}, claims{"aud": []string{"api", "client"}, "azp": "client"}, false, false},
		{"an authorized party that is new", claims{}, claims{"azp": "client"}, false, false},
		{"Google with and without https", claims{"iss": "https://accounts.google.com"}, claims{"iss": "accounts.google.com"}, false, false},
		{"another subject", claims{}, claims{"sub": "bob"}, false, true},
		{"a subject that is no string", claims{}, claims{"sub": 7}, true, false},
		{"another issuer", claims{}, claims{"iss": "https://other.test"}, true, false},
		{"an issuer with a slash more", claims{}, claims{"iss": "https://provider.test/"}, true, false},
		{"an issuer without https", claims{}, claims{"iss": "provider.test"}, true, false},
		{"another audience", claims{}, claims{"aud": "other"}, true, false},
		{"no audience", claims{}, claims{"aud": nil}, true, false},
		{"other audiences", claims{}, claims{"aud": []any{"other", 7}}, true, false},
		{"another authorized party", claims{}, claims{"azp": "other"}, true, false},
		{"not the authorized party before", claims{"azp": "spa"}, claims{"azp": "client"}, true, false},
		{"an authorized party that is no string", claims{"azp": claims{"a": 1}}, claims{"azp": claims{"a": 2}}, true, false},
		{"another nonce", claims{}, claims{"nonce": "n2"}, true, false},
		{"a nonce, which the one before had not", claims{"nonce": nil}, claims{}, false, false},
		{"another time of authentication", claims{}, claims{"auth_time": 946684001}, true, false},
		{"no time of issue", claims{}, claims{"iat": nil}, true, false},
		{"an earlier one", claims{}, claims{"iat": 946684000}, true, false},
		{"expired", claims{}, claims{"exp": 946684000}, true, false},
		{"without an end", claims{}, claims{"exp": nil}, true, false},

		{"where none was kept", nil, claims{}, false, false},
		{"where none was kept, another issuer", nil, claims{"iss": "https://other.test"}, true, false},
		{"where none was kept, another audience", nil, claims{"aud": "other"}, true, false},
		{"where none was kept, another subject", nil, claims{"sub": "bob"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := refresh.Tokens{Access: "a1", Refresh: "r1"}
				if c.old != nil {
					old.ID = idToken(c.old)
				}
				time.Sleep(time.Minute)
				fresh := idToken(c.new)
				client := answering(http.StatusOK, "application/json", `{"access_token":"new","refresh_token":"r2","id_token":"`+fresh+`"}`)
				client.Discovery = &discovery.Provider{Issuer: "https://provider.test"}
				got, err := client.Refresh(t.Context(), old)
				if c.other {
					if !errors.Is(err, refresh.ErrOtherSubject) || errors.Is(err, refresh.ErrDenied) || got != (refresh.Tokens{}) {
						t.Errorf("Refresh = %v, %v, want no tokens and ErrOtherSubject", got, err)
					}
					return
				}
				want := fresh
				if c.kept {
					want = old.ID
				}
				if err != nil || got.Access != "new" || got.Refresh != "r2" || got.ID != want {
					t.Errorf("Refresh = %s %s, %v; the ID token is new: %t, want %t", got.Access, got.Refresh, err, got.ID == fresh, !c.kept)
				}
			})
		})
	}
}

func TestAnIDTokenThatCannotBeReadIsNotKept(t *testing.T) {
	old := refresh.Tokens{Access: "a1", Refresh: "r1", ID: idToken(nil)}
	whole := idToken(nil)
	for _, id := range []string{
		"garbage", "a.b", "a.b.c", "..", whole + ".x", whole[:len(whole)/2], "a." + base64.RawURLEncoding.EncodeToString([]byte("null")) + ".c",
		"a." + base64.RawURLEncoding.EncodeToString([]byte(`[{"sub":"alice"}]`)) + ".c", strings.Repeat(".", 1000),
	} {
		got, err := answering(http.StatusOK, "application/json", `{"access_token":"new","refresh_token":"r2","id_token":"`+id+`"}`).Refresh(t.Context(), old)
		if err != nil || got.Access != "new" || got.Refresh != "r2" || got.ID != old.ID {
			t.Errorf("%.40q: %v, the old ID token is kept: %t", id, err, got.ID == old.ID)
		}
	}
}
