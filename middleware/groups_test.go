package middleware_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

func TestRequireGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &middleware.Auth{Verifier: middleware.VerifierFunc(func(_ context.Context, raw string) (*verify.Token, error) {
			if raw == "bad" {
				return nil, verify.ErrInvalid
			}
			return &verify.Token{Raw: raw, Subject: "ann", Groups: strings.Split(raw, "+"), Expiry: time.Now().Add(time.Hour)}, nil
		})}
		for name, test := range map[string]struct {
			token  string
			groups []string
			status int
			error  string
		}{
			"a member":                    {"admins", []string{"admins"}, 200, ""},
			"a member of others too":      {"users+admins", []string{"admins"}, 200, ""},
			"a member of both":            {"users+admins", []string{"admins", "users"}, 200, ""},
			"a member of one of two":      {"users", []string{"admins", "users"}, 403, "insufficient_scope"},
			"a member of another":         {"administrators", []string{"admins"}, 403, "insufficient_scope"},
			"one whose token is not good": {"bad", []string{"admins"}, 401, "invalid_token"},
		} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+test.token)
			res := serve(a.RequireGroup(test.groups...)(whoami), r)
			challenge := res.Header.Get("WWW-Authenticate")
			if res.StatusCode != test.status || (test.error == "") != (challenge == "") || !strings.Contains(challenge, test.error) {
				t.Errorf("%s: answered %d with %q, want %d and %q", name, res.StatusCode, challenge, test.status, test.error)
			}
			if strings.Contains(challenge, "admins") || strings.Contains(challenge, "ann") || strings.Contains(challenge, "scope=") {
				t.Errorf("%s: the challenge says too much: %q", name, challenge)
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("RequireGroup without a group does not panic")
			}
		}()
		a.RequireGroup()
	})
}
