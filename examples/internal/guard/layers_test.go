package guard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	jwt    = "github.com/golang-jwt/jwt/v5"
	jwkset = "github.com/MicahParks/jwkset"
	lru    = "github.com/hashicorp/golang-lru/v2"
	oauth2 = "golang.org/x/oauth2"
)

// A layer is a package and what it may import.
type layer struct {
	folder string
	uses   []string
}

// layers lists the packages, the highest first, and all that each may import
// beside the standard library; ours by their folder. None imports one that stands
// above it. What is not in a line a package does not know: middleware has no
// means to call a provider, to look into a JWT or to reach a store, cookies and
// refresh know nothing of each other's business, and so on.
var layers = []layer{
	{"middleware/simulation", nil}, // its tests alone
	{"middleware/middlewaretest/routertest", []string{"middleware", "middleware/middlewaretest", "middleware/verify", "refresh/refreshtest"}},
	{"middleware/middlewaretest", []string{"middleware", "middleware/verify", "refresh", "refresh/refreshtest", jwt, jwkset}},
	{"middleware/echoauth", []string{"middleware", "middleware/verify", "github.com/labstack/echo/v4"}},
	{"middleware/ginauth", []string{"middleware", "middleware/verify", "github.com/gin-gonic/gin"}},
	{"middleware/login/providers", []string{"middleware", "middleware/login", "middleware/verify", "refresh", "refresh/clientauth", "refresh/discovery"}},
	{"middleware/login", []string{"internal/describe", "middleware", "middleware/internal/stepup", "middleware/verify", "cookies", "refresh", "refresh/discovery", "refresh/event", lru, oauth2}},
	{"middleware", []string{"middleware/internal/revocation", "middleware/internal/stepup", "middleware/verify", "cookies", "refresh", "refresh/event"}},
	{"middleware/internal/revocation", []string{"middleware/verify", "refresh", lru}},
	{"middleware/internal/stepup", []string{"cookies"}},
	{"middleware/verify", []string{"internal/describe", "refresh/discovery", "refresh/event", jwt, jwkset, "github.com/MicahParks/keyfunc/v3", lru, "golang.org/x/sync"}},
	{"cookies", []string{"refresh"}},
	{"refresh/local", []string{"refresh", "refresh/sessions", "refresh/event", "refresh/internal/seal", "refresh/internal/signer"}},
	{"refresh/sessions", []string{"refresh", "refresh/event", "refresh/internal/pace", "refresh/internal/seal", lru}},
	{"refresh/redisstore", []string{"refresh", "github.com/redis/go-redis/v9"}},
	{"refresh/sqlstore", []string{"refresh"}},
	{"refresh/cognito", []string{"refresh", "refresh/discovery", "refresh/internal/endpoint", jwt}},
	{"refresh/refreshtest", []string{"refresh", "refresh/internal/signer", jwt}},
	{"refresh", []string{"internal/describe", "refresh/clientauth", "refresh/discovery", "refresh/event", "refresh/internal/endpoint", "refresh/internal/pace", "refresh/internal/seal", lru}},
	{"refresh/clientauth", []string{"refresh/event", "refresh/internal/signer"}},
	{"refresh/discovery", nil},
	{"refresh/internal/signer", []string{jwt, jwkset}},
	{"refresh/internal/seal", nil},
	{"refresh/internal/pace", nil},
	{"refresh/internal/endpoint", nil},
	{"refresh/internal/silence", nil},
	{"refresh/event", nil},
	{"internal/describe", nil},
	{"internal/race", nil},
}

// ofServers are the names of net/http that a package has no use for which knows
// nothing of the requests that a site gets.
var ofServers = []string{"ResponseWriter", "Handler", "HandlerFunc", "Cookie", "SetCookie", "Redirect", "Error", "Server", "ServeMux"}

// without lists what is out of a package's sight although it may import net/http:
// calling a provider takes that, too.
var without = map[string][]string{
	"cookies":            {"Handler", "HandlerFunc", "Client", "Transport", "RoundTripper", "NewRequest", "NewRequestWithContext"},
	"middleware":         {"Client", "Transport", "RoundTripper", "NewRequest", "NewRequestWithContext"},
	"middleware/verify":  ofServers,
	"refresh":            ofServers,
	"refresh/clientauth": ofServers,
	"refresh/cognito":    ofServers,
	"refresh/discovery":  ofServers,
	"refresh/local":      {"Cookie", "SetCookie", "Redirect", "Client", "Transport"},
}

// noHTTP are packages that do without net/http altogether.
var noHTTP = []string{"middleware/internal/revocation", "middleware/internal/stepup", "refresh/sessions", "refresh/redisstore", "refresh/sqlstore", "refresh/internal/signer"}

func TestPackagesImportDownwardsAlone(t *testing.T) {
	uses := make(map[string][]string)
	for _, layer := range slices.Backward(layers) {
		for _, use := range layer.uses {
			if _, below := uses[use]; !below && isStandard(use) {
				t.Errorf("%s: %s is not below it in the list", layer.folder, use)
			}
		}
		uses[layer.folder] = layer.uses
	}
	seen := make(map[string]bool)
	for _, name := range files(t, isSource) {
		folder := path.Dir(name)
		if strings.HasPrefix(folder+"/", "examples/") {
			continue
		}
		allowed, ok := uses[folder]
		if !ok {
			t.Errorf("a new package, %s: which layer does it belong to?", folder)
			continue
		}
		for _, path := range imports(t, name) {
			use := strings.TrimPrefix(path, module+"/")
			at := slices.IndexFunc(allowed, func(a string) bool {
				return use == a || !isStandard(a) && within(use, []string{a})
			})
			if at >= 0 {
				seen[folder+" "+allowed[at]] = true
			} else if use != path || !isStandard(path) || path == "net/http" && slices.Contains(noHTTP, folder) {
				t.Errorf("%s imports %s", name, use)
			}
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(uses)) {
		for _, use := range uses[folder] {
			if !seen[folder+" "+use] {
				t.Errorf("%s does not import %s any more: take it off the list", folder, use)
			}
		}
	}
}

func TestPackagesDoNotSeeTheOtherSideOfHTTP(t *testing.T) {
	for _, name := range files(t, isSource) {
		hidden := without[path.Dir(name)]
		if hidden == nil {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "http" && slices.Contains(hidden, selector.Sel.Name) {
				t.Errorf("%s:%d: http.%s is not of this package's world", name, fset.Position(n.Pos()).Line, selector.Sel.Name)
			}
			return true
		})
	}
}
