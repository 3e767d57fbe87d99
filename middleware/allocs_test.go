//go:build !race

package middleware_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The race detector allocates on its own account, so this file is not for it.

// What a request costs is as the table in README says; and one that needs nothing
// costs two allocations more than Verify by itself, at most.
func TestAllocationsOfARequest(t *testing.T) {
	said := saidAllocations(t)
	x := newBench(t)
	verifier := x.auth(t).Verifier
	alone := testing.AllocsPerRun(1000, func() {
		if _, err := verifier.Verify(t.Context(), x.token); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		name    string
		handler http.Handler
		request *http.Request
		status  int
		most    float64
	}{
		{"a token that has been seen before, in the header", x.auth(t).Require(ok), x.header(), 200, alone + 2},
		{"the same in a cookie", x.auth(t).Require(ok), x.cookies(false), 200, alone + 2},
		{"the same of a login that can be refreshed", x.kept(t).Require(ok), x.cookies(true), 200, alone + 2},
		{"`Renew`, where the marker has time left", x.kept(t).Renew(ok), x.cookies(true), 200, alone + 2},
		{"refused with 401: no token", x.auth(t).Require(ok), request("Accept", "*/*"), 401, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &none{header: make(http.Header)}
			got := testing.AllocsPerRun(1000, func() {
				w.status = 0
				clear(w.header)
				tt.handler.ServeHTTP(w, tt.request)
			})
			want, found := said[tt.name]
			switch {
			case w.status != tt.status:
				t.Errorf("answered %d, want %d", w.status, tt.status)
			case !found || got != want:
				t.Errorf("%v allocations, and README says %v (in a row of this name: %t)", got, want, found)
			case got > tt.most:
				t.Errorf("%v allocations, want %v at most", got, tt.most)
			}
		})
	}
}

// saidAllocations are the numbers of the table in README, by the names of its rows.
func saidAllocations(t *testing.T) map[string]float64 {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]float64)
	_, table, _ := strings.Cut(string(readme), "\n| | time | allocations |\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			break
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(cells[3]), 64); err == nil {
			said[strings.TrimSpace(cells[1])] = n
		}
	}
	return said
}
