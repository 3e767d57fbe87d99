package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzVerify: whatever the bytes, Verify does not panic and reveals nothing; a
// token that it accepts is the one encoding of what it says, and golang-jwt
// accepts it too and reads the same subject.
func FuzzVerify(f *testing.F) {
	s, j, _ := newPair(f, "EdDSA")
	j.once.Do(j.setUp)
	header := `{"alg":"EdDSA","kid":"key-1"}`
	good := s.token(map[string]any{"exp": time.Now().Add(24 * time.Hour).Unix()})
	f.Add(header, payloadOf(good), 0, byte(0))
	f.Add(header, payloadOf(good), len(good)-1, byte(1))
	f.Add(header, payloadOf(s.token(map[string]any{"jti": 1, "nbf": 0, "iat": null, "exp": time.Now().Add(24 * time.Hour).Unix()})), -1, byte(0))
	f.Add(`{"alg":"EdDSA","kid":"key-1","crit":[]}`, `{"sub":"a","Sub":"b"}`, 3, byte('\n'))
	f.Fuzz(func(t *testing.T, header, payload string, at int, flip byte) {
		// Signing what the fuzzer says takes it past the signature.
		raw := []byte(s.sign(header, payload))
		if at >= 0 && at < len(raw) {
			raw[at] ^= flip
		}
		// Both look at one moment: a token may expire between two.
		now := time.Now()
		var token Token
		if err := j.verifyAt(context.Background(), string(raw), now, &token); err != nil {
			silent(t, err, string(raw))
			return
		}
		parts := strings.Split(token.Raw, ".")
		for _, part := range parts {
			decoded, ok := decodeSegment(nil, part)
			if !ok || b64(decoded) != part {
				t.Error("an accepted token has a second encoding")
			}
		}
		var claims struct {
			jwt.RegisteredClaims
			ID any `json:"jti"` // which may be a number
		}
		if _, err := jwt.ParseWithClaims(token.Raw, &claims, func(*jwt.Token) (any, error) { return s.private.Public(), nil },
			jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(testURL), jwt.WithAudience(testAudience),
			jwt.WithExpirationRequired(), jwt.WithStrictDecoding(), jwt.WithJSONNumber(), jwt.WithLeeway(defaultLeeway),
			jwt.WithTimeFunc(func() time.Time { return now })); err != nil {
			t.Errorf("golang-jwt refuses what was accepted: %v", err)
		}
		id, _ := claims.ID.(string)
		if number, ok := claims.ID.(json.Number); ok {
			id = number.String()
		}
		if claims.Subject != token.Subject || id != token.ID {
			t.Error("golang-jwt reads another token")
		}
	})
}

// FuzzMembers: what the scanner takes for JSON is JSON to encoding/json too,
// and holds the same members.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":[true,null,{"c":"\u00e9\ud83d\ude00"}]}`, `{"a":1,"A":2}`, ` {"":-0.5e+7} `, "{\"\xff\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		found := make(map[string]string)
		if !members(data, func(name, value []byte) bool {
			n++
			found[string(name)] = string(value)
			isStrings(value)
			return true
		}) {
			return
		}
		var reference map[string]json.RawMessage
		if err := json.Unmarshal(data, &reference); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if n != len(found) || len(found) != len(reference) {
			t.Fatalf("%d members, of %d names; encoding/json finds %d", n, len(found), len(reference))
		}
		for name, value := range reference {
			if found[name] != string(value) {
				t.Errorf("member %q is %s, encoding/json reads %s", name, found[name], value)
			}
		}
	})
}

// FuzzParseKeys: no document makes the reader panic or exceed its bounds, and
// every key that it takes is one that may be taken.
func FuzzParseKeys(f *testing.F) {
	f.Add(jwks(newSigner("ES256", "a"), newSigner("EdDSA", "b"), newSigner("RS256", "c")))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeys(data)
		for _, why := range append(set.leftOut, fmt.Sprint(err)) {
			if len(why) > 300*(maxLeftOut+1) || strings.ContainsFunc(why, func(r rune) bool { return !strconv.IsPrint(r) }) {
				t.Errorf("an entry is left out with %d bytes: %q", len(why), why)
			}
		}
		if err != nil {
			return
		}
		if len(set.keys) == 0 || len(set.keys) > maxKeys || len(set.leftOut) > maxLeftOut+1 {
			t.Errorf("%d keys and no error, %d left out", len(set.keys), len(set.leftOut))
		}
		for i, k := range set.keys {
			fits := 0
			for _, alg := range algorithms {
				if k.fits(alg) {
					fits++
				}
			}
			if fits == 0 || k.public == nil || fmt.Sprint(k.D, k.K, k.P) != "" || slices.ContainsFunc(set.keys[:i], k.same) {
				t.Errorf("key %q fits %d algorithms: %T", k.KID, fits, k.public)
			}
		}
	})
}
