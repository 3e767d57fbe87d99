package refreshtest_test

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestRedisIsKilledAndComesBackEmptyAtItsAddress(t *testing.T) {
	r := refreshtest.StartRedis(t)
	addr := r.Addr
	if got := tell(t, addr, "SET k v"); got != "+OK" {
		t.Fatalf("SET: %q", got)
	}
	if got := tell(t, addr, "GET k"); got != "$1" {
		t.Fatalf("GET: %q", got)
	}
	r.Kill()
	r.Kill() // once more changes nothing
	if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		conn.Close()
		t.Error("it is still there after Kill")
	}
	r.Restart()
	if r.Addr != addr {
		t.Errorf("the address is now %s, was %s", r.Addr, addr)
	}
	if got := tell(t, addr, "GET k"); got != "$-1" {
		t.Errorf("GET after a restart: %q, want nothing", got)
	}
}

func TestRedisTakesArguments(t *testing.T) {
	r := refreshtest.StartRedis(t, "--cluster-enabled", "yes")
	if got := tell(t, r.Addr, "SET k v"); !strings.HasPrefix(got, "-CLUSTERDOWN") {
		t.Errorf("SET in a cluster without slots: %q", got)
	}
}

func TestServersEndWithTheirTest(t *testing.T) {
	var addrs []string
	t.Run("inner", func(t *testing.T) {
		addrs = append(addrs, refreshtest.StartRedis(t).Addr)
		u, err := url.Parse(refreshtest.StartPostgres(t))
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, u.Host)
		conn := dial(t, u.Host)
		// A request for TLS, which gets a refusal in one byte.
		if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1)
		if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'N' {
			t.Errorf("PostgreSQL answers %q, %v", answer, err)
		}
	})
	for _, addr := range addrs {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			conn.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

const absent = "REFRESHTEST_ABSENT"

func TestAMachineWithoutRedisSkipsOrFails(t *testing.T) {
	if os.Getenv(absent) != "" {
		refreshtest.StartRedis(t)
		return
	}
	for ci, want := range map[string]string{"": "--- SKIP", "false": "--- SKIP", "true": "--- FAIL"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestAMachineWithoutRedisSkipsOrFails$")
		cmd.Env = append(os.Environ(), absent+"=1", "PATH="+t.TempDir(), "CI="+ci)
		out, _ := cmd.CombinedOutput() // the text tells
		if !strings.Contains(string(out), want) || !strings.Contains(string(out), "apt-get install redis-server") {
			t.Errorf("CI=%s: want %s and a hint:\n%s", ci, want, out)
		}
	}
}

// tell sends one command and returns the first line of the answer.
func tell(t *testing.T, addr, command string) string {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}
