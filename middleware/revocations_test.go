package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// tokenOfAnn returns a token that was issued just now.
func tokenOfAnn(change ...func(*verify.Token)) *verify.Token {
	t := &verify.Token{
		Raw: "header.payload-of-the-token.signature", Issuer: "https://issuer.test", Subject: "ann", ID: "id-1", Session: "session-1",
		IssuedAt: time.Now().Truncate(time.Second), Expiry: time.Now().Add(time.Hour),
	}
	for _, f := range change {
		f(t)
	}
	return t
}

func state(v *middleware.Revocations, t *verify.Token) string {
	switch err := v.Check(context.Background(), t); {
	case err == nil:
		return "good"
	case errors.Is(err, refresh.ErrDenied):
		return "login over"
	case errors.Is(err, verify.ErrInvalid):
		return "token revoked"
	default:
		return "unknown"
	}
}

func TestWhatARevocationEnds(t *testing.T) {
	noJTI := func(t *verify.Token) { t.ID = "" }
	noLogin := func(t *verify.Token) { t.Session = "" }
	later := func(t *verify.Token) { t.IssuedAt = time.Now().Add(time.Second) }
	now := func() time.Time { return time.Now().Add(time.Millisecond) }
	token := func(change ...func(*verify.Token)) func(*middleware.Revocations) error {
		return func(v *middleware.Revocations) error {
			return v.RevokeToken(context.Background(), tokenOfAnn(change...))
		}
	}
	login := func(v *middleware.Revocations) error {
		return v.RevokeLogin(context.Background(), "https://issuer.test", "session-1", now())
	}
	subject := func(v *middleware.Revocations) error {
		return v.RevokeSubject(context.Background(), "https://issuer.test", "ann", now())
	}
	for name, test := range map[string]struct {
		revoke func(*middleware.Revocations) error
		token  []func(*verify.Token)
		want   string
	}{
		"a token":                                  {token(), nil, "token revoked"},
		"another token of the login":               {token(), []func(*verify.Token){func(t *verify.Token) { t.ID = "id-2" }}, "good"},
		"the same jti of another issuer":           {token(), []func(*verify.Token){func(t *verify.Token) { t.Issuer = "https://other.test" }}, "good"},
		"a token of no login":                      {token(noLogin), []func(*verify.Token){noLogin}, "token revoked"},
		"another token of no login":                {token(noLogin), []func(*verify.Token){noLogin, func(t *verify.Token) { t.ID = "id-2" }}, "good"},
		"a token without jti":                      {token(noJTI), []func(*verify.Token){noJTI}, "token revoked"},
		"the same one with another signature":      {token(noJTI), []func(*verify.Token){noJTI, func(t *verify.Token) { t.Raw = "header.payload-of-the-token.other" }}, "token revoked"},
		"another token without jti":                {token(noJTI), []func(*verify.Token){noJTI, func(t *verify.Token) { t.Raw = "header.payload-of-another.signature" }}, "good"},
		"a token without jti, whose text is a jti": {token(noJTI), []func(*verify.Token){func(t *verify.Token) { t.ID = "header.payload-of-the-token" }}, "good"},
		"a login":                                    {login, nil, "login over"},
		"another token of that login":                {login, []func(*verify.Token){func(t *verify.Token) { t.ID = "id-2" }}, "login over"},
		"a token that the login got later":           {login, []func(*verify.Token){later}, "good"},
		"another login of the same user":             {login, []func(*verify.Token){func(t *verify.Token) { t.Session = "session-2" }}, "good"},
		"the login of that name at another issuer":   {login, []func(*verify.Token){func(t *verify.Token) { t.Issuer = "https://other.test" }}, "good"},
		"a subject":                                  {subject, nil, "login over"},
		"another login of the subject":               {subject, []func(*verify.Token){func(t *verify.Token) { t.Session = "session-2" }}, "login over"},
		"a token of the subject of no login":         {subject, []func(*verify.Token){noLogin}, "login over"},
		"a token of the subject that tells no age":   {subject, []func(*verify.Token){func(t *verify.Token) { t.IssuedAt = time.Time{} }}, "login over"},
		"a token that the subject got later":         {subject, []func(*verify.Token){later}, "good"},
		"another subject":                            {subject, []func(*verify.Token){func(t *verify.Token) { t.Subject = "bob" }}, "good"},
		"a subject that is called like the session":  {subject, []func(*verify.Token){func(t *verify.Token) { t.Subject, t.Session = "session-1", "ann" }}, "good"},
		"the subject of that name at another issuer": {subject, []func(*verify.Token){func(t *verify.Token) { t.Issuer = "https://other.test" }}, "good"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &refreshtest.FaultyStore{}
				here, there := &middleware.Revocations{Store: store}, &middleware.Revocations{Store: store}
				subject := tokenOfAnn(test.token...)
				if got := state(here, subject) + ", " + state(there, subject); got != "good, good" {
					t.Fatalf("before: %s", got)
				}
				if err := test.revoke(here); err != nil {
					t.Fatal(err)
				}
				if got := state(here, subject); got != test.want {
					t.Errorf("here, at once: %s, want %s", got, test.want)
				}
				if got := state(there, subject); got != "good" {
					t.Errorf("the other replica has asked again: %s", got)
				}
				<-time.After(10 * time.Second)
				for _, v := range []*middleware.Revocations{here, there, {Store: store}} {
					if got := state(v, subject); got != test.want {
						t.Errorf("after 10 s: %s, want %s", got, test.want)
					}
				}
				var held string
				for _, c := range store.Calls() {
					held += c.Key + " " + string(c.New)
				}
				for _, secret := range []string{"ann", "session-1", "id-1", "payload", "issuer.test"} {
					if strings.Contains(held, secret) {
						t.Errorf("the store has seen %q", secret)
					}
				}
			})
		})
	}
}

func TestAnAnswerThatIsRememberedAllocatesNothing(t *testing.T) {
	v := &middleware.Revocations{Store: &refreshtest.FaultyStore{}}
	for name, token := range map[string]*verify.Token{
		"a token of a login":    tokenOfAnn(),
		"a token of no login":   tokenOfAnn(func(t *verify.Token) { t.Session = "" }),
		"a token without a jti": tokenOfAnn(func(t *verify.Token) { t.Session, t.ID = "", "" }),
	} {
		if err := v.Check(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = v.Check(t.Context(), token) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestARevocationEndsInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		v := &middleware.Revocations{Store: store, RetainFor: 100 * time.Hour}
		token, other := tokenOfAnn(), tokenOfAnn(func(t *verify.Token) { t.Session = "session-2" })
		ctx := t.Context()
		if err := errors.Join(v.RevokeToken(ctx, token), v.RevokeLogin(ctx, other.Issuer, other.Session, time.Now().Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		for _, at := range []struct {
			after time.Duration
			want  string
		}{
			{90 * time.Minute, "token revoked, login over"}, // an hour of leeway has not passed
			{99 * time.Hour, "good, login over"},
			{101 * time.Hour, "good, good"},
		} {
			<-time.After(time.Until(token.IssuedAt.Add(at.after)))
			fresh := &middleware.Revocations{Store: store}
			// Pruning is seen where something is added.
			_ = fresh.RevokeToken(ctx, tokenOfAnn(func(t *verify.Token) { t.ID = "id-9" }))
			if got := state(fresh, token) + ", " + state(fresh, other); got != at.want {
				t.Errorf("after %v: %s, want %s", at.after, got, at.want)
			}
		}
	})
}

func TestALoginOfWhichVeryManyTokensAreRevokedIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &middleware.Revocations{}
		id := func(i int) func(*verify.Token) { return func(t *verify.Token) { t.ID = fmt.Sprint("id-", i) } }
		for i := range 64 {
			if err := v.RevokeToken(t.Context(), tokenOfAnn(id(i))); err != nil {
				t.Fatal(err)
			}
		}
		old := tokenOfAnn(id(99))
		if got := state(v, old); got != "good" {
			t.Errorf("after 64: %s", got)
		}
		<-time.After(time.Second)
		if err := v.RevokeToken(t.Context(), tokenOfAnn(id(64))); err != nil {
			t.Fatal(err)
		}
		if got := state(v, old); got != "login over" {
			t.Errorf("after 65: %s", got)
		}
	})
}

// A hundred revocations of one login at a time, in three replicas: none is
// lost.
func TestRevocationsAtOnceAreAllKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &refreshtest.FaultyStore{}
		var wg sync.WaitGroup
		for i := range 6 {
			v := &middleware.Revocations{Store: store}
			wg.Go(func() {
				token := tokenOfAnn(func(t *verify.Token) { t.ID = fmt.Sprint("id-", i) })
				if err := v.RevokeToken(t.Context(), token); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if err := v.RevokeLogin(t.Context(), "https://issuer.test", "session-1", time.Now().Add(-time.Duration(i)*time.Minute)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		v := &middleware.Revocations{Store: store}
		for i := range 6 {
			if got := state(v, tokenOfAnn(func(t *verify.Token) { t.ID = fmt.Sprint("id-", i) })); got != "token revoked" {
				t.Errorf("token %d: %s", i, got)
			}
		}
		if got := state(v, tokenOfAnn(func(t *verify.Token) { t.ID, t.IssuedAt = "id-9", time.Now().Add(-time.Second) })); got != "login over" {
			t.Errorf("the latest cut-off is lost: %s", got)
		}
	})
}

func TestWhatCannotBeRevoked(t *testing.T) {
	v := &middleware.Revocations{}
	for name, err := range map[string]error{
		"a login without a name":     v.RevokeLogin(t.Context(), "https://issuer.test", "", time.Time{}),
		"a login of no issuer":       v.RevokeLogin(t.Context(), "", "session-1", time.Time{}),
		"a subject without a name":   v.RevokeSubject(t.Context(), "https://issuer.test", "", time.Time{}),
		"a subject of no issuer":     v.RevokeSubject(t.Context(), "", "ann", time.Time{}),
		"for less than no time":      (&middleware.Auth{Verifier: &checker{}, Revocations: &middleware.Revocations{RetainFor: -1}}).Validate(),
		"a subject, but ctx is over": v.RevokeSubject(over(), "https://issuer.test", "ann", time.Time{}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "middleware: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
