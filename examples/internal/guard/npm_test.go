package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/need"
)

// A build gets the module for the browser from where the go command has put the
// Go module: one version of both. Nothing is fetched for it.
func TestTheBrowserModuleIsInstalledFromTheModuleCache(t *testing.T) {
	need.Tool(t, "npm", "Node.js 20 or newer, with npm; on Debian: apt-get install nodejs npm")
	need.Tool(t, "sh", "a POSIX shell; on Debian: apt-get install dash")
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	app := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module app\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + here + "\n",
		"package.json": `{"type": "module"}`,
		"app.js":       "import { createFetch } from 'tokenlife';\nif (typeof createFetch !== 'function') process.exit(1);\n",
	} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		`npm install "$(go list -m -f '{{.Dir}}' github.com/tokenlife/tokenlife)/middleware/script"`,
		"node app.js",
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = app
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod",
			"npm_config_offline=true", "npm_config_audit=false", "npm_config_update_notifier=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}
