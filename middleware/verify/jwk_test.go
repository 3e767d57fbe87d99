package verify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var null = json.RawMessage("null")

// named returns a signer of this ID that has the key of s, for another
// algorithm.
func (s *signer) named(alg string) *signer { return &signer{s.kid, alg, s.private} }

// RFC 7517 section 4.5 lets several keys have one ID.
func TestKeysOfOneID(t *testing.T) {
	rs256, es256, other, ed := newSigner("RS256", "key-1"), newSigner("ES256", "key-1"), newSigner("ES256", "key-1"), newSigner("EdDSA", "key-1")
	stranger := newSigner("ES256", "key-1")
	bare := func(s *signer) *signer { return &signer{"", s.alg, s.private} }
	noKid := func(s *signer) string { return s.sign(fmt.Sprintf(`{"alg":%q}`, s.alg), payloadOf(s.token(nil))) }
	many := []any{newSigner("ES256", "key-1"), newSigner("ES256", "key-1"), newSigner("ES256", "key-1")}
	for name, test := range map[string]struct {
		set  []any
		raw  string
		want string
	}{
		"one RSA key for RS256 and RS512, signed RS256": {[]any{rs256, rs256.named("RS512")}, rs256.token(nil), "accepted"},
		"one RSA key for RS256 and RS512, signed RS512": {[]any{rs256, rs256.named("RS512")}, rs256.named("RS512").token(nil), "accepted"},
		"the two in the other order":                    {[]any{rs256.named("RS512"), rs256}, rs256.token(nil), "accepted"},
		"one RSA key for RS256 alone, signed RS512":     {[]any{rs256, es256}, rs256.named("RS512").token(nil), "refused"},
		"one RSA key for RS256 alone, signed PS256":     {[]any{rs256, es256}, rs256.named("PS256").token(nil), "refused"},
		"an RSA and an EC key, signed by the first":     {[]any{rs256, es256}, rs256.token(nil), "accepted"},
		"an RSA and an EC key, signed by the second":    {[]any{rs256, es256}, es256.token(nil), "accepted"},
		"an Ed25519 and an EC key":                      {[]any{ed, es256}, ed.token(nil), "accepted"},
		"two EC keys, signed by the first":              {[]any{es256, other}, es256.token(nil), "accepted"},
		"two EC keys, signed by the second":             {[]any{es256, other}, other.token(nil), "accepted"},
		"two EC keys, signed by a third":                {[]any{es256, other}, stranger.token(nil), "refused"},
		"four keys, signed by the last":                 {append(many[:3:3], es256), es256.token(nil), "accepted"},
		"five keys, signed by the last":                 {append(many[:3:3], other, es256), es256.token(nil), "refused"},
		"five of two types, signed by the last":         {append(many[:3:3], rs256, es256), es256.token(nil), "accepted"},
		"one ID for a key to encrypt with":              {[]any{with(rs256.jwk(), map[string]any{"use": "enc", "alg": "RSA-OAEP"}), rs256}, rs256.token(nil), "accepted"},
		"no kid, and two keys of two types":             {[]any{rs256, es256}, noKid(es256), "accepted"},
		"no kid, and two keys of one type":              {[]any{es256, other}, noKid(other), "accepted"},
		"no kid, and a stranger's signature":            {[]any{es256, other}, noKid(stranger), "refused"},
		"no kid, and no key of the algorithm":           {[]any{rs256, ed}, noKid(es256), "refused"},
		"no kid, and keys that have none":               {[]any{bare(es256), bare(other)}, noKid(other), "accepted"},
		"no kid, and a stranger's beside those":         {[]any{bare(es256), bare(other)}, noKid(stranger), "refused"},
		"a kid, and keys that have none":                {[]any{bare(es256)}, es256.token(nil), "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(provider)
			p.serve(jwks(test.set...))
			j := newJWT(t, p, func(i *Issuer) { i.Algorithms = []string{"RS256", "RS512", "PS256", "ES256", "EdDSA"} })
			want(t, j, test.raw, test.want)
			want(t, j, test.raw, test.want)
			if n := p.count(); n != 1 {
				t.Errorf("%d fetches, want 1", n)
			}
		})
	}
}

// Which of several keys has signed a token decides how long it is good.
func TestPromise10ARemovedKeyIsRefusedThoughItsIDStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, kept, p := newSigner("ES256", "key-1"), newSigner("ES256", "key-1"), new(provider)
		p.serve(jwks(gone, kept))
		j := newJWT(t, p)
		one, two := gone.far(), kept.far()
		want(t, j, one, "accepted")
		want(t, j, two, "accepted")
		p.serve(jwks(kept))
		time.Sleep(defaultMaxAge)
		want(t, j, one, "refused")
		want(t, j, two, "accepted")
	})
}

// A key of a known ID and another type is a new key, and is fetched as such.
func TestPromise10AKeyOfAnotherTypeUnderAKnownIDIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, p := newSigner("RS256", "key-1"), new(provider)
		p.serve(jwks(old))
		j := newJWT(t, p)
		want(t, j, old.far(), "accepted")
		next := newSigner("ES256", "key-1")
		p.serve(jwks(old, next))
		want(t, j, next.far(), "refused") // within the cool-down
		time.Sleep(defaultCooldown)
		for range 100 {
			want(t, j, next.far(), "accepted")
			want(t, j, newSigner("EdDSA", "key-1").far(), "refused")
		}
		if n := p.count(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

// A counter is a signature method that refuses, and counts.
type counter struct {
	jwt.SigningMethod
	n int
}

func (c *counter) Verify(string, []byte, any) error { c.n++; return jwt.ErrSignatureInvalid }

func TestPromise09SignaturesThatAreCheckedForATokenAreBounded(t *testing.T) {
	c := new(counter)
	h := &header{alg: &algorithm{kty: "EC", crv: "P-256", method: c}}
	var keys []*key
	for range 50 {
		set, err := parseKeys(jwks(with(newSigner("ES256", "key-1").jwk(), map[string]any{"alg": nil})))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, set.keys...)
	}
	if _, err := h.signedBy(keys, "x", nil); err == nil || c.n != maxTries {
		t.Errorf("%d signatures were checked, %v, want %d", c.n, err, maxTries)
	}
}

func TestNothingInAKeyIsNothing(t *testing.T) {
	es, rs := newSigner("ES256", "key-1"), newSigner("RS256", "key-1")
	for name, test := range map[string]struct {
		s       *signer
		members map[string]any
		want    string
	}{
		"alg null":               {es, map[string]any{"alg": null}, "accepted"},
		"alg empty":              {es, map[string]any{"alg": ""}, "accepted"},
		"use null":               {es, map[string]any{"use": null}, "accepted"},
		"use empty":              {es, map[string]any{"use": ""}, "accepted"},
		"key_ops null":           {es, map[string]any{"key_ops": null}, "accepted"},
		"key_ops empty":          {es, map[string]any{"key_ops": json.RawMessage("[ ]")}, "accepted"},
		"x5c and x5t null":       {es, map[string]any{"x5c": null, "x5t": null, "x5u": null}, "accepted"},
		"ext and oth null":       {rs, map[string]any{"ext": null, "oth": null}, "accepted"},
		"a private part null":    {rs, map[string]any{"d": null, "p": "", "oth": []any{}}, "accepted"},
		"a secret null":          {es, map[string]any{"k": null}, "accepted"},
		"crv, x, y null for RSA": {rs, map[string]any{"crv": null, "x": null, "y": ""}, "accepted"},
		"n and e null for EC":    {es, map[string]any{"n": null, "e": ""}, "accepted"},
		"kty null":               {es, map[string]any{"kty": null}, "unknown"},
		"x null":                 {es, map[string]any{"x": null}, "unknown"},
		"crv null":               {es, map[string]any{"crv": null}, "unknown"},
		"n null":                 {rs, map[string]any{"n": null}, "unknown"},
		"a private part":         {rs, map[string]any{"d": "AQAB"}, "unknown"},
		"alg an array":           {es, map[string]any{"alg": []string{"ES256"}}, "unknown"},
		"key_ops of sign":        {es, map[string]any{"key_ops": []string{"sign"}}, "unknown"},
		"key_ops beside a null":  {es, map[string]any{"key_ops": []any{"verify", nil}}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(provider)
			p.serve(jwks(with(test.s.jwk(), test.members)))
			want(t, newJWT(t, p), test.s.token(nil), test.want)
		})
	}
	p := new(provider)
	p.serve(jwks(with(es.jwk(), map[string]any{"kid": null})))
	want(t, newJWT(t, p), es.sign(`{"alg":"ES256"}`, payloadOf(es.token(nil))), "accepted")
}

func TestABadEntryCostsOneEntry(t *testing.T) {
	s := newSigner("ES256", "key-1")
	good, err := json.Marshal(s.jwk())
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]string{
		"with a member twice":               `{"keys":[{"kty":"EC","kid":"a","kid":"b"},%s]}`,
		"with a member in two cases":        `{"keys":[{"kty":"EC","KTY":"EC"},%s]}`,
		"with a member twice further in":    `{"keys":[{"kty":"EC","x":{"a":1,"a":2}},%s]}`,
		"that is not UTF-8":                 "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"\xff\"},%s]}",
		"with half a surrogate pair":        `{"keys":[{"kty":"EC","kid":"\ud800"},%s]}`,
		"that is very deep":                 `{"keys":[` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,%s]}`,
		"that is null":                      `{"keys":[null,%s]}`,
		"that is a string":                  `{"keys":["key",%s]}`,
		"that is an array":                  `{"keys":[[],%s]}`,
		"that is an empty object":           `{"keys":[{},%s]}`,
		"whose kid is a number":             `{"keys":[{"kty":"EC","kid":1},%s]}`,
		"whose kty is nobody's":             `{"keys":[{"kty":"AKP","alg":"ML-DSA-44","kid":"a","pub":"AA"},%s]}`,
		"behind a byte order mark":          "\ufeff" + `{"keys":[%s]}`,
		"beside a member of its own, twice": `{"about":{"a":1,"a":2},"keys":[%s]}`,
		"beside a member that is not UTF-8": "{\"about\":\"\xff\",\"keys\":[%s]}",
	} {
		t.Run(name, func(t *testing.T) {
			p := new(provider)
			p.serve([]byte(strings.ReplaceAll(document, "%s", string(good))))
			want(t, newJWT(t, p), s.token(nil), "accepted")
		})
	}
}

// RFC 9864 section 2.2: the algorithm that says its curve.
func TestEd25519IsEdDSAWithEd25519(t *testing.T) {
	s := newSigner("EdDSA", "key-1")
	for _, algorithms := range [][]string{nil, {"EdDSA"}, {"Ed25519"}} {
		for _, published := range []any{"EdDSA", "Ed25519", nil} {
			for _, signed := range []string{"EdDSA", "Ed25519"} {
				p := new(provider)
				p.serve(jwks(with(s.jwk(), map[string]any{"alg": published})))
				j := newJWT(t, p, func(i *Issuer) { i.Algorithms = algorithms })
				want(t, j, s.named(signed).token(nil), "accepted")
			}
		}
	}
	for name, members := range map[string]map[string]any{
		"Ed448 by name":         {"alg": "Ed448"},
		"Ed448 by curve":        {"crv": "Ed448"},
		"another curve's alg":   {"alg": "ESP256"},
		"Ed25519 of a P-256":    {"crv": "P-256"},
		"the name in lowercase": {"alg": "ed25519"},
	} {
		p := new(provider)
		p.serve(jwks(with(s.named("Ed25519").jwk(), members)))
		t.Run(name, func(t *testing.T) { want(t, newJWT(t, p), s.named("Ed25519").token(nil), "unknown") })
	}
	p := new(provider)
	p.serve(jwks(s))
	want(t, newJWT(t, p), s.sign(`{"alg":"Ed448","kid":"key-1"}`, payloadOf(s.token(nil))), "refused")
}
