package verify

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh/discovery"
)

const defaultLeeway = 30 * time.Second

var defaultAlgorithms = []string{"RS256", "ES256", "EdDSA"}

// rules are a validated [Issuer] with its defaults. They do not change.
type rules struct {
	Issuer
	leeway         time.Duration
	algorithms     uint16 // the set of accepted ones, by algorithm.bit
	types          []string
	untyped        bool // a header without typ is accepted
	skipAudience   bool
	securityEvents bool // security event tokens are accepted
}

// rules validates the issuer's fields.
func (i Issuer) rules() (*rules, error) {
	if i.URL == "" {
		return nil, errors.New("verify: Issuer.URL is empty")
	}
	fail := func(field, problem string) (*rules, error) {
		return nil, fmt.Errorf("verify: issuer %s: %s %s", printable(i.URL), field, problem)
	}
	switch {
	case i.KeysURL != "" && i.Keys != nil:
		return fail("KeysURL and Keys", "are both set")
	case i.KeysURL != "":
		if _, err := discovery.ParseURL(i.KeysURL); err != nil {
			return fail("KeysURL", err.Error())
		}
	case i.Keys == nil:
		if _, err := discovery.ParseURL(i.URL); err != nil {
			return fail("URL", err.Error()+", and neither KeysURL nor Keys is set")
		}
	}
	switch {
	case i.SkipAudienceCheck && len(i.Audience) > 0:
		return fail("Audience and SkipAudienceCheck", "are both set")
	case !i.SkipAudienceCheck && len(i.Audience) == 0:
		return fail("Audience", "is empty, and SkipAudienceCheck is not set")
	case slices.Contains(i.Audience, ""):
		return fail("Audience", "has an empty string")
	case slices.Contains(i.Aliases, ""):
		return fail("Aliases", "has an empty string")
	}

	// The caller may change its slices afterwards.
	i.Audience, i.Aliases, i.Algorithms = slices.Clone(i.Audience), slices.Clone(i.Aliases), slices.Clone(i.Algorithms)
	r := &rules{Issuer: i, leeway: leewayOf(i.Leeway), skipAudience: i.SkipAudienceCheck}
	if len(i.Algorithms) == 0 {
		r.Algorithms = defaultAlgorithms
	}
	for _, name := range r.Algorithms {
		alg := algorithms[name]
		if alg == nil {
			return fail("Algorithms", fmt.Sprintf("has %q, which is not supported", name))
		}
		r.algorithms |= alg.bit
	}

	if len(i.Types) == 0 {
		r.types, r.untyped = []string{"JWT", "at+jwt"}, true
	}
	for _, typ := range i.Types {
		typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
		switch typ {
		case "":
			r.untyped = true
			continue
		case "dpop+jwt":
			return fail("Types", "has dpop+jwt, which is signed with a key of its own")
		case "logout+jwt", "secevent+jwt":
			r.securityEvents = true
		}
		r.types = append(r.types, typ)
	}
	return r, nil
}

// overHTTPS returns an error if the issuer's keys would be fetched over http.
func (r *rules) overHTTPS() error {
	field, from := "KeysURL", r.KeysURL
	switch {
	case r.Keys != nil:
		return nil
	case from == "":
		field, from = "URL", r.URL
	}
	if u, err := discovery.ParseURL(from); err != nil || u.Scheme != "https" {
		return fmt.Errorf("verify: issuer %s: %s must be https, as Lookup has found it: JWT.InsecureLoopback accepts http on this machine", printable(r.URL), field)
	}
	return nil
}

func (r *rules) acceptsType(typ []byte) bool {
	if len(typ) == 0 {
		return r.untyped
	}
	for _, t := range r.types {
		if strings.EqualFold(t, string(typ)) {
			return true
		}
	}
	return false
}

func (r *rules) isFrom(iss []byte) bool {
	if string(iss) == r.URL {
		return true
	}
	for _, alias := range r.Aliases {
		if string(iss) == alias {
			return true
		}
	}
	return false
}

// isFor reports whether aud, a string or an array of strings, has one of the
// names in Audience.
func (r *rules) isFor(aud []byte) bool {
	if len(aud) == 0 {
		return false
	}
	ours := func(value []byte) bool {
		name, ok := text(value)
		return ok && slices.ContainsFunc(r.Audience, func(a string) bool { return a == string(name) })
	}
	if aud[0] == '"' {
		return ours(aud)
	}
	found := false
	elements(aud, func(element []byte) bool {
		found = ours(element)
		return !found
	})
	return found
}

// printable returns an issuer's URL for an error, without the user name and
// password that it may hold.
func printable(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" && strings.Contains(issuer, "@") {
		return "(not a URL)"
	}
	u.User = nil
	return u.String()
}

// leewayOf returns the leeway that a field Leeway stands for.
func leewayOf(field time.Duration) time.Duration {
	return max(0, cmp.Or(field, defaultLeeway))
}
