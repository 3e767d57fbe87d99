package verify

import (
	"slices"
	"testing"
	"unsafe"
)

func TestGroupsAreThoseOfTheClaimThatTheIssuerNames(t *testing.T) {
	for name, test := range map[string]struct {
		claim  string
		claims map[string]any
		groups []string
	}{
		"an array":                          {"groups", map[string]any{"groups": []string{"admins", "two words"}}, []string{"admins", "two words"}},
		"one string is one group":           {"groups", map[string]any{"groups": "two words"}, []string{"two words"}},
		"a name that is a URL":              {"https://example.com/groups", map[string]any{"https://example.com/groups": []string{"a"}}, []string{"a"}},
		"no claim":                          {"groups", nil, nil},
		"no claim is named":                 {"", map[string]any{"groups": []string{"admins"}}, nil},
		"the claim of another name":         {"groups", map[string]any{"cognito:groups": []string{"admins"}}, nil},
		"the claim in another case":         {"groups", map[string]any{"Groups": []string{"admins"}}, nil},
		"objects are no groups":             {"groups", map[string]any{"groups": []any{map[string]any{"name": "admins"}}}, nil},
		"an array of which one is a number": {"groups", map[string]any{"groups": []any{"admins", 1}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.GroupsClaim = test.claim })
			raw := s.token(test.claims)
			for _, sight := range []string{"first", "second"} {
				token, err := j.Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(token.Groups, test.groups) {
					t.Errorf("at %s sight the groups are %q, want %q", sight, token.Groups, test.groups)
				}
				for _, g := range test.groups {
					if !token.HasGroup(g) {
						t.Errorf("not a member of %q", g)
					}
				}
				if token.HasGroup("") || token.HasGroup("admin") {
					t.Error("a member of a group that is not there")
				}
			}
		})
	}
}

// Tokens share what they have in common; groups are a part of that.
func TestTokensOfDifferentGroupsDoNotShareThem(t *testing.T) {
	s, j, _ := newPair(t, "ES256", func(i *Issuer) { i.GroupsClaim = "groups" })
	admin, none := s.token(map[string]any{"groups": []string{"admins"}}), s.token(nil)
	for range 2 {
		for raw, want := range map[string]bool{admin: true, none: false} {
			token, err := j.Verify(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			if token.HasGroup("admins") != want {
				t.Errorf("member of admins: %t, want %t", !want, want)
			}
		}
	}
}

func TestTheSessionIsTheSidOrCognitosOriginJTI(t *testing.T) {
	for name, test := range map[string]struct {
		claims  map[string]any
		session string
	}{
		"sid":                       {map[string]any{"sid": "s-1"}, "s-1"},
		"origin_jti":                {map[string]any{"origin_jti": "o-1"}, "o-1"},
		"sid comes first":           {map[string]any{"sid": "s-1", "origin_jti": "o-1"}, "s-1"},
		"neither":                   {nil, ""},
		"origin_jti is a number":    {map[string]any{"origin_jti": 1}, ""},
		"beside an empty jti":       {map[string]any{"sid": "s-1", "jti": ""}, "s-1"},
		"beside a subject with ids": {map[string]any{"sid": "s-1", "sub": "s-1s-1"}, "s-1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, j, _ := newPair(t, "ES256")
			raw := s.token(test.claims)
			want := map[string]any{"jti": "id-1", "sub": "user-1"}
			for name, value := range test.claims {
				want[name] = value
			}
			for range 2 {
				token, err := j.Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				if token.Session != test.session || token.ID != want["jti"] || token.Subject != want["sub"] {
					t.Errorf("session %q, jti %q, sub %q", token.Session, token.ID, token.Subject)
				}
			}
		})
	}
}

func TestARememberedTokenOfNoGroupKeepsItsSize(t *testing.T) {
	if size := unsafe.Sizeof(cachedToken{}); size > 64 {
		t.Errorf("a remembered token takes %d bytes, want 64", size)
	}
}
