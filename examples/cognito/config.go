package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// A config is the environment, read.
type config struct {
	listen    string // LISTEN
	publicURL string // PUBLIC_URL; empty: what listen comes to
	poolID    string // USER_POOL_ID, which begins with the region
	clientID  string // CLIENT_ID
	secret    string // CLIENT_SECRET
	domain    string // DOMAIN, the hosted pages' URL
	endpoint  string // ENDPOINT, the URL of an emulator; empty: it is AWS
	group     string // GROUP that /admin is for
	password  bool   // PASSWORD_FORM
	keys      *cookies.KeyRing

	client *http.Client // reaches the pool; nil: the default one
}

// readConfig reads the environment. With local the pool's variables are neither
// needed nor read.
func readConfig(getenv func(string) string, local bool) (config, error) {
	get := func(name, unset string) string {
		if v := strings.TrimSpace(getenv(name)); v != "" {
			return v
		}
		return unset
	}
	c := config{
		listen:    get("LISTEN", "localhost:8080"),
		publicURL: strings.TrimSuffix(get("PUBLIC_URL", ""), "/"),
		group:     get("GROUP", "admins"),
		password:  local || get("PASSWORD_FORM", "") == "1",
	}
	if !local {
		c.poolID, c.clientID = get("USER_POOL_ID", ""), get("CLIENT_ID", "")
		c.secret = get("CLIENT_SECRET", "")
		c.domain = strings.TrimSuffix(get("DOMAIN", ""), "/")
		c.endpoint = strings.TrimSuffix(get("ENDPOINT", ""), "/")
		for _, required := range []struct{ name, value string }{
			{"USER_POOL_ID", c.poolID},
			{"CLIENT_ID", c.clientID},
			{"DOMAIN", c.domain},
		} {
			if required.value == "" {
				return config{}, fmt.Errorf("cognito: %s is required; to try it without a user pool: -local", required.name)
			}
		}
		if region, name, ok := strings.Cut(c.poolID, "_"); !ok || region == "" || name == "" {
			return config{}, fmt.Errorf("cognito: USER_POOL_ID must be like eu-central-1_AbCdEfGhI")
		}
	}
	if c.publicURL != "" {
		if u, err := discovery.ParseURL(c.publicURL); err != nil || u.Path != "" || u.RawQuery != "" {
			return config{}, fmt.Errorf("cognito: PUBLIC_URL must be an origin like https://shop.example")
		}
	}
	key, err := hex.DecodeString(get("COOKIE_KEY", ""))
	switch {
	case err != nil || len(key) != 0 && len(key) != 32:
		return config{}, fmt.Errorf("cognito: COOKIE_KEY must be 64 hexadecimal digits")
	case len(key) == 0: // good until the program ends, and with it all logins
		key = make([]byte, 32)
		_, _ = rand.Read(key) // it never returns an error
	}
	c.keys, err = cookies.NewKeyRing(key)
	if err != nil {
		return config{}, fmt.Errorf("cognito: COOKIE_KEY: %w", err)
	}
	return c, nil
}

// address is what to type into a browser: the host that was asked for, because
// cookies belong to that name, and the port that was got.
func address(listen string, got net.Addr) string {
	host, _, _ := net.SplitHostPort(listen) // it has been listened on
	port := 0
	if tcp, ok := got.(*net.TCPAddr); ok {
		port = tcp.Port
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}
