package local_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tokenlife/tokenlife/refresh"
)

func TestAFailingClaimsFunctionSpendsNothing(t *testing.T) {
	var problem error
	i := newIssuer()
	i.Claims = func(context.Context, string) (map[string]any, error) { return nil, problem }
	tok := login(t, i)
	problem = errors.New("no database")
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, problem) || errors.Is(err, refresh.ErrDenied) || !strings.HasPrefix(err.Error(), "local: ") {
		t.Errorf("error is %v, want its own", err)
	}
	problem = nil
	tok, err := i.Refresh(t.Context(), tok)
	if err != nil {
		t.Fatal(err)
	}
	problem = refresh.ErrDenied
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("error is %v, want ErrDenied", err)
	}
	problem = nil
	if _, err := i.Refresh(t.Context(), tok); !errors.Is(err, refresh.ErrDenied) {
		t.Errorf("a closed account goes on: %v", err)
	}
}

func TestAChangedRoleComesWithTheNextToken(t *testing.T) {
	role := "reader"
	i := newIssuer()
	i.Claims = func(context.Context, string) (map[string]any, error) { return map[string]any{"scope": role}, nil }
	tok := login(t, i)
	for _, role = range []string{"writer", "reader"} {
		next, err := i.Refresh(t.Context(), tok)
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, i, next.Access).Claims.(jwt.MapClaims)["scope"]; got != role {
			t.Errorf("the scope is %v, want %s", got, role)
		}
		tok = next
	}
}
