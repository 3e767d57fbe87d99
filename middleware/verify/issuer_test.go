package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	testURL      = "https://issuer.example"
	testKeysURL  = "https://issuer.example/jwks.json"
	testAudience = "https://api.example"
)

// A signer is a private key that an issuer signs with.
type signer struct {
	kid, alg string
	private  crypto.Signer
}

// Making an RSA key takes a second on a busy machine: there is one for all
// tests.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newSigner returns a signer with a new key, but for RSA, where it is always
// the same.
func newSigner(alg, kid string) *signer {
	s := &signer{kid: kid, alg: alg}
	var err error
	switch alg {
	case "ES256":
		s.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		s.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		s.private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, s.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		s.private = rsaKey()
	}
	if err != nil {
		panic(err)
	}
	return s
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is the signer's public key as it is published.
func (s *signer) jwk() map[string]any {
	m := map[string]any{"use": "sig", "alg": s.alg}
	if s.kid != "" {
		m["kid"] = s.kid
	}
	switch public := s.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", public.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(public)
	}
	return m
}

// jwks is the key set of some keys: signers or single members.
func jwks(keys ...any) []byte {
	for i, k := range keys {
		if s, ok := k.(*signer); ok {
			keys[i] = s.jwk()
		}
	}
	if keys == nil {
		keys = []any{}
	}
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return b
}

// with returns a key's members with some of them replaced; nil removes one.
func with(members map[string]any, changes map[string]any) map[string]any {
	for name, value := range changes {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
	return members
}

// token signs the claims of a good token, with changes.
func (s *signer) token(changes map[string]any) string {
	now := time.Now()
	claims := with(map[string]any{
		"iss": testURL, "sub": "user-1", "aud": testAudience, "jti": "id-1", "client_id": "app",
		"scope": "openid email", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}, changes)
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return s.sign(fmt.Sprintf(`{"alg":%q,"kid":%q}`, s.alg, s.kid), string(payload))
}

// sign signs a header and a payload as they are.
func (s *signer) sign(header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	alg := s.alg
	if alg == "Ed25519" { // another name, which golang-jwt does not know
		alg = "EdDSA"
	}
	signature, err := jwt.GetSigningMethod(alg).Sign(signed, s.private)
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(signature)
}

// A provider serves key sets without a network, so that it can be used where
// time is not real.
type provider struct {
	mu      sync.Mutex
	answer  func(*http.Request) (*http.Response, error)
	fetches []time.Time
}

// serve makes the provider answer with a document.
func (p *provider) serve(document []byte) {
	p.set(func(r *http.Request) (*http.Response, error) { return respond(r, 200, document), nil })
}

func (p *provider) fail(err error) {
	p.set(func(*http.Request) (*http.Response, error) { return nil, err })
}

func (p *provider) set(answer func(*http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches = append(p.fetches, time.Now())
	answer := p.answer
	p.mu.Unlock()
	return answer(r)
}

func (p *provider) times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.fetches)
}

func (p *provider) count() int { return len(p.times()) }

func respond(r *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// hang answers when the request is given up.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// newJWT returns a JWT for one issuer whose keys p serves.
func newJWT(t testing.TB, p *provider, changes ...func(*Issuer)) *JWT {
	t.Helper()
	issuer := Issuer{URL: testURL, KeysURL: testKeysURL, Audience: []string{testAudience}}
	for _, change := range changes {
		change(&issuer)
	}
	j, err := New(issuer)
	if err != nil {
		t.Fatal(err)
	}
	j.Client = &http.Client{Transport: p}
	t.Cleanup(func() { j.Close() })
	return j
}

// newPair returns a signer and a JWT that accepts its tokens.
func newPair(t testing.TB, alg string, changes ...func(*Issuer)) (*signer, *JWT, *provider) {
	s, p := newSigner(alg, "key-1"), new(provider)
	p.serve(jwks(s))
	changes = append([]func(*Issuer){func(i *Issuer) { i.Algorithms = []string{alg} }}, changes...)
	return s, newJWT(t, p, changes...), p
}

// verdict names what Verify decided.
func verdict(j *JWT, raw string) (string, error) {
	token, err := j.Verify(context.Background(), raw)
	switch {
	case err == nil && token != nil && token.Raw == raw:
		return "accepted", nil
	case errors.Is(err, ErrExpired) && !errors.Is(err, ErrInvalid) && token != nil:
		return "expired", err
	case errors.Is(err, ErrInvalid) && token == nil:
		return "refused", err
	case err != nil && token == nil:
		return "unknown", err
	}
	return "a contradiction", err
}

// want checks what Verify decides, and that its error keeps the token to
// itself.
func want(t *testing.T, j *JWT, raw, verdictWanted string) {
	t.Helper()
	got, err := verdict(j, raw)
	if got != verdictWanted {
		t.Errorf("token was %s (%v), want %s", got, err, verdictWanted)
	}
	if err != nil {
		silent(t, err, raw)
	}
}

// mismatches are the parts of an error that name what came and what is wanted.
var mismatches = func() *regexp.Regexp {
	names := `("([^"\\]|\\.)*"(, | and more)?)+`
	return regexp.MustCompile(`(iss|aud|typ) is (absent, |` + names + `)(want ` + names + `)?`)
}()

// silent fails if the error has 12 characters of the token in it, or of what
// the token says beyond what is configured anyway and what is no secret: an
// error names the iss, aud and typ that came.
func silent(t *testing.T, err error, raw string) {
	t.Helper()
	text := err.Error()
	if !strings.HasPrefix(text, "verify: ") {
		t.Errorf("error %q does not begin with the package's name", text)
	}
	secrets := []string{raw}
	for part := range strings.SplitSeq(raw, ".") {
		if decoded, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			secrets = append(secrets, string(decoded))
		}
	}
	text = strings.ReplaceAll(text, testURL, "")
	text = mismatches.ReplaceAllString(text, "")
	for _, secret := range secrets {
		for i := range len(secret) - 11 {
			if strings.Contains(text, secret[i:i+12]) {
				t.Errorf("error %q shows a part of the token", text)
				return
			}
		}
	}
}

func TestTypes(t *testing.T) {
	s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.Types = []string{"application/logout+jwt"} })
	payload := payloadOf(s.token(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}))
	for header, wanted := range map[string]string{
		`{"alg":"ES256","kid":"key-1","typ":"logout+jwt"}`:             "accepted",
		`{"alg":"ES256","kid":"key-1","typ":"application/Logout+JWT"}`: "accepted",
		`{"alg":"ES256","kid":"key-1","typ":"JWT"}`:                    "refused",
		`{"alg":"ES256","kid":"key-1"}`:                                "refused",
	} {
		want(t, j, s.sign(header, payload), wanted)
	}
	sign := func(changes map[string]any) string {
		return s.sign(`{"alg":"ES256","kid":"key-1","typ":"logout+jwt"}`, payloadOf(s.token(changes)))
	}
	want(t, j, sign(map[string]any{"sub": nil, "sid": "session"}), "accepted")
	want(t, j, sign(map[string]any{"sub": nil, "sid": ""}), "refused")
	want(t, j, sign(map[string]any{"sub": nil}), "refused")
	_, access, _ := newPair(t, "ES256")
	want(t, access, sign(map[string]any{"sub": nil, "sid": "session"}), "refused")
}
