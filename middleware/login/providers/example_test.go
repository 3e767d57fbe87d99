package providers_test

import (
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/tokenlife/tokenlife/middleware/login/providers"
	"github.com/tokenlife/tokenlife/refresh/clientauth"
	"github.com/tokenlife/tokenlife/refresh/event"
)

// The pages in examples/providers show what is in these functions.
var (
	mux  = http.NewServeMux()
	shop http.Handler
)

func ExampleGoogle() {
	google, err := providers.Google().SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	google.Auth.LoginURL = "/auth/login"
	google.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", google.Flow.Start())
	mux.Handle("/auth/callback", google.Flow.Callback())
	mux.Handle("/auth/logout", google.Auth.Logout(google.Flow.EndSession))
	mux.Handle("/", google.Auth.Require(shop))
}

func ExampleApple() {
	apple, err := providers.Apple("TEAM123456").SetUp(providers.Client{
		ID:          "com.shop.web",
		Key:         &clientauth.Key{File: "AuthKey_ABC123DEFG.p8", ID: "ABC123DEFG"},
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	apple.Auth.LoginURL = "/auth/login"
	apple.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", apple.Flow.Start())
	mux.Handle("/auth/callback", apple.Flow.Callback())
	mux.Handle("/auth/logout", apple.Auth.Logout(apple.Flow.EndSession))
	mux.Handle("/", apple.Auth.Require(shop))
}

func ExampleGitHub() {
	github, err := providers.GitHub().SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	github.Auth.LoginURL = "/auth/login"
	github.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", github.Flow.Start())
	mux.Handle("/auth/callback", github.Flow.Callback())
	mux.Handle("/auth/logout", github.Auth.Logout(github.Flow.EndSession))
	mux.Handle("/", github.Auth.Require(shop))
}

func ExampleGitLab() {
	gitlab, err := providers.GitLab().SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	gitlab.Auth.LoginURL = "/auth/login"
	gitlab.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", gitlab.Flow.Start())
	mux.Handle("/auth/callback", gitlab.Flow.Callback())
	mux.Handle("/auth/logout", gitlab.Auth.Logout(gitlab.Flow.EndSession))
	mux.Handle("/", gitlab.Auth.Require(shop))
}

func ExampleLinkedIn() {
	linkedin, err := providers.LinkedIn().SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	linkedin.Auth.LoginURL = "/auth/login"
	linkedin.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", linkedin.Flow.Start())
	mux.Handle("/auth/callback", linkedin.Flow.Callback())
	mux.Handle("/auth/logout", linkedin.Auth.Logout(linkedin.Flow.EndSession))
	mux.Handle("/", linkedin.Auth.Require(shop))
}

func ExampleDiscord() {
	discord, err := providers.Discord().SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	discord.Auth.LoginURL = "/auth/login"
	discord.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", discord.Flow.Start())
	mux.Handle("/auth/callback", discord.Flow.Callback())
	mux.Handle("/auth/logout", discord.Auth.Logout(discord.Flow.EndSession))
	mux.Handle("/", discord.Auth.Require(shop))
}

func ExampleSlack() {
	slack, err := providers.Slack().SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	slack.Auth.LoginURL = "/auth/login"
	slack.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", slack.Flow.Start())
	mux.Handle("/auth/callback", slack.Flow.Callback())
	mux.Handle("/auth/logout", slack.Auth.Logout(slack.Flow.EndSession))
	mux.Handle("/", slack.Auth.Require(shop))
}

func ExampleSalesforce() {
	salesforce, err := providers.Salesforce("https://shop.my.salesforce.com").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	salesforce.Auth.LoginURL = "/auth/login"
	salesforce.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", salesforce.Flow.Start())
	mux.Handle("/auth/callback", salesforce.Flow.Callback())
	mux.Handle("/auth/logout", salesforce.Auth.Logout(salesforce.Flow.EndSession))
	mux.Handle("/", salesforce.Auth.Require(shop))
}

func ExampleOkta() {
	okta, err := providers.Okta("https://shop.okta.com/oauth2/default", "api://default").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	okta.Auth.LoginURL = "/auth/login"
	okta.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", okta.Flow.Start())
	mux.Handle("/auth/callback", okta.Flow.Callback())
	mux.Handle("/auth/logout", okta.Auth.Logout(okta.Flow.EndSession))
	mux.Handle("/", okta.Auth.Require(shop))
}

func ExampleAuth0() {
	auth0, err := providers.Auth0("shop.eu.auth0.com", "https://api.shop.example").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	auth0.Auth.LoginURL = "/auth/login"
	auth0.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", auth0.Flow.Start())
	mux.Handle("/auth/callback", auth0.Flow.Callback())
	mux.Handle("/auth/logout", auth0.Auth.Logout(auth0.Flow.EndSession))
	mux.Handle("/", auth0.Auth.Require(shop))
}

func ExampleEntra() {
	entra, err := providers.Entra("7c9e6679-7425-40de-944b-e07fc1f90ae7").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	entra.Auth.LoginURL = "/auth/login"
	entra.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", entra.Flow.Start())
	mux.Handle("/auth/callback", entra.Flow.Callback())
	mux.Handle("/auth/logout", entra.Auth.Logout(entra.Flow.EndSession))
	mux.Handle("/", entra.Auth.Require(shop))
}

func ExampleADFS() {
	adfs, err := providers.ADFS("fs.shop.example").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	adfs.Auth.LoginURL = "/auth/login"
	adfs.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", adfs.Flow.Start())
	mux.Handle("/auth/callback", adfs.Flow.Callback())
	mux.Handle("/auth/logout", adfs.Auth.Logout(adfs.Flow.EndSession))
	mux.Handle("/", adfs.Auth.Require(shop))
}

func ExampleKeycloak() {
	keycloak, err := providers.Keycloak("https://id.shop.example/realms/shop", "https://api.shop.example").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	keycloak.Auth.LoginURL = "/auth/login"
	keycloak.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", keycloak.Flow.Start())
	mux.Handle("/auth/callback", keycloak.Flow.Callback())
	mux.Handle("/auth/logout", keycloak.Auth.Logout(keycloak.Flow.EndSession))
	mux.Handle("/", keycloak.Auth.Require(shop))
}

func ExampleCognito() {
	cognito, err := providers.Cognito("eu-west-1", "eu-west-1_Sh0pPo0l1").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	cognito.Auth.LoginURL = "/auth/login"
	cognito.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", cognito.Flow.Start())
	mux.Handle("/auth/callback", cognito.Flow.Callback())
	mux.Handle("/auth/logout", cognito.Auth.Logout(cognito.Flow.EndSession))
	mux.Handle("/", cognito.Auth.Require(shop))
}

func ExampleZitadel() {
	zitadel, err := providers.Zitadel("https://shop.eu1.zitadel.cloud").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	zitadel.Auth.LoginURL = "/auth/login"
	zitadel.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", zitadel.Flow.Start())
	mux.Handle("/auth/callback", zitadel.Flow.Callback())
	mux.Handle("/auth/logout", zitadel.Auth.Logout(zitadel.Flow.EndSession))
	mux.Handle("/", zitadel.Auth.Require(shop))
}

func ExampleHydra() {
	hydra, err := providers.Hydra("https://hydra.shop.example").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	hydra.Auth.LoginURL = "/auth/login"
	hydra.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", hydra.Flow.Start())
	mux.Handle("/auth/callback", hydra.Flow.Callback())
	mux.Handle("/auth/logout", hydra.Auth.Logout(hydra.Flow.EndSession))
	mux.Handle("/", hydra.Auth.Require(shop))
}

func ExampleDex() {
	dex, err := providers.Dex("https://dex.shop.example").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	dex.Auth.LoginURL = "/auth/login"
	dex.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", dex.Flow.Start())
	mux.Handle("/auth/callback", dex.Flow.Callback())
	mux.Handle("/auth/logout", dex.Auth.Logout(dex.Flow.EndSession))
	mux.Handle("/", dex.Auth.Require(shop))
}

func ExampleLogto() {
	logto, err := providers.Logto("https://shop.logto.app/oidc", "https://api.shop.example").SetUp(providers.Client{
		ID:          os.Getenv("CLIENT_ID"),
		Secret:      os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example/auth/callback",
	})
	if err != nil {
		log.Fatal(err)
	}
	logto.Auth.LoginURL = "/auth/login"
	logto.Auth.Observe = event.Log(slog.Default()) // it says why a sign-in fails
	mux.Handle("/auth/login", logto.Flow.Start())
	mux.Handle("/auth/callback", logto.Flow.Callback())
	mux.Handle("/auth/logout", logto.Auth.Logout(logto.Flow.EndSession))
	mux.Handle("/", logto.Auth.Require(shop))
}
