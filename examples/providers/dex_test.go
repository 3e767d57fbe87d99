package providers

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite" // a driver of database/sql

	"github.com/tokenlife/tokenlife/examples/internal/program"
)

// Dex, with users that it has itself, and a database in a file.
var dex = provider{
	id:    "dex",
	name:  "Dex 2.45",
	start: startDex,
	lacks: map[string]string{
		signOutThere: "it has no session of its own to end",
		introspected: "its access tokens are JWTs",
		whose:        "as above",
		kept:         "as above",
		pushed:       "it has no endpoint for them",
		ownKey:       "it knows clients by their secrets",
	},
	quirks: quirks{audience: ofTheClient, keepsGrant: true, oneLogin: true},
}

type dexServer struct {
	*program.Process
	start    func() *program.Process
	grpc     string
	database string
}

func startDex(t *testing.T, c config) server {
	file := source{folder: "dex", main: "github.com/dexidp/dex/cmd/dex", cgo: true}.build(t)
	folder := t.TempDir()
	s := &dexServer{grpc: program.FreeAddress(t), database: filepath.Join(folder, "dex.db")}
	hash, err := bcrypt.GenerateFromPassword([]byte("any"), bcrypt.DefaultCost) // fewer rounds it refuses
	if err != nil {
		t.Fatal(err)
	}
	var clients, users []map[string]any
	for _, client := range c.clients {
		clients = append(clients, map[string]any{"id": client.ID, "name": client.ID, "secret": client.Secret, "redirectURIs": client.RedirectURIs})
	}
	for _, user := range c.users {
		users = append(users, map[string]any{"email": user, "username": user, "userID": user, "hash": string(hash)})
	}
	text, err := json.Marshal(map[string]any{ // which is YAML, too
		"issuer":           c.issuer,
		"storage":          map[string]any{"type": "sqlite3", "config": map[string]any{"file": s.database}},
		"web":              map[string]any{"http": c.address},
		"grpc":             map[string]any{"addr": s.grpc},
		"logger":           map[string]any{"level": "warn"},
		"expiry":           map[string]any{"idTokens": accessLife.String(), "signingKeys": "6h"},
		"oauth2":           map[string]any{"skipApprovalScreen": true},
		"staticClients":    clients,
		"enablePasswordDB": true,
		"staticPasswords":  users,
	})
	if err != nil {
		t.Fatal(err)
	}
	configuration := filepath.Join(folder, "dex.json")
	if err := os.WriteFile(configuration, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start = func() *program.Process {
		return program.RunOthers(t, file, program.Env(), "http://"+c.address+"/healthz", "serve", configuration)
	}
	s.Process = s.start()
	return s
}

func (s *dexServer) kill(*testing.T)    { s.Kill() }
func (s *dexServer) restart(*testing.T) { s.Process = s.start() }

// rotate has the time of the next rotation come: Dex looks at it when it
// starts.
func (s *dexServer) rotate(t *testing.T) {
	s.Kill()
	db, err := sql.Open("sqlite", s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE keys SET next_rotation = ?", time.Unix(0, 0).UTC().Format("2006-01-02 15:04:05-07:00")); err != nil {
		t.Fatal(err)
	}
	s.restart(t)
}

// revoke calls RevokeRefresh of Dex's API, which is gRPC: a message of two
// strings.
func (s *dexServer) revoke(t *testing.T, user, clientID string) {
	subject := base64.RawURLEncoding.EncodeToString(message(user, "local"))
	sent := message(subject, clientID)
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(sent))), sent...)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.grpc+"/api.Dex/RevokeRefresh", bytes.NewReader(frame))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	// An empty message says that there was such a token.
	if status := resp.Trailer.Get("Grpc-Status"); err != nil || status != "0" || len(answer) != 5 {
		t.Fatalf("Dex revokes nothing: status %q, %d bytes, %v", status, len(answer), err)
	}
}

// message encodes strings as fields 1, 2 and so on of a protocol buffer.
func message(fields ...string) (encoded []byte) {
	for i, field := range fields {
		encoded = append(encoded, byte(i+1)<<3|2)
		encoded = binary.AppendUvarint(encoded, uint64(len(field)))
		encoded = append(encoded, field...)
	}
	return encoded
}
