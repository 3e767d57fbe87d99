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

// ScriptVersion tells the contents of the module that [Script] serves from those
// of every other: a page that puts it after the module's address, as in
// "/auth/tokenlife.js?v=" + middleware.ScriptVersion(), loads the module once.
// It is a few letters and digits, and the same in every process of one build.
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
// Its fetch looks at the marker before a call, refreshes once for all calls of
// all tabs, by way of [Auth.RefreshHandler], and sends a call that was refused for its
// token once more. Pages need no such thing to stay signed in, for the handlers
// of an Auth refresh by themselves: it is for those that call a server that does
// not, and for those that want to know when somebody has signed out. The folder
// script has the module's types and says how a front end's build gets it.
//
// The module is the page's own code: a Content-Security-Policy of
// "script-src 'self'; connect-src 'self'" allows it. Asked for with the
// parameter v of [ScriptVersion] it may be kept for a year; otherwise for five
// minutes, and is then asked for again by its ETag.
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
			// A page of another build: what it asks for is at another replica,
			// and this is not to be kept under its name.
			h.Set("Cache-Control", "no-cache")
		}
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Etag", `"`+version+`"`)
		h["X-Content-Type-Options"] = nosniff
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(script))
	})
}
