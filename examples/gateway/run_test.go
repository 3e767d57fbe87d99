package main

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestTLS(t *testing.T) {
	// The certificate that httptest has for 127.0.0.1, written to files.
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	key, err := x509.MarshalPKCS8PrivateKey(lender.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for name, block := range map[string]*pem.Block{
		"TLS_CERT": {Type: "CERTIFICATE", Bytes: lender.Certificate().Raw},
		"TLS_KEY":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		files[name] = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(files[name], pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite(t, files)
	s.url = strings.Replace(s.url, "http:", "https:", 1)
	s.client.Transport = lender.Client().Transport
	callback, cookie := s.begin(t, "/")
	a := s.do(t, http.MethodGet, callback, cookie)
	if a.status != http.StatusSeeOther {
		t.Fatalf("the sign-in ends with %d", a.status)
	}
	if a := s.do(t, http.MethodGet, "/", header(a.set)); a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	if got := s.lastSeen().Header.Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("X-Forwarded-Proto is %q", got)
	}
}

func TestStoppingFinishesWhatIsUnderWay(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	s := newSiteBefore(t, map[string]string{"PUBLIC_PATHS": "/"}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		_, _ = io.WriteString(w, "finished")
	}))
	var a answer
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { a, err = s.try(t.Context(), http.MethodGet, "/", "") })
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	eventually(t, "no more connections are accepted", func() bool {
		_, err := s.try(t.Context(), http.MethodGet, "/healthz", "")
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Errorf("the gateway stopped with a request under way: %v", err)
	default:
	}
	close(goOn)
	wg.Wait()
	if err != nil || a.status != http.StatusOK || a.body != "finished" {
		t.Errorf("the request ends with %d %q: %v", a.status, a.body, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("the gateway ends with: %v", err)
	}
	if !s.lines.has("INFO", "stopping") {
		t.Error("the log does not tell")
	}
}
