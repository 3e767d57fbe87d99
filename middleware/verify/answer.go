package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxAnswer bounds an answer about a token, in bytes.
const maxAnswer = 64 << 10

// Answers that say nothing of the token.
var (
	errTooLarge  = errors.New("the answer is larger than 64 KiB")
	errNotJSON   = errors.New("the answer is not a plain JSON object")
	errNotActive = errors.New("the answer does not say whether the token is active: it is not that of an introspection endpoint")
)

// errNoJWT says of an access token that it is for another Verifier than a
// [JWT].
const errNoJWT = refusal("not three parts: it is no JWT, but may be good for an Introspection or a UserInfo in place of the JWT")

// errInactive says that the provider refuses a token. errOver says the same of
// a token that it has accepted before.
var (
	errInactive = refusal("not active, by its provider")
	errOver     = fmt.Errorf("%w or revoked: its provider refuses it by now", ErrExpired)
)

// refused is a reason for [ErrInvalid] that names what the provider has
// answered. It is only for values that are no secrets.
func refused(format string, args ...any) error {
	return refusal(fmt.Sprintf(format, args...))
}

// An answer holds the members of a provider's answer about a token that this
// package reads. A member that is null counts as absent.
type answer struct {
	claims
	subject           string
	active, hasActive bool
	reason            error // why the token is not to be accepted, if it is active
}

// parse reads body. The names are those of the claims for the subject and the
// groups; without a name for the groups there are none. It returns false if
// body is not a plain JSON object.
func (a *answer) parse(body []byte, subject, groups string) bool {
	return members(body, func(name, value []byte) bool {
		if string(value) == "null" {
			return true
		}
		if string(name) == subject {
			a.subject = subjectOf(value)
		}
		if groups != "" && string(name) == groups && isStrings(value) {
			a.groups = value
		}
		a.visit(string(name), value)
		return true
	})
}

func (a *answer) visit(name string, value []byte) {
	ok := true
	switch name {
	case "active":
		a.active = string(value) == "true"
		a.hasActive = a.active || string(value) == "false"
	case "iss":
		a.iss, ok = text(value)
	case "sid":
		a.sid, _ = text(value)
	case "jti":
		a.jti, _ = text(value)
	case "client_id":
		a.clientID, ok = text(value)
	case "azp":
		a.azp, _ = text(value)
	case "aud":
		a.aud, ok = value, isStrings(value)
	case "scope":
		a.scope, ok = value, isStrings(value)
	case "scp":
		a.scp, ok = value, isStrings(value)
	case "exp":
		a.exp, ok = date(value)
		ok = ok && a.exp > 0
		a.hasExp = true
	case "nbf":
		a.nbf, a.hasNbf, ok = begin(value)
	case "iat":
		a.iat, a.hasIat, ok = begin(value)
	case "cnf":
		a.refuse("bound to a key (cnf), the possession of which is not checked here")
	case "token_type", "token_use", "typ", "tokenName", "purpose":
		kind, _ := text(value)
		a.checkKind(strings.ToLower(string(kind)))
	}
	if !ok {
		a.refuse("the answer's " + name + " is of another type than it should be")
	}
}

// refuse notes the first reason to refuse the token.
func (a *answer) refuse(reason string) {
	if a.reason == nil {
		a.reason = refusal(reason)
	}
}

// checkKind refuses tokens of a kind that is not that of access tokens.
// Providers answer that refresh tokens are active, too: Ory Hydra with the
// token_use refresh_token, Keycloak with the typ Refresh or Offline.
func (a *answer) checkKind(kind string) {
	switch {
	case strings.Contains(kind, "refresh"), kind == "offline":
		a.refuse("a refresh token")
	case kind == "id", kind == "id_token":
		a.refuse("an ID token")
	case kind == "dpop", kind == "pop", kind == "mac":
		a.refuse("bound to a key (token_type), the possession of which is not checked here")
	}
}

// begin reads nbf or iat. A zero, which some providers write, counts as absent.
func begin(value []byte) (at int64, has, ok bool) {
	if string(value) == "0" {
		return 0, false, true
	}
	at, ok = date(value)
	ok = ok && at > 0
	return at, ok, ok
}

// subjectOf returns the subject in a claim: a string, or a whole number, which
// GitHub's id is. It returns "" for anything else.
func subjectOf(value []byte) string {
	if value[0] == '"' {
		s, _ := text(value)
		return string(s)
	}
	const mostDigits = 20
	if len(value) > mostDigits || bytes.IndexFunc(value, func(c rune) bool { return c < '0' || c > '9' }) >= 0 {
		return ""
	}
	return string(value)
}

// checkTimes returns an error if the token is not good at the time now.
// [ErrExpired] says that its provider has another time.
func (a *answer) checkTimes(now time.Time, leeway time.Duration) error {
	switch {
	case a.hasNbf && time.Unix(a.nbf, 0).After(now.Add(leeway)):
		return refusal("not valid yet")
	case a.hasIat && time.Unix(a.iat, 0).After(now.Add(leeway)):
		return refusal("issued in the future")
	case a.hasExp && !now.Before(time.Unix(a.exp, 0).Add(leeway)):
		return ErrExpired
	}
	return nil
}

// token returns the token that the answer is about, without Raw. Body is what
// the answer was parsed from.
func (a *answer) token(issuer string, body []byte) Token {
	client := a.clientID
	if len(client) == 0 {
		client = a.azp
	}
	// Clipped, so that a caller's append copies them.
	t := Token{
		Issuer:   issuer,
		Subject:  a.subject,
		ID:       string(a.jti),
		ClientID: string(client),
		Audience: slices.Clip(stringsOf(a.aud, false)),
		Scopes:   slices.Clip(slices.Concat(stringsOf(a.scope, true), stringsOf(a.scp, true))),
		Groups:   slices.Clip(stringsOf(a.groups, false)),
		Session:  string(a.sid),
		answer:   bytes.Clone(body),
	}
	if a.hasExp {
		t.Expiry = time.Unix(a.exp, 0)
	}
	if a.hasIat {
		t.IssuedAt = time.Unix(a.iat, 0)
	}
	return t
}
