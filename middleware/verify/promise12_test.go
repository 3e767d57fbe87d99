package verify

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A synctest bubble panics if a goroutine is left when its function returns, so
// that each of these tests also shows that none is.

func TestPromise12CloseEndsAFetchThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.set(hang)
		j, err := New(Issuer{URL: testURL, KeysURL: testKeysURL, Audience: []string{testAudience}})
		if err != nil {
			t.Fatal(err)
		}
		j.Client = &http.Client{Transport: p}
		done := make(chan error)
		go func() {
			_, err := j.Verify(context.Background(), s.far())
			done <- err
		}()
		synctest.Wait()
		before := time.Now()
		j.Close()
		if err := <-done; err == nil {
			t.Error("the request was let through")
		}
		if d := time.Since(before); d != 0 {
			t.Errorf("Close took %v", d)
		}
		want(t, j, s.far(), "unknown")
		j.Close() // a second time does no harm
	})
}

func TestPromise12CloseForgetsRememberedTokens(t *testing.T) {
	s, j, p := newPair(t, "ES256")
	raw := s.token(nil)
	want(t, j, raw, "accepted")
	j.Close()
	want(t, j, raw, "unknown")
	if p.count() != 1 {
		t.Errorf("%d fetches, want none after Close", p.count())
	}
}

func TestPromise12CloseEndsDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.set(hang)
		j, err := New(Issuer{URL: testURL, Audience: []string{testAudience}})
		if err != nil {
			t.Fatal(err)
		}
		j.Client = &http.Client{Transport: p}
		go j.Verify(context.Background(), s.far())
		synctest.Wait()
		before := time.Now()
		j.Close()
		synctest.Wait()
		if d := time.Since(before); d != 0 {
			t.Errorf("discovery went on for %v", d)
		}
	})
}

func TestPromise12AKeySetThatIsPushedOutTakesItsFetchWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := new(provider), newSigner("ES256", "key-1")
		p.serve(jwks(s))
		j := newTenants(p)
		j.KeySets = 1
		defer j.Close()
		at := func(tenant string) string { return s.token(map[string]any{"iss": tenantURL(tenant)}) }
		cached := at("one")
		want(t, j, cached, "accepted")
		p.set(hang)
		time.Sleep(defaultMaxAge * 3 / 4)
		want(t, j, cached, "accepted") // starts a fetch beside the request
		synctest.Wait()
		fetching := p.count()
		p.serve(jwks(s))
		before := time.Now()
		want(t, j, at("two"), "accepted") // pushes the other set out
		synctest.Wait()
		if d := time.Since(before); d != 0 || fetching != 2 {
			t.Errorf("%d fetches before, and it took %v", fetching, d)
		}
		want(t, j, cached, "accepted") // with a set fetched anew
		if p.count() != fetching+2 {
			t.Errorf("%d fetches, want %d", p.count(), fetching+2)
		}
	})
}

func TestPromise12NoGoroutineIsLeftOverRealConnections(t *testing.T) {
	s := newSigner("ES256", "key-1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(jwks(s)) }))
	defer server.Close()
	for range 20 {
		j, err := New(Issuer{URL: testURL, KeysURL: server.URL, Audience: []string{testAudience}})
		if err != nil {
			t.Fatal(err)
		}
		want(t, j, s.token(nil), "accepted")
		j.Close()
	}
	var left string
	for range 1000 { // connections take a moment to close
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left = ""
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "middleware/verify.(*keySet)") || strings.Contains(stack, "net/http.(*persistConn)") {
				left += stack + "\n"
			}
		}
		if left == "" {
			return
		}
		runtime.Gosched()
		server.CloseClientConnections()
	}
	t.Error(left)
}

func tenantURL(name string) string { return fmt.Sprintf("https://%s.example", name) }

// newTenants returns a JWT that finds its issuers at run time, at p.
func newTenants(p *provider) *JWT {
	return &JWT{
		Client: &http.Client{Transport: p},
		Lookup: func(_ context.Context, issuer string) (Issuer, error) {
			if !strings.HasSuffix(issuer, ".example") {
				return Issuer{}, fmt.Errorf("no such tenant: %w", ErrInvalid)
			}
			return Issuer{URL: issuer, KeysURL: issuer + "/keys", Audience: []string{testAudience}}, nil
		},
	}
}
