package middleware

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed script/tokenlife.js
var script []byte

// ScriptVersion returns a short hash of the module that [Script] serves. A page
// appends it to the module's URL, as in "/auth/tokenlife.js?v=" +
// middleware.ScriptVersion(). Browsers then load the module once for each
// version. All processes of one build return the same version.
func ScriptVersion() string {
	sum := sha256.Sum256(script)
	return hex.EncodeToString(sum[:8])
}

// Script returns the handler of tokenlife.js, an ES module for pages:
//
//	import { createFetch } from "/auth/tokenlife.js";
//	const api = createFetch({ refreshURL: "/auth/refresh", onSignedOut: () => location.assign("/") });
//	const answer = await api("/api/hello"); // as fetch
//
// Its fetch looks at the marker before a call. It refreshes the login, once for
// all calls of all tabs, by [Auth.RefreshHandler]. It repeats a call that was
// refused for its token. Pages stay signed in without the module if they call
// handlers of an Auth, which refresh logins themselves. The module is for pages
// that call another server, and for pages that want to know when their user has
// signed out. The folder script has its types and says how to bundle it.
//
// A Content-Security-Policy of "script-src 'self'; connect-src 'self'" allows
// the module. Browsers may cache it for a year if its URL has the parameter v
// with [ScriptVersion], and otherwise for five minutes.
func Script() http.Handler {
	version := ScriptVersion()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			WriteError(w, r, &Refusal{Status: http.StatusMethodNotAllowed})
			return
		}
		h := w.Header()
		switch r.URL.Query().Get("v") {
		case version:
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		case "":
			h.Set("Cache-Control", "public, max-age=300")
		default:
			// The page is of another build. Its version is at another replica,
			// and caches must not keep this one under its URL.
			h.Set("Cache-Control", "no-cache")
		}
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Etag", `"`+version+`"`)
		h["X-Content-Type-Options"] = nosniff
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(script))
	})
}
