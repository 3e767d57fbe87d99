package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/tokenlife/tokenlife/middleware/internal/revocation"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// A credential is what a request presents: a bearer token in the Authorization
// header, or the tokens of a login in its cookies. The bearer token counts if
// there is one. Another scheme in the header does not count, and leaves the
// cookies.
type credential struct {
	bearer     string         // the bearer token; "": the cookies count
	held       refresh.Tokens // by the cookies
	complete   bool           // held has all tokens, and not only the access token
	unreadable error          // why cookies could not be read; set if complete
}

// credential sets c to the credential of r. Of the cookies it reads all tokens, or
// the access token alone. It returns an error if the Authorization header is
// malformed.
func (a *Auth) credential(r *http.Request, c *credential, all bool) (err error) {
	switch c.bearer, err = bearerToken(r.Header); {
	case c.bearer != "" || err != nil:
	case all:
		a.complete(r, c)
	default:
		c.held.Access, _ = a.policy.ReadAccess(r)
	}
	return err
}

// complete reads the other tokens in the cookies of r. An unreadable cookie
// counts as absent.
func (a *Auth) complete(r *http.Request, c *credential) {
	if !c.complete {
		c.held, c.unreadable = a.policy.Read(r)
		c.complete = true
	}
}

// held returns the tokens in the cookies of r, whatever its Authorization header
// is. An unreadable cookie counts as absent.
func (a *Auth) held(r *http.Request) refresh.Tokens {
	var c credential
	a.complete(r, &c)
	return c.held
}

// checkBearer returns why the token in the Authorization header is not good.
func (a *Auth) checkBearer(d *decision, raw string) error {
	if err := a.verify(d, raw); err != nil {
		if errors.Is(err, verify.ErrInvalid) && !isBearerToken(raw) {
			err = errMalformed
		}
		return err
	}
	if a.checkRevoked(d.Context, d.token) != nil {
		// Even if its whole login is revoked: an error that says so would clear
		// the cookies, which may be of another login.
		return revocation.ErrToken
	}
	return nil
}

// bearerToken returns the token in the Authorization header (RFC 6750 section
// 2.1). It returns "" if there is no header, or one of another scheme than
// Bearer.
func bearerToken(h http.Header) (string, error) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		// A server behind this one may take another of them than we do.
		return "", errTwoHeaders
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if first, _, tab := strings.Cut(scheme, "\t"); tab && strings.EqualFold(first, "Bearer") {
			return "", errMalformed // a server behind this one may take a tab for a space
		}
		return "", nil
	}
	if token = strings.Trim(token, " "); !found || token == "" || strings.IndexByte(token, ' ') >= 0 {
		return "", errMalformed
	}
	return token, nil
}

// maxLooked is how many bytes of a refused token isBearerToken looks at.
const maxLooked = 256

// isBearerToken reports whether s has only the characters of a bearer token:
// b64token of RFC 6750 section 2.1. It is called for refused tokens only, since
// a good token has only these.
func isBearerToken(s string) bool {
	for i := range min(len(s), maxLooked) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return false
		}
	}
	return true
}

// errNoHandle is the error for a cookie that holds no handle of the Keeper, or
// the handle of a login that has ended. Such a cookie never becomes good again.
var errNoHandle = fmt.Errorf("%w: the cookie's handle stands for no access token", verify.ErrInvalid)

// resolve returns the access token for the value of an access cookie. That is
// the value itself, or, if a [refresh.Keeper] keeps the tokens, the token for
// which the value is the handle.
//
// Bearer tokens are not resolved: a handle is good in its cookie alone.
func (a *Auth) resolve(ctx context.Context, access string) (string, error) {
	if a.keeper == nil {
		return access, nil
	}
	raw, err := a.keeper.Access(ctx, access)
	switch {
	case errors.Is(err, refresh.ErrNotFound):
		return "", errNoHandle
	case err != nil:
		return "", fmt.Errorf("middleware: the access token of a handle: %w", err)
	}
	return raw, nil
}

// expect tells a Verifier that asks the provider that the provider itself has
// given raw, and not a client.
func (a *Auth) expect(raw string) {
	if e, ok := a.Verifier.(interface{ Expect(raw string) }); ok {
		e.Expect(raw)
	}
}

// verifyHeld is verify for the value of an access cookie.
func (a *Auth) verifyHeld(d *decision, access string) error {
	raw, err := a.resolve(d.Context, access)
	if err != nil {
		return err
	}
	return a.verify(d, raw)
}

// verify verifies raw and sets d.token. It sets d.token for an expired token as
// well, and returns [verify.ErrExpired].
func (a *Auth) verify(d *decision, raw string) (err error) {
	if a.verifyTo != nil {
		d.token = &d.buf
		return a.verifyTo(d.Context, raw, d.token)
	}
	d.token, err = a.Verifier.Verify(d.Context, raw)
	return err
}

// checkRevoked returns an error if t, a good token, is known to be revoked.
func (a *Auth) checkRevoked(ctx context.Context, t *verify.Token) error {
	if a.Revocations == nil {
		return nil
	}
	return a.revokedOnly(ctx, a.Revocations.Check(ctx, t))
}

// revokedOnly returns err if it says that a token or a login is revoked. It
// only observes another error: a failing Store ends no login.
func (a *Auth) revokedOnly(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, revocation.ErrToken), errors.Is(err, revocation.ErrLogin):
		return err
	}
	if ctx.Err() == nil { // else the client has gone
		a.Observe.Tell(ctx, event.Event{Kind: event.RevocationsFailed, Level: event.LevelOf(err), Err: err})
	}
	return nil
}

// tokenOf verifies the access token for the value of an access cookie, and
// returns what the Verifier returns.
func (a *Auth) tokenOf(ctx context.Context, access string) (*verify.Token, error) {
	raw, err := a.resolve(ctx, access)
	if err != nil {
		return nil, err
	}
	if a.keeper != nil {
		a.expect(raw)
	}
	return a.Verifier.Verify(ctx, raw)
}

// ownerToken returns the access token in held, expired or not, which says whose
// login it is. It returns nil if there is none, or if it is invalid.
//
// It returns an error only if there are Revocations and the token cannot be
// verified now. Without the old token, Revocations may take the login for a
// revoked one.
func (a *Auth) ownerToken(ctx context.Context, held refresh.Tokens) (*verify.Token, error) {
	if held.Access == "" {
		return nil, nil
	}
	t, err := a.tokenOf(ctx, held.Access)
	switch {
	case err == nil, errors.Is(err, verify.ErrExpired):
		return t, nil
	case a.Revocations != nil && !isVerdict(err):
		return nil, err
	}
	return nil, nil
}

// isVerdict reports whether err, of a Verifier, says whether the token is good.
func isVerdict(err error) bool {
	return err == nil || errors.Is(err, verify.ErrExpired) || errors.Is(err, verify.ErrInvalid)
}

// keep gives t to the Keeper and returns the handles for the browser. Without a
// Keeper it returns t.
func (a *Auth) keep(ctx context.Context, t refresh.Tokens, token *verify.Token, device string) (refresh.Tokens, error) {
	if a.keeper == nil {
		return t, nil
	}
	return a.keeper.Start(ctx, t, refresh.Identity{
		Issuer:   token.Issuer,
		Subject:  token.Subject,
		Session:  sessionOf(token, t.ID),
		Device:   printable(device),
		IssuedAt: token.IssuedAt,
	})
}

// sessionOf returns the provider's name for the login: the claim sid, or what
// stands for it, of the access token, or else of the ID token id. The caller of
// SignIn has verified id.
func sessionOf(token *verify.Token, id string) string {
	if token.Session != "" || id == "" {
		return token.Session
	}
	var claims map[string]any // a struct would match names in any case
	if verify.UnverifiedClaims(id, &claims) != nil {
		return ""
	}
	session, _ := claims["sid"].(string)
	return session
}

// maxDevice is how many bytes of a User-Agent are kept.
const maxDevice = 200

// printable returns the printable characters at the beginning of s, for a list
// of devices.
func printable(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			continue
		}
		if b.Len()+len(string(c)) > maxDevice {
			break
		}
		b.WriteRune(c)
	}
	return b.String()
}

// sameOrigin returns an error if another origin has sent r and r could change
// something.
func (a *Auth) sameOrigin(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" && r.Method == http.MethodGet {
		// A WebSocket handshake is a GET, which browsers send to every origin,
		// and it opens a channel that could do anything (RFC 6455 section
		// 10.2).
		unsafe := *r
		unsafe.Method = http.MethodPost
		r = &unsafe
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return errors.Join(errCrossOrigin, err)
	}
	return nil
}

// markArrived tells the Coordinator that the browser has the tokens of c, when it
// sees their access token for the first time. t is that token, or nil if it has
// not been verified yet. Tokens without a good signature are passed over.
func (a *Auth) markArrived(r *http.Request, d *decision, c *credential, t *verify.Token) {
	if !a.coordinator.FirstSight(c.held.Access) {
		return
	}
	if t == nil {
		t, _ = a.ownerToken(d.Context, c.held)
	}
	if t != nil && a.isSigned(t) {
		a.complete(r, c)
		a.coordinator.MarkArrived(c.held)
	}
}
