package stepup

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	for _, test := range []struct {
		name  string
		lines []string
		want  Demand
		found bool
	}{
		{"none", nil, Demand{}, false},
		{"the example of RFC 9470", []string{`Bearer error="insufficient_user_authentication", error_description="A different authentication level is required", acr_values="myACR"`}, Demand{ACR: []string{"myACR"}}, true},
		{"its other example", []string{`Bearer error="insufficient_user_authentication", error_description="More recent authentication is required", max_age="5"`}, Demand{MaxAge: seconds(5)}, true},
		{"both, with a realm", []string{`Bearer realm="api",error="insufficient_user_authentication",acr_values="urn:a  urn:b",max_age="300"`}, Demand{[]string{"urn:a", "urn:b"}, seconds(300)}, true},
		{"a number without quotes", []string{`Bearer error=insufficient_user_authentication, max_age=0`}, Demand{MaxAge: seconds(0)}, true},
		{"names and scheme in other letters, spaces", []string{"bEARER\t Error = \"insufficient_user_authentication\" ,,  MAX_AGE = \"1\""}, Demand{MaxAge: seconds(1)}, true},
		{"DPoP", []string{`DPoP algs="ES256", error="insufficient_user_authentication", acr_values="a"`}, Demand{ACR: []string{"a"}}, true},
		{"after another challenge in the line", []string{`Basic realm="x, Bearer error=\"y\"", Bearer error="insufficient_user_authentication", acr_values="a"`}, Demand{ACR: []string{"a"}}, true},
		{"before another challenge in the line", []string{`Bearer error="insufficient_user_authentication", acr_values="a", Digest acr_values="b", max_age="7"`}, Demand{ACR: []string{"a"}}, true},
		{"after a token68", []string{`Negotiate YWJj==, Bearer error="insufficient_user_authentication", acr_values="a"`}, Demand{ACR: []string{"a"}}, true},
		{"in another line", []string{`Basic realm="x"`, `Bearer error="insufficient_user_authentication", max_age="9"`}, Demand{MaxAge: seconds(9)}, true},
		{"without what is demanded", []string{`Bearer error="insufficient_user_authentication"`}, Demand{}, true},
		{"a negative age", []string{`Bearer error="insufficient_user_authentication", max_age="-1"`}, Demand{}, true},
		{"an age of many digits", []string{`Bearer error="insufficient_user_authentication", max_age="99999999999"`}, Demand{}, true},
		{"values without end", []string{`Bearer error="insufficient_user_authentication", acr_values="` + strings.Repeat("a", 600) + `", max_age="1"`}, Demand{MaxAge: seconds(1)}, true},
		{"values with a quote", []string{`Bearer error="insufficient_user_authentication", acr_values="a\"b"`}, Demand{}, true},
		{"another error", []string{`Bearer error="invalid_token", error_description="insufficient_user_authentication"`}, Demand{}, false},
		{"another scheme", []string{`Basic error="insufficient_user_authentication", acr_values="a"`}, Demand{}, false},
		{"two errors", []string{`Bearer error="insufficient_user_authentication", error="invalid_token"`}, Demand{}, false},
		{"a quote that is not closed", []string{`Bearer error="insufficient_user_authentication`}, Demand{}, false},
		{"parameters alone", []string{`error="insufficient_user_authentication"`}, Demand{}, false},
		{"a line without end", []string{`Bearer error="insufficient_user_authentication", x="` + strings.Repeat("x", 5000) + `"`}, Demand{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, found := Parse(test.lines)
			if found != test.found || len(got.ACR) != len(test.want.ACR) || len(got.ACR) > 0 && !reflect.DeepEqual(got.ACR, test.want.ACR) || !reflect.DeepEqual(got.MaxAge, test.want.MaxAge) {
				t.Errorf("%+v, %v, want %+v, %v", got, found, test.want, test.found)
			}
			if !found || got.IsZero() {
				return
			}
			again, found := Parse([]string{"Bearer " + got.Challenge()})
			if !found || !reflect.DeepEqual(again, got) || again.Mark() != got.Mark() {
				t.Errorf("the challenge %s is read as %+v", got.Challenge(), again)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Bearer error="insufficient_user_authentication", acr_values="a b", max_age=5`)
	f.Add(`Negotiate ==, Bearer error=insufficient_user_authentication`)
	// What is read from any line can be written, and is read alike.
	f.Fuzz(func(t *testing.T, line string) {
		d, found := Parse([]string{line})
		if !found {
			return
		}
		again, found := Parse([]string{"DPoP " + d.Challenge()})
		if !found || again.Mark() != d.Mark() {
			t.Errorf("%q is %+v, and then %+v", line, d, again)
		}
	})
}
