package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// The README's commands are run against the program, and give the answers that
// stand below them. Then the log and OpenTelemetry have told the same story, and
// nobody has told a secret.
func TestTheReadmesTranscriptIsTrue(t *testing.T) {
	need.Tool(t, "curl", "on Debian: apt-get install curl")
	// Curl takes Secure cookies over http from a host of this name only.
	_, site, _ := net.SplitHostPort(program.FreeAddress(t))
	_, metrics, _ := net.SplitHostPort(program.FreeAddress(t))
	site, metrics = "localhost:"+site, "localhost:"+metrics
	running := program.Run(t, program.Build(t, "."), program.Env("LISTEN="+site, "METRICS_LISTEN="+metrics), "http://"+metrics+"/metrics")

	dir, ran := t.TempDir(), 0
	var scraped bytes.Buffer
	for step := range strings.SplitSeq(transcript(t), "\n$ ") {
		command, want, _ := strings.Cut(strings.TrimPrefix(step, "$ "), "\n")
		here := strings.NewReplacer("localhost:8080", site, "localhost:9464", metrics).Replace(command)
		cmd := exec.CommandContext(t.Context(), "sh", "-c", here)
		cmd.Dir = dir
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, got)
		}
		if strings.TrimSpace(string(got)) != strings.TrimSpace(want) {
			t.Errorf("%s\ngives %s\nand the README says %s", command, got, want)
		}
		ran++
	}
	if ran != 8 {
		t.Errorf("%d commands were run, want 8", ran)
	}
	jar, err := os.ReadFile(filepath.Join(dir, "jar"))
	if err != nil {
		t.Fatal(err)
	}
	scrape := exec.CommandContext(t.Context(), "curl", "-s", metrics+"/metrics")
	scrape.Stdout = &scraped
	if err := scrape.Run(); err != nil {
		t.Fatal(err)
	}

	written := string(running.Stop(t))
	for _, want := range []string{
		`level=DEBUG msg=keys_fetched keys=1 took_ms=\d+ issuer=https://issuer\.example\n`,
		`level=INFO msg=signed_in issuer=https://issuer\.example subject=ann\n`,
		`level=DEBUG msg=provider_called outcome=exchanged waiters=1 took_ms=\d+\n`,
		`level=DEBUG msg=refreshed cause=asked took_ms=\d+ issuer=https://issuer\.example subject=ann\n`,
		`level=DEBUG msg=refused reason=no_token error=`,
		`level=WARN msg=provider_called outcome=failed waiters=1 took_ms=\d+ error="observe: the issuer is down"\n`,
		`level=INFO msg=refresh_failed cause=asked `,
		`level=WARN msg=refused reason=unavailable error=`,
		`"Name":"tokenlife\.refreshed","Attributes":\[\{"Key":"tokenlife\.refresh\.cause","Value":\{"Type":"STRING","Value":"asked"`,
		`"Name":"tokenlife\.provider_called"`,
		`"Name":"tokenlife\.refresh\.duration"`,
	} {
		if !regexp.MustCompile(want).MatchString(written) {
			t.Errorf("the program does not write %s", want)
		}
	}
	secrets := map[string][]string{}
	for line := range strings.Lines(string(jar)) {
		if fields := strings.Fields(line); len(fields) == 7 && fields[5] != "tokenLife" {
			secrets[fields[5]] = fields[6:]
		}
	}
	if len(secrets) != 2 {
		t.Errorf("the jar has %d secrets, want 2", len(secrets))
	}
	for _, name := range leak.Find(t, []byte(written+scraped.String()), secrets) {
		t.Errorf("%s is told", name)
	}
}

// transcript returns the README's commands and what they answer.
func transcript(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```console\n")
	commands, _, closed := strings.Cut(rest, "```")
	if !closed || !strings.HasPrefix(commands, "$ ") {
		t.Fatal("there is no transcript")
	}
	if !strings.Contains(string(readme), "\n    go run ./examples/observe\n") {
		t.Error("the README does not say how to start")
	}
	return commands
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used, free := taken.Addr().String(), "127.0.0.1:0"
	for _, tt := range []struct{ name, listen, metrics string }{
		{"LISTEN", used, free},
		{"METRICS_LISTEN", free, used},
	} {
		err := run(t.Context(), tt.listen, tt.metrics, io.Discard, io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), "observe: "+tt.name+": ") || !strings.Contains(err.Error(), used) {
			t.Errorf("%s: the error is %v", tt.name, err)
		}
	}
}
