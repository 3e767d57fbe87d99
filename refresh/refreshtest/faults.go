package refreshtest

import (
	"net"
	"net/http"
	"strings"
	"time"
)

// A Fault is a way in which the token endpoint fails.
type Fault int

const (
	None Fault = iota // the call does not fail

	// The call is not handled, and no refresh token is used up:

	ServerError   // 500 with an HTML page
	Unavailable   // 503 with a Retry-After of 7 s
	Overloaded    // 429 with a Retry-After of 7 s
	Reset         // the connection is reset
	Hang          // no answer until the client gives up
	HangBody      // a 200 whose body never comes
	Garbage       // 200 with text that is not JSON
	Huge          // 200 with 8 MiB of JSON
	Redirect      // 307 to another host, https://elsewhere.test
	InvalidClient // 401 invalid_client, whatever the client sends
	Refuse        // the Refusal, although the refresh token is still good

	// The call is granted and the old refresh token used up, and then:

	LostAnswer   // the connection is reset
	LyingError   // the answer, with the new tokens, has the status 500
	OtherSubject // the tokens are those of another user
)

// A Refusal is the answer to a refresh token that is no longer good. It differs
// among real providers.
type Refusal int

const (
	InvalidGrant   Refusal = iota // 400 invalid_grant, as RFC 6749, section 5.2, has it
	ForbiddenGrant                // 403 invalid_grant
	InvalidRequest                // 400 invalid_request
	EmptyBody                     // 400 with nothing, as a proxy may answer: it ends no login
	Unauthorized                  // 401 with nothing, as a proxy may answer: it ends no login
	ErrorIn200                    // 200 with an error of invalid_grant
)

type faults struct {
	delay time.Duration
	fault Fault
	left  int // calls that are to fail; negative: all
}

// Fail makes the next n calls of the token endpoint fail. If n is negative, all
// calls fail until the next Fail. Fail replaces what is left of an earlier one.
func (p *Provider) Fail(f Fault, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.fault, p.faults.left = f, n
}

// SetDelay delays each call of the token endpoint by d before it is handled. It
// is then handled even if the client has hung up, as by real providers.
func (p *Provider) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults.delay = d
}

// next returns the fault of the next call.
func (f *faults) next() Fault {
	if f.left == 0 {
		return None
	}
	if f.left > 0 {
		f.left--
	}
	return f.fault
}

// spends reports whether a call with this fault uses up its refresh token.
func (f Fault) spends() bool { return f == None || f >= LostAnswer }

// before answers a call with a fault that uses up no refresh token. It returns
// false for other faults.
func (p *Provider) before(w http.ResponseWriter, r *http.Request, f Fault) bool {
	switch f {
	case ServerError:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		w.Write([]byte("<h1>Something went wrong</h1>"))
	case Unavailable, Overloaded:
		w.Header().Set("Retry-After", "7")
		status := http.StatusServiceUnavailable
		if f == Overloaded {
			status = http.StatusTooManyRequests
		}
		writeJSON(w, status, map[string]string{"error": "temporarily_unavailable"})
	case Reset:
		reset(w)
	case Hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case HangBody:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		w.Write([]byte(`{"token_type":`))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte("Bad Gateway: " + r.PostFormValue("refresh_token")))
	case Huge:
		writeJSON(w, http.StatusOK, map[string]string{
			"access_token": strings.Repeat("a", 8<<20), "token_type": "Bearer",
		})
	case Redirect:
		w.Header().Set("Location", "https://elsewhere.test/token?"+r.PostForm.Encode())
		w.WriteHeader(http.StatusTemporaryRedirect)
	case InvalidClient:
		p.refuseClient(w)
	case Refuse:
		p.refuse(w)
	default:
		return false
	}
	return true
}

// refuse answers a refresh token or code that is not good. Clients must not
// show the description, since those of real providers may repeat a token.
func (p *Provider) refuse(w http.ResponseWriter) {
	p.count(func(s *Stats) { s.Refused++ })
	grant := map[string]string{"error": "invalid_grant", "error_description": "The grant is unknown, expired or revoked."}
	switch p.Refusal {
	case ForbiddenGrant:
		writeJSON(w, http.StatusForbidden, grant)
	case InvalidRequest:
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
	case EmptyBody:
		w.WriteHeader(http.StatusBadRequest)
	case Unauthorized:
		w.WriteHeader(http.StatusUnauthorized)
	case ErrorIn200:
		writeJSON(w, http.StatusOK, grant)
	default:
		writeJSON(w, http.StatusBadRequest, grant)
	}
}

func (p *Provider) refuseClient(w http.ResponseWriter) {
	p.count(func(s *Stats) { s.Refused++ })
	w.Header().Set("WWW-Authenticate", `Basic realm="provider"`)
	writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
}

func (p *Provider) count(add func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.stats)
}

// reset ends the connection without an answer, over TCP by a RST.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
