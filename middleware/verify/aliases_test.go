package verify

import (
	"strings"
	"testing"
	"time"
)

// Some issuers write themselves in two ways, such as Google, with https:// and
// without.
func TestAnIssuerHasOtherNames(t *testing.T) {
	const alias = "issuer.example"
	s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.Aliases = []string{alias} })
	for _, test := range []struct {
		name, iss string
		exp       time.Duration
		want      string
	}{
		{"its URL", testURL, time.Hour, "accepted"},
		{"its other name", alias, time.Hour, "accepted"},
		{"its other name, when the token has expired", alias, -time.Hour, "expired"},
		{"its other name with a slash", alias + "/", time.Hour, "refused"},
		{"its other name in capitals", strings.ToUpper(alias), time.Hour, "refused"},
		{"nobody", "", time.Hour, "refused"},
	} {
		raw := s.token(map[string]any{"iss": test.iss, "exp": time.Now().Add(test.exp).Unix()})
		want(t, j, raw, test.want)
		if token, _ := j.Verify(t.Context(), raw); token != nil && token.Issuer != testURL {
			t.Errorf("%s: the token is of %s, want %s", test.name, token.Issuer, testURL)
		}
	}
}

func TestOtherNamesAreSomeIssuersAlone(t *testing.T) {
	issuer := func(url string, aliases ...string) Issuer {
		return Issuer{URL: url, Aliases: aliases, KeysURL: testKeysURL, Audience: []string{testAudience}}
	}
	for _, test := range []struct {
		name    string
		issuers []Issuer
		says    string // empty: they are accepted
	}{
		{"two of one issuer", []Issuer{issuer(testURL, "a", "b")}, ""},
		{"an empty one", []Issuer{issuer(testURL, "a", "")}, "Aliases has an empty string"},
		{"one of two issuers", []Issuer{issuer(testURL, "a"), issuer("https://other.example", "a")}, "given twice"},
		{"the URL of another", []Issuer{issuer(testURL), issuer("https://other.example", testURL)}, "given twice"},
	} {
		_, err := New(test.issuers...)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
	// The caller may change its slice afterwards.
	aliases := []string{"a"}
	j, err := New(issuer(testURL, aliases...))
	if err != nil {
		t.Fatal(err)
	}
	aliases[0] = "evil"
	if j.issuers[0].isFrom([]byte("evil")) {
		t.Error("a later change of the slice counts")
	}
}
