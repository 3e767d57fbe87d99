package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/examples/internal/guard/leak"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

func TestMetricsTellWhatHappened(t *testing.T) {
	s := newSite(t, map[string]string{"METRICS_LISTEN": "127.0.0.1:0", "REFRESH_TIMEOUT": "5s"})
	for series, value := range s.scrape(t) {
		if strings.HasPrefix(series, "tokenlife_") && !strings.HasPrefix(series, "tokenlife_key_set_") && value != 0 {
			t.Errorf("before anything happened, %s is %v", series, value)
		}
	}
	mine := s.signIn(t)
	s.do(t, http.MethodGet, "/auth/callback?code=none&state=none", "")
	s.do(t, http.MethodGet, "/", mine)
	s.do(t, http.MethodGet, "/", "", "Authorization", "Bearer "+s.held(t, s.cookies(t, s.provider.Login("mobile"))).Access)

	const together = 20
	old := s.expired(t, "alice")
	const brief = 50 * time.Millisecond
	s.provider.SetDelay(brief)
	var wg sync.WaitGroup
	for range together {
		wg.Go(func() { s.do(t, http.MethodGet, "/", old) })
	}
	wg.Wait()
	s.provider.SetDelay(0)
	s.do(t, http.MethodGet, "/", old)

	s.do(t, http.MethodGet, "/", "")
	s.do(t, http.MethodPost, "/", mine, "Sec-Fetch-Site", "cross-site")
	over := s.expired(t, "bob")
	s.provider.End("bob")
	s.do(t, http.MethodGet, "/", over)
	waiting := s.expired(t, "carol")
	s.provider.Fail(refreshtest.ServerError, -1)
	s.do(t, http.MethodGet, "/", waiting)
	s.provider.Fail(refreshtest.None, 0)
	s.do(t, http.MethodPost, "/auth/refresh", mine)
	s.logoutByProvider(t, "nothing")
	s.do(t, http.MethodPost, "/auth/logout", mine)

	got := s.scrape(t)
	for series, want := range map[string]float64{
		`sign_ins_total`:                                          1,
		`sign_ins_failed_total{reason="other"}`:                   1,
		`sign_outs_total{result="ok"}`:                            1,
		`back_channel_logouts_total{result="failed"}`:             1,
		`requests_verified_total{credential="cookie"}`:            1 + together + 1,
		`requests_verified_total{credential="header"}`:            1,
		`requests_refused_total{reason="no_token"}`:               1,
		`requests_refused_total{reason="cross_origin"}`:           1,
		`requests_refused_total{reason="login_over"}`:             1,
		`requests_refused_total{reason="unavailable"}`:            1,
		`refreshes_total{cause="asked",result="refreshed"}`:       1,
		`refreshes_total{cause="expired",result="ended"}`:         1,
		`refreshes_total{cause="expired",result="failed"}`:        1,
		`provider_call_seconds_count{outcome="exchanged"}`:        2, // however many waited
		`provider_call_seconds_count{outcome="denied"}`:           1,
		`provider_call_seconds_count{outcome="failed"}`:           1,
		`store_failures_total{asked_by="refresh"}`:                0,
		`sessions_ended_total{reason="reused"}`:                   0,
		`refreshes_total{cause="expired",result="other_subject"}`: 0,
	} {
		if got["tokenlife_"+series] != want {
			t.Errorf("%s is %v, want %v", series, got["tokenlife_"+series], want)
		}
	}
	// Who comes while the call is under way waits for it; who comes later is given
	// what it brought.
	refreshed, remembered := got[`tokenlife_refreshes_total{cause="expired",result="refreshed"}`], got[`tokenlife_refreshes_total{cause="expired",result="remembered"}`]
	if refreshed < 1 || remembered < 1 || refreshed+remembered != together+1 {
		t.Errorf("%v requests were refreshed and %v got remembered tokens, of %d", refreshed, remembered, together+1)
	}
	if waiters := got["tokenlife_provider_call_waiters_total"]; waiters != refreshed+3 {
		t.Errorf("%v waited, want the %v and 3 more", waiters, refreshed)
	}
	if got[`tokenlife_refresh_wait_seconds_sum{result="refreshed"}`] < brief.Seconds() {
		t.Error("the time that requests waited is not there")
	}
	if got[`tokenlife_key_set_fetch_seconds_count{result="ok"}`] < 1 {
		t.Error("no key set was fetched")
	}
	if got["go_goroutines"] < 1 || got["process_start_time_seconds"] < 1 {
		t.Error("the process does not tell of itself")
	}
}

func TestMetricsOfAStolenHandle(t *testing.T) {
	s := newSite(t, map[string]string{"METRICS_LISTEN": "127.0.0.1:0", "SESSIONS": "server", "GRACE": "0s"})
	cookie := s.signIn(t)
	s.refreshTogether(t, 1, s.refreshTogether(t, 1, cookie))
	s.do(t, http.MethodPost, "/auth/refresh", cookie)
	if got := s.scrape(t)[`tokenlife_sessions_ended_total{reason="reused"}`]; got != 1 {
		t.Errorf("%v logins ended by reuse, want 1", got)
	}
}

// Each failure is counted, where the log tells of them every ten seconds.
func TestMetricsOfAStoreThatIsDown(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	closed.Close()
	s := newSite(t, map[string]string{"METRICS_LISTEN": "127.0.0.1:0", "STORE": "redis://" + address, "REFRESH_TIMEOUT": "1s"})
	const logins = 3
	for range logins {
		if a := s.do(t, http.MethodGet, "/", s.expired(t, "alice")); a.status != http.StatusOK {
			t.Errorf("status %d", a.status)
		}
	}
	got := s.scrape(t)
	for who, least := range map[string]float64{"refresh": logins, "revocations": 1} {
		if n := got[`tokenlife_store_failures_total{asked_by="`+who+`"}`]; n < least {
			t.Errorf("%v failures for %s, want %v or more", n, who, least)
		}
	}
	for _, kind := range []string{"store_degraded", "revocations_failed"} {
		if n := strings.Count(s.lines.text(), `"msg":"`+kind+`"`); n != 1 {
			t.Errorf("the log tells of %s %d times", kind, n)
		}
	}
}

func TestMetricsAreAtTheirOwnAddressAlone(t *testing.T) {
	s := newSite(t, map[string]string{"METRICS_LISTEN": "127.0.0.1:0"})
	metrics := "http://" + s.lines.metrics(t)
	for _, tt := range []struct {
		method, url string
		want        int
	}{
		{http.MethodGet, metrics + "/metrics", http.StatusOK},
		{http.MethodPost, metrics + "/metrics", http.StatusMethodNotAllowed},
		{http.MethodGet, metrics + "/", http.StatusNotFound},
		{http.MethodGet, metrics + "/auth/session", http.StatusNotFound},
		{http.MethodGet, s.url + "/metrics", http.StatusUnauthorized}, // a path of the upstream's
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.url, resp.StatusCode, tt.want)
		}
	}

	off := newSite(t, nil)
	if off.lines.has("INFO", "metrics") {
		t.Error("there are metrics that nobody asked for")
	}
}

func TestMetricsLastAsLongAsTheLastRequest(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	s := newSiteBefore(t, map[string]string{"PUBLIC_PATHS": "/", "METRICS_LISTEN": "127.0.0.1:0"},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(arrived)
			<-goOn
		}))
	var wg sync.WaitGroup
	wg.Go(func() { s.do(t, http.MethodGet, "/", "") })
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	eventually(t, "no more connections are accepted", func() bool {
		_, err := s.try(t.Context(), http.MethodGet, "/healthz", "")
		return err != nil
	})
	s.scrape(t)
	close(goOn)
	wg.Wait()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if resp, err := s.client.Get("http://" + s.lines.metrics(t) + "/metrics"); err == nil {
		resp.Body.Close()
		t.Error("the metrics are still there")
	}
}

// scrape returns the series that Prometheus gets, in which there is no secret.
func (s *site) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	resp, err := s.client.Get("http://" + s.lines.metrics(t) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the metrics are answered with %d: %v", resp.StatusCode, err)
	}
	s.mu.Lock()
	secrets := map[string][]string{"the client's secret": {testSecret}, "the key": {testKey}, "a token, code, state or cookie": s.secrets}
	s.mu.Unlock()
	for _, name := range leak.Find(t, text, secrets) {
		t.Errorf("the metrics contain %s", name)
	}
	series := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(number, 64); err == nil {
			series[name] = value
		}
	}
	return series
}

// metrics returns the address of the metrics, which the log tells.
func (l *logLines) metrics(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(l.text()) {
		var v struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &v) == nil && v.Msg == "metrics" {
			return v.Address
		}
	}
	t.Fatal("the log does not tell where the metrics are")
	return ""
}
