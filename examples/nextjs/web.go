package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is where the packages of the examples are.
const module = "github.com/tokenlife/tokenlife/examples"

// A web is the Next.js app in the folder web, built for an API.
type web struct {
	node, dir, api string
}

// buildWeb installs the app's packages where that has not been done, and builds
// it. The API's address becomes a part of the build, with the rewrites.
func buildWeb(ctx context.Context, api string, log io.Writer) (*web, error) {
	dir, err := webFolder(ctx)
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errors.New("nextjs: node is not installed; this needs Node.js 20.9 or newer, with npm")
	}
	w := &web{node: node, dir: dir, api: api}
	if !w.installed() {
		fmt.Fprintln(log, "Installing the packages of the lockfile …")
		install := command(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
		install.Dir, install.Stdout, install.Stderr = dir, log, log
		if err := install.Run(); err != nil {
			return nil, fmt.Errorf("nextjs: npm ci: %w", err)
		}
	}
	fmt.Fprintln(log, "Building the app …")
	build := w.next(ctx, "build")
	build.Stdout, build.Stderr = log, log
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("nextjs: next build: %w", err)
	}
	return w, nil
}

// webFolder finds the app, from wherever in the module this is started.
func webFolder(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"/nextjs").Output()
	if err != nil {
		return "", fmt.Errorf("nextjs: start this within the examples: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "web"), nil
}

func (w *web) installed() bool {
	_, err := os.Stat(filepath.Join(w.dir, "node_modules", "next", "dist", "bin", "next"))
	return err == nil
}

// command returns the process that serves the app at address.
func (w *web) command(ctx context.Context, address string) *exec.Cmd {
	host, port, _ := net.SplitHostPort(address) // next says what is wrong with it
	// Node.js closes connections that are idle for 5 s, where the gateway uses
	// them for 90 s: a form sent at that very moment would be lost.
	cmd := w.next(ctx, "start", "--hostname", host, "--port", port, "--keepAliveTimeout", "100000")
	cmd.Env = append(cmd.Env, "PUBLIC_URL=http://"+address)
	return cmd
}

// next returns a process of Next.js, without npm in between, which would not
// pass signals on.
func (w *web) next(ctx context.Context, args ...string) *exec.Cmd {
	bin := filepath.Join("node_modules", "next", "dist", "bin", "next")
	cmd := command(ctx, w.node, append([]string{bin}, args...)...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1", "API_URL="+w.api)
	return cmd
}

// gatewayCommand builds the gateway in dir, and returns the process of it that is
// reached at address and leads to upstream.
func gatewayCommand(ctx context.Context, dir, issuer, address, upstream string) (*exec.Cmd, error) {
	file := filepath.Join(dir, "gateway")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", file, module+"/gateway").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("nextjs: building the gateway: %w\n%s", err, out)
	}
	cmd := command(ctx, file)
	cmd.Env = []string{
		"LISTEN=" + address,
		"UPSTREAM=" + upstream,
		"PUBLIC_PATHS=/welcome,/_next/static,/icon.svg",
		"ISSUER=" + issuer,
		"CLIENT_ID=client",
		"AUDIENCE=api",
		"SCOPES=openid offline_access",
		"LOG_LEVEL=warn",
	}
	return cmd, nil
}
