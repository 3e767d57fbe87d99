package main

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// An environment reads variables and keeps the first mistake.
type environment struct {
	getenv func(string) string
	err    error
}

// wrong notes a mistake; why follows the variable's name.
func (e *environment) wrong(name, why string) {
	if e.err == nil {
		e.err = fmt.Errorf("gateway: %s %s", name, why)
	}
}

func (e *environment) text(name, unset string) string {
	if v := strings.TrimSpace(e.getenv(name)); v != "" {
		return v
	}
	return unset
}

func (e *environment) required(name string) string {
	v := e.text(name, "")
	if v == "" {
		e.wrong(name, "is required")
	}
	return v
}

func (e *environment) flag(name string) bool {
	switch e.text(name, "0") {
	case "0":
		return false
	case "1":
		return true
	}
	e.wrong(name, "must be 1, or else 0 or empty")
	return false
}

// list reads values between any of the separators.
func (e *environment) list(name, separators string) []string {
	var all []string
	for v := range strings.FieldsFuncSeq(e.getenv(name), func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if v = strings.TrimSpace(v); v != "" {
			all = append(all, v)
		}
	}
	return all
}

// provider reads a URL of the provider, to which secrets are sent.
func (e *environment) provider(name string, required bool) string {
	raw := e.text(name, "")
	if raw == "" {
		if required {
			e.wrong(name, "is required")
		}
		return ""
	}
	if _, err := discovery.ParseURL(raw); err != nil {
		e.wrong(name, err.Error())
	}
	return raw
}

func (e *environment) upstream(name string) *url.URL {
	raw := e.required(name)
	u, err := discovery.ParseInsecureURL(raw)
	switch {
	case err != nil:
		e.wrong(name, err.Error()+": it must be an http or https URL such as http://127.0.0.1:3000")
		return nil
	case strings.Trim(u.Path, "/") != "" || strings.Contains(raw, "?"):
		e.wrong(name, "must have no path or query: paths are passed on as they are")
	}
	return u
}

// origins reads origins and returns them as browsers write them.
func (e *environment) origins(name string) []string {
	all := e.list(name, ",")
	protection := http.NewCrossOriginProtection()
	for i, o := range all {
		u, err := discovery.ParseInsecureURL(o)
		if err != nil || strings.Contains(u.Host, "*") || protection.AddTrustedOrigin(o) != nil {
			e.wrong(name, "must be origins such as https://app.example.com")
			return nil
		}
		all[i] = asBrowsersWrite(u)
	}
	return all
}

// paths reads path prefixes, which must be what cleaning leaves of them.
func (e *environment) paths(name string) []string {
	all := e.list(name, ",")
	for i, p := range all {
		if p != "/" {
			all[i] = strings.TrimSuffix(p, "/")
		}
		if p[0] != '/' || path.Clean(all[i]) != all[i] || !isPlain(all[i]) {
			e.wrong(name, "must be paths such as /assets, in ASCII, not percent-encoded, without dot segments and double slashes")
		}
	}
	return all
}

func (e *environment) hexKeys(name string) [][]byte {
	var keys [][]byte
	for i, v := range e.list(name, ",") {
		key, err := hex.DecodeString(v)
		if err != nil || len(key) != 32 {
			e.wrong(name, fmt.Sprintf("must be keys of 64 hexadecimal digits; key %d is not", i+1))
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}

// duration reads a duration where 0s means none, which the fields that it goes
// to write as a negative one.
func (e *environment) duration(name string, unset time.Duration) time.Duration {
	v := e.text(name, "")
	if v == "" {
		return unset
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		e.wrong(name, "must be a duration such as 30s, not negative")
	}
	if d == 0 {
		return -1
	}
	return d
}

func (e *environment) positive(name string, unset time.Duration) time.Duration {
	d := e.duration(name, unset)
	if d < 0 {
		e.wrong(name, "must be longer than 0s")
	}
	return d
}

func (e *environment) level(name string) slog.Level {
	switch v := e.text(name, "info"); v {
	case "debug", "info", "warn", "error":
		var l slog.Level
		_ = l.UnmarshalText([]byte(v)) // these it knows
		return l
	}
	e.wrong(name, "must be debug, info, warn or error")
	return 0
}

func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// asBrowsersWrite returns the origin of u as it comes in an Origin header: without
// the port that its scheme has anyway.
func asBrowsersWrite(u *url.URL) string {
	if u.Scheme == "https" {
		return strings.TrimSuffix(origin(u), ":443")
	}
	return strings.TrimSuffix(origin(u), ":80")
}
