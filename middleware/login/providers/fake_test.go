package providers_test

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for ES384
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A fake is a provider under its own host names. Its metadata document and its
// key set are those of testdata; habits say what else it does.
type fake struct {
	habits
	text []byte // of the document
	doc  map[string]any
	keys []map[string]any
	sign crypto.Signer

	mu       sync.Mutex
	codes    map[string]url.Values // the authorization requests, by code
	sessions map[string]*session   // by refresh token and by access token
	calls    []string              // of the token endpoint: the grant type of each
	revoked  []string              // refresh tokens, or access tokens
	over     bool                  // nothing can be refreshed any more
}

// habits are what a provider does in its own way.
type habits struct {
	folder string // in testdata
	auth   string // how the client has to authenticate: basic, post, or a secret to be made (apple)

	// answer changes the answer of the token endpoint. Its members are those of
	// the standard, with an opaque access token.
	answer func(f *fake, s *session, a map[string]any)
	// id changes the claims of an ID token.
	id func(s *session, claims map[string]any)

	authorize map[string]string // parameters that the authorization endpoint wants; "": absent
	token     map[string]string // and the token endpoint, beside the standard ones
	refresh   map[string]string // and the token endpoint at a refresh

	rotates bool          // a refresh token is good once
	life    time.Duration // of the tokens; default an hour
	userID  string        // the user's sub; default 1042

	refused int    // the status of a refused refresh
	refusal string // and its body
	user    string // the answer of the userinfo endpoint; default: sub alone
	down    int    // the status of all answers about access tokens; 0: they are right
	downAs  string // and their body

	endpoints map[string]string // where there is no document
	moved     [2]string         // the URL in the document, and the one that it has here
}

// A session is a sign-in at the fake.
type session struct {
	asked   url.Values
	refresh string
	access  string
	issued  time.Time
	again   bool // it has been refreshed
	issuer  string
	client  string
	sub     string
	life    time.Duration
}

const (
	clientID     = "shop-client"
	clientSecret = "s3cr3t-of-the-shop-client"
)

func newFake(t testing.TB, h habits) *fake {
	t.Helper()
	f := &fake{habits: h, codes: map[string]url.Values{}, sessions: map[string]*session{}}
	if f.life == 0 {
		f.life = time.Hour
	}
	if f.userID == "" {
		f.userID = "1042"
	}
	if f.refused == 0 {
		f.refused, f.refusal = http.StatusBadRequest, `{"error":"invalid_grant","error_description":"The refresh token is not valid any more."}`
	}
	if f.endpoints != nil {
		f.doc = map[string]any{}
		for name, at := range f.endpoints {
			f.doc[name] = at
		}
		return f
	}
	text, err := os.ReadFile("testdata/" + h.folder + "/openid-configuration.json")
	if err != nil {
		t.Fatal(err)
	}
	f.text = []byte(strings.ReplaceAll(string(text), cmp.Or(h.moved[0], "https://"), cmp.Or(h.moved[1], "https://")))
	if err := json.Unmarshal(f.text, &f.doc); err != nil {
		t.Fatal(err)
	}
	for _, key := range readJSON(t, h.folder, "jwks.json")["keys"].([]any) {
		f.keys = append(f.keys, key.(map[string]any))
	}
	for _, key := range signingKeys(t) {
		if f.keyFor(key) != nil {
			f.sign = key
		}
	}
	if f.sign == nil {
		t.Fatalf("testdata/%s/jwks.json has none of the keys in keys.pem", h.folder)
	}
	return f
}

func readJSON(t testing.TB, folder, name string) (v map[string]any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + folder + "/" + name)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// signingKeys returns the private halves of the keys with which the fakes sign.
func signingKeys(t testing.TB) (keys []crypto.Signer) {
	t.Helper()
	text, err := os.ReadFile("testdata/keys.pem")
	if err != nil {
		t.Fatal(err)
	}
	// Named so that nobody takes them for keys that are in use.
	text = []byte(strings.ReplaceAll(string(text), "TESTING KEY", "PRIVATE KEY"))
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(crypto.Signer))
	}
	return keys
}

// keyFor returns the entry of the key set that is key's.
func (f *fake) keyFor(key crypto.Signer) map[string]any {
	for _, jwk := range f.keys {
		switch public := key.Public().(type) {
		case *rsa.PublicKey:
			if jwk["n"] == base64.RawURLEncoding.EncodeToString(public.N.Bytes()) {
				return jwk
			}
		case *ecdsa.PublicKey:
			point, err := public.Bytes() // 4, x, y
			if err == nil && jwk["x"] == base64.RawURLEncoding.EncodeToString(point[1:1+len(point)/2]) {
				return jwk
			}
		}
	}
	return nil
}

// jwt returns a signed JWT.
func (f *fake) jwt(claims map[string]any) string {
	method := jwt.SigningMethod(jwt.SigningMethodRS256)
	if _, ok := f.sign.(*ecdsa.PrivateKey); ok {
		method = jwt.SigningMethodES384
	}
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	jwk := f.keyFor(f.sign)
	token.Header["kid"] = jwk["kid"]
	signed, err := token.SignedString(f.sign)
	if err != nil {
		panic(err)
	}
	return signed
}

// atHash is the claim at_hash (OpenID Connect Core 1.0, section 3.1.3.6).
func (f *fake) atHash(access string) string {
	hash := crypto.SHA256
	if _, ok := f.sign.(*ecdsa.PrivateKey); ok {
		hash = crypto.SHA384
	}
	h := hash.New()
	h.Write([]byte(access))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// claims are those of a token of s for an audience.
func (s *session) claims(audience any) map[string]any {
	return map[string]any{
		"iss": s.issuer, "sub": s.sub, "aud": audience,
		"iat": s.issued.Unix(), "exp": s.issued.Add(s.life).Unix(),
	}
}

func (f *fake) endpoint(name string) string {
	at, _ := f.doc[name].(string)
	return at
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := "https://" + r.Host + r.URL.Path
	switch at {
	case strings.TrimSuffix(f.endpoint("issuer"), "/") + "/.well-known/openid-configuration":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(f.text)
	case f.endpoint("jwks_uri"):
		http.ServeFile(w, r, "testdata/"+f.folder+"/jwks.json")
	case f.endpoint("token_endpoint"):
		f.serveToken(w, r)
	case f.endpoint("revocation_endpoint"):
		f.serveRevoke(w, r)
	case f.endpoint("userinfo_endpoint"):
		f.serveUser(w, r)
	case f.endpoint("introspection_endpoint"):
		f.serveIntrospect(w, r)
	default:
		if !f.serveOwner(w, r, at) {
			http.NotFound(w, r)
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// authorizeAt signs the user in, as a browser that opens location. It returns
// the parameters of the answer.
func (f *fake) authorizeAt(t testing.TB, location string) url.Values {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if at := u.Scheme + "://" + u.Host + u.Path; at != f.endpoint("authorization_endpoint") {
		t.Fatalf("the browser is sent to %s, want %s", at, f.endpoint("authorization_endpoint"))
	}
	for name, want := range f.authorize {
		if got := q.Get(name); got != want {
			t.Errorf("the parameter %s of the authorization request is %q, want %q", name, got, want)
		}
	}
	for name, values := range q {
		if len(values) > 1 && name != "resource" {
			t.Errorf("the parameter %s is there %d times", name, len(values))
		}
	}
	code := rand.Text()
	f.codes[code] = q
	answer := url.Values{"code": {code}, "state": {q.Get("state")}}
	if f.doc["authorization_response_iss_parameter_supported"] == true {
		answer.Set("iss", f.endpoint("issuer"))
	}
	return answer
}

// knows reports whether a request has the client's credentials, in the way that
// the provider wants.
func (f *fake) knows(r *http.Request) bool {
	_ = r.ParseForm()
	id, secret, basic := r.BasicAuth()
	switch f.auth {
	case "basic":
		return basic && id == clientID && secret == clientSecret && !r.PostForm.Has("client_secret")
	case "post":
		return !basic && r.PostForm.Get("client_id") == clientID && r.PostForm.Get("client_secret") == clientSecret
	case "apple":
		return !basic && r.PostForm.Get("client_id") == clientID && isAppleSecret(r.PostForm.Get("client_secret"))
	}
	return false
}

func (f *fake) serveToken(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.knows(r) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	form := r.PostForm
	f.calls = append(f.calls, form.Get("grant_type"))
	want := f.token
	var s *session
	switch form.Get("grant_type") {
	case "authorization_code":
		asked := f.codes[form.Get("code")]
		delete(f.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if asked != nil && form.Get("redirect_uri") == asked.Get("redirect_uri") &&
			(!asked.Has("code_challenge") && !form.Has("code_verifier") ||
				asked.Get("code_challenge") == base64.RawURLEncoding.EncodeToString(sum[:])) {
			s = &session{
				asked: asked, refresh: "refresh-" + rand.Text(),
				issuer: f.endpoint("issuer"), client: clientID, sub: f.userID, life: f.life,
			}
		}
	case "refresh_token":
		want = f.refresh
		if s = f.sessions[form.Get("refresh_token")]; s != nil && !f.over {
			s.again = true
			if f.rotates {
				delete(f.sessions, s.refresh)
				s.refresh = "refresh-" + rand.Text()
			}
		} else {
			s = nil
		}
	}
	for name, value := range want {
		if form.Get(name) != value {
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": name + " is missing"})
			return
		}
	}
	if s == nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(f.refused)
		_, _ = w.Write([]byte(f.refusal))
		return
	}
	delete(f.sessions, s.access)
	s.issued = time.Now()
	s.access = "opaque-" + rand.Text()
	answer := map[string]any{
		"access_token": s.access, "token_type": "Bearer",
		"expires_in": int(f.life / time.Second), "scope": s.asked.Get("scope"),
	}
	if f.rotates || !s.again {
		answer["refresh_token"] = s.refresh
	}
	if f.answer != nil {
		f.answer(f, s, answer)
	}
	s.access = answer["access_token"].(string)
	if _, no := answer["id_token"]; !no {
		claims := s.claims(clientID)
		claims["at_hash"] = f.atHash(s.access)
		if nonce := s.asked.Get("nonce"); nonce != "" && !s.again {
			claims["nonce"] = nonce
		}
		if f.id != nil {
			f.id(s, claims)
		}
		answer["id_token"] = f.jwt(claims)
	} else if answer["id_token"] == nil {
		delete(answer, "id_token")
	}
	f.sessions[s.refresh], f.sessions[s.access] = s, s
	writeJSON(w, http.StatusOK, answer)
}

func (f *fake) serveRevoke(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.endpoint("issuer") != "https://accounts.google.com" && !f.knows(r) {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	_ = r.ParseForm()
	token := r.Form.Get("token")
	f.revoked = append(f.revoked, token)
	if s := f.sessions[token]; s != nil {
		delete(f.sessions, s.refresh)
		delete(f.sessions, s.access)
	}
	w.WriteHeader(http.StatusOK)
}

// find returns the session of an access token, or nil if there is none.
func (f *fake) find(access string) *session {
	s := f.sessions[access]
	if s == nil || s.access != access || time.Since(s.issued) >= s.life && s.life > 0 {
		return nil
	}
	return s
}
