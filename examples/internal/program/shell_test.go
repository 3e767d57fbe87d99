//go:build unix

package program

import (
	"net/http"
	"strings"
	"testing"
)

func TestACommandLineIsRunAndInterrupted(t *testing.T) {
	t.Parallel()
	address := FreeAddress(t)
	const line = "cd site && LISTEN=$WHERE go run -buildvcs=false ."
	p := Shell(t, "testdata", line, []string{"WHERE=" + address}, "http://"+address+"/healthz")
	if output := string(p.Stop(t)); output != "good bye\n" {
		t.Errorf("it wrote %q", output)
	}
	if resp, err := http.Get("http://" + address + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("it still answers after Stop")
	}
}

func TestACommandLineThatEndsBadlyIsReported(t *testing.T) {
	t.Parallel()
	address := FreeAddress(t)
	p := Shell(t, "testdata/site", "go run -buildvcs=false .", []string{"LISTEN=" + address, "STATUS=3"}, "http://"+address+"/healthz")
	if err := p.end(); err == nil || !strings.Contains(err.Error(), "exit status") {
		t.Errorf("got %v, want the program's status", err)
	}
}
