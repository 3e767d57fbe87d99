package simulation_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
)

// A simLogin is a login as the provider knows it, and what the world has seen
// of it.
type simLogin struct {
	id      int
	subject string
	silent  bool // the provider leaves out a refresh token that stays the same
	gen     int  // the newest generation of tokens
	grants  map[string]*simGrant
	asked   int // calls that have been made for it

	dead   string // why the provider refuses it; empty while it is good
	mixed  bool   // the provider has given another's tokens for it
	forked bool   // the provider has answered one token twice

	overtaken bool // an answer has come after one with newer cookies

	ending   time.Time // when a sign-out began
	ended    time.Time // when it was answered
	endedBy  *simReplica
	begun    time.Time         // when the cookies were first written
	issued   map[int]time.Time // by generation
	arrived  map[int]time.Time // when its access token first came in a cookie
	accepted map[int]time.Time // likewise, and was good
	written  int               // the newest generation in a final header
	writtenT time.Time
	replayed map[int]bool // by a thief, who had no right to an answer
	trouble  time.Time    // when a call for it last went wrong, or was slow
}

// A simGrant is a refresh token at the provider.
type simGrant struct {
	login *simLogin
	gen   int
	token string
	used  time.Time
	next  []byte // the answer to its first use
	calls []*simCall
}

// A simCall is one question to the provider, by the Coordinator's leave.
type simCall struct {
	replica    *simReplica
	old        refresh.Tokens
	login      *simLogin
	grant      *simGrant
	start, end time.Time
	sighted    bool   // the provider has seen it
	processed  bool   // and given new tokens
	lost       string // why these did not arrive
}

type simCallKey struct{}

// A simClient is the Refresher of a replica: an OAuth2 whose calls are counted.
type simClient struct {
	replica *simReplica
	oauth   *refresh.OAuth2
}

func (c *simClient) Refresh(ctx context.Context, old refresh.Tokens) (refresh.Tokens, error) {
	w := c.replica.world
	pause := func() { <-time.After(w.pause(uint64(c.replica.index), simHash(old.Refresh))) }
	call := &simCall{replica: c.replica, old: old, start: time.Now()}
	pause() // all who wait for a store begin when it has been away for too long
	t, err := c.oauth.Refresh(context.WithValue(ctx, simCallKey{}, call), old)
	end := time.Now()
	pause() // all who ask give up when their replica is killed
	w.mu.Lock()
	defer w.mu.Unlock()
	call.end = end
	if call.login == nil {
		return t, err
	}
	if errors.Is(ctx.Err(), context.Canceled) && !c.replica.isDead() {
		w.breach("3", "a call for login %d was given up after %s because its client had left", call.login.id, call.end.Sub(call.start))
	}
	switch {
	case c.replica.isDead():
		call.lost = "replica killed"
	case err != nil:
		call.lost = "answer lost"
	}
	if err != nil || call.end.Sub(call.start) > simTimeout/5 {
		call.login.trouble = call.end
	}
	w.log("replica %d: the provider's answer for %s: %v, after %s", c.replica.index, simName(old.Refresh), cmp.Or(err, errors.New("ok")), call.end.Sub(call.start))
	return t, err
}

func (c *simClient) Revoke(ctx context.Context, t refresh.Tokens) error {
	return c.oauth.Revoke(ctx, t)
}

// simName is what a token is called in a story.
func simName(token string) string {
	p := strings.SplitN(token, "~", 4)
	if len(p) < 3 {
		return "nothing"
	}
	return p[0] + p[1] + "." + p[2]
}

// A simLine is a replica's connection to the provider.
type simLine struct{ replica *simReplica }

func (l *simLine) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	form := simForm(body)
	if strings.HasSuffix(r.URL.Path, "/revoke") {
		return l.revoke(r, form["token"])
	}
	call, _ := r.Context().Value(simCallKey{}).(*simCall)
	return l.refresh(r, call, form["refresh_token"])
}

// simForm reads a form whose values need no decoding but of the tilde, which is
// in all of our tokens.
func simForm(body []byte) map[string]string {
	form := make(map[string]string)
	for part := range strings.SplitSeq(string(body), "&") {
		k, v, _ := strings.Cut(part, "=")
		form[k] = strings.ReplaceAll(v, "%7E", "~")
	}
	return form
}

// simFate is what the seed holds for one call.
type simFate struct {
	there, back       time.Duration
	before, after     bool // slow before, or after it is decided
	slow              time.Duration
	answer            string // instead of a decision
	reset, lost, kill bool
	killFirst         bool // before the answer is there
	mixed             bool
}

func (w *simWorld) fate(r simRand) simFate {
	f := simFate{there: between(r, 2*time.Millisecond, 40*time.Millisecond), back: between(r, 2*time.Millisecond, 40*time.Millisecond)}
	f.slow = between(r, 100*time.Millisecond, 9*time.Second)
	if r.IntN(6) == 0 {
		f.slow = between(r, 9*time.Second, 14*time.Second)
	}
	late := r.IntN(2) == 0
	happens := func(kind string) bool { return w.plan.happens(r, kind) && !w.calm }
	if happens("slow") {
		f.before, f.after = !late, late
		w.totals.faults["slow"]++
	}
	f.reset, f.lost = happens("reset"), happens("lost answer")
	f.kill, f.killFirst = happens("killed at the answer"), happens("killed before the answer")
	f.mixed = happens("other subject")
	for _, kind := range []string{"5xx", "429", "garbage", "invalid_client"} {
		if happens(kind) {
			f.answer = kind
		}
	}
	return f
}

// refresh is the token endpoint as seen from a replica.
func (l *simLine) refresh(r *http.Request, call *simCall, token string) (*http.Response, error) {
	w := l.replica.world
	w.mu.Lock()
	login := w.loginOf(token)
	if call == nil || login == nil || l.replica.isDead() {
		w.mu.Unlock()
		return nil, syscall.ECONNREFUSED
	}
	call.login, call.grant = login, login.grants[token]
	call.grant.calls = append(call.grant.calls, call)
	login.asked++
	w.totals.count["refreshes"]++
	fate := w.fate(w.plan.rng(5, uint64(login.id), uint64(login.asked)))
	w.log("replica %d asks the provider with %s", l.replica.index, simName(token))
	w.mu.Unlock()

	if err := l.wait(r, fate.there); err != nil {
		return nil, err
	}
	w.mu.Lock()
	if fate.reset || w.down {
		w.fault("reset", "before %s is seen", simName(token))
		login.trouble = time.Now()
		w.mu.Unlock()
		return nil, syscall.ECONNRESET
	}
	if fate.answer != "" {
		w.fault(fate.answer, "for %s", simName(token))
		login.trouble = time.Now()
		w.mu.Unlock()
		return simAnswer(fate.answer), nil
	}
	reason := w.sight(call)
	w.mu.Unlock()
	if fate.before {
		if err := l.wait(r, fate.slow); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	res := w.decide(call, reason, fate.mixed)
	w.mu.Unlock()
	if fate.after {
		if err := l.wait(r, fate.slow); err != nil {
			return nil, err
		}
	}
	if fate.killFirst {
		w.kill(l.replica, "before the answer")
	}
	if err := l.wait(r, fate.back); err != nil {
		return nil, err
	}
	if fate.lost && call.processed {
		w.mu.Lock()
		w.fault("lost answer", "for %s", simName(token))
		w.mu.Unlock()
		return nil, io.ErrUnexpectedEOF
	}
	if fate.kill {
		w.kill(l.replica, "at the answer")
	}
	return res, nil
}

// revoke is the revocation endpoint (RFC 7009): any token of a login ends it.
func (l *simLine) revoke(r *http.Request, token string) (*http.Response, error) {
	w := l.replica.world
	if err := l.wait(r, 10*time.Millisecond); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, syscall.ECONNRESET
	}
	if login := w.loginOf(token); login != nil && login.dead == "" {
		login.dead = "revoked"
		w.log("the provider revokes login %d", login.id)
	}
	return simResponse(http.StatusOK, ""), nil
}

// wait waits, as long as there is a replica and it has not given up.
func (l *simLine) wait(r *http.Request, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	case <-l.replica.dead:
		return syscall.ECONNABORTED
	}
}

// decide is what the provider does with a refresh token. The caller holds w.mu.
func (w *simWorld) decide(call *simCall, reason string, mixed bool) *http.Response {
	g, login, now := call.grant, call.login, time.Now()
	refuse := func() *http.Response {
		w.log("the provider refuses %s: %s", simName(g.token), login.dead)
		return simResponse(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	}
	if login.dead != "" {
		return refuse()
	}
	if !g.used.IsZero() && w.plan.mode != rotateNothing {
		if w.plan.mode == rotateStrict || now.Sub(g.used) > w.plan.grace {
			login.dead = "used again"
			w.lose(login, g, cmp.Or(reason, w.sight(call)))
			return refuse()
		}
		login.forked = true
		if w.plan.mode == rotateSame {
			call.processed = true
			return simResponse(http.StatusOK, string(g.next))
		}
	}
	answer := w.issue(login)
	if mixed && len(w.logins) > 1 {
		whose := w.logins[(login.id+1)%len(w.logins)]
		if whose.subject != login.subject {
			w.fault("other subject", "%s's token for %s", whose.subject, login.subject)
			login.mixed = true
			answer.Access = w.accessToken(whose, login.gen)
		}
	}
	if w.plan.mode == rotateNothing && login.silent {
		answer.Refresh = ""
	}
	body, err := json.Marshal(map[string]any{
		"access_token": answer.Access, "refresh_token": answer.Refresh, "token_type": "Bearer",
		"expires_in": int(w.plan.life.Seconds()),
	})
	if err != nil {
		panic(err)
	}
	call.processed = true
	if g.used.IsZero() {
		g.used, g.next = now, body
	}
	return simResponse(http.StatusOK, string(body))
}

// issue makes the next tokens of a login. The caller holds w.mu.
func (w *simWorld) issue(login *simLogin) refresh.Tokens {
	login.gen++
	n := login.gen
	if w.plan.mode == rotateNothing {
		n = 0
	}
	t := refresh.Tokens{
		Access:  w.accessToken(login, login.gen),
		Refresh: fmt.Sprintf("rt~%d~%d~refresh-token", login.id, n),
	}
	if login.grants[t.Refresh] == nil {
		login.grants[t.Refresh] = &simGrant{login: login, gen: n, token: t.Refresh}
	}
	login.issued[login.gen] = time.Now()
	return t
}

func (w *simWorld) accessToken(login *simLogin, gen int) string {
	iat := time.Now().Add(w.skew)
	return fmt.Sprintf("at~%d~%d~%d~%d~%s~access-token", login.id, gen, iat.UnixNano(), iat.Add(w.plan.life).UnixNano(), login.subject)
}

// loginOf returns the login of a token, nil for none. The caller holds w.mu.
func (w *simWorld) loginOf(token string) *simLogin {
	id, _ := simNumbers(token)
	if id < 0 || id >= len(w.logins) {
		return nil
	}
	return w.logins[id]
}

// simNumbers returns login and generation of a token, -1 for none.
func simNumbers(token string) (login, gen int) {
	var kind string
	if n, _ := fmt.Sscanf(strings.ReplaceAll(token, "~", " "), "%s %d %d", &kind, &login, &gen); n != 3 {
		return -1, -1
	}
	return login, gen
}

func simAnswer(kind string) *http.Response {
	switch kind {
	case "5xx":
		return simResponse(http.StatusBadGateway, `{"error":"server_error"}`)
	case "429":
		return simResponse(http.StatusTooManyRequests, `{"error":"temporarily_unavailable"}`)
	case "invalid_client":
		return simResponse(http.StatusUnauthorized, `{"error":"invalid_client"}`)
	default:
		return simResponse(http.StatusOK, "<!doctype html><title>Welcome to this hotel</title>")
	}
}

func simResponse(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}
}
