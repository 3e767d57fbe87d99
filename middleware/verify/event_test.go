package verify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenlife/tokenlife/refresh/event"
)

func TestEventsTellOfEachFetchOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		var told []event.Event
		j.Observe = func(_ context.Context, e event.Event) { told = append(told, e) }
		want(t, j, s.far(), "accepted")
		want(t, j, s.far(), "accepted")
		p.fail(errors.New("test: down"))
		<-time.After(defaultMaxAge)
		want(t, j, s.far(), "accepted")
		synctest.Wait()
		if len(told) != 2 {
			t.Fatalf("told %v, want two fetches", told)
		}
		for i, e := range told {
			if e.Kind != event.KeysFetched || e.Issuer == "" || (e.Err != nil) != (i == 1) || e.Keys != 1-i {
				t.Errorf("told %+v", e)
			}
			if attrs := e.LogValue().String(); strings.Contains(attrs, "error=") != (i == 1) {
				t.Errorf("logged %s", attrs)
			}
		}
		if levels := []string{told[0].Level.String(), told[1].Level.String()}; !slices.Equal(levels, []string{"DEBUG", "WARN"}) {
			t.Errorf("logged as %v", levels)
		}
	})
}

// A Close in the middle of a fetch is no outage.
func TestEventsTellNothingOfAFetchThatCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, j, p := newPair(t, "ES256")
		j.Observe = func(_ context.Context, e event.Event) { t.Errorf("told %+v", e) }
		p.set(hang)
		go func() { _, _ = j.Verify(context.Background(), s.far()) }()
		synctest.Wait()
		_ = j.Close()
	})
}

// A key that is left out is a support case: the event says which, and why.
func TestEventsNameTheEntriesOfAKeySetThatAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSigner("ES256", "key-1"), new(provider)
		enc := with(newSigner("ES256", "enc-1").jwk(), map[string]any{"use": "enc", "alg": "ECDH-ES"})
		odd := with(newSigner("ES256", "\x00\u202eodd"+strings.Repeat("x", 5000)).jwk(), map[string]any{"alg": "ES224"})
		secret := map[string]any{"kty": "oct", "kid": "s-1", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}
		j := newJWT(t, p)
		var told []event.Event
		j.Observe = func(_ context.Context, e event.Event) { told = append(told, e) }
		raw := s.far()
		for i, test := range []struct {
			set   []any
			level slog.Level
			want  []string // the beginnings of LeftOut
		}{
			{[]any{s}, slog.LevelDebug, nil},
			{[]any{enc, s}, slog.LevelDebug, []string{`entry 1, kid "enc-1": use is "enc", and not sig`}},
			{[]any{enc, s, odd}, slog.LevelWarn, []string{"entry 1, ", `entry 3, kid "\x00\u202eodd`}},
			{[]any{enc, s, odd}, slog.LevelDebug, []string{"entry 1, ", "entry 3, "}}, // said once
			{[]any{s, secret, 1}, slog.LevelWarn, []string{`entry 2, kid "s-1": k makes it`, "entry 3, without a kid: it is not a plain JSON object"}},
			{append([]any{s}, make([]any, 50)...), slog.LevelWarn, append(slices.Repeat([]string{"entry "}, maxLeftOut), "and 42 more")},
			{[]any{s}, slog.LevelDebug, nil},
		} {
			p.serve(jwks(test.set...))
			time.Sleep(defaultMaxAge)
			want(t, j, raw, "accepted")
			synctest.Wait()
			if len(told) != i+1 {
				t.Fatalf("told %d events, want %d", len(told), i+1)
			}
			e := told[i]
			if e.Level != test.level || e.Keys != 1 || len(e.LeftOut) != len(test.want) {
				t.Errorf("told %v, %d keys, %q, want %v and %q", e.Level, e.Keys, e.LeftOut, test.level, test.want)
				continue
			}
			for n, why := range e.LeftOut {
				if !strings.HasPrefix(why, test.want[n]) || len(why) > 400 || strings.Contains(why, "c2VjcmV0") {
					t.Errorf("told %q, want %q", why, test.want[n])
				}
			}
			if line := e.LogValue().String(); strings.Contains(line, "left_out=") != (len(test.want) > 0) {
				t.Errorf("logged %s", line)
			}
		}
		// Where no key is left, the error says so.
		p.serve(jwks(odd, secret))
		time.Sleep(defaultMaxAge)
		want(t, j, raw, "accepted")
		synctest.Wait()
		if err := told[len(told)-1].Err; err == nil || !strings.Contains(err.Error(), `alg "ES224" is not supported`) {
			t.Errorf("told %v", err)
		}
	})
}
