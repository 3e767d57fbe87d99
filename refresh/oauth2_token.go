package refresh

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/tokenlife/tokenlife/refresh/internal/endpoint"
)

// members are those of the JSON object, or of the form, that a token endpoint
// has answered with (RFC 6749, sections 5.1 and 5.2). Where a provider does not
// keep to the standard, what can be used is used: it may have used up the old
// refresh token.
type members map[string]any

// readAnswer returns the members of an answer, none if it is of another kind.
// Content types are often wrong: JSON is told by itself.
func readAnswer(r reply) members {
	var m members
	// Some servers put a byte order mark before what they send.
	err := json.Unmarshal(bytes.TrimPrefix(r.body, []byte("\ufeff")), &m)
	// A number beyond all bounds is an UnmarshalTypeError: the rest is there.
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err == nil || ok && m != nil {
		return m
	}
	// Some answer with a form, as GitHub does where Accept gets lost.
	kind, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	isForm := kind == "application/x-www-form-urlencoded"
	form, err := url.ParseQuery(strings.TrimSpace(string(r.body)))
	if err != nil || !isForm && (kind == "text/html" || !form.Has("access_token")) {
		return nil
	}
	m = make(members)
	for name := range form {
		m[name] = form.Get(name)
	}
	return m
}

// text returns a member that is a string, and else nothing.
func (m members) text(name string) string {
	s, _ := m[name].(string)
	return s
}

// tokens returns the tokens of an answer. What it lacks is taken from old.
//
// If the answer cannot be used and has a new refresh token, that is returned
// with the error, beside an access token that no verifier takes.
func (o *OAuth2) tokens(m members, old Tokens) (Tokens, error) {
	now := time.Now()
	t := Tokens{Access: m.text("access_token"), Refresh: m.text("refresh_token")}
	isNew := t.Refresh != "" && t.Refresh != old.Refresh
	if t.Refresh == "" {
		t.Refresh = old.Refresh
	}
	if !isNew {
		t.RefreshExpiry = old.RefreshExpiry
	}
	// Neither name is standard. Keycloak uses the first, others the second.
	for _, name := range []string{"refresh_token_expires_in", "refresh_expires_in"} {
		if left := endpoint.Seconds(m[name]); left > 0 && t.Refresh != "" {
			t.RefreshExpiry = now.Add(left)
		}
	}
	if left := endpoint.Seconds(m["expires_in"]).Truncate(time.Second); left > 0 {
		t.Expiry = now.Add(left)
	}
	err := o.settleID(&t, m.text("id_token"), old)
	switch {
	case err != nil:
	case t.Access == "" && isNew:
		err = errors.New("refresh: the provider's answer has a refresh_token and no access_token")
	case t.Access == "":
		err = fmt.Errorf("%w: what came is not a token response", ErrNoAnswer)
	case !o.IDTokenAsAccess && isOfAnotherKind(m.text("token_type")):
		err = errors.New("refresh: the provider's token_type is not Bearer")
	default:
		return t, nil
	}
	if !isNew || old.Refresh == "" || errors.Is(err, ErrOtherSubject) {
		return Tokens{}, err
	}
	// It is not shown to anybody who would take it.
	t.Access, t.Expiry = rand.Text(), now
	return t, err
}

// isOfAnotherKind reports whether a token_type is one of those registered types
// that cannot be used as a bearer token (IANA, OAuth Access Token Types): who
// presents one needs a key as well, or it is no access token at all. Any other
// name, such as BearerToken or Slack's user, is a provider's own for a bearer
// token.
func isOfAnotherKind(tokenType string) bool {
	plain := strings.Map(func(c rune) rune {
		if !unicode.IsLetter(c) {
			return -1
		}
		return unicode.ToLower(c)
	}, tokenType)
	switch plain {
	case "dpop", "mac", "pop", "na":
		return true
	}
	return false
}

// settleID sets the ID token of t, which a provider has given for old, and with
// IDTokenAsAccess its access token.
func (o *OAuth2) settleID(t *Tokens, id string, old Tokens) error {
	before := old.ID
	if o.IDTokenAsAccess {
		before = cmp.Or(old.ID, old.Access)
	}
	t.ID = before
	why := errors.New("has no ID token")
	if id != "" {
		why = o.checkID(id, before, old.Refresh != "")
		if errors.Is(why, ErrOtherSubject) {
			return why
		}
		if why == nil {
			t.ID = id
		}
	}
	if !o.IDTokenAsAccess {
		return nil
	}
	if why == nil {
		claims, err := readID(id)
		if err == nil && claims.expiry.IsZero() {
			err = errors.New("has an ID token without exp")
		}
		t.Access, t.Expiry, why = id, claims.expiry, err
	}
	if why != nil {
		return fmt.Errorf("refresh: the provider's answer %w, and OAuth2.IDTokenAsAccess needs one at the sign-in and at each refresh", why)
	}
	return nil
}
