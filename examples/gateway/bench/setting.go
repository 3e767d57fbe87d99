package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A setting is all that runs: an upstream, the ways to it and a provider.
type setting struct {
	provider                        *httptest.Server
	upstream, bare, pooled, gateway *process
	cookie                          string // of a user who has signed in
}

func newSetting(gateway string) (s *setting, err error) {
	s = &setting{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Longer than a run takes: what is measured is a request that needs nothing.
	s.provider = refreshtest.NewServer(&refreshtest.Provider{AccessLife: time.Hour})
	if s.upstream, err = start(environ(), self, "-upstream"); err != nil {
		return s, err
	}
	if s.bare, err = start(environ(), self, "-bare", s.upstream.url); err != nil {
		return s, err
	}
	if s.pooled, err = start(environ(), self, "-bare", s.upstream.url, "-pool"); err != nil {
		return s, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never returns an error
	s.gateway, err = start(environ(
		"LISTEN=127.0.0.1:0", "UPSTREAM="+s.upstream.url, "ISSUER="+s.provider.URL,
		"CLIENT_ID=client", "AUDIENCE=api", "COOKIE_KEYS="+hex.EncodeToString(key),
	), gateway)
	if err != nil {
		return s, err
	}
	s.cookie, err = signIn(s.gateway.url)
	return s, err
}

func (s *setting) close() {
	for _, p := range []*process{s.gateway, s.pooled, s.bare, s.upstream} {
		if p != nil {
			_ = p.cmd.Process.Kill() // an error means that it is gone
			_ = p.cmd.Wait()
		}
	}
	s.provider.Close()
}

// signIn goes the way of a browser, and returns its Cookie header.
func signIn(gateway string) (string, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	cookie, at := "", gateway+"/auth/login"
	for range 3 { // to the provider, back to the gateway, and signed in
		r, err := http.NewRequest(http.MethodGet, at, nil)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(at, gateway) {
			r.Header.Set("Cookie", cookie)
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		resp, err := client.Do(r)
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		if set := resp.Cookies(); len(set) > 0 {
			var pairs []string
			for _, c := range set {
				if c.MaxAge >= 0 {
					pairs = append(pairs, c.Name+"="+c.Value)
				}
			}
			cookie = strings.Join(pairs, "; ")
		}
		to, err := resp.Location()
		if err != nil {
			return "", fmt.Errorf("signing in ends with %s", resp.Status)
		}
		at = to.String()
	}
	if !strings.Contains(cookie, "accessToken=") {
		return "", errors.New("signing in brings no cookies")
	}
	return cookie, nil
}

// A process is a server in a process of its own, whose time can be taken.
type process struct {
	cmd *exec.Cmd
	url string
}

// start starts a program and waits for the line that tells where it listens.
func start(env []string, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines, last := bufio.NewScanner(out), ""
	for lines.Scan() {
		var line struct{ Msg, Address string }
		last = lines.Text()
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			go func() {
				for lines.Scan() {
				}
			}()
			return &process{cmd, "http://" + line.Address}, nil
		}
	}
	_ = cmd.Wait()
	return nil, fmt.Errorf("%s does not start: %s", program, last)
}

// cpu returns the processor time that p has used, from the 14th and 15th field
// of its stat file, which count hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // after the program's name
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the processor time of a process cannot be read")
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// A load is what wrk tells of a round.
type load struct{ requests, rate float64 }

var (
	requestsLine = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	rateLine     = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
)

func wrk(url, cookie string, d time.Duration, connections int) (load, error) {
	args := []string{"-t", "1", "-c", strconv.Itoa(connections), "-d", fmt.Sprintf("%ds", int(d.Seconds()))}
	if cookie != "" {
		args = append(args, "-H", "Cookie: "+cookie)
	}
	out, err := exec.Command("wrk", append(args, url+"/")...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w", err)
	}
	requests, rate := requestsLine.FindSubmatch(out), rateLine.FindSubmatch(out)
	if requests == nil || rate == nil {
		return load{}, errors.New("wrk: its output is not as expected")
	}
	if text := string(out); strings.Contains(text, "Non-2xx") || strings.Contains(text, "Socket errors") {
		return load{}, errors.New("wrk: some requests have failed")
	}
	var l load
	var err1, err2 error
	l.requests, err1 = strconv.ParseFloat(string(requests[1]), 64)
	l.rate, err2 = strconv.ParseFloat(string(rate[1]), 64)
	return l, errors.Join(err1, err2)
}
