package verify

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vectors finds the folder with test vectors of others, which are not part of
// this repository: $VECTORS, or ../shared/vectors beside the checkout.
func vectors(t *testing.T) string {
	t.Helper()
	candidates := []string{os.Getenv("VECTORS")}
	if candidates[0] == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir != filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
				candidates = append(candidates, filepath.Join(dir, "..", "shared", "vectors"))
			}
			dir = filepath.Dir(dir)
		}
	}
	for _, dir := range candidates {
		if info, err := os.Stat(dir); dir != "" && err == nil && info.IsDir() {
			return dir
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no test vectors, and CI must have them: set VECTORS")
	}
	t.Skip("no test vectors: set VECTORS to a folder with those of github.com/C2SP/wycheproof in wycheproof, and of github.com/nst/JSONTestSuite in jsontestsuite")
	return ""
}

// vectorFile is a file of Wycheproof's JSON Web Crypto tests.
type vectorFile struct {
	TestGroups []struct {
		Comment string          `json:"comment"`
		Private json.RawMessage `json:"private"`
		Public  json.RawMessage `json:"public"`
		Tests   []struct {
			ID      int             `json:"tcId"`
			Comment string          `json:"comment"`
			JWS     json.RawMessage `json:"jws"`
			JWE     json.RawMessage `json:"jwe"`
			Result  string          `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// verifySignature is the part of verification that does not look at claims: the
// payloads of the vectors are not any.
func verifySignature(set parsedSet, raw string) bool {
	p, ok := split(raw)
	first, ok1 := decodeSegment(nil, p.header)
	_, ok2 := decodeSegment(nil, p.payload)
	signature, ok3 := decodeSegment(nil, p.signature)
	var h header
	if !ok || !ok1 || !ok2 || !ok3 || h.parse(first) != nil {
		return false
	}
	s := &snapshot{parsedSet: set}
	s.index()
	keys := s.named(&h)
	if keys == nil {
		return false
	}
	_, err := h.signedBy(keys, p.signed, signature)
	return err == nil
}

func TestWycheproof(t *testing.T) {
	dir := filepath.Join(vectors(t), "wycheproof")
	// Valid by Wycheproof's book, and refused by ours: a key's own alg that is
	// not the token's (346, 347, 350, 351: the key of 347 and 351 has an alg
	// that does not exist), bytes outside the alphabet (372, 373).
	excepted := map[string][]int{"json_web_signature_test.json": {346, 347, 350, 351, 372, 373}}
	for file, total := range map[string]struct{ invalid, valid int }{
		"json_web_signature_test.json": {355, 46},
		"json_web_key_test.json":       {21, 5},
		"json_web_crypto_test.json":    {77, 6},
	} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			var vectors vectorFile
			if err := json.Unmarshal(data, &vectors); err != nil {
				t.Fatal(err)
			}
			refused, accepted, symmetric, encrypted, other := 0, 0, 0, 0, 0
			for _, group := range vectors.TestGroups {
				for _, test := range group.Tests {
					set := group.Public
					if set == nil {
						set = group.Private
					}
					if !strings.Contains(string(set), `"keys"`) {
						set = json.RawMessage(`{"keys":[` + string(set) + `]}`)
					}
					var raw string
					isJWE := test.JWE != nil
					if source := slices.Concat(test.JWS, test.JWE); json.Unmarshal(source, &raw) != nil {
						raw = string(source) // the JSON serialisation
					}
					keys, err := parseKeys(set)
					good := err == nil && verifySignature(keys, raw)
					switch {
					case test.Result == "invalid" && good:
						t.Errorf("%d %s/%s: accepted", test.ID, group.Comment, test.Comment)
					case test.Result == "invalid":
						refused++
					case good:
						accepted++
					case isJWE:
						encrypted++
					case strings.Contains(string(set), `"oct"`):
						symmetric++
					case slices.Contains(excepted[file], test.ID):
						other++
					default:
						t.Errorf("%d %s/%s: refused", test.ID, group.Comment, test.Comment)
					}
				}
			}
			t.Logf("%d invalid refused; valid: %d accepted, %d HMAC, %d JWE and %d others refused on purpose",
				refused, accepted, symmetric, encrypted, other)
			if refused != total.invalid || accepted+symmetric+encrypted+other != total.valid {
				t.Errorf("want %d invalid and %d valid cases", total.invalid, total.valid)
			}
		})
	}
}

func TestJSONTestSuite(t *testing.T) {
	dir := filepath.Join(vectors(t), "jsontestsuite", "test_parsing")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, j, _ := newPair(t, "ES256")
	header, payload := `{"alg":"ES256","kid":"key-1"}`, payloadOf(s.token(nil))
	refused, parsed, undecided := 0, 0, 0
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		switch entry.Name()[0] {
		case 'n':
			refused++
			for where, raw := range map[string]string{
				"header": s.sign(string(data), payload), "payload": s.sign(header, string(data)),
				// Inside something that would be good without it.
				"member of the header":  s.sign(header[:len(header)-1]+`,"x":`+string(data)+"}", payload),
				"member of the payload": s.sign(header, payload[:len(payload)-1]+`,"x":`+string(data)+"}"),
			} {
				if v, _ := verdict(j, raw); v != "refused" {
					t.Errorf("%s as %s: %s", entry.Name(), where, v)
				}
			}
		case 'y':
			// The value is good JSON: in a claim of its own it must not be in
			// the way, unless it has members twice.
			if strings.Contains(entry.Name(), "duplicated_key") {
				continue
			}
			parsed++
			raw := s.sign(header, payload[:len(payload)-1]+`,"x":`+string(data)+"}")
			if v, err := verdict(j, raw); v != "accepted" {
				t.Errorf("%s: %s, %v", entry.Name(), v, err)
			}
		default:
			undecided++
			raw := s.sign(header, payload[:len(payload)-1]+`,"x":`+string(data)+"}")
			if v, _ := verdict(j, raw); v == "accepted" && !json.Valid(data) {
				t.Errorf("%s: accepted, and encoding/json would not read it", entry.Name())
			}
		}
	}
	t.Logf("%d n_ files refused as header and payload, %d y_ files read, %d i_ files tried", refused, parsed, undecided)
	if refused != 188 || parsed < 90 {
		t.Error("want 188 n_ files and 93 y_ files")
	}
}

func TestVectorsOfOurOwn(t *testing.T) {
	// The same kinds of attack as in the published vectors, with keys made
	// here, so that they run where the vectors are not.
	good := newSigner("ES256", "key-1")
	rsa := newSigner("RS256", "rsa")
	raw := good.token(nil)
	for name, change := range map[string]map[string]any{
		"use enc":                {"use": "enc"},
		"use a number":           {"use": 1},
		"key_ops encrypt":        {"key_ops": []string{"encrypt"}},
		"key_ops not an array":   {"key_ops": "verify"},
		"another curve's name":   {"crv": "P-384"},
		"another curve's alg":    {"alg": "ES384"},
		"an alg nobody has":      {"alg": "ES224"},
		"an alg for encryption":  {"alg": "ECDH-ES"},
		"another type":           {"kty": "RSA"},
		"no type":                {"kty": nil},
		"a point off its curve":  {"y": b64(make([]byte, 32))},
		"no y":                   {"y": nil},
		"an empty x":             {"x": ""},
		"a private part":         {"d": b64(make([]byte, 32))},
		"an ID that is a number": {"kid": 1},
	} {
		keys, err := parseKeys(jwks(with(good.jwk(), change)))
		if err == nil && verifySignature(keys, raw) {
			t.Errorf("EC key with %s: accepted", name)
		}
	}
	for name, change := range map[string]map[string]any{
		"exponent one":          {"e": "AQ"},
		"an even exponent":      {"e": "AQAA"},
		"a huge exponent":       {"e": b64([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1})},
		"an exponent of zero":   {"e": "AA"},
		"no exponent":           {"e": nil},
		"1,024 bits":            {"n": b64(append([]byte{0x80}, append(make([]byte, 126), 1)...))},
		"16,384 bits":           {"n": b64(append([]byte{0x80}, append(make([]byte, 2046), 1)...))},
		"an even modulus":       {"n": b64(append([]byte{0x80}, make([]byte, 255)...))},
		"PS256 for its alg":     {"alg": "PS256"},
		"HS256 for its alg":     {"alg": "HS256"},
		"RSA-OAEP for its alg":  {"alg": "RSA-OAEP"},
		"a curve":               {"crv": "P-256"},
		"a prime that it tells": {"p": "AQAB"},
	} {
		keys, err := parseKeys(jwks(with(rsa.jwk(), change)))
		if err == nil && verifySignature(keys, rsa.token(nil)) {
			t.Errorf("RSA key with %s: accepted", name)
		}
	}
	for name, accepted := range map[string]map[string]any{
		"use and alg":             {},
		"no use":                  {"use": nil},
		"use empty":               {"use": ""},
		"key_ops empty":           {"key_ops": []string{}},
		"no alg":                  {"alg": nil},
		"key_ops verify":          {"use": nil, "key_ops": []string{"verify"}},
		"key_ops sign and verify": {"key_ops": []string{"sign", "verify"}},
		"a certificate":           {"x5c": []string{"MIIB"}, "x5t": "x"},
	} {
		keys, err := parseKeys(jwks(with(good.jwk(), accepted)))
		if err != nil || !verifySignature(keys, raw) {
			t.Errorf("EC key with %s: refused (%v)", name, err)
		}
	}

	// The key that verifies RS256 must not verify HMACs made with itself.
	for _, alg := range []string{"HS256", "HS384", "none"} {
		forged := b64([]byte(`{"alg":"`+alg+`","kid":"rsa"}`)) + "." + strings.Split(raw, ".")[1] + "."
		keys, err := parseKeys(jwks(newSigner("RS256", "rsa")))
		if err != nil || verifySignature(keys, forged) {
			t.Errorf("%s: accepted (%v)", alg, err)
		}
	}
}

func TestROCA(t *testing.T) {
	if isROCA(rsaKey().N) {
		t.Error("a sound key is taken for one of them")
	}
	n := rocaLike()
	if !isROCA(n) {
		t.Error("a number with the mark is not seen")
	}
	if isROCA(n.Add(n, n)) {
		t.Error("twice that number has the mark too")
	}
	if weaknessOfRSA(base64.RawURLEncoding.EncodeToString(rocaLike().Bytes()), "AQAB") == "" {
		t.Error("a modulus with the mark is taken for sound")
	}
}

// rocaLike returns an odd number of 2048 bits that is a power of 65537 modulo
// the product of all primes to 167, and so modulo each of them.
func rocaLike() *big.Int {
	product := big.NewInt(1)
	for p := int64(3); p <= 167; p += 2 {
		if big.NewInt(p).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(p))
		}
	}
	power := new(big.Int).Exp(big.NewInt(65537), big.NewInt(12345), product)
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	n.Sub(n, new(big.Int).Mod(n, product)).Add(n, product).Add(n, power)
	if n.Bit(0) == 0 {
		n.Add(n, product)
	}
	return n
}
