//go:build unix

package main

import (
	"net/http"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// The README's command, at addresses of the test's own. Its processes end with it.
func TestTheProgramServesUntilItIsInterrupted(t *testing.T) {
	if !installed(t.Context()) {
		need.Missing(t, "this test needs Node.js 20.9 or newer, with npm, and: npm ci --prefix examples/nextjs/web")
	}
	gateway, next := program.FreeAddress(t), freeAddress(t, "localhost")
	line := "cd examples && go run ./nextjs -gateway " + gateway + " -next " + next
	p := program.Shell(t, "../..", line, []string{"GOWORK="}, "http://"+gateway+"/auth/tokenlife.js")
	answer, err := http.Get("http://" + next + "/welcome")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("Next.js answers %d", answer.StatusCode)
	}
	p.Stop(t)
	for _, address := range []string{gateway, next} {
		if answer, err := http.Get("http://" + address); err == nil {
			answer.Body.Close()
			t.Errorf("%s is still served", address)
		}
	}
}
