package refresh_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/discovery"
)

// clientCertificate returns a Key with a certificate, in files.
func clientCertificate(t *testing.T, name string) *clientauth.Key {
	t.Helper()
	key := signer(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &clientauth.Key{Signer: key, CertFile: at}
}

func TestMutualTLS(t *testing.T) {
	for _, method := range []string{"tls_client_auth", "self_signed_tls_client_auth"} {
		var seen []string
		tlsSrv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			seen = append(seen, r.URL.Path+" "+r.TLS.PeerCertificates[0].Subject.CommonName+" "+r.PostForm.Get("client_id")+r.Header.Get("Authorization"))
			io.WriteString(w, `{"access_token":"new","refresh_token":"r2"}`)
		}))
		tlsSrv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		tlsSrv.StartTLS()
		defer tlsSrv.Close()
		pool := x509.NewCertPool()
		pool.AddCert(tlsSrv.Certificate())
		base := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}

		var plain *httptest.Server
		plain = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/.well-known/") {
				t.Errorf("%s was asked, and not its alias", r.URL.Path)
			}
			fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q,"revocation_endpoint":%q,"mtls_endpoint_aliases":{"token_endpoint":%q}}`,
				plain.URL, plain.URL+"/token", tlsSrv.URL+"/revoke", tlsSrv.URL+"/mtls/token")
		}))
		defer plain.Close()

		own := base.Clone()
		certificate := clientCertificate(t, "of-the-transport")
		der, err := os.ReadFile(certificate.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(der)
		own.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: certificate.Signer}}

		for name, client := range map[string]*refresh.OAuth2{
			"of-the-key":       {Key: clientCertificate(t, "of-the-key"), Client: &http.Client{Transport: base}},
			"of-the-transport": {Client: &http.Client{Transport: own}},
		} {
			client.ClientID, client.AuthMethod, client.Discovery = "client", method, &discovery.Provider{Issuer: plain.URL}
			seen = nil
			if _, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil {
				t.Fatal(err)
			}
			if err := client.Revoke(t.Context(), refresh.Tokens{Refresh: "r2"}); err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(seen, ", "), "/mtls/token "+name+" client, /revoke "+name+" client"; got != want {
				t.Errorf("%s: the provider has seen %s, want %s", method, got, want)
			}
		}
	}
}

func TestAliasesAreForClientsWithACertificate(t *testing.T) {
	p := &recorder{metadata: `,"mtls_endpoint_aliases":{"token_endpoint":"https://provider.test/mtls"}`}
	if _, err := p.client(func(o *refresh.OAuth2) { o.ClientSecret = "s" }).Refresh(t.Context(), refresh.Tokens{Refresh: "r1"}); err != nil || p.paths[0] != "/token" {
		t.Errorf("%v, asked %v", err, p.paths)
	}
}

func TestACertificateThatIsMissingIsNamed(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: version}
		srv.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
		srv.StartTLS()
		client := &refresh.OAuth2{ClientID: "client", TokenURL: srv.URL, Client: srv.Client()}
		_, err := client.Refresh(t.Context(), refresh.Tokens{Refresh: "r1"})
		if err == nil || !strings.Contains(err.Error(), "cannot be reached: tls: ") || errors.Is(err, refresh.ErrDenied) || errors.Is(err, refresh.ErrNoAnswer) {
			t.Errorf("TLS %x: error is %v, want the alert", version, err)
		}
		srv.Close()
	}
}
