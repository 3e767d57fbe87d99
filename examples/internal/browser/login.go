package browser

import (
	"html"
	"net/url"
	"regexp"
	"testing"
)

// Login opens start and fills in the provider's pages, as the user of this
// name whose password is "any", until there are no more. It returns the page
// where that ends.
func (b *Browser) Login(t testing.TB, start, user string) *Page {
	t.Helper()
	page := b.Open(t, start)
	for range 5 {
		action, fields, ok := page.Form()
		if !ok || !fields.Has("prompt") && !fields.Has("password") {
			return page
		}
		for name, value := range map[string]string{"login": user, "username": user, "password": "any"} {
			if fields.Has(name) {
				fields.Set(name, value)
			}
		}
		page = b.Submit(t, page, action, fields)
	}
	t.Fatalf("browser: the provider keeps asking: %s", page.Text())
	return nil
}

var (
	formTag  = regexp.MustCompile(`(?is)<form\b[^>]*\baction="([^"]*)"[^>]*>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?is)<input\b[^>]*>`)
	nameAttr = regexp.MustCompile(`(?is)\bname="([^"]*)"`)
	valAttr  = regexp.MustCompile(`(?is)\bvalue="([^"]*)"`)
)

// Form returns the first form of the page: where it goes, and its inputs by name
// with the values that they have already. It reads the plain pages of providers,
// not any HTML there is.
func (p *Page) Form() (action string, fields url.Values, ok bool) {
	found := formTag.FindSubmatch(p.Body)
	if found == nil {
		return "", nil, false
	}
	fields = url.Values{}
	for _, input := range inputTag.FindAll(found[2], -1) {
		name := nameAttr.FindSubmatch(input)
		if name == nil {
			continue
		}
		var value string
		if v := valAttr.FindSubmatch(input); v != nil {
			value = html.UnescapeString(string(v[1]))
		}
		fields.Set(html.UnescapeString(string(name[1])), value)
	}
	return html.UnescapeString(string(found[1])), fields, true
}
