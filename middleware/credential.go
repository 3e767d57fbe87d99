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

// A credential is what a request shows of who sends it: a bearer token in the
// Authorization header, which then decides alone, or what the cookies hold.
// Another scheme in that header is not ours to judge, and the cookies count.
type credential struct {
	bearer     string         // "": the cookies count
	held       refresh.Tokens // by the cookies; the access token alone unless complete
	complete   bool
	unreadable error // why cookies that are there could not be read; if complete
}

// credential finds in r what it shows. A malformed header is an error.
func (a *Auth) credential(r *http.Request, c *credential) (err error) {
	if c.bearer, err = bearerToken(r.Header); c.bearer == "" && err == nil {
		c.held.Access, _ = a.policy.ReadAccess(r)
	}
	return err
}

// complete reads all that the cookies of r hold. What cannot be read is not there.
func (a *Auth) complete(r *http.Request, c *credential) {
	if !c.complete {
		c.held, c.unreadable = a.policy.Read(r)
		c.complete = true
	}
}

// checkBearer decides by the token in the Authorization header.
func (a *Auth) checkBearer(d *decision, raw string) error {
	if err := a.verify(d, raw); err != nil {
		if errors.Is(err, verify.ErrInvalid) && !isBearerToken(raw) {
			err = errMalformed
		}
		return err
	}
	if a.checkRevoked(d.Context, d.token) != nil {
		// Not what it wraps: the login in the cookies is another matter.
		return revocation.ErrToken
	}
	return nil
}

// bearerToken returns the token in the Authorization header (RFC 6750 section
// 2.1), or "" if there is none. Another scheme than Bearer is not ours to judge.
func bearerToken(h http.Header) (string, error) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		// Which of them counts, this server and the next may see differently.
		return "", errTwoHeaders
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if first, _, tab := strings.Cut(scheme, "\t"); tab && strings.EqualFold(first, "Bearer") {
			return "", errMalformed // what is behind may take a tab for a space
		}
		return "", nil
	}
	if token = strings.Trim(token, " "); !found || token == "" || strings.IndexByte(token, ' ') >= 0 {
		return "", errMalformed
	}
	return token, nil
}

// maxLooked is how much of a refused token is looked at to say why.
const maxLooked = 256

// isBearerToken tells whether s has only characters of a bearer token: b64token
// of RFC 6750. It is asked of refused tokens only; a good one need not be read
// twice.
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

// errNoHandle is about a cookie that holds no handle of the Keeper, or one of a
// login that is no more: it stands for no token, and never will again.
var errNoHandle = fmt.Errorf("%w: the cookie's handle stands for no access token", verify.ErrInvalid)

// resolve returns the access token that the access value of a cookie, or of a
// renewal, stands for: itself, unless a [refresh.Keeper] keeps the tokens.
//
// Bearer tokens do not come here. A handle is good in the cookie that it was
// made for and nowhere else.
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

// verifyHeld is verify for what a cookie holds.
func (a *Auth) verifyHeld(d *decision, access string) error {
	raw, err := a.resolve(d.Context, access)
	if err != nil {
		return err
	}
	return a.verify(d, raw)
}

// verify checks raw and puts the token into d; with [verify.ErrExpired] as well.
func (a *Auth) verify(d *decision, raw string) (err error) {
	if a.verifyTo != nil {
		d.token = &d.buf
		return a.verifyTo(d.Context, raw, d.token)
	}
	d.token, err = a.Verifier.Verify(d.Context, raw)
	return err
}

// checkRevoked returns an error if t, a good token, has been revoked, as far as is
// remembered.
func (a *Auth) checkRevoked(ctx context.Context, t *verify.Token) error {
	if a.Revocations == nil {
		return nil
	}
	return a.revokedOnly(ctx, a.Revocations.Check(ctx, t))
}

// revokedOnly returns err if it says that something is revoked. A store that
// could not tell ends no login.
func (a *Auth) revokedOnly(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, revocation.ErrToken), errors.Is(err, revocation.ErrLogin):
		return err
	}
	if ctx.Err() == nil { // else it is the client that has gone
		a.Observe.Tell(ctx, event.Event{Kind: event.RevocationsFailed, Level: event.LevelOf(err), Err: err})
	}
	return nil
}

// tokenOf returns the token that the access value of a cookie or of a renewal
// stands for, as the Verifier does.
func (a *Auth) tokenOf(ctx context.Context, access string) (*verify.Token, error) {
	raw, err := a.resolve(ctx, access)
	if err != nil {
		return nil, err
	}
	return a.Verifier.Verify(ctx, raw)
}

// ownerToken returns the access token that old holds, or nil if it says nothing
// of its subject. An error says that this could not be found out now. It is
// returned only where there are Revocations: without its old token a login may
// look revoked.
func (a *Auth) ownerToken(ctx context.Context, old refresh.Tokens) (*verify.Token, error) {
	if old.Access == "" {
		return nil, nil
	}
	t, err := a.tokenOf(ctx, old.Access)
	switch {
	case err == nil, errors.Is(err, verify.ErrExpired):
		return t, nil
	case a.Revocations != nil && !isVerdict(err):
		return nil, err
	}
	return nil, nil
}

// isVerdict reports whether a Verifier could tell if a token is good.
func isVerdict(err error) bool {
	return err == nil || errors.Is(err, verify.ErrExpired) || errors.Is(err, verify.ErrInvalid)
}

// keep gives t to the Keeper, where there is one, and returns what the browser
// is to hold.
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

// sessionOf returns the provider's name for the login: what the access token
// says, or else the ID token, which whoever signs a user in has verified.
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

// maxDevice bounds what is kept of a User-Agent, in bytes.
const maxDevice = 200

// printable returns the beginning of a header as a list of devices can show it.
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

// sameOrigin refuses what another origin makes a browser do with its cookies.
func (a *Auth) sameOrigin(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" && r.Method == http.MethodGet {
		// A WebSocket handshake is a GET that browsers send across origins
		// without asking, and it opens a channel that can do anything
		// (RFC 6455 section 10.2).
		unsafe := *r
		unsafe.Method = http.MethodPost
		r = &unsafe
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return errors.Join(errCrossOrigin, err)
	}
	return nil
}
