package login_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/verify"
)

// posting makes the Flow ask for answers by POST. It keeps what the program is
// told of users.
func posting(told *[]string) func(f *login.Flow) {
	return func(f *login.Flow) {
		f.ResponseMode, f.Scopes = "form_post", []string{"openid", "name", "email"}
		f.OnUnverifiedUser = func(_ context.Context, id *verify.Token, user string) {
			*told = append(*told, id.Subject+" "+user)
		}
	}
}

// post sends the answer of the provider as its page does: from another site,
// with no cookies but those of attempts, which are SameSite=None.
func (b *browser) post(s *site, target string, form url.Values) *http.Response {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://provider.test")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	for _, name := range b.attempts() {
		r.AddCookie(&http.Cookie{Name: name, Value: b.cookies[name]})
	}
	resp := serve(s.callback, r).Result()
	b.take(resp)
	return resp
}

const apple = `{"name":{"firstName":"Ann","lastName":"Smith"},"email":"ann@relay.test"}`

func TestAnAnswerByPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		s, b := newSite(t, posting(&told)), newBrowser()
		b.signIn(t, s) // an earlier login, which the new one replaces
		earlier := b.cookies["__Host-refreshToken"]
		resp := b.open(s, s.start, "/login?return_to=/cart")
		to, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || to.Query().Get("response_mode") != "form_post" || to.Query().Get("scope") != "openid name email" {
			t.Fatalf("the provider is asked by %s", to)
		}
		if c := resp.Cookies()[0]; c.SameSite != http.SameSiteNoneMode || !c.Secure || !c.HttpOnly {
			t.Errorf("the cookie of the attempt has SameSite %d", c.SameSite)
		}
		back, err := url.Parse(serve(s.provider, b.request(t.Context(), to.String())).Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		form := back.Query()
		form.Set("user", strings.ReplaceAll(apple, ",", ",\n  "))
		resp = b.post(s, "/callback", form)
		private(t, resp)
		next, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("the POST is answered with %d", resp.StatusCode)
		}
		if q := next.Query(); len(q) != 1 || q.Get("state") != form.Get("state") || !strings.HasPrefix(next.String(), origin+"/callback?") {
			t.Errorf("the browser is sent to a URL with the parameters %v", q)
		}
		if s.provider.Stats().Exchanged != 1 {
			t.Error("the code has been redeemed by a request without the login's cookies")
		}
		resp = b.open(s, s.callback, next.String())
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/cart" || !b.signedIn() || b.cookies["__Host-refreshToken"] == earlier {
			t.Errorf("the GET is answered with %d to %s", resp.StatusCode, resp.Header.Get("Location"))
		}
		if len(told) != 1 || told[0] != "alice "+apple {
			t.Errorf("told of users: %q", told)
		}
		if len(b.attempts()) != 0 {
			t.Error("the attempt is left")
		}
		s.silent(t)
		// Once more, by a user who goes back.
		if resp := b.post(s, "/callback", form); resp.Header.Get("Location") != origin+"/callback" {
			t.Errorf("posted again: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
		}
		if resp := b.open(s, s.callback, "/callback"); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
			t.Errorf("and then %d", resp.StatusCode)
		}
	})
}

func TestHostilePosts(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(form url.Values)
		set    func(r *http.Request)
		posted int
		ended  int // how the GET is answered that follows
	}{
		{"no state", func(q url.Values) { q.Del("state") }, nil, http.StatusSeeOther, http.StatusBadRequest},
		{"a state of nobody", func(q url.Values) { q.Set("state", "x") }, nil, http.StatusSeeOther, http.StatusBadRequest},
		{"two states", func(q url.Values) { q.Add("state", "x") }, nil, http.StatusBadRequest, 0},
		{"two codes", func(q url.Values) { q.Add("code", "x") }, nil, http.StatusBadRequest, 0},
		{"a code and an error", func(q url.Values) { q.Set("error", "access_denied") }, nil, http.StatusBadRequest, 0},
		{"without a code", func(q url.Values) { q.Del("code") }, nil, http.StatusSeeOther, http.StatusBadRequest},
		{"another issuer", func(q url.Values) { q.Set("iss", "https://evil.example") }, nil, http.StatusSeeOther, http.StatusBadRequest},
		{"JSON", nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, http.StatusBadRequest, 0},
		{"20,000 bytes", func(q url.Values) { q.Set("x", strings.Repeat("x", 20000)) }, nil, http.StatusBadRequest, 0},
		{"from a browser that has begun nothing", nil, func(r *http.Request) { r.Header.Del("Cookie") }, http.StatusSeeOther, http.StatusBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				s, b := newSite(t, posting(&told)), newBrowser()
				form := b.begin(t, s, "/").Query()
				form.Set("user", apple)
				if test.change != nil {
					test.change(form)
				}
				r := httptest.NewRequest(http.MethodPost, "/callback?state=x&code=y", strings.NewReader(form.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				for name, value := range b.cookies {
					r.AddCookie(&http.Cookie{Name: name, Value: value})
				}
				if test.set != nil {
					test.set(r)
				}
				resp := serve(s.callback, r).Result()
				b.take(resp)
				if resp.StatusCode != test.posted {
					t.Errorf("the POST is answered with %d, want %d", resp.StatusCode, test.posted)
				}
				if test.ended != 0 {
					to := resp.Header.Get("Location")
					if resp = b.open(s, s.callback, to); resp.StatusCode != test.ended || !strings.HasPrefix(to, origin+"/callback") {
						t.Errorf("the GET of %s is answered with %d, want %d", to, resp.StatusCode, test.ended)
					}
				}
				if b.signedIn() || len(told) != 0 || s.provider.Stats().Calls != 0 {
					t.Errorf("signed in: %v; told of %q; %d calls", b.signedIn(), told, s.provider.Stats().Calls)
				}
				s.silent(t)
			})
		})
	}
}

func TestWhatIsPostedOfTheUserIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		user string
		want string
	}{
		"an object":        {apple, apple},
		"nothing":          {"", ""},
		"no JSON":          {"Ann Smith", ""},
		"an array":         {`["Ann"]`, ""},
		"null":             {"null", ""},
		"2,049 bytes":      {`{"name":"` + strings.Repeat("x", 2049) + `"}`, ""},
		"two objects":      {apple + apple, ""},
		"a script":         {`{"name":"<script>"}`, `{"name":"<script>"}`}, // the program escapes it, as everything
		"bytes of no text": {"{\"name\":\"\xff\"}", "{\"name\":\"\xff\"}"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				s, b := newSite(t, posting(&told)), newBrowser()
				form := b.begin(t, s, "/").Query()
				form.Set("user", test.user)
				b.open(s, s.callback, b.post(s, "/callback", form).Header.Get("Location"))
				if !b.signedIn() {
					t.Error("not signed in")
				}
				if got := strings.TrimPrefix(strings.Join(told, "|"), "alice "); got != strings.ToValidUTF8(test.want, "\ufffd") {
					t.Errorf("told %q, want %q", got, test.want)
				}
			})
		})
	}
}

// Browsers drop a cookie of more than 4,096 bytes.
func TestACodeThatFitsIntoNoCookie(t *testing.T) {
	for name, test := range map[string]struct {
		code, returnTo, user string
		inURL                bool
	}{
		"a long code":                  {strings.Repeat("c", 1500), "/", "", false},
		"a code without end":           {strings.Repeat("c", 3000), "/", "", true},
		"a long code, and a long user": {strings.Repeat("c", 1500), "/", `{"name":"` + strings.Repeat("x", 1900) + `"}`, false},
		"a long address":               {strings.Repeat("c", 1500), "/" + strings.Repeat("x", 2000), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := newSite(t, posting(new([]string))), newBrowser()
				form := b.begin(t, s, test.returnTo).Query()
				form.Set("code", test.code)
				form.Set("user", test.user)
				resp := b.post(s, "/callback", form)
				to, err := url.Parse(resp.Header.Get("Location"))
				if err != nil || to.Query().Has("code") != test.inURL {
					t.Errorf("a code in the URL: %v, %v", to.Query().Has("code"), err)
				}
				for _, c := range resp.Cookies() {
					if len(c.Name)+len(c.Value) > 4096 {
						t.Errorf("a cookie of %d bytes", len(c.Name)+len(c.Value))
					}
				}
				b.open(s, s.callback, to.String())
				if s.provider.Stats().Calls != 1 {
					t.Errorf("the code is sent %d times", s.provider.Stats().Calls)
				}
			})
		})
	}
}

func TestAnErrorByPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := newSite(t, posting(new([]string))), newBrowser()
		back := b.begin(t, s, "/cart")
		form := url.Values{"state": {back.Query().Get("state")}, "error": {"user_cancelled_authorize"}, "error_description": {"cancelled by Ann"}}
		resp := b.open(s, s.callback, b.post(s, "/callback", form).Header.Get("Location"))
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(s.failures()[0].LogValue().String(), "cancelled by Ann") {
			t.Errorf("status %d, %v", resp.StatusCode, s.failures()[0])
		}
	})
}

func TestWithoutFormPostThereIsNoPost(t *testing.T) {
	s, b := newSite(t), newBrowser()
	if resp := b.post(s, "/callback", url.Values{"state": {"x"}}); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("status %d", resp.StatusCode)
	}
}
