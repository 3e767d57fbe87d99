package cookies

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The names of the cookies, as they follow the policy's prefix. [Life], the
// marker, never has a prefix.
const (
	Access  = "accessToken"  // the access token, HttpOnly
	Refresh = "refreshToken" // the refresh token, HttpOnly
	ID      = "idToken"      // the ID token, HttpOnly; only with Policy.KeepID
	Life    = "tokenLife"    // the marker: when the access token ends; scripts can read it
)

// MaxTotal is the most that the cookies of one login may come to: the bytes of
// all their names and values, after encoding, sealing and splitting. Servers
// and proxies commonly refuse a request whose header is larger than this.
const MaxTotal = 16 << 10

// maxPair is what browsers store of one cookie: name and value together
// (RFC 6265, section 6.1). A larger one they drop without a word.
const maxPair = 4096

// maxAge is how long browsers keep a cookie at most, whatever it asks for.
const maxAge = 400 * 24 * time.Hour

const (
	hostPrefix   = "__Host-"
	securePrefix = "__Secure-"
	maxPrefix    = 64
)

// A Policy says how the tokens of a login are kept in cookies. The zero value
// is the recommended setting: cookies named with the prefix __Host-, Secure,
// HttpOnly, SameSite=Lax and Path=/, unsealed.
//
// A Policy is a plain value. It may be copied freely, and its methods may be
// called from several goroutines at once. All copies that serve one site, in
// every replica, must be equal.
type Policy struct {
	// Prefix comes before the names of all cookies but the marker's. It begins
	// with "__Host-" or "__Secure-", for which browsers enforce what the names
	// promise, and may go on to tell several applications on one host apart, as
	// in "__Host-shop-". Default: "__Host-", or "__Secure-" when Domain is set.
	Prefix string

	// Domain shares the cookies with every host below this domain, each of
	// which can then read and overwrite them. It cannot be combined with a
	// Prefix of __Host-. Default: the cookies belong to one host.
	Domain string

	// RefreshPath narrows the refresh cookie to requests at and below this
	// path, so that the token travels less often. In return only those requests
	// can renew or revoke a login: what refreshes and what signs out must both
	// be below it. And that one cookie is called __Secure- instead of
	// __Host-. Default: "/".
	RefreshPath string

	// SameSite is the attribute of that name. With http.SameSiteStrictMode a
	// visitor who follows a link from another site seems signed out.
	// http.SameSiteNoneMode cannot be combined with InsecureHTTP.
	// Default: http.SameSiteLaxMode.
	SameSite http.SameSite

	// Keys seals the tokens, so that a cookie tells nothing to who reads it on
	// the client, and cannot be put together there. Cookies written before Keys
	// was set are not believed afterwards. Default: unsealed.
	Keys *KeyRing

	// KeepID keeps the ID token in a cookie of its own, for a sign-out at the
	// provider that wants it as a hint. Default: it is not kept.
	KeepID bool

	// Lifetime is for how long after a Write the browser keeps a login that can
	// be refreshed and whose RefreshExpiry is not known. It is a lid on what
	// the browser stores, not on the login, which goes on with every Write.
	// At least one second; more than 400 days count as 400 days, the browsers'
	// own maximum. Default: 400 days, so that the end of a cookie does not end
	// a login which the provider still honours.
	Lifetime time.Duration

	// Ahead is how long before the access token's expiry the marker ends, so
	// that scripts ask for a new token in time; never more than a quarter of
	// the remaining life. Default: 30 seconds; negative: not before the expiry.
	Ahead time.Duration

	// InsecureHTTP leaves out Secure and the __Host- or __Secure- of the names,
	// for development on plain http where the browser insists. Default: off.
	InsecureHTTP bool
}

// Validate returns an error that names the first field with a value that
// cannot work. [Policy.Write], [Policy.Read] and [Policy.Replace] return the
// same error; it is better had when a program starts.
func (p Policy) Validate() error {
	if err := p.validateNames(); err != nil {
		return err
	}
	switch p.SameSite {
	case 0, http.SameSiteDefaultMode, http.SameSiteLaxMode, http.SameSiteStrictMode:
	case http.SameSiteNoneMode:
		if p.InsecureHTTP {
			return errors.New("cookies: Policy.SameSite: browsers accept None only for Secure cookies, which InsecureHTTP turns off")
		}
	default:
		return fmt.Errorf("cookies: Policy.SameSite: %d is none of net/http's modes", p.SameSite)
	}
	if p.Keys != nil && len(p.Keys.keys) == 0 {
		return errors.New("cookies: Policy.Keys: a KeyRing without keys; NewKeyRing makes one")
	}
	if p.Lifetime != 0 && p.Lifetime < time.Second {
		return errors.New("cookies: Policy.Lifetime: less than a second")
	}
	return nil
}

// validateNames checks what decides where a cookie belongs.
func (p Policy) validateNames() error {
	switch {
	case p.Prefix == "":
	case len(p.Prefix) > maxPrefix:
		return fmt.Errorf("cookies: Policy.Prefix: longer than %d bytes", maxPrefix)
	case !strings.HasPrefix(p.Prefix, hostPrefix) && !strings.HasPrefix(p.Prefix, securePrefix):
		return errors.New("cookies: Policy.Prefix: must begin with __Host- or __Secure-")
	case strings.HasPrefix(p.Prefix, hostPrefix) && p.Domain != "":
		return errors.New("cookies: Policy.Domain: cannot be set with a Prefix of __Host-; leave Prefix empty or begin it with __Secure-")
	case (&http.Cookie{Name: p.Prefix}).Valid() != nil:
		return errors.New("cookies: Policy.Prefix: holds a character that a cookie's name cannot have")
	}
	if p.Domain != "" && (&http.Cookie{Name: Life, Domain: p.Domain}).Valid() != nil {
		return errors.New("cookies: Policy.Domain: not a domain name")
	}
	if p.RefreshPath == "" || p.RefreshPath == "/" {
		return nil
	}
	// A browser compares the attribute with the path as it stands in the URL,
	// where none of these bytes can occur.
	if p.RefreshPath[0] != '/' || len(p.RefreshPath) > 1024 || strings.ContainsAny(p.RefreshPath, " ?#") ||
		(&http.Cookie{Name: Life, Path: p.RefreshPath}).Valid() != nil {
		return errors.New("cookies: Policy.RefreshPath: not the path of a URL, beginning with a slash")
	}
	return nil
}

// hidesRefresh reports whether requests may come without the refresh cookie
// that the browser has.
func (p *Policy) hidesRefresh() bool { return p.RefreshPath != "" && p.RefreshPath != "/" }

// keeps reports whether a login has this cookie under the policy.
func (p *Policy) keeps(k kind) bool { return k != idToken || p.KeepID }

// setCookie returns a Set-Cookie line. An age of zero stands for a cookie that
// ends with the browser's session, a negative one deletes it. The age is always
// sent as Max-Age, which does not depend on the client's clock.
func (p *Policy) setCookie(k kind, name, value string, age int) string {
	c := http.Cookie{
		Name: name, Value: value, Path: "/", Domain: p.Domain, MaxAge: age,
		Secure: !p.InsecureHTTP, HttpOnly: k != marker, SameSite: p.SameSite,
	}
	if k == refreshToken && p.hidesRefresh() {
		c.Path = p.RefreshPath
	}
	if c.SameSite == 0 || c.SameSite == http.SameSiteDefaultMode {
		// Written out, because a browser treats a cookie without the attribute
		// as None for its first minutes.
		c.SameSite = http.SameSiteLaxMode
	}
	return c.String()
}
