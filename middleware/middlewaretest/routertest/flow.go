package routertest

import (
	"bufio"
	"io"
	"net/http"
	"sync"
	"testing"
)

// testFlow is about answers that do not come in one piece, and about many.
func testFlow(t *testing.T, protocol string, r Router) {
	ended := (&visit{login: ann, ended: true}).claims()
	due := (&visit{login: ann, due: true}).claims()

	for name, claims := range map[string]map[string]any{"after a refresh": ended, "beside a refresh": due, "without one": ann} {
		t.Run("a stream arrives as it is written, "+name, func(t *testing.T) {
			w := newWorld(t, protocol, r.Handler, nil)
			res, err := w.client.Do(w.request(t, "GET", "/stream", "", claims))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			lines := bufio.NewReader(res.Body)
			if line, err := lines.ReadString('\n'); line != "one\n" || err != nil {
				t.Fatalf("first %q, %v", line, err)
			}
			w.site.seen <- struct{}{}
			if line, err := lines.ReadString('\n'); line != "two\n" || err != nil {
				t.Errorf("then %q, %v", line, err)
			}
			want := renewed
			if name == "without one" {
				want = untouched
			}
			if e := effectOf(t, res); e != want || res.Proto != protocol {
				t.Errorf("for the browser's cookies: it %s over %s, want that it %s", e, res.Proto, want)
			}
		})
	}

	t.Run("an aborted answer is aborted", func(t *testing.T) {
		w := newWorld(t, protocol, r.Handler, nil)
		res, err := w.client.Do(w.request(t, "GET", "/abort", "", ended))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("an answer that looks whole: %q", got)
		}
		if e := effectOf(t, res); e != renewed {
			t.Errorf("for the browser's cookies: it %s", e)
		}
	})

	t.Run("a panic loses no login", func(t *testing.T) {
		w := newWorld(t, protocol, r.Handler, nil)
		first := w.request(t, "GET", "/panic", "", ended)
		if res, _ := w.do(t, first); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("answered %d", res.StatusCode)
		}
		again := w.request(t, "GET", "/private", "", nil)
		again.Header["Cookie"] = first.Header["Cookie"]
		res, got := w.do(t, again)
		if e := effectOf(t, res); res.StatusCode != 200 || got != "ann" || e != renewed {
			t.Errorf("then %d %q, and it %s", res.StatusCode, got, e)
		}
		w.wantRefreshes(t, 1)
	})

	if protocol == "HTTP/1.1" { // there is no such thing in HTTP/2
		t.Run("a connection is taken over with the cookies", func(t *testing.T) {
			w := newWorld(t, protocol, r.Handler, nil)
			res, got := w.do(t, w.request(t, "GET", "/hijack", "", ended))
			if e := effectOf(t, res); res.StatusCode != 200 || got != "hijacked" || e != renewed {
				t.Errorf("answered %d %q, and it %s", res.StatusCode, got, e)
			}
		})
	}

	t.Run("many requests at once are one refresh", func(t *testing.T) {
		w := newWorld(t, protocol, r.Handler, nil)
		first := w.request(t, "GET", "/private", "", ended)
		var group sync.WaitGroup
		var mu sync.Mutex
		values := make(map[string]int)
		for range 20 {
			r := first.Clone(t.Context())
			group.Go(func() {
				res, err := w.client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				got, err := io.ReadAll(res.Body)
				if res.StatusCode != 200 || string(got) != "ann" || err != nil {
					t.Errorf("answered %d %q, %v", res.StatusCode, got, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, c := range res.Cookies() {
					values[c.Name+c.Value]++
				}
			})
		}
		group.Wait()
		if len(values) != 3 {
			t.Errorf("%d different cookies", len(values))
		}
		w.wantRefreshes(t, 1)
	})
}
