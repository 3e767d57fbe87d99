package guard

// A start is a command of a README that starts a program which serves a site.
type start struct {
	command string
	as      string   // the command line that is run; default: command. ADDRESS stands for where it listens
	folder  string   // where it is run; default: the root
	env     []string // beside the test's own
	ready   string   // what answers with 200; default: /
	npm     string   // an npm package that has to be installed
}

// atListen makes a program listen where the test wants it, by the variable that
// all of them have for it.
var atListen = []string{"LISTEN=ADDRESS"}

// starts lists these commands. A port of its own, and values in the place of what
// a README leaves to its reader, are all that is changed.
var starts = []start{
	{command: "go run ./examples/quickstart", as: "go run ./examples/quickstart -listen ADDRESS"},
	{command: "go run ./examples/spa", as: "go run ./examples/spa -listen ADDRESS"},
	{command: "go run ./local", as: "go run ./local -listen ADDRESS -db $FOLDER/users.db", folder: "examples"},
	{command: "go run ./examples/chi", env: atListen},
	{command: "go run ./examples/gin", env: atListen},
	{command: "go run ./examples/echo", env: atListen},
	{command: "go run ./examples/observe", env: []string{"LISTEN=127.0.0.1:0", "METRICS_LISTEN=ADDRESS"}, ready: "/metrics"},
	{command: "go run ./examples/cognito -local", env: atListen, npm: "examples/internal/cognitolocal/node_modules/cognito-local"},
	{
		command: "USER_POOL_ID=eu-central-1_AbCdEfGhI CLIENT_ID=… CLIENT_SECRET=… DOMAIN=https://shop.auth.eu-central-1.amazoncognito.com go run ./examples/cognito",
		env:     atListen,
	},
	{command: gateway, env: append([]string{"LISTEN=ADDRESS"}, endpoints...), ready: "/healthz"},
	{
		command: production + " …",
		as:      production + " " + gateway,
		env:     endpoints, ready: "/healthz",
	},
}

const (
	gateway = "UPSTREAM=http://127.0.0.1:3000 ISSUER=https://accounts.example.com CLIENT_ID=shop CLIENT_SECRET=… " +
		`AUDIENCE=https://api.example.com SCOPES="openid offline_access" go run ./examples/gateway`
	production = "LISTEN=127.0.0.1:8080 PUBLIC_URL=https://shop.example.com COOKIE_KEYS=$(openssl rand -hex 32) PUBLIC_PATHS=/_next/static,/favicon.ico"
)

// endpoints keep the gateway from looking for a provider that there is not.
var endpoints = []string{
	"JWKS_URL=http://127.0.0.1:1/keys", "AUTH_URL=http://127.0.0.1:1/authorize", "TOKEN_URL=http://127.0.0.1:1/token",
}
