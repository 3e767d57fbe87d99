package chromium

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestUsersHaveCookiesOfTheirOwnAndTabsShareThem(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("name"); name != "" {
			http.SetCookie(w, &http.Cookie{Name: "name", Value: name, Secure: true, HttpOnly: true})
		}
		c, err := r.Cookie("name")
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<title>%s</title><a href="/?next">next</a>`, r.Host)
		if err == nil {
			fmt.Fprintf(w, "<p>%s</p>", c.Value)
		}
	}))
	t.Cleanup(server.Close)
	b := Start(t)
	ann, bob := b.User(t), b.User(t)
	first := ann.Open(t, server.URL+"/?name=ann")
	bob.Open(t, server.URL+"/?name=bob")
	if c := ann.Cookies(t)["name"]; c == nil || c.Value != "ann" || !c.HTTPOnly || !c.Secure {
		t.Errorf("ann's cookie is %v", c)
	}
	second := ann.Open(t, server.URL+"/")
	if got := Eval[string](t, second, `return document.querySelector("p").textContent`); got != "ann" {
		t.Errorf("ann's second tab sends the cookie %q", got)
	}
	first.Click(t, "a")
	first.Until(t, `location.search === "?next" && document.querySelector("p")`)

	other := strings.Replace(server.URL, "127.0.0.1", "other.test", 1)
	first.Go(t, other+"/")
	if got := Eval[string](t, first, `return document.title`); "http://"+got != other {
		t.Errorf("a name in test leads to %q", got)
	}
	if Eval[bool](t, first, `return document.querySelector("p") !== null`) {
		t.Error("a cookie went to another host")
	}
	second.Close(t)
}

func TestWhatSticksOutOfACardIsFound(t *testing.T) {
	const page = `<style>* { box-sizing: border-box } .card { width: 200px; padding: 20px }</style>
		<div class="card"><p style="width: %dpx">text</p><div class="row"><button style="width: %dpx">b</button></div></div>
		<div class="card" style="display: none"><p>hidden</p></div>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var text, button int
		fmt.Sscanf(r.URL.Path, "/%d/%d", &text, &button)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, page, text, button)
	}))
	t.Cleanup(server.Close)
	tab := Start(t).User(t).Open(t, server.URL)
	for path, want := range map[string]string{"/160/160": "", "/161/10": "<p ", "/10/161": "<button "} {
		tab.Go(t, server.URL+path)
		if got := tab.sticksOut(t); got == "" != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: found is %q, want %q", path, got, want)
		}
	}
}

// A framework may put another element in the place of one that has been found and
// not yet been clicked on.
func TestAnElementThatIsReplacedIsLookedForAgain(t *testing.T) {
	const page = `<body><input><button>b</button><script>
		let left = 300;
		const replace = () => {
			for (const e of document.querySelectorAll("input, button")) e.replaceWith(e.cloneNode(true));
			if (--left > 0) setTimeout(replace, 1);
		};
		onload = replace;
	</script>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	}))
	t.Cleanup(server.Close)
	tab := Start(t).User(t).Open(t, server.URL)
	for range 5 {
		tab.Go(t, server.URL)
		tab.Click(t, "button")
		tab.Type(t, "input", "x")
	}
}
