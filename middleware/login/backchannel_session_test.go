package login_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// Of a provider with many tenants the Flow has a name that no token has.
func TestALogoutBySidReachesALoginOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, revoking, withoutSid, func(f *login.Flow) {
			tenant := f.Client.Discovery.Issuer
			own := func(types ...string) middleware.Verifier {
				v, err := verify.New(verify.Issuer{URL: tenant, KeysURL: tenant + "/jwks", Audience: []string{"client"}, Types: types})
				if err != nil {
					t.Fatal(err)
				}
				v.Client = f.Client.Client
				t.Cleanup(func() { v.Close() })
				return v
			}
			f.IDTokens, f.LogoutTokens = own(), own("logout+jwt")
			f.Issuer, f.AuthURL = "https://any.test", tenant+"/authorize"
			f.Client.Discovery, f.Client.TokenURL = nil, tenant+"/token"
		})
		logout, b := s.flow.BackChannel(), newBrowser()
		back := b.begin(t, s, "/")
		q := back.Query()
		q.Del("iss")
		back.RawQuery = q.Encode()
		if resp := b.open(s, s.callback, back.String()); resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("the sign-in ends with %d", resp.StatusCode)
		}
		if resp := deliver(logout, s.provider.LogoutToken(map[string]any{"sid": b.session(t)})); resp.StatusCode != http.StatusOK {
			t.Fatalf("the logout is answered %d", resp.StatusCode)
		}
		if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusFound {
			t.Errorf("the login is answered %d", resp.StatusCode)
		}
	})
}

// Of a session that has been another user's before, the provider knows whose it is.
func TestALogoutBySidAndSubEndsNobodyElsesLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t, revoking, withoutSid), newBrowser()
		b.signIn(t, s)
		claims := map[string]any{"sid": b.session(t), "sub": "bob"}
		if resp := deliver(s.flow.BackChannel(), s.provider.LogoutToken(claims)); resp.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", resp.StatusCode)
		}
		if resp := b.open(s, s.page(), "/"); resp.StatusCode != http.StatusOK {
			t.Errorf("the login is answered %d", resp.StatusCode)
		}
	})
}
