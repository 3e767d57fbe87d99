package local

import (
	"testing"
	"time"
)

// What is stolen with the Secret later does not sign as an older key.
func TestAKeyThatDoesNotSignAnyMoreIsForgotten(t *testing.T) {
	now, life := time.Unix(1<<30, 0), time.Hour
	var r ring
	turn := func() {
		t.Helper()
		var err error
		if r, err = r.rotated(now, "ES256", 2*time.Hour, life); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	now = now.Add(2*time.Hour - time.Minute)
	turn()
	if len(r) != 2 || r[0].Private == nil || r[1].Private == nil {
		t.Fatalf("before the change there are %d keys, want two that can sign", len(r))
	}
	now = time.UnixMilli(r[0].From)
	turn()
	if len(r) != 2 || r[0].Private == nil || r[1].Private != nil {
		t.Errorf("after the change there are %d keys, want one that can sign and one that cannot", len(r))
	}
}
