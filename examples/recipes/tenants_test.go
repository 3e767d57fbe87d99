package recipes

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tokenlife/tokenlife/cookies"
	"github.com/tokenlife/tokenlife/middleware"
	"github.com/tokenlife/tokenlife/middleware/login"
	"github.com/tokenlife/tokenlife/middleware/middlewaretest"
	"github.com/tokenlife/tokenlife/middleware/verify"
	"github.com/tokenlife/tokenlife/refresh"
	"github.com/tokenlife/tokenlife/refresh/discovery"
	"github.com/tokenlife/tokenlife/refresh/refreshtest"
)

// A tenant is a customer with a provider of their own.
type tenant struct {
	Host, Issuer, ClientID, ClientSecret string
}

// site is what one tenant's host serves: their provider, and their users alone.
func site(t tenant, app http.Handler) (http.Handler, error) {
	tokens, err := verify.New(verify.Issuer{URL: t.Issuer, Audience: []string{"api"}})
	if err != nil {
		return nil, err
	}
	client := &refresh.OAuth2{
		ClientID: t.ClientID, ClientSecret: t.ClientSecret,
		Discovery: &discovery.Provider{Issuer: t.Issuer},
	}
	auth := &middleware.Auth{
		Verifier: tokens, Refresher: client, LoginURL: "/auth/login",
		Cookies: cookies.Policy{KeepID: true}, // for the sign-out at the provider
	}
	flow := &login.Flow{Auth: auth, Client: client, RedirectURL: "https://" + t.Host + "/auth/callback"}
	if err := flow.Validate(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/login", flow.Start())
	mux.Handle("/auth/callback", flow.Callback())
	mux.Handle("/auth/logout", auth.Logout(flow.EndSession))
	mux.Handle("/", auth.Require(app))
	return mux, nil
}

func Example_tenantsEachOnTheirHost() {
	var tenants []tenant
	for _, name := range []string{"acme", "ajax"} {
		provider := &refreshtest.Provider{ClientID: name + "-web", Subject: "ann of " + name}
		srv := refreshtest.NewServer(provider)
		defer srv.Close()
		tenants = append(tenants, tenant{Host: name + ".example", Issuer: srv.URL, ClientID: provider.ClientID})
	}
	app := http.HandlerFunc(hello)

	sites := http.NewServeMux()
	for _, t := range tenants {
		s, err := site(t, app)
		if err != nil {
			log.Fatal(err)
		}
		sites.Handle(t.Host+"/", s)
	}

	for _, t := range tenants {
		ask := func(target string, jar *http.Request) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", target, nil)
			r.Header.Set("Cookie", jar.Header.Get("Cookie"))
			w := serve(sites, r)
			middlewaretest.Keep(jar, w.Result())
			return w
		}
		jar := httptest.NewRequest("GET", "/", nil)
		w := ask("https://"+t.Host+"/auth/login", jar)
		back, err := (&http.Client{CheckRedirect: notFurther}).Get(w.Header().Get("Location"))
		if err != nil {
			log.Fatal(err)
		}
		back.Body.Close()
		ask(back.Header.Get("Location"), jar)
		fmt.Print(t.Host, " ", ask("https://"+t.Host+"/", jar).Body)
		for _, other := range tenants {
			// A browser would not even send them to another host.
			fmt.Println(other.Host, ask("https://"+other.Host+"/", jar.Clone(jar.Context())).Code)
		}
	}
	// Output:
	// acme.example hello ann of acme
	// acme.example 200
	// ajax.example 401
	// ajax.example hello ann of ajax
	// acme.example 401
	// ajax.example 200
}

func notFurther(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// An API for the users of all tenants, which are in a table that changes.
func Example_tenantsOfAnAPI() {
	acme, stranger := new(refreshtest.Provider), new(refreshtest.Provider)
	for _, p := range []*refreshtest.Provider{acme, stranger} {
		srv := refreshtest.NewServer(p)
		defer srv.Close()
	}
	table := map[string]string{acme.Issuer: "acme"}
	tenantOf := func(_ context.Context, issuer string) (string, bool) {
		name, ok := table[issuer]
		return name, ok
	}

	tokens := &verify.JWT{Lookup: func(ctx context.Context, issuer string) (verify.Issuer, error) {
		if _, ok := tenantOf(ctx, issuer); !ok { // a look into your own table
			return verify.Issuer{}, fmt.Errorf("%w: no tenant of ours", verify.ErrInvalid)
		}
		return verify.Issuer{URL: issuer, Audience: []string{"api"}}, nil
	}}
	tokens.InsecureLoopback = true // the providers of this example are on this machine
	defer tokens.Close()
	auth := &middleware.Auth{Verifier: tokens}
	api := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := middleware.FromContext(r.Context())
		name, _ := tenantOf(r.Context(), token.Issuer)
		fmt.Fprintln(w, token.Subject, "of", name) // a subject is one person's only within its issuer
	}))

	for _, p := range []*refreshtest.Provider{acme, stranger} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+p.Login("ann").Access)
		w := serve(api, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	// Output:
	// 200 ann of acme
	// 401 {"title":"Unauthorized","status":401}
}
