package main

import (
	"os/exec"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

func TestWhatNextKnowsOfALogin(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		need.Missing(t, "node is not installed; this test needs Node.js 20.9 or newer (Debian: apt-get install nodejs npm)")
	}
	dir, err := webFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "lib/login.test.js")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
