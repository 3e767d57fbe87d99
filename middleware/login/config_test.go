package login_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func newFlow() *login.Flow {
	return &login.Flow{
		Auth:        &middleware.Auth{Verifier: middleware.VerifierFunc(nil)},
		Client:      &refresh.OAuth2{ClientID: "client", Discovery: &discovery.Provider{Issuer: "https://provider.test"}},
		RedirectURL: "https://site.test/callback",
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *login.Flow)
		want   string // in the error; empty: none
	}{
		{"the least there can be", func(*login.Flow) {}, ""},
		{"an http RedirectURL on this machine", func(f *login.Flow) { f.RedirectURL = "http://127.0.0.1:8080/callback" }, ""},
		{"an http RedirectURL where that is wanted", func(f *login.Flow) {
			f.RedirectURL, f.Auth.Cookies.InsecureHTTP = "http://dev.example/callback", true
		}, ""},
		{"nothing is left to discovery", func(f *login.Flow) {
			f.Client = &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
			f.Issuer, f.AuthURL, f.IDTokens = "https://provider.test", "https://provider.test/auth", middleware.VerifierFunc(nil)
		}, ""},
		{"no Auth", func(f *login.Flow) { f.Auth = nil }, "Flow.Auth is nil"},
		{"a bad Auth", func(f *login.Flow) { f.Auth.Verifier = nil }, "Flow.Auth: middleware: Auth.Verifier is nil"},
		{"no Client", func(f *login.Flow) { f.Client = nil }, "Flow.Client"},
		{"a Client without an ID", func(f *login.Flow) { f.Client.ClientID = "" }, "ClientID is empty"},
		{"no RedirectURL", func(f *login.Flow) { f.RedirectURL = "" }, "Flow.RedirectURL is empty"},
		{"an http RedirectURL", func(f *login.Flow) { f.RedirectURL = "http://site.test/callback" }, "Flow.RedirectURL must be https"},
		{"a RedirectURL with a fragment", func(f *login.Flow) { f.RedirectURL += "#x" }, "Flow.RedirectURL contains a fragment"},
		{"a RedirectURL with a password", func(f *login.Flow) { f.RedirectURL = "https://user:hunter2@site.test/" }, "Flow.RedirectURL contains a user name"},
		{"a relative RedirectURL", func(f *login.Flow) { f.RedirectURL = "/callback" }, "Flow.RedirectURL is not an absolute URL"},
		{"an http AuthURL", func(f *login.Flow) { f.AuthURL = "http://provider.test/auth" }, "Flow.AuthURL must be https"},
		{"an AuthURL that brings a prompt and an audience", func(f *login.Flow) { f.AuthURL = "https://provider.test/authorize?prompt=login&audience=api" }, ""},
		{"an AuthURL that was copied with a client_id", func(f *login.Flow) { f.AuthURL = "https://provider.test/authorize?client_id=x" }, "Flow.AuthURL has client_id, which Start sets"},
		{"an EndSessionURL of another kind", func(f *login.Flow) { f.EndSessionURL = "javascript:alert(1)" }, "Flow.EndSessionURL"},
		{"a sign-out page of another kind", func(f *login.Flow) {
			f.EndSessionURL = "https://provider.test/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}"
		}, ""},
		{"an EndSessionURL with a place for what it cannot have", func(f *login.Flow) { f.EndSessionURL = "https://provider.test/v2/logout?hint={id_token}" }, "Flow.EndSessionURL has braces"},
		{"an EndSessionURL with a place in its path", func(f *login.Flow) { f.EndSessionURL = "https://provider.test/{client_id}/logout" }, "Flow.EndSessionURL has braces"},
		{"a LogoutHint that there is not", func(f *login.Flow) { f.LogoutHint = 3 }, "Flow.LogoutHint"},
		{"Scopes without openid", func(f *login.Flow) { f.Scopes = []string{"profile"} }, "Flow.Scopes lacks openid"},
		{"no openid where there is no ID token", func(f *login.Flow) { f.WithoutIDToken, f.Scopes = true, []string{"read:user"} }, ""},
		{"no ID token, no discovery, and nothing to verify one with", func(f *login.Flow) {
			f.Client = &refresh.OAuth2{ClientID: "client", TokenURL: "https://code.test/token"}
			f.WithoutIDToken, f.Issuer, f.AuthURL = true, "https://code.test", "https://code.test/authorize"
		}, ""},
		{"openid where there is no ID token", func(f *login.Flow) { f.WithoutIDToken, f.Scopes = true, []string{"openid"} }, "Flow.Scopes has openid"},
		{"answers by POST", func(f *login.Flow) { f.ResponseMode = "form_post" }, ""},
		{"answers in the query, said so", func(f *login.Flow) { f.ResponseMode = "query" }, ""},
		{"answers in the fragment", func(f *login.Flow) { f.ResponseMode = "fragment" }, `Flow.ResponseMode is "fragment"`},
		{"answers by POST, and cookies that do not come along", func(f *login.Flow) {
			f.ResponseMode, f.RedirectURL, f.Auth.Cookies.InsecureHTTP = "form_post", "http://dev.example/callback", true
		}, "Flow.ResponseMode is form_post"},
		{"a negative Timeout", func(f *login.Flow) { f.Timeout = -time.Second }, "Flow.Timeout is negative"},
		{"a Store of this process alone, and logins in one of all", func(f *login.Flow) {
			f.Auth.Refresher = &refresh.Coordinator{Refresher: f.Client, Store: new(refreshtest.FaultyStore)}
			f.Store = new(refresh.MemoryStore)
		}, "Flow.Store is this process's memory"},
		{"a Store of this process alone, and logins as well", func(f *login.Flow) {
			f.Auth.Refresher = &refresh.Coordinator{Refresher: f.Client, Store: new(refresh.MemoryStore)}
			f.Store = new(refresh.MemoryStore)
		}, ""},
		{"another Issuer than discovery's", func(f *login.Flow) { f.Issuer = "https://other.test" }, "Flow.Issuer is not that of"},
		{"no Issuer", func(f *login.Flow) {
			f.Client = &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
		}, "Flow.Issuer is empty"},
		{"no AuthURL", func(f *login.Flow) {
			f.Client = &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
			f.Issuer = "https://provider.test"
		}, "Flow.AuthURL is empty"},
		{"no IDTokens", func(f *login.Flow) {
			f.Client = &refresh.OAuth2{ClientID: "client", TokenURL: "https://provider.test/token"}
			f.Issuer, f.AuthURL = "https://provider.test", "https://provider.test/auth"
		}, "Flow.IDTokens is nil"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFlow()
			test.change(f)
			err := f.Validate()
			switch {
			case test.want == "":
				if err != nil {
					t.Errorf("error %v", err)
				}
			case err == nil || !strings.HasPrefix(err.Error(), "login: ") || !strings.Contains(err.Error(), test.want):
				t.Errorf("error %v, want one with %q", err, test.want)
			case strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error repeats a password: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func TestStartPanicsWhereValidateFails(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(login.Flow).Start()
}

func TestAttemptsEndWhereTheyBeganOrWithTheSameKeys(t *testing.T) {
	key := func(b byte) *cookies.KeyRing {
		ring, err := cookies.NewKeyRing([]byte(strings.Repeat(string(rune(b)), 32)))
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	one, same, other := key('1'), key('1'), key('2')
	for _, test := range []struct {
		name          string
		first, second func(f *login.Flow)
		opens         bool
	}{
		{"a key made by each process", func(*login.Flow) {}, func(*login.Flow) {}, false},
		{"one key", func(f *login.Flow) { f.Keys = one }, func(f *login.Flow) { f.Keys = same }, true},
		{"one key of the cookies", func(f *login.Flow) { f.Auth.Cookies.Keys = one }, func(f *login.Flow) { f.Auth.Cookies.Keys = same }, true},
		{"two keys", func(f *login.Flow) { f.Keys = one }, func(f *login.Flow) { f.Keys = other }, false},
		{"one key, another site", func(f *login.Flow) { f.Keys = one }, func(f *login.Flow) {
			f.Keys, f.RedirectURL = one, "https://other.test/callback"
		}, false},
		{"one key, another client", func(f *login.Flow) { f.Keys = one }, func(f *login.Flow) {
			f.Keys, f.Client.ClientID = one, "other"
		}, false},
		{"one key, another provider", func(f *login.Flow) { f.Keys = one }, func(f *login.Flow) {
			f.Keys, f.Client.Discovery.Issuer = one, "https://other.test"
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, b := newSite(t, test.first), newBrowser()
				second := newSite(t, test.second)
				second.provider = first.provider
				back := b.begin(t, first, "/")
				// Only the opening of the attempt matters: without a code there is
				// another answer where it was opened.
				q := back.Query()
				q.Del("code")
				back.RawQuery = q.Encode()
				b.open(second, second.callback, back.String())
				if opened := len(b.attempts()) == 0; opened != test.opens {
					t.Errorf("the second process opens the attempt: %v", opened)
				}
			})
		})
	}
}
