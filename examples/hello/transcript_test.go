package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/examples/internal/need"
	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// The commands of the README's transcript, run by a shell against the program,
// give what stands below them: other headers may come between, tokens and times
// differ. So that it does not take 20 seconds, tokens live for two.
func TestTheReadmesCommandsGiveWhatItShows(t *testing.T) {
	for tool, debian := range map[string]string{"sh": "dash", "curl": "curl"} {
		need.Tool(t, tool, "on Debian: apt-get install "+debian)
	}
	address := program.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	local := strings.NewReplacer("localhost:8080", "localhost:"+port, "20 * time.Second", "2 * time.Second", "sleep 20", "sleep 2")
	startHello(t, local, address)

	_, rest, _ := strings.Cut(block(t, "console", "$ curl"), "$ ")
	jar := t.TempDir()
	ran := 0
	for step := range strings.SplitSeq(rest, "\n$ ") {
		command, shown, _ := strings.Cut(step, "\n")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", local.Replace(command))
		cmd.Dir = jar
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		answer := strings.Split(strings.ReplaceAll(strings.TrimRight(string(out), "\n"), "\r", ""), "\n")
		for line := range strings.Lines(strings.TrimRight(shown, "\n")) {
			want := differing.ReplaceAllString(strings.TrimRight(line, "\n"), "$1…")
			i := 0
			for i < len(answer) && differing.ReplaceAllString(answer[i], "$1…") != want {
				i++
			}
			if i == len(answer) {
				t.Errorf("%s\ngives, at that place, no line\n%s", command, want)
				break
			}
			answer = answer[i+1:]
		}
		ran++
	}
	if ran != 3 {
		t.Errorf("%d commands were run, want 3", ran)
	}
}

// differing is what is another one in every run.
var differing = regexp.MustCompile(`((?:Token|tokenLife|Max-Age)=)[^;]*`)

// startHello starts the program with something replaced in its source, until the
// test ends.
func startHello(t *testing.T, replace *strings.Replacer, address string) {
	t.Helper()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	name, err := filepath.Abs("main.go")
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	changed, overlay := filepath.Join(scratch, "main.go"), filepath.Join(scratch, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{name: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{changed: replace.Replace(string(source)), overlay: string(text)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(scratch, "hello")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", overlay, "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(file)
	var written bytes.Buffer // whole after Wait
	cmd.Stdout, cmd.Stderr = &written, &written
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // a status tells nothing after a kill
		leak.Keep(t, "hello", written.Bytes())
	})
	again, late := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatal("the program does not listen")
		}
	}
}
