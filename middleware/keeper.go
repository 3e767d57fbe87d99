package middleware

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

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
func (a *Auth) verifyHeld(v *visit, access string) error {
	raw, err := a.resolve(v.Context, access)
	if err != nil {
		return err
	}
	return a.verify(v, raw)
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
	if (&verify.Token{Raw: id}).Claims(&claims) != nil {
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
