package recipes

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
)

func Example_rotatingKeys() {
	provider := new(middlewaretest.Provider)
	defer provider.Close()
	tokens, client := provider, provider
	newest, previous := bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32)
	before := sealedWith(provider, previous)
	defer before.Close()
	r := returning(before, provider, "ann", "GET", "/")

	keys, err := cookies.NewKeyRing(newest, previous) // the first seals, all open
	if err != nil {
		log.Fatal(err)
	}
	auth := &middleware.Auth{Verifier: tokens, Refresher: client, Cookies: cookies.Policy{Keys: keys}}

	defer auth.Close()
	w := serve(auth.Require(http.HandlerFunc(hello)), r)
	fmt.Print(w.Code, " ", w.Body)
	middlewaretest.Keep(r, w.Result())

	after := sealedWith(provider, newest) // the previous key has been taken away
	defer after.Close()
	w = serve(after.Require(http.HandlerFunc(hello)), r)
	fmt.Print(w.Code, " ", w.Body)
	// Output:
	// 200 hello ann
	// 200 hello ann
}

func sealedWith(p *middlewaretest.Provider, keys ...[]byte) *middleware.Auth {
	ring, err := cookies.NewKeyRing(keys...)
	if err != nil {
		panic(err)
	}
	return &middleware.Auth{Verifier: p, Refresher: p, Cookies: cookies.Policy{Keys: ring}}
}

// The three steps of a rotation while two replicas, one a step ahead of the
// other, serve the same users.
func TestAKeyIsRotatedInThreeSteps(t *testing.T) {
	p := middlewaretest.NewProvider(t)
	next, current := bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32)
	steps := [][][]byte{{current}, {current, next}, {next, current}, {next}}
	status := func(sealing, opening [][]byte) int {
		from, to := sealedWith(p, sealing...), sealedWith(p, opening...)
		defer from.Close()
		defer to.Close()
		r := httptest.NewRequest("GET", "/", nil)
		middlewaretest.SignIn(from, r, p.Login(nil))
		return serve(to.Require(http.HandlerFunc(hello)), r).Code
	}
	for i := range steps[1:] {
		if status(steps[i+1], steps[i]) != 200 || status(steps[i], steps[i+1]) != 200 {
			t.Errorf("step %d: one replica cannot open what the other seals", i+1)
		}
	}
	if status(steps[2], steps[0]) != 401 || status(steps[0], steps[3]) != 401 {
		t.Error("a step may be left out, and the README says that none may")
	}
}

// What sealing costs: a request with the cookies of a login, and their size.
func BenchmarkSealedCookies(b *testing.B) {
	p := middlewaretest.NewProvider(b)
	plain := &middleware.Auth{Verifier: p, Refresher: p}
	defer plain.Close()
	sealed := sealedWith(p, bytes.Repeat([]byte{1}, 32))
	defer sealed.Close()
	login := p.Login(map[string]any{"roles": strings.Repeat("r", 400)}) // about a kilobyte
	for _, bb := range []struct {
		name string
		auth *middleware.Auth
	}{{"unsealed", plain}, {"sealed", sealed}} {
		b.Run(bb.name, func(b *testing.B) {
			h := bb.auth.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r := httptest.NewRequest("GET", "/", nil)
			middlewaretest.SignIn(bb.auth, r, login)
			w := httptest.NewRecorder()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
			if w.Code != 200 {
				b.Error(w.Code)
			}
			b.ReportMetric(float64(len(r.Header.Get("Cookie"))), "bytes")
		})
	}
}
