package main

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// The README's command, in rounds so short that their figures mean nothing.
func TestTheMeasurementRuns(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it needs Linux, whose /proc tells the processors' time")
	}
	for _, tool := range []string{"bash", "wrk"} {
		need.Tool(t, tool, "on Debian: apt-get install "+tool)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "bash examples/gateway/bench/run.sh -rounds 1 -round 1s -connections 2")
	cmd.Dir = "../../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range []string{"bare proxy ", "bare proxy, no cookies ", "bare proxy, BufferPool ", "gateway, signed in "} {
		if !strings.Contains(string(out), "\n"+line) {
			t.Errorf("there is no line of %q:\n%s", line, out)
		}
	}
}
