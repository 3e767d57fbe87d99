package revocation

import (
	"fmt"
	"testing"
	"time"
)

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
