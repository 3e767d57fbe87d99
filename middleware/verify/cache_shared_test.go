package verify

import (
	"fmt"
	"testing"
	"time"
)

// A client can choose what its name is, and in it the bytes between two values.
func TestTokensThatDifferShareNothingHoweverTheirValuesAreCut(t *testing.T) {
	for name, test := range map[string]struct{ seen, next map[string]any }{
		"groups in the place of azp": {
			map[string]any{"client_id": "web", "azp": "web", "groups": []string{"admins"}},
			map[string]any{"client_id": "web\x00web", "azp": `["admins"]`, "iat": nil},
		},
		"groups at the end of azp": {
			map[string]any{"azp": "a", "groups": []string{"admins"}},
			map[string]any{"azp": "a\x00[\"admins\"]", "iat": nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.GroupsClaim = "groups" })
			want(t, j, s.token(test.seen), "accepted")
			for range 2 {
				token, err := j.Verify(t.Context(), s.token(test.next))
				if err != nil {
					t.Fatal(err)
				}
				if len(token.Groups) > 0 || !token.IssuedAt.IsZero() {
					t.Errorf("it has the groups %q of another token, issued %v", token.Groups, token.IssuedAt)
				}
			}
		})
	}
}

// Every combination of values that could run together has a key of its own.
func TestTheKeyOfSharedValuesHasOneReading(t *testing.T) {
	values := []string{"", "\x00", "a", "\x00a", "a\x00", "\x01", "\x01a", "\x01\x00"}
	seen := make(map[string]string)
	for i := range len(values) * len(values) * len(values) * 2 {
		pick := func() []byte { v := values[i%len(values)]; i /= len(values); return []byte(v) }
		for _, c := range []claims{
			{clientID: pick(), azp: pick(), groups: pick(), hasIat: i%2 == 0},
			{aud: pick(), scope: pick(), scp: pick(), hasIat: i%2 == 0},
		} {
			text := fmt.Sprintf("%q %q %q %q %q %q %t", c.aud, c.scope, c.scp, c.clientID, c.azp, c.groups, c.hasIat)
			id := string(appendShared(nil, &rules{Issuer: Issuer{URL: "u"}}, &c))
			if other, ok := seen[id]; ok && other != text {
				t.Fatalf("%s and %s have one key", text, other)
			}
			seen[id] = text
		}
	}
	if len(seen) < 500 {
		t.Errorf("only %d combinations", len(seen))
	}
}

// Values that one token alone has, such as a subject of its own, cost no others
// their shared ones.
func TestSharedValuesAreBounded(t *testing.T) {
	s, j, _ := newPair(t, "EdDSA")
	for i := range maxShared + 50 {
		want(t, j, s.token(map[string]any{"client_id": fmt.Sprint("app-", i), "exp": time.Now().Add(time.Hour).Unix()}), "accepted")
	}
	if n := j.cache.shared.Len(); n != maxShared {
		t.Errorf("%d combinations are kept, want %d", n, maxShared)
	}
}
