package providers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// A source is where the program of a provider comes from.
type source struct {
	folder string // of the module that pins it, beside this file
	main   string // the import path of the command
	cgo    bool   // it wants a compiler of C
}

// buildLimit bounds a build from nothing, on a machine that has other things to
// do: Hydra alone takes two minutes.
const buildLimit = 15 * time.Minute

// build returns the file of the built program. It is kept in the user's cache
// folder under a name of all that it is built from, and built once.
func (s source) build(t *testing.T) string {
	t.Helper()
	if s.cgo {
		need.Tool(t, "gcc", "a compiler of C; on Debian: apt-get install gcc libc6-dev")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		need.Missing(t, "there is no cache folder to keep a built provider in: set HOME or XDG_CACHE_HOME")
	}
	file := filepath.Join(cache, "tokenlife-providers", s.folder+"-"+s.fingerprint(t))
	if _, err := os.Stat(file); err == nil {
		return file
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(file), "build-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(scratch)
	ctx, cancel := context.WithTimeout(t.Context(), buildLimit)
	defer cancel()
	built := filepath.Join(scratch, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-buildvcs=false", "-o", built, s.main)
	cmd.Dir = s.folder
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		need.Missing(t, "building "+s.main+" needs the module proxy, or its modules in the module cache: (cd examples/providers/"+
			s.folder+" && GOWORK=off go mod download): "+err.Error()+"\n"+string(out))
	}
	t.Logf("built %s in %v", s.main, time.Since(began).Round(time.Second))
	if err := os.Rename(built, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// fingerprint returns a name for all that decides what is built.
func (s source) fingerprint(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	h := sha256.New()
	_, _ = io.WriteString(h, strings.Join([]string{runtime.Version(), runtime.GOOS, runtime.GOARCH, s.main}, "\n"))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(h, "\n"+filepath.Base(name)+"\n")
		_, _ = h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
