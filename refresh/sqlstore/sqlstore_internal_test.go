package sqlstore

import (
	"testing"
	"time"
)

func TestLifetimesAreRoundedUp(t *testing.T) {
	for ttl, want := range map[time.Duration]int64{
		1:                    1,
		time.Millisecond - 1: 1,
		time.Millisecond:     1,
		time.Millisecond + 1: 2,
		time.Hour:            3_600_000,
		1<<63 - 1:            9_223_372_036_855,
	} {
		if got := milliseconds(ttl); got != want {
			t.Errorf("%v is %d ms, want %d", ttl, got, want)
		}
	}
}
