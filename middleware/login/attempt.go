package login

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenlife/tokenlife/middleware/internal/stepup"
)

// An attempt is one sign-in that has begun and not ended yet. The browser keeps
// it sealed in a cookie. Each attempt has a cookie of its own, so that several
// tabs can sign in at once. A callback is good only in the browser that has the
// attempt it belongs to: a user who is lured to the callback of an attacker has
// none (RFC 6749, section 10.12).
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n,omitempty"` // empty: there is none
	Verifier string `json:"v,omitempty"` // of PKCE; empty: there is none
	ReturnTo string `json:"r"`
	Origin   string `json:"o,omitempty"` // where ReturnTo is; empty: at the callback
	Created  int64  `json:"c"`           // Unix seconds
	asked

	Answer *answer `json:"p,omitempty"` // the one that has come by POST; nil: none yet
}

const (
	attemptLife = 10 * time.Minute

	// The bounds on the attempts of one browser. Their cookies are sent with
	// every request.
	maxAttempts     = 40
	maxAttemptBytes = 8 << 10
)

func (f *Flow) newAttempt(returnTo string) attempt {
	// The 256 random bits of a PKCE verifier are enough for state and nonce
	// too.
	a := attempt{State: oauth2.GenerateVerifier(), ReturnTo: returnTo, Created: time.Now().Unix()}
	if !f.WithoutNonce && !f.WithoutIDToken {
		a.Nonce = oauth2.GenerateVerifier()
	}
	if !f.WithoutPKCE {
		a.Verifier = oauth2.GenerateVerifier()
	}
	return a
}

func (a attempt) live() bool {
	age := time.Since(time.Unix(a.Created, 0))
	return age >= -time.Minute && age < attemptLife // clocks of replicas differ
}

// target returns where the browser goes after the sign-in.
func (a attempt) target() string { return a.Origin + a.ReturnTo }

func (f *Flow) attemptPrefix() string { return stepup.CookiePrefix(f.Auth.Cookies) }

// cookieName returns the name of an attempt's cookie. It holds a hash of the
// state, which must not be visible.
func (f *Flow) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return f.attemptPrefix() + base64.RawURLEncoding.EncodeToString(sum[:9])
}

// purpose binds a sealed attempt to its cookie, client and site. Several of
// them can have the same keys.
func (f *Flow) purpose(cookie string) string {
	return "sign-in " + f.issuer + " " + f.Client.ClientID + " " + f.RedirectURL + " " + cookie
}

// remember sets the cookie of a, and deletes the oldest attempts if there are
// too many.
func (f *Flow) remember(w http.ResponseWriter, r *http.Request, a attempt) {
	name, value := f.seal(a)
	http.SetCookie(w, f.cookie(name, value, int(attemptLife/time.Second)))

	type other struct {
		name    string
		created int64
		size    int
	}
	var others []other
	seen := make(map[string]bool)
	for _, c := range r.Cookies() {
		if len(others) == maxAttempts || seen[c.Name] || !strings.HasPrefix(c.Name, f.attemptPrefix()) {
			continue
		}
		seen[c.Name] = true
		// A cookie that does not open may belong to another program on this
		// host. It expires without our help.
		if old, ok := f.open(c.Name, c.Value); ok {
			others = append(others, other{c.Name, old.Created, len(c.Name) + len(c.Value)})
		}
	}
	slices.SortFunc(others, func(x, y other) int { return cmp.Compare(y.created, x.created) })
	total := len(name) + len(value)
	for i, c := range others {
		if total += c.size; i+1 >= maxAttempts || total > maxAttemptBytes {
			f.forget(w, c.name)
		}
	}
}

// seal returns the name and the value of the cookie of a.
func (f *Flow) seal(a attempt) (name, value string) {
	plain, _ := json.Marshal(a) // strings and numbers: it cannot fail
	name = f.cookieName(a.State)
	return name, f.keys.Seal(f.purpose(name), plain)
}

// recall returns the attempt with this state, if r's browser has begun it.
func (f *Flow) recall(r *http.Request, state string) (attempt, bool) {
	name := f.cookieName(state)
	found := r.CookiesNamed(name)
	if len(found) != 1 { // of two, one is not ours, and it cannot be known which
		return attempt{}, false
	}
	a, ok := f.open(name, found[0].Value)
	return a, ok && subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) == 1
}

func (f *Flow) open(name, value string) (a attempt, ok bool) {
	plain, err := f.keys.Open(f.purpose(name), value)
	return a, err == nil && json.Unmarshal(plain, &a) == nil
}

func (f *Flow) forget(w http.ResponseWriter, name string) {
	http.SetCookie(w, f.cookie(name, "", -1))
}

// cookie returns a cookie with the attributes of the login's own.
func (f *Flow) cookie(name, value string, age int) *http.Cookie {
	p := f.Auth.Cookies
	c := &http.Cookie{
		Name: name, Value: value, Path: "/", Domain: p.Domain, MaxAge: age,
		Secure: !p.InsecureHTTP, HttpOnly: true,
		// The provider's redirect is a navigation across sites, with which
		// Strict cookies are not sent.
		SameSite: http.SameSiteLaxMode,
	}
	if p.SameSite == http.SameSiteNoneMode || f.ResponseMode == modeFormPost {
		c.SameSite, c.Partitioned = http.SameSiteNoneMode, p.Partitioned
	}
	return c
}

// Strip removes the cookies of attempts from the header of a request. It is for
// a proxy, whose upstream has no use for them. All other cookies stay.
func (f *Flow) Strip(h http.Header) {
	f.mustBeValid()
	var lines []string
	for _, line := range h["Cookie"] {
		parts := slices.DeleteFunc(strings.Split(line, ";"), func(part string) bool {
			return strings.HasPrefix(strings.TrimLeft(part, " \t"), f.attemptPrefix())
		})
		if line = strings.Trim(strings.Join(parts, ";"), "; \t"); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = lines
}
