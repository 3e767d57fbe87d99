package oidcprovider

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/tokenlife/tokenlife/examples/internal/program"
)

func TestAProviderThatIsKilledComesBackWithAllThatItKnew(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, Config{Listen: program.FreeAddress(t), State: filepath.Join(t.TempDir(), "state.json")})
	first := rp.login(t, "alice")
	issuer := rp.Issuer
	rp.Kill(t)
	if resp, err := http.Get(issuer + "/jwks"); err == nil {
		resp.Body.Close()
		t.Error("it still answers after Kill")
	}
	rp.Restart(t)
	if rp.Issuer != issuer {
		t.Errorf("it comes back as %s", rp.Issuer)
	}
	second, status := rp.refresh(t, first.Refresh)
	if status != http.StatusOK || decode(t, second.Access)["kid"] != decode(t, first.Access)["kid"] {
		t.Errorf("a refresh token of before is answered with status %d, or a token of another key", status)
	}
	if _, status := rp.refresh(t, first.Refresh); status != http.StatusBadRequest {
		t.Errorf("the refresh token that was used is answered with status %d, want 400", status)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, Config{})
	first := rp.login(t, "alice")
	rp.Rotate(t)
	second, status := rp.refresh(t, first.Refresh)
	if status != http.StatusOK {
		t.Fatalf("a refresh token of before is answered with status %d", status)
	}
	if decode(t, second.Access)["kid"] == decode(t, first.Access)["kid"] {
		t.Error("the key is the same")
	}
}

func TestAnAdministratorEndsAllThatOneUserHas(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, Config{})
	alice, again, bob := rp.login(t, "alice"), rp.login(t, "alice"), rp.login(t, "bob")
	rp.Revoke(t, "alice")
	for _, tt := range []struct {
		name   string
		token  string
		status int
	}{{"alice's", alice.Refresh, 400}, {"her second", again.Refresh, 400}, {"bob's", bob.Refresh, 200}} {
		if _, status := rp.refresh(t, tt.token); status != tt.status {
			t.Errorf("%s refresh token is answered with status %d, want %d", tt.name, status, tt.status)
		}
	}
}
