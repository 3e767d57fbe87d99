package verify

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A whole is all that decides about one token: what it says, how it is signed
// and encoded, the key that its issuer publishes, and the rules.
type whole struct {
	signer         *signer
	header, claims map[string]any
	key            map[string]any                     // the published key of signer
	others         []any                              // entries of the key set beside it
	issuer         Issuer                             // the rules
	j              *JWT                               // its limits; the rest is set up from issuer
	text           func(header, claims []byte) string // header and claims as they are signed
	sign           func(signed string) []byte         // nil: signer does
	encode         func(raw string) string            // what becomes of the good encoding
}

func newWhole() *whole {
	s, now := newSigner("ES256", "key-1"), time.Now()
	return &whole{
		signer: s,
		header: map[string]any{"alg": "ES256", "kid": "key-1", "typ": "at+jwt"},
		claims: map[string]any{
			"iss": testURL, "sub": "user-1", "aud": testAudience, "jti": "id-1", "client_id": "app", "token_use": "access",
			"scope": "read", "groups": []string{"staff"}, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		},
		key:    with(s.jwk(), map[string]any{"key_ops": []string{"verify"}}),
		others: []any{newSigner("ES256", "key-2")},
		issuer: Issuer{
			URL: testURL, KeysURL: testKeysURL, Audience: []string{testAudience}, GroupsClaim: "groups", use: "access",
			Check: func(t *Token) error {
				if t.ClientID != "app" {
					return errors.New("another client")
				}
				return nil
			},
		},
		j:      new(JWT),
		text:   func(header, claims []byte) string { return b64(header) + "." + b64(claims) },
		encode: func(raw string) string { return raw },
	}
}

// verify makes the token and verifies it.
func (w *whole) verify(t *testing.T) (raw string, err error) {
	t.Helper()
	header, _ := json.Marshal(w.header)
	claims, _ := json.Marshal(w.claims)
	signed := w.text(header, claims)
	signature := func() []byte {
		if w.sign != nil {
			return w.sign(signed)
		}
		method := algorithms[w.signer.alg].method
		s, err := method.Sign(signed, w.signer.private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}()
	raw = w.encode(signed + "." + b64(signature))
	p := new(provider)
	p.serve(jwks(append([]any{w.key}, w.others...)...))
	j := newJWT(t, p, func(i *Issuer) { *i = w.issuer })
	j.MaxToken = w.j.MaxToken
	_, err = j.Verify(t.Context(), raw)
	return raw, err
}

// TestPromise08EachRuleAlone breaks one rule in an otherwise good token. A rule
// that is lost from the code lets the token of its row pass, whatever the other
// rules do.
func TestPromise08EachRuleAlone(t *testing.T) {
	claim := func(name string, value any) func(*whole) {
		return func(w *whole) { with(w.claims, map[string]any{name: value}) }
	}
	header := func(name string, value any) func(*whole) {
		return func(w *whole) { with(w.header, map[string]any{name: value}) }
	}
	key := func(name string, value any) func(*whole) {
		return func(w *whole) { with(w.key, map[string]any{name: value}) }
	}
	insert := func(inHeader bool, text string) func(*whole) {
		return func(w *whole) {
			w.text = func(header, claims []byte) string {
				to := &claims
				if inHeader {
					to = &header
				}
				*to = append((*to)[:len(*to)-1:len(*to)-1], text...)
				return b64(header) + "." + b64(claims)
			}
		}
	}
	signedBy := func(s *signer) func(*whole) { return func(w *whole) { w.signer = s } }
	rs256 := newSigner("RS256", "key-1")
	now := time.Now()
	for _, test := range []struct {
		rule   string
		breaks func(*whole)
		want   string // in the error
	}{
		{"the signature is checked", func(w *whole) {
			w.encode = func(raw string) string {
				p, _ := split(raw)
				signature, _ := decodeSegment(nil, p.signature)
				signature[5] ^= 1
				return p.signed + "." + b64(signature)
			}
		}, "wrong signature"},
		{"the signature is not empty", func(w *whole) { w.sign = func(string) []byte { return nil } }, "wrong signature"},
		{"the signature is by the issuer's key", signedBy(newSigner("ES256", "key-1")), "wrong signature"},
		{"the signature is over the claims", func(w *whole) {
			w.sign = func(string) []byte {
				s, _ := algorithms["ES256"].method.Sign(w.text([]byte(`{"alg":"ES256","kid":"key-1"}`), []byte(`{}`)), w.signer.private)
				return s
			}
		}, "wrong signature"},
		{"alg none", func(w *whole) {
			w.header["alg"] = "none"
			w.sign = func(string) []byte { return nil }
		}, "alg is none that is supported"},
		{"alg of a secret, which the public key would be", func(w *whole) {
			w.header["alg"] = "HS256"
			w.sign = func(signed string) []byte {
				public, _ := w.signer.private.Public().(*ecdsa.PublicKey).Bytes()
				m := hmac.New(sha256.New, public)
				m.Write([]byte(signed))
				return m.Sum(nil)
			}
		}, "alg is none that is supported"},
		{"alg is there", header("alg", nil), "header has no alg"},
		{"alg is one of Issuer.Algorithms", func(w *whole) { w.issuer.Algorithms = []string{"RS256"} }, `alg is "ES256", want "RS256"`},
		{"alg is that of the key", func(w *whole) {
			w.signer, w.header["alg"] = rs256.named("RS512"), "RS512"
			w.key, w.issuer.Algorithms = rs256.jwk(), []string{"RS256", "RS512"}
		}, "no key of this ID and algorithm"},
		{"alg is of the key's type", func(w *whole) { w.key = with(rs256.jwk(), map[string]any{"alg": nil}) }, "no key of this ID and algorithm"},
		{"kid is one of the issuer's", header("kid", "key-3"), "no key of this ID and algorithm"},
		{"kid is that of the key that signed", header("kid", "key-2"), "wrong signature"},
		{"kid is a string", header("kid", 1), "kid is not a string"},
		{"typ is one of Issuer.Types", header("typ", "logout+jwt"), `typ is "logout+jwt"`},
		{"typ may be asked for", func(w *whole) {
			w.header["typ"] = "JWT"
			w.issuer.Types = []string{"at+jwt"}
		}, `typ is "JWT", want "at+jwt"`},
		{"crit", header("crit", []string{"exp"}), "header has extensions"},
		{"b64", header("b64", false), "header has extensions"},
		{"a key that the token supplies", func(w *whole) {
			w.signer = newSigner("ES256", "key-1")
			w.header["jwk"], w.header["jku"] = w.signer.jwk(), "https://evil.example/jwks"
		}, "wrong signature"},
		{"no header parameter twice", insert(true, `,"kid":"key-1"}`), "header is not a plain JSON object"},
		{"no header parameter in two cases", insert(true, `,"KID":"key-1"}`), "header is not a plain JSON object"},
		{"no claim twice", insert(false, `,"sub":"admin"}`), "payload is not a plain JSON object"},
		{"no claim in two cases", insert(false, `,"Sub":"admin"}`), "payload is not a plain JSON object"},
		{"no registered claim in another case", insert(false, `,"Nonce":"n"}`), "a registered claim in another case"},
		{"no bytes that are not UTF-8", insert(false, ",\"x\":\"\xff\"}"), "payload is not a plain JSON object"},
		{"nothing behind the claims", insert(false, "}{}"), "payload is not a plain JSON object"},
		{"nothing too deep", claim("x", nested(maxDepth)), "payload is not a plain JSON object"},
		{"iss is the issuer", claim("iss", "https://other.example"), `iss is "https://other.example"`},
		{"iss is there", claim("iss", nil), "iss is absent"},
		{"aud is this service", claim("aud", "https://other.example"), `aud is "https://other.example"`},
		{"aud is there", claim("aud", nil), "aud is absent"},
		{"aud has strings", claim("aud", []any{testAudience, 1}), "claim aud is of the wrong type"},
		{"sub is there", claim("sub", nil), "no sub"},
		{"sub is a string", claim("sub", 1), "claim sub is of the wrong type"},
		{"exp is there", claim("exp", nil), "no exp"},
		{"exp is a number", claim("exp", fmt.Sprint(now.Add(time.Hour).Unix())), "claim exp is of the wrong type"},
		{"exp is in seconds", claim("exp", now.Add(time.Hour).UnixMilli()), "claim exp is of the wrong type"},
		{"exp is before the year 10000", claim("exp", json.Number("1e15")), "claim exp is of the wrong type"},
		{"exp has not passed", claim("exp", now.Add(-time.Minute).Unix()), "expired"},
		{"nbf has passed", claim("nbf", now.Add(time.Minute).Unix()), "not valid yet"},
		{"iat has passed", claim("iat", now.Add(time.Minute).Unix()), "issued in the future"},
		{"scope has strings", claim("scope", map[string]any{"a": 1}), "claim scope is of the wrong type"},
		{"events: a logout token", claim("events", map[string]any{"e": map[string]any{}}), "a security event token"},
		{"token_use", claim("token_use", "id"), `token_use is "id", want "access"`},
		{"Check", claim("client_id", "another"), "check: another client"},
		{"MaxToken", func(w *whole) { w.j.MaxToken = 100 }, "too long"},
		{"the key's use", key("use", "enc"), "no key of this ID and algorithm"},
		{"the key's key_ops", key("key_ops", []string{"encrypt"}), "no key of this ID and algorithm"},
		{"the key's alg", key("alg", "ES384"), "no key of this ID and algorithm"},
		{"the key's curve", key("crv", "P-384"), "no key of this ID and algorithm"},
		{"the key's type", key("kty", "RSA"), "no key of this ID and algorithm"},
		{"the key is no private one", key("d", b64(make([]byte, 32))), "no key of this ID and algorithm"},
		{"the key is on its curve", key("y", b64(make([]byte, 32))), "no key of this ID and algorithm"},
		{"the key has its members once", func(w *whole) {
			data, _ := json.Marshal(w.key)
			w.others = append(w.others, json.RawMessage(`{"use":"sig",`+string(data[1:])))
			w.key = newSigner("ES256", "key-3").jwk()
		}, "no key of this ID and algorithm"},
		{"the key is no weak one", func(w *whole) {
			weak, err := rsa.GenerateKey(rand.Reader, 1024)
			if err != nil {
				t.Fatal(err)
			}
			w.signer = &signer{"key-1", "RS256", weak}
			w.header["alg"], w.key = "RS256", w.signer.jwk()
		}, "no key of this ID and algorithm"},
		{"three parts", func(w *whole) { w.encode = func(raw string) string { return raw + ".x" } }, "not three parts"},
		{"no padding", func(w *whole) { w.encode = func(raw string) string { return raw + "==" } }, "signature is not base64url"},
		{"no line break", func(w *whole) { w.encode = func(raw string) string { return raw[:10] + "\n" + raw[10:] } }, "header is not base64url"},
		{"no loose bits", func(w *whole) { w.encode = loosen }, "signature is not base64url"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			w := newWhole()
			if _, err := w.verify(t); err != nil {
				t.Fatalf("the good token: %v", err)
			}
			test.breaks(w)
			raw, err := w.verify(t)
			if err == nil || !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
			if err != nil {
				silent(t, err, raw)
			}
		})
	}
}

// loosen sets the bits of the last character that encode nothing.
func loosen(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(raw) - 1
	return raw[:last] + string(alphabet[strings.IndexByte(alphabet, raw[last])|1])
}
