package refreshtest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Redis is a Redis or Valkey server on this machine that keeps everything in
// memory. Its methods may be called from any goroutine.
type Redis struct {
	// Addr is its address: 127.0.0.1 and a port. It is the same after a
	// restart.
	Addr string

	t     testing.TB
	start func(port string) error

	mu     sync.Mutex
	server *server
}

// StartRedis starts a server, which ends with the test. Args are added to its
// command line, such as "--cluster-enabled", "yes".
//
// It skips the test if neither redis-server nor valkey-server is on the PATH;
// with CI=true in the environment, it fails the test.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	program := find(nil, "redis-server", "valkey-server")
	if program == "" {
		missing(t, "redis-server", "redis-server")
	}
	r := &Redis{t: t}
	dir := folder(t, nil)
	r.start = func(port string) (err error) {
		addr := net.JoinHostPort("127.0.0.1", port)
		ready := func(pid int) bool { return isRedis(addr, pid) }
		r.server, err = launch(t, dir, nil, ready, program, append([]string{
			"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		}, args...)...)
		return err
	}
	err := onFreePort(func(port string) error {
		r.Addr = net.JoinHostPort("127.0.0.1", port)
		return r.start(port)
	})
	if err != nil {
		t.Fatalf("refreshtest: %v", err)
	}
	t.Cleanup(r.Kill)
	return r
}

// Kill ends the server at once. Its data are lost, connections are reset, and
// new ones are refused. Kill does nothing if the server is down.
func (r *Redis) Kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		r.server.kill()
		r.server = nil
	}
}

// Restart starts the server again at the same address, without data, and
// returns when it answers. If the server is up, Restart kills it first. A
// failure fails the test.
func (r *Redis) Restart() {
	r.Kill()
	r.mu.Lock()
	defer r.mu.Unlock()
	_, port, _ := net.SplitHostPort(r.Addr) // made by JoinHostPort
	if err := r.start(port); err != nil {
		r.t.Errorf("refreshtest: %v", err)
	}
}

// isRedis reports whether the server at addr answers and is process pid.
// Another server may have taken the port.
func isRedis(addr string, pid int) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "INFO server\r\nQUIT\r\n"); err != nil {
		return false
	}
	info, _ := io.ReadAll(conn) // a part of the answer is enough
	return strings.Contains(string(info), fmt.Sprintf("\nprocess_id:%d\r", pid))
}
