package clientauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tokenlife/tokenlife/refresh/clientauth"
)

// greeter is a server that answers with the name in the client's certificate.
func greeter(t *testing.T) (at string, trusts *http.Transport) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return srv.URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
}

func TestACertificateIsShown(t *testing.T) {
	at, base := greeter(t)
	first, second := newKey(t), newKey(t)
	keyFile, certFile := file(t, pkcs8(t, first)), file(t, certificate(t, first, "first"))
	k := &clientauth.Key{File: keyFile, CertFile: certFile}
	greets := func(want string) {
		t.Helper()
		shown, err := k.Transport(base)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: shown}).Get(at)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
			t.Errorf("the server has seen %q, %v, want %q", got, err, want)
		}
	}
	greets("first")
	one, _ := k.Transport(base)
	two, _ := k.Transport(base)
	if one != two || one == http.RoundTripper(base) {
		t.Error("connections are not shared, or the caller's transport was changed")
	}
	if base.TLSClientConfig.GetClientCertificate != nil {
		t.Error("the caller's transport has got the certificate")
	}

	// Renewed: the next connection shows the new one.
	replace(t, certFile, certificate(t, second, "second"))
	greets("first") // the key is not there yet
	replace(t, keyFile, pkcs8(t, second))
	greets("second")
	replace(t, certFile, certificate(t, second, "third"))
	greets("third")
}

// A connection that is in use while the certificate is renewed is not used for
// later requests, although it cannot be closed yet.
func TestARenewedCertificateIsShownAtOnce(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		hold, held := make(chan struct{}), make(chan struct{})
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" {
				close(held)
				<-hold
			}
			io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		}))
		srv.EnableHTTP2 = http2
		srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		srv.StartTLS()
		defer srv.Close()
		pool := x509.NewCertPool()
		pool.AddCert(srv.Certificate())
		base := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2}
		key := newKey(t)
		certFile := file(t, certificate(t, key, "first"))
		k := &clientauth.Key{Signer: key, CertFile: certFile}
		get := func(path string) string {
			shown, err := k.Transport(base)
			if err != nil {
				t.Error(err)
				return ""
			}
			resp, err := (&http.Client{Transport: shown}).Get(srv.URL + path)
			if err != nil {
				t.Error(err)
				return ""
			}
			defer resp.Body.Close()
			got, _ := io.ReadAll(resp.Body)
			return string(got)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if got := get("/hold"); got != "first" {
				t.Errorf("the request under way ends with %q", got)
			}
		})
		<-held
		replace(t, certFile, certificate(t, key, "second"))
		if got := get("/"); got != "second" {
			t.Errorf("HTTP/2 %t: the server has seen %q, want the new certificate", http2, got)
		}
		close(hold)
		wg.Wait()
		if got := get("/"); got != "second" {
			t.Errorf("HTTP/2 %t: the server has seen %q, want the new certificate", http2, got)
		}
	}
}

func TestATransportThatCannotShowACertificate(t *testing.T) {
	key := newKey(t)
	k := &clientauth.Key{Signer: key, CertFile: file(t, certificate(t, key, "a"))}
	if shown, err := k.Transport(nil); err != nil || shown == http.DefaultTransport {
		t.Errorf("the default: %v, %v", shown, err)
	}
	own := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{{}}}}
	for name, c := range map[string]struct {
		key  *clientauth.Key
		base http.RoundTripper
		want string
	}{
		"of the caller's":         {k, roundTripper{}, "roundTripper"},
		"with one of its own":     {k, own, "certificate of its own"},
		"with its own handshake":  {k, &http.Transport{DialTLSContext: new(tls.Dialer).DialContext}, "DialTLSContext"},
		"a key without":           {&clientauth.Key{Signer: key}, nil, "Key.CertFile is empty"},
		"a key that is not there": {&clientauth.Key{File: "none.pem"}, nil, "Key.File"},
	} {
		if _, err := c.key.Transport(c.base); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", name, err, c.want)
		}
	}
	for _, c := range []struct {
		t    http.RoundTripper
		want bool
	}{{nil, false}, {new(http.Transport), false}, {own, true}, {roundTripper{}, true}} {
		if got := clientauth.HasCertificate(c.t); got != c.want {
			t.Errorf("HasCertificate(%T) = %t", c.t, got)
		}
	}
}

type roundTripper struct{}

func (roundTripper) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.EOF }

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		offered []string
		want    string
	}{
		{nil, "client_secret_basic"},
		{[]string{"client_secret_post", "client_secret_basic"}, "client_secret_basic"},
		{[]string{"private_key_jwt", "client_secret_post"}, "client_secret_post"},
		{[]string{"private_key_jwt", "none"}, ""},
		{[]string{"client_secret_jwt"}, ""},
		{[]string{"Client_Secret_Basic"}, ""},
	} {
		if got, ok := clientauth.Choose(c.offered); got != c.want || ok != (c.want != "") {
			t.Errorf("of %q: %q", c.offered, got)
		}
	}
}
