package simulation_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// A simRequest is one request, from its sending to its answer.
type simRequest struct {
	world   *simWorld
	browser *simBrowser
	who     uint64 // no other request has it
	kind    string
	thief   bool
	place   int           // of the replica that it goes to
	up, dn  time.Duration // its way and the way back
	work    time.Duration // of the handler
	patient bool          // the handler does not stop for a client that has gone
	gone    time.Duration // the client leaves after this, where it is not zero
	login   *simLogin     // nil for none
	gen     int           // of the access token
	access  string
	refresh string
	ctx     context.Context
	cancel  context.CancelFunc

	replica *simReplica
	arrived time.Time
	good    bool      // the access token was accepted on arrival
	exp     time.Time // of the access token
	began   time.Time // the handler
	runs    int       // of the handler
	again   bool      // it may run once more
	status  int
	closed  bool
	done    chan struct{}
}

// request makes a request with the cookies of now, and draws its fate.
func (b *simBrowser) request(r simRand, kind string) *simRequest {
	w := b.world
	w.mu.Lock()
	defer w.mu.Unlock()
	q := &simRequest{
		world: w, browser: b, who: r.who, kind: kind, place: r.IntN(w.plan.replicas),
		up: between(r, time.Millisecond, 60*time.Millisecond), dn: between(r, time.Millisecond, 60*time.Millisecond),
		work: between(r, time.Second, 3*w.plan.life), patient: r.IntN(2) == 0,
		done: make(chan struct{}),
	}
	if r.IntN(4) == 0 {
		q.up, q.dn = between(r, 0, 2*time.Second), between(r, 0, 2*time.Second)
	}
	if gone := between(r, 0, 300*time.Millisecond); w.plan.happens(r, "client gone") && !w.calm && kind != "sign-in" {
		q.gone = gone
	}
	q.access, q.refresh = b.cookie(simAccessCookie), b.cookie(simRefreshCookie)
	q.login = w.loginOf(q.refresh)
	_, q.gen = simNumbers(q.access)
	q.ctx, q.cancel = b.ctx, func() {}
	return q
}

// send starts the request on its way.
func (q *simRequest) send() {
	w := q.world
	if q.gone > 0 {
		q.ctx, q.cancel = context.WithTimeout(q.ctx, q.gone)
	}
	w.work.Go(func() {
		defer q.finish()
		select {
		case <-time.After(q.up):
		case <-q.ctx.Done():
			return
		}
		q.serve()
	})
}

// serve is the request at a replica.
func (q *simRequest) serve() {
	w := q.world
	method, handler := http.MethodGet, http.Handler(nil)
	w.mu.Lock()
	q.replica, q.arrived = w.replicas[q.place], time.Now()
	w.arrive(q)
	w.mu.Unlock()
	switch q.kind {
	case "refresh":
		method, handler = http.MethodPost, q.replica.refresh
	case "logout":
		method, handler = http.MethodPost, q.replica.logout
	case "sign-in":
		method, handler = http.MethodPost, http.HandlerFunc(q.serveSignIn)
	default:
		handler = q.replica.app
	}
	r := (&http.Request{
		Method: method, URL: &url.URL{Path: "/" + q.kind}, RequestURI: "/" + q.kind, Host: "app.test",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: http.NoBody,
	}).WithContext(context.WithValue(q.ctx, simRequestKey{}, q))
	for _, c := range [][2]string{{simAccessCookie, q.access}, {simRefreshCookie, q.refresh}} {
		if c[1] != "" {
			r.AddCookie(&http.Cookie{Name: c[0], Value: c[1]})
		}
	}
	rw := &simWriter{request: q, header: make(http.Header)}
	handler.ServeHTTP(rw, r)
	rw.WriteHeader(http.StatusOK) // as a server does for a handler that writes nothing
}

type simRequestKey struct{}

// serveSignIn is a login of one's own.
func (q *simRequest) serveSignIn(rw http.ResponseWriter, r *http.Request) {
	w := q.world
	w.mu.Lock()
	q.browser.signedIn++
	login := &simLogin{
		id: len(w.logins), silent: q.browser.index%2 == 0, gen: -1,
		subject: fmt.Sprintf("user-%d-%d", q.browser.index, q.browser.signedIn),
		grants:  make(map[string]*simGrant), issued: make(map[int]time.Time),
		arrived: make(map[int]time.Time), accepted: make(map[int]time.Time), replayed: make(map[int]bool),
	}
	w.logins = append(w.logins, login)
	tokens := w.issue(login)
	w.totals.count["sign-ins"]++
	login.begun = time.Now()
	w.log("browser %d signs in as %s: login %d", q.browser.index, login.subject, login.id)
	w.mu.Unlock()
	if err := q.replica.auth.SignIn(rw, r, tokens); err != nil {
		w.mu.Lock()
		w.breach("2", "sign-in: %v", err)
		w.mu.Unlock()
	}
	rw.WriteHeader(http.StatusOK)
}

// wait waits for the answer, and returns 503 for none.
func (q *simRequest) wait() int {
	select {
	case <-q.done:
	case <-q.ctx.Done(): // there may be an answer as well
	}
	q.world.mu.Lock()
	defer q.world.mu.Unlock()
	if q.status == 0 {
		return http.StatusServiceUnavailable
	}
	return q.status
}

// finish lets go of who waits, if no answer was under way.
func (q *simRequest) finish() {
	q.world.mu.Lock()
	defer q.world.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.done)
		q.cancel()
	}
}

// deliver is the header of an answer on its way back, and the browser that reads
// it if it is still there.
func (q *simRequest) deliver(status int, cookies []*http.Cookie, written time.Time) {
	w := q.world
	q.closed = true // the caller holds the lock
	w.work.Go(func() {
		defer q.cancel()
		defer close(q.done)
		select {
		case <-time.After(q.dn):
		case <-q.ctx.Done():
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if q.replica.isDead() || q.ctx.Err() != nil {
			return
		}
		q.status = status
		if !q.thief {
			w.keep(q, cookies, written)
		}
	})
}

// A simWriter is the ResponseWriter that a replica sees.
type simWriter struct {
	request *simRequest
	header  http.Header
	wrote   bool
}

func (s *simWriter) Header() http.Header { return s.header }

func (s *simWriter) WriteHeader(status int) {
	if s.wrote || status < 200 {
		return
	}
	s.wrote = true
	<-time.After(s.request.world.pause(s.request.who)) // others may have learned of the same failure
	s.request.world.final(s.request, status, s.header.Clone())
}

func (s *simWriter) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	return len(p), nil
}

func (s *simWriter) Flush() { s.WriteHeader(http.StatusOK) }
