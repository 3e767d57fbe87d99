package clientauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

func ExampleAppleSecret() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // stands for the File that Apple has given
	if err != nil {
		fmt.Println(err)
		return
	}
	secret := clientauth.AppleSecret("TEAM123456", "com.example.web", &clientauth.Key{Signer: key, ID: "KEY1234567"})
	signed, err := secret(context.Background()) // as the Secret of a refresh.OAuth2 is called
	fmt.Println(strings.Count(signed, "."), err)
	// Output: 2 <nil>
}

// opened returns the header and the claims of a JWT that the key of k has signed.
func opened(t *testing.T, k *clientauth.Key, raw string) (map[string]any, jwt.MapClaims) {
	t.Helper()
	set, err := k.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyfunc.NewJWKSetJSON(set)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	find := keys.Keyfunc
	token, err := jwt.ParseWithClaims(raw, claims, func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != nil {
			return find(token)
		}
		all, err := keys.Storage().KeyReadAll(context.Background())
		if err != nil {
			return nil, err
		}
		return all[0].Key().(crypto.PublicKey), nil
	})
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return token.Header, claims
}

func TestAnAssertionIsSignedWithEveryAlgorithm(t *testing.T) {
	ofRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	on := func(curve elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for _, c := range []struct {
		signer   crypto.Signer
		alg      string // of the Key
		accepted []string
		want     string
	}{
		{ofRSA, "", nil, "RS256"},
		{ofRSA, "", []string{"RS256", "PS256"}, "RS256"},
		{ofRSA, "", []string{"PS256", "ES256"}, "PS256"},
		{ofRSA, "", []string{"ES256"}, "RS256"},
		{ofRSA, "RS256", []string{"PS256"}, "RS256"},
		{ofRSA, "RS384", nil, "RS384"},
		{ofRSA, "RS512", nil, "RS512"},
		{ofRSA, "PS256", nil, "PS256"},
		{ofRSA, "PS384", nil, "PS384"},
		{ofRSA, "PS512", nil, "PS512"},
		{on(elliptic.P256()), "", []string{"PS256"}, "ES256"},
		{on(elliptic.P384()), "", nil, "ES384"},
		{on(elliptic.P521()), "", nil, "ES512"},
		{edwards, "", nil, "EdDSA"},
	} {
		k := &clientauth.Key{Signer: c.signer, Algorithm: c.alg}
		for range 10 { // some of ECDSA's numbers are short
			raw, err := k.Assertion("client", clientauth.Recipient{Endpoint: "https://provider.test/token", Algorithms: c.accepted})
			if err != nil {
				t.Fatalf("%s: %v", c.want, err)
			}
			public := &clientauth.Key{Signer: c.signer, Algorithm: c.want}
			if header, _ := opened(t, public, raw); header["alg"] != c.want || header["typ"] != "JWT" {
				t.Fatalf("the header is %v, want %s", header, c.want)
			}
		}
	}
}

func TestAnAssertionSaysWhoAsksWhom(t *testing.T) {
	const issuer, endpoint = "https://provider.test", "https://provider.test/token"
	key := newKey(t)
	cert := certificate(t, key, "a")
	decoded, _ := pem.Decode(cert)
	sum := sha256.Sum256(decoded.Bytes)
	thumbprint := base64.RawURLEncoding.EncodeToString(sum[:])
	certFile := file(t, cert)
	for _, c := range []struct {
		name     string
		key      *clientauth.Key
		issuer   string
		aud      string // empty: an error
		kid, x5t any
	}{
		{"the issuer", &clientauth.Key{Signer: key}, issuer, issuer, idOf(t, &clientauth.Key{Signer: key}), nil},
		{"no issuer", &clientauth.Key{Signer: key}, "", endpoint, idOf(t, &clientauth.Key{Signer: key}), nil},
		{"the endpoint", &clientauth.Key{Signer: key, Audience: clientauth.AudienceEndpoint, ID: "k1"}, issuer, endpoint, "k1", nil},
		{"another", &clientauth.Key{Signer: key, Audience: "https://provider.test/oauth2", ID: "k1"}, issuer, "https://provider.test/oauth2", "k1", nil},
		{"the issuer, which is not known", &clientauth.Key{Signer: key, Audience: clientauth.AudienceIssuer}, "", "", nil, nil},
		{"a certificate", &clientauth.Key{Signer: key, CertFile: certFile}, issuer, issuer, nil, thumbprint},
		{"a certificate and a name", &clientauth.Key{Signer: key, CertFile: certFile, ID: "k1"}, issuer, issuer, "k1", thumbprint},
	} {
		raw, err := c.key.Assertion("client", clientauth.Recipient{Issuer: c.issuer, Endpoint: endpoint})
		if c.aud == "" {
			if err == nil || !strings.Contains(err.Error(), "Key.Audience") {
				t.Errorf("%s: error is %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		header, claims := opened(t, c.key, raw)
		if header["kid"] != c.kid || header["x5t#S256"] != c.x5t {
			t.Errorf("%s: the header is %v, want kid %v and x5t#S256 %v", c.name, header, c.kid, c.x5t)
		}
		if claims["iss"] != "client" || claims["sub"] != "client" || claims["aud"] != c.aud {
			t.Errorf("%s: the claims are %v, want aud %s", c.name, claims, c.aud)
		}
	}
}

func TestAnAssertionIsForOnceAndForAShortTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &clientauth.Key{Signer: newKey(t)}
		seen := make(map[any]bool)
		for range 100 {
			raw, err := k.Assertion("client", clientauth.Recipient{Endpoint: "https://provider.test/token"})
			if err != nil {
				t.Fatal(err)
			}
			_, claims := opened(t, k, raw)
			now := time.Now().Unix()
			if claims["iat"] != float64(now) || claims["exp"] != float64(now+120) || seen[claims["jti"]] || len(claims["jti"].(string)) < 20 {
				t.Fatalf("the claims are %v", claims)
			}
			seen[claims["jti"]] = true
		}
	})
}

func TestAppleSecret(t *testing.T) {
	key := &clientauth.Key{File: file(t, pkcs8(t, newKey(t))), ID: "KEY1234567"}
	raw, err := clientauth.AppleSecret("TEAM123456", "com.example.web", key)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	header, claims := opened(t, key, raw)
	if header["alg"] != "ES256" || header["kid"] != "KEY1234567" || claims["iss"] != "TEAM123456" ||
		claims["sub"] != "com.example.web" || claims["aud"] != "https://appleid.apple.com" || claims["exp"].(float64)-claims["iat"].(float64) != 300 {
		t.Errorf("%v %v", header, claims)
	}
	ofRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]func(context.Context) (string, error){
		"no team":     clientauth.AppleSecret("", "com.example.web", key),
		"no client":   clientauth.AppleSecret("TEAM123456", "", key),
		"no key":      clientauth.AppleSecret("TEAM123456", "com.example.web", nil),
		"no ID":       clientauth.AppleSecret("TEAM123456", "com.example.web", &clientauth.Key{Signer: newKey(t)}),
		"another key": clientauth.AppleSecret("TEAM123456", "com.example.web", &clientauth.Key{Signer: ofRSA, ID: "k"}),
	} {
		if raw, err := secret(t.Context()); err == nil || raw != "" {
			t.Errorf("%s: %q, %v", name, raw, err)
		}
	}
}
