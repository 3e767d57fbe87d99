package verify

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestATokenInUseIsKnownByAllOfItsBytes(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	good := s.token(nil)
	for range 20 {
		want(t, j, good, "accepted")
	}
	if find(j.cache.recent.slot(good), good) == nil {
		t.Fatal("a token in use is not among the recent ones")
	}
	for i := 0; i < len(good)-8; i += 7 { // the end decides where it is looked for
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		if forged := good[:i] + string(c) + good[i+1:]; good[i] != '.' {
			want(t, j, forged, "refused")
		}
	}
	want(t, j, good, "accepted")
}

func TestATokenInUseStillExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSigner("ES256", "key-1")
		p := new(provider)
		p.serve(jwks(s))
		j := newJWT(t, p)
		raw := s.token(map[string]any{"exp": time.Now().Unix() + 600})
		for range 600 {
			want(t, j, raw, "accepted")
			<-time.After(time.Second)
		}
		<-time.After(31 * time.Second) // leeway
		want(t, j, raw, "expired")
	})
}

func TestUsersThatComeOncePushNobodyInUseOut(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	good := s.token(nil)
	for range 20 {
		want(t, j, good, "accepted")
	}
	for i := range 2000 {
		want(t, j, s.token(map[string]any{"jti": fmt.Sprint(i)}), "accepted")
		if i%100 == 0 {
			want(t, j, good, "accepted")
		}
	}
	if find(j.cache.recent.slot(good), good) == nil {
		t.Error("a token in use was pushed out by tokens that came once")
	}
}
