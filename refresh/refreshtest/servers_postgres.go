package refreshtest

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// StartPostgres starts a PostgreSQL server on this machine, which ends with the
// test, and returns the URL of an empty database in it. Every user of this
// machine can connect to it while it runs.
//
// It takes a second or two, so let the subtests of one test share it. It skips
// the test if initdb and postgres are neither on the PATH nor in the folder of
// Debian; with CI=true in the environment, it fails the test. PostgreSQL does
// not run as root: in a test that does, it runs as the user postgres, or else
// nobody.
func StartPostgres(t testing.TB) (dsn string) {
	t.Helper()
	folders := []string{"/usr/lib/postgresql/*/bin", "/usr/local/bin", "/opt/homebrew/bin"}
	initdb, postgres := find(folders, "initdb"), find(folders, "postgres")
	if initdb == "" || postgres == "" {
		missing(t, "PostgreSQL", "postgresql")
	}
	as, err := unprivileged()
	if err != nil {
		t.Fatalf("refreshtest: no user to run PostgreSQL as: %v", err)
	}
	dir := folder(t, as)
	data := filepath.Join(dir, "data")
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	out, err := command(ctx, dir, as, initdb, "-D", data, "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput()
	if err != nil {
		t.Fatalf("refreshtest: initdb: %v\n%s", err, out)
	}
	var s *server
	err = onFreePort(func(port string) (err error) {
		dsn = "postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable"
		ready := func(pid int) bool { return isReady(data, pid) }
		s, err = launch(t, dir, as, ready, postgres, "-D", data, "-p", port,
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
			"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
		return err
	})
	if err != nil {
		t.Fatalf("refreshtest: %v", err)
	}
	t.Cleanup(s.stop)
	return dsn
}

// isReady reports whether the server of process pid is ready, by the file
// postmaster.pid: the first line is its process ID, and the eighth its state.
func isReady(data string, pid int) bool {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	lines := strings.Split(string(b), "\n")
	return err == nil && len(lines) >= 8 && lines[0] == fmt.Sprint(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// An account is a user of this machine.
type account struct{ uid, gid int }

// unprivileged returns the account to use in place of root, or nil if the test
// does not run as root.
func unprivileged() (*account, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &account{uid, gid}, err
}
