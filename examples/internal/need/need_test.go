package need_test

import (
	"path/filepath"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// A recorder is a test that notes how it ends, and goes on.
type recorder struct {
	testing.TB
	ends []string
}

func (r *recorder) Helper()      {}
func (r *recorder) Skip(...any)  { r.ends = append(r.ends, "skipped") }
func (r *recorder) Fatal(...any) { r.ends = append(r.ends, "failed") }

func TestWhatIsMissingIsSkippedButNotInCI(t *testing.T) {
	for _, c := range []struct{ ci, tool, want string }{
		{"", "go", ""},
		{"true", "go", ""},
		{"", "no-such-tool", "skipped"},
		{"false", "no-such-tool", "skipped"},
		{"true", "no-such-tool", "failed"},
	} {
		t.Setenv("CI", c.ci)
		r := &recorder{TB: t}
		path := need.Tool(r, c.tool, "on Debian: apt-get install it")
		if c.want == "" && (len(r.ends) > 0 || !filepath.IsAbs(path)) {
			t.Errorf("CI=%s, %s: at %q, %v", c.ci, c.tool, path, r.ends)
		}
		if c.want != "" && (len(r.ends) == 0 || r.ends[0] != c.want) {
			t.Errorf("CI=%s, %s: %v, want %s", c.ci, c.tool, r.ends, c.want)
		}
	}
}
