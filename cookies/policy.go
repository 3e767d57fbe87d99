package cookies

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The names of the cookies, without the policy's prefix. [Life], the name of
// the marker, never has a prefix.
const (
	Access  = "accessToken"  // the access token, HttpOnly
	Refresh = "refreshToken" // the refresh token, HttpOnly
	ID      = "idToken"      // the ID token, HttpOnly; only with Policy.KeepID
	Life    = "tokenLife"    // the marker: when the access token ends; scripts can read it
)

// MaxTotal limits the cookies of one login, in bytes: the sum of all their
// names and values, after encoding, sealing and splitting. Servers and proxies
// commonly refuse a request with a larger header.
const MaxTotal = 16 << 10

// maxPair limits one cookie, name and value together, in bytes (RFC 6265,
// section 6.1). Browsers silently drop a larger one.
const maxPair = 4096

// maxAge is the longest that browsers keep a cookie, whatever its Max-Age.
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
	// Prefix begins the names of all cookies but the marker's. It begins with
	// "__Host-" or "__Secure-", whose rules browsers enforce. More can follow,
	// to tell several applications on one host apart, as in "__Host-shop-".
	// Default: "__Host-", or "__Secure-" when Domain is set.
	Prefix string

	// Domain shares the cookies with every host below this domain, each of
	// which can then read and overwrite them. It cannot be combined with a
	// Prefix of __Host-. Default: the cookies belong to one host.
	Domain string

	// RefreshPath narrows the refresh cookie to requests at and below this
	// path, so that the token travels less often. Only those requests can then
	// refresh or revoke a login, so the endpoints that refresh and sign out
	// must both be below it. The name of the refresh cookie begins with
	// __Secure- instead of __Host-. Default: "/".
	RefreshPath string

	// SameSite is the attribute of that name. With http.SameSiteStrictMode a
	// visitor who follows a link from another site seems signed out.
	// http.SameSiteNoneMode cannot be combined with InsecureHTTP.
	// Default: http.SameSiteLaxMode.
	SameSite http.SameSite

	// Partitioned gives the browser a jar of its own for each site that shows
	// this one in a frame. Browsers that block cookies of third parties keep no
	// others there. It needs a SameSite of http.SameSiteNoneMode. Default: off.
	Partitioned bool

	// Keys seals the tokens, so that they can be neither read nor made up on
	// the client. Cookies written before Keys was set are not accepted
	// afterwards. Default: unsealed.
	Keys *KeyRing

	// KeepID keeps the ID token in a cookie of its own, for providers that want
	// it as a hint at a sign-out. Default: it is not kept.
	KeepID bool

	// Lifetime is how long after a Write the browser keeps the cookies of a
	// login that can be refreshed, if RefreshExpiry is not known. It limits the
	// cookies and not the login: every Write begins it anew. At least one
	// second; more than 400 days count as 400 days, the browsers' own maximum.
	// Default: 400 days, so that a cookie does not end before a login that the
	// provider still honours.
	Lifetime time.Duration

	// Ahead is how long before the access token's expiry the marker ends, so
	// that scripts ask for a refresh in time. It is at most a quarter of the
	// token's remaining life. Default: 30 seconds; negative: not before the
	// expiry.
	Ahead time.Duration

	// InsecureHTTP leaves out the Secure attribute and the __Host- or __Secure-
	// of the names, for development on plain http with browsers that refuse
	// such cookies there. Default: off.
	InsecureHTTP bool
}

// Validate returns an error that names the first field with a value that
// cannot work. [Policy.Write], [Policy.Read] and [Policy.Replace] return the
// same error. Call Validate at the start of a program to see it there.
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
	if p.Partitioned && p.SameSite != http.SameSiteNoneMode {
		return errors.New("cookies: Policy.Partitioned: is for frames of other sites, to which browsers send no cookies but those with SameSite None")
	}
	if p.Keys != nil && len(p.Keys.keys) == 0 {
		return errors.New("cookies: Policy.Keys: a KeyRing without keys; NewKeyRing makes one")
	}
	if p.Lifetime != 0 && p.Lifetime < time.Second {
		return errors.New("cookies: Policy.Lifetime: less than a second")
	}
	return nil
}

// validateNames checks Prefix, Domain and RefreshPath.
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
	// A browser compares the attribute with the escaped path of the URL, in
	// which none of these bytes can occur.
	if p.RefreshPath[0] != '/' || len(p.RefreshPath) > 1024 || strings.ContainsAny(p.RefreshPath, " ?#") ||
		(&http.Cookie{Name: Life, Path: p.RefreshPath}).Valid() != nil {
		return errors.New("cookies: Policy.RefreshPath: not the path of a URL, beginning with a slash")
	}
	return nil
}

// hidesRefresh reports whether requests may come without the refresh cookie
// that the browser has.
func (p *Policy) hidesRefresh() bool { return p.RefreshPath != "" && p.RefreshPath != "/" }

// keeps reports whether the policy writes this cookie for a login.
func (p *Policy) keeps(k kind) bool { return k != idToken || p.KeepID }

// setCookie returns a Set-Cookie line. With an age of zero the cookie ends with
// the browser's session; a negative age deletes it. The age is always sent as
// Max-Age, which does not depend on the client's clock.
func (p *Policy) setCookie(k kind, name, value string, age int) string {
	c := http.Cookie{
		Name: name, Value: value, Path: "/", Domain: p.Domain, MaxAge: age,
		Secure: !p.InsecureHTTP, HttpOnly: k != marker, SameSite: p.SameSite,
		Partitioned: p.Partitioned,
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
