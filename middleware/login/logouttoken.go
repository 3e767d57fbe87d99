package login

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
)

const (
	// maxLogoutForm bounds a request; a logout token has about a kilobyte.
	maxLogoutForm = 16 << 10

	// maxLogoutAge is for how long a logout token may be presented. Providers
	// are to let it expire within two minutes.
	maxLogoutAge = 5 * time.Minute

	// logoutLeeway is how far the provider's clock may be ahead of ours.
	logoutLeeway = time.Minute

	// undoTimeout is how long the Store has to forget a logout token again.
	undoTimeout = 2 * time.Second

	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// errLogout says that a logout request is not good and never will be.
var errLogout = errors.New("login: logout request refused")

// logoutToken reads the one parameter that counts (section 2.5).
func logoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || form != "application/x-www-form-urlencoded" {
		return "", fmt.Errorf("%w: not a form", errLogout)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutForm)
	if err := r.ParseForm(); err != nil {
		return "", fmt.Errorf("%w: malformed or too long", errLogout) // the error repeats a piece of it
	}
	tokens := r.PostForm["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return "", fmt.Errorf("%w: not one logout_token", errLogout)
	}
	return tokens[0], nil
}

// readLogout checks what a logout token has that other tokens have not, and has
// not that others have (sections 2.4 and 2.6). A typ of its own is only
// recommended. What keeps a logout token from being taken for an ID token, and
// the other way round, is its events claim, which no Verifier of other tokens
// accepts, and that there is no nonce.
func (f *Flow) readLogout(t *verify.Token) (Logout, error) {
	refused := func(why string) (Logout, error) { return Logout{}, fmt.Errorf("%w: %s", errLogout, why) }
	var claims map[string]json.RawMessage // a struct would match names in any case
	if err := t.Claims(&claims); err != nil {
		return refused("its claims cannot be read")
	}
	var events map[string]json.RawMessage
	if err := json.Unmarshal(claims["events"], &events); err != nil {
		return refused("no events")
	}
	var event map[string]json.RawMessage
	if err := json.Unmarshal(events[logoutEvent], &event); err != nil || event == nil {
		return refused("no logout event")
	}
	if _, ok := claims["nonce"]; ok {
		return refused("it has a nonce")
	}
	var session string
	if sid, ok := claims["sid"]; ok && json.Unmarshal(sid, &session) != nil {
		return refused("sid is not a string")
	}
	age := time.Since(t.IssuedAt)
	switch {
	case session == "" && t.Subject == "":
		return refused("neither sub nor sid")
	case t.ID == "":
		return refused("no jti")
	case age > maxLogoutAge, age < -logoutLeeway: // without iat it is very old
		return refused("no iat, or one that is long ago or in the future")
	}
	return Logout{Issuer: t.Issuer, Subject: t.Subject, Session: session, Time: t.IssuedAt}, nil
}

// A once is the mark in the Store that a logout token has been used. No two
// are alike, so that none is taken for another's.
type once struct {
	store refresh.Store
	key   string
	mark  []byte
}

// takeOnce marks t as used, and refuses it if it is already.
func (f *Flow) takeOnce(ctx context.Context, t *verify.Token) (once, error) {
	o := once{f.store, refresh.StoreKey("login.logout-token", t.Issuer, t.ID), []byte(rand.Text())}
	ok, err := o.store.Swap(ctx, o.key, nil, o.mark, maxLogoutAge+2*logoutLeeway)
	switch {
	case err != nil:
		o.undo(ctx) // it may have come about all the same
		return o, fmt.Errorf("login: keeping a logout token: %w", err)
	case !ok:
		return o, fmt.Errorf("%w: it has been used", errLogout)
	}
	return o, nil
}

// undo lets a provider try again with the same token, also where what has failed
// has taken all the time there was.
func (o once) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, _ = o.store.Swap(ctx, o.key, o.mark, nil, 0)
}
