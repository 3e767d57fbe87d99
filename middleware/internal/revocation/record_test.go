package revocation

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
)

// What is left of a JWT without its signature names it. Of an opaque token that
// may be what all of them begin with.
func TestATokenIsNamedByWhatNoOtherHas(t *testing.T) {
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE3MDAwMDAwMDB9."
	for _, test := range []struct {
		name, a, b string
		same       bool
	}{
		{"a JWT with two signatures", jwt + "AAAA", jwt + "BBBB", true},
		{"two JWTs", jwt + "AAAA", jwt[:30] + "x" + jwt[31:] + "AAAA", false},
		{"tokens without a dot", "gho_16C7e42F292c6912E7710c838347Ae178B4a", "gho_16C7e42F292c6912E7710c838347Ae178B4b", false},
		{"tokens of Google", "ya29.a0AfB_byDk1cq7", "ya29.a0AfB_byDk1cq8", false},
		{"tokens of Google with two dots", "ya29.1.AADtN_UtlxN3PuGAxrN2X", "ya29.1.AADtN_UtlxN3PuGAxrN2Y", false},
		{"tokens of Hydra", "ory_at_Hy8.S1gnature-one", "ory_at_Hy8.S1gnature-two", false},
		{"encrypted tokens", "eyJh.AAAA.BBBB.CCCC.DDDD", "eyJh.AAAA.BBBB.CCCC.EEEE", false},
	} {
		a, b := &verify.Token{Issuer: "https://issuer.test", Raw: test.a}, &verify.Token{Issuer: "https://issuer.test", Raw: test.b}
		if same := tokenID(a) == tokenID(b); same != test.same {
			t.Errorf("%s: one name %v, want %v", test.name, same, test.same)
		}
	}
}

// A subject who has signed in again and again since a cut-off, while the
// provider's clock was behind, keeps the newest of these logins.
func TestOfManyExemptTokensTheOldestGo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	one := record{Before: 1} // login, whose refreshes are all of its age
	for n := range 2 * maxTokens {
		id := fmt.Sprint("refresh ", n)
		one = one.plus(record{Exempt: map[string]int64{id: 7}}, now)
		if one.Exempt[id] != 7 {
			t.Fatalf("refresh %d is not exempt, though it has come just now", n)
		}
	}
	all := record{Before: 1}
	for n := range 2 * maxTokens {
		all = all.plus(record{Exempt: map[string]int64{fmt.Sprint(n): int64(n + 1)}}, now)
	}
	if len(all.Exempt) != maxTokens || all.Before != 1 {
		t.Fatalf("%d are exempt, want %d", len(all.Exempt), maxTokens)
	}
	for n := maxTokens; n < 2*maxTokens; n++ {
		if all.Exempt[fmt.Sprint(n)] != int64(n+1) {
			t.Errorf("%d, one of the newest, is not exempt", n)
		}
	}
}
