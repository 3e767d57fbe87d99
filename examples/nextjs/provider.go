package main

import (
	"html/template"
	"net/http"
	"net/url"
)

// signInPage asks who is signing in, and then leaves the request to provider,
// which would sign in somebody at once. A real provider has such a page.
func signInPage(provider http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/authorize" || r.FormValue("login_hint") != "" {
			provider.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		_ = signIn.Execute(w, map[string]url.Values{"Parameters": r.URL.Query()}) // an error means that the client has left
	})
}

var signIn = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in</title>
<style>
  body { max-width: 22rem; margin: 12vh auto 0; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }
  input, button { box-sizing: border-box; width: 100%; margin-top: .625rem; padding: .5rem .75rem; font: inherit; }
</style>
<h1>The provider</h1>
<form>
  {{range $name, $values := .Parameters}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
  <label>Who are you? <input name="login_hint" required autofocus maxlength="40" autocomplete="off"></label>
  <button>Sign in</button>
</form>
`))
