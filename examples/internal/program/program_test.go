package program

import (
	"net/http"
	"strings"
	"testing"
)

func TestAProgramIsBuiltStartedAndStopped(t *testing.T) {
	t.Parallel()
	file := Build(t, "testdata/site")
	address := FreeAddress(t)
	p := Run(t, file, Env("LISTEN="+address), "http://"+address+"/healthz")
	if output := string(p.Stop(t)); output != "good bye\n" {
		t.Errorf("it wrote %q", output)
	}
	if resp, err := http.Get("http://" + address + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("it still answers after Stop")
	}
	if again := string(p.Stop(t)); again != "good bye\n" {
		t.Errorf("a second Stop returns %q", again)
	}
}

func TestABadEndIsReported(t *testing.T) {
	t.Parallel()
	address := FreeAddress(t)
	p := Run(t, Build(t, "testdata/site"), Env("LISTEN="+address, "STATUS=3"), "http://"+address+"/healthz")
	if err := p.end(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want exit status 3", err)
	}
}

func TestAProgramOfOthersGetsArgumentsAndIsKilled(t *testing.T) {
	t.Parallel()
	address := FreeAddress(t)
	p := RunOthers(t, Build(t, "testdata/site"), Env("LISTEN="+address), "http://"+address+"/healthz", "argument")
	p.Kill()
	p.Kill()
	if resp, err := http.Get("http://" + address + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("it still answers after Kill")
	}
	if out := p.out.String(); out != "" {
		t.Errorf("it had the time to write %q", out)
	}
}
