package verify

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// What one writes by hand with keyfunc and golang-jwt: the measure of the table
// in the package's documentation.
type byHand struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

type handClaims struct {
	jwt.RegisteredClaims
	TokenUse string   `json:"token_use"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	Username string   `json:"username"`
	Groups   []string `json:"cognito:groups"`
	AuthTime int64    `json:"auth_time"`
	Origin   string   `json:"origin_jti"`
	Event    string   `json:"event_id"`
}

func (h byHand) verify(raw string) error {
	c := &handClaims{}
	if _, err := h.parser.ParseWithClaims(raw, c, h.keys.Keyfunc); err != nil {
		return err
	}
	if c.TokenUse != "access" || c.ClientID != benchClient {
		return ErrInvalid
	}
	return nil
}

const benchClient = "1h57kf5cpq17m0eml12EXAMPLE"

// benchToken is shaped like the access token of a Cognito user pool.
func benchToken(s *signer, n int, exp time.Time) string {
	id := func(what int) string { return fmt.Sprintf("%08x-52a1-7062-9d2a-%012x", n, what) }
	return s.sign(fmt.Sprintf(`{"kid":%q,"alg":%q}`, s.kid, s.alg), fmt.Sprintf(
		`{"sub":%q,"cognito:groups":["admins"],"iss":%q,"client_id":%q,"aud":%q,"origin_jti":%q,"event_id":%q,"token_use":"access","scope":"openid email","auth_time":%d,"exp":%d,"iat":%d,"jti":%q,"username":"user-%05d"}`,
		id(1), testURL, benchClient, testAudience, id(2), id(3), time.Now().Unix(), exp.Unix(), time.Now().Unix(), id(4), n))
}

func newBench(b *testing.B, alg string) (*signer, *JWT, byHand) {
	s := newSigner(alg, "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE=")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(jwks(s, newSigner("ES256", "other")))
	}))
	b.Cleanup(server.Close)
	keys, err := keyfunc.NewDefaultCtx(b.Context(), []string{server.URL})
	if err != nil {
		b.Fatal(err)
	}
	j, err := New(Issuer{
		URL: testURL, KeysURL: server.URL, Audience: []string{testAudience}, Algorithms: []string{alg},
		Check: func(t *Token) error {
			if t.ClientID != benchClient {
				return ErrInvalid
			}
			return nil
		},
		use: "access",
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	return s, j, byHand{keys, jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithIssuer(testURL), jwt.WithExpirationRequired())}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		s, j, hand := newBench(b, alg)
		raw := benchToken(s, 1, time.Now().Add(time.Hour))
		b.Run(alg+"/by-hand", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := hand.verify(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/first-sight", func(b *testing.B) {
			if _, err := j.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				// Forgotten again, it is as new: what goes into the memory
				// each time is part of the price.
				j.cache.tokens.Purge()
				if _, err := j.Verify(context.Background(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/in-use", func(b *testing.B) {
			b.ReportAllocs()
			var token Token
			for b.Loop() {
				if err := j.VerifyTo(context.Background(), raw, &token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/remembered", func(b *testing.B) {
			// Many more users in turn than are known by their bytes.
			raws := make([]string, 8*recentSlots)
			var token Token
			for i := range raws {
				raws[i] = benchToken(s, i, time.Now().Add(time.Hour))
				if err := j.VerifyTo(b.Context(), raws[i], &token); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := j.VerifyTo(context.Background(), raws[i%len(raws)], &token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRequest is a whole request: header, verification, context, handler.
func BenchmarkRequest(b *testing.B) {
	s, j, hand := newBench(b, "RS256")
	raw := benchToken(s, 1, time.Now().Add(time.Hour))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	next := opaque(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(nodeKey{}) == nil {
			b.Error("no token")
		}
	})
	for name, handler := range map[string]http.HandlerFunc{
		"by-hand": func(w http.ResponseWriter, r *http.Request) {
			raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if hand.verify(raw) == nil {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), nodeKey{}, raw)))
			}
		},
		"in-use": func(w http.ResponseWriter, r *http.Request) {
			raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			n := &node{Context: r.Context()}
			if j.VerifyTo(r.Context(), raw, &n.token) == nil {
				next.ServeHTTP(w, r.WithContext(n))
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				handler(nil, r)
			}
		})
	}
}

type nodeKey struct{}

// A node is a context that holds a token in itself.
type node struct {
	context.Context
	token Token
}

func (n *node) Value(key any) any {
	if key == (nodeKey{}) {
		return &n.token
	}
	return n.Context.Value(key)
}

// opaque hides a handler from the compiler, which would keep the request off
// the heap if it saw where it goes.
//
//go:noinline
func opaque(f http.HandlerFunc) http.Handler { return f }

func BenchmarkRefuse(b *testing.B) {
	s, j, hand := newBench(b, "RS256")
	good := benchToken(s, 1, time.Now().Add(time.Hour))
	if _, err := j.Verify(b.Context(), good); err != nil {
		b.Fatal(err)
	}
	parts := strings.Split(good, ".")
	other := strings.Split(benchToken(s, 2, time.Now().Add(time.Hour)), ".")
	unknown := *s
	unknown.kid = strings.Repeat("A", 43) + "="
	for _, test := range []struct{ name, raw string }{
		{"no-dots", strings.Repeat("ABCDEFG", 100)},
		{"48-KB", parts[0] + "." + strings.Repeat("abcdefgh", 6<<10) + "." + parts[2]},
		{"alg-none", b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."},
		{"unknown-kid", benchToken(&unknown, 1, time.Now().Add(time.Hour))},
		{"expired", benchToken(s, 1, time.Now().Add(-time.Hour))},
		{"other-issuer", s.token(map[string]any{"iss": "https://evil.example"})},
		{"forged", parts[0] + "." + parts[1] + "." + other[2]},
	} {
		b.Run(test.name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			var token Token
			for b.Loop() {
				if j.VerifyTo(context.Background(), test.raw, &token) == nil {
					b.Fatal("accepted")
				}
			}
		})
		if test.name == "unknown-kid" {
			continue // keyfunc would wait for its limiter
		}
		b.Run(test.name+"/by-hand", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if hand.verify(test.raw) == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// BenchmarkParts is what the steps cost, to see where the time goes.
func BenchmarkParts(b *testing.B) {
	s, _, _ := newBench(b, "RS256")
	raw := benchToken(s, 1, time.Now().Add(time.Hour))
	p, _ := split(raw)
	head, _ := decodeSegment(nil, p.header)
	payload, _ := decodeSegment(nil, p.payload)
	signature, _ := decodeSegment(nil, p.signature)
	public := s.private.Public().(*rsa.PublicKey)
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"digest", func() { digest(raw, numberedHeader{}) }},
		{"base64-payload", func() { payload, _ = decodeSegment(payload, p.payload) }},
		{"header", func() { var h header; h.parse(head) }},
		{"claims", func() { var c claims; c.parse(payload) }},
		{"crypto-alone", func() {
			sum := sha256.Sum256([]byte(p.signed))
			if rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) != nil {
				b.Fatal("wrong signature")
			}
		}},
		{"golang-jwt-method", func() {
			if jwt.SigningMethodRS256.Verify(p.signed, signature, public) != nil {
				b.Fatal("wrong signature")
			}
		}},
		{"roca", func() { isROCA(new(big.Int).Set(public.N)) }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				part.do()
			}
		})
	}
}
