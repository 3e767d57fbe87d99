package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

func TestPromise08GoodTokensAreAccepted(t *testing.T) {
	for alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			s, j, _ := newPair(t, alg)
			raw := s.token(nil)
			for _, sight := range []string{"first", "second"} {
				token, err := j.Verify(t.Context(), raw)
				if err != nil {
					t.Fatalf("%s sight: %v", sight, err)
				}
				if token.Raw != raw || token.Issuer != testURL || token.Subject != "user-1" || token.ID != "id-1" ||
					token.ClientID != "app" || fmt.Sprint(token.Audience) != "["+testAudience+"]" ||
					fmt.Sprint(token.Scopes) != "[openid email]" || !token.HasScope("email") || token.HasScope("mail") ||
					time.Until(token.Expiry).Round(time.Minute) != time.Hour || time.Since(token.IssuedAt) > time.Minute {
					t.Errorf("%s sight: token %+v", sight, *token)
				}
			}
		})
	}
}

func TestPromise08WhatATokenMaySay(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	now := time.Now().Unix()
	num := func(format string, a ...any) json.Number { return json.Number(fmt.Sprintf(format, a...)) }
	for name, test := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"the usual claims":                        {nil, "accepted"},
		"several audiences, one of them ours":     {map[string]any{"aud": []string{"a", testAudience}}, "accepted"},
		"no jti, no scope, no iat":                {map[string]any{"jti": nil, "scope": nil, "iat": nil}, "accepted"},
		"scp as an array":                         {map[string]any{"scope": nil, "scp": []string{"a", "b"}}, "accepted"},
		"exp with a fraction":                     {map[string]any{"exp": num("%d.75", now+60)}, "accepted"},
		"exp with an exponent":                    {map[string]any{"exp": num("%de0", now+60)}, "accepted"},
		"exp just past, within the leeway":        {map[string]any{"exp": now - 20}, "accepted"},
		"nbf and iat ahead, within the leeway":    {map[string]any{"nbf": now + 20, "iat": now + 20}, "accepted"},
		"exp past the leeway":                     {map[string]any{"exp": now - 40}, "expired"},
		"expired and for another audience":        {map[string]any{"exp": now - 40, "aud": "https://other.example"}, "refused"},
		"expired and of another issuer":           {map[string]any{"exp": now - 40, "iss": "https://other.example"}, "refused"},
		"expired and without sub":                 {map[string]any{"exp": now - 40, "sub": nil}, "refused"},
		"no exp":                                  {map[string]any{"exp": nil}, "refused"},
		"exp in milliseconds":                     {map[string]any{"exp": (now + 60) * 1000}, "refused"},
		"exp beyond int64":                        {map[string]any{"exp": num("9e18")}, "refused"},
		"exp beyond float64":                      {map[string]any{"exp": num("1e999")}, "refused"},
		"exp of hundreds of digits":               {map[string]any{"exp": num("%s", strings.Repeat("9", 400))}, "refused"},
		"exp of 2 to the 64th and a bit":          {map[string]any{"exp": num("18446744075409551616")}, "refused"},
		"exp of zero":                             {map[string]any{"exp": 0}, "refused"},
		"exp below one":                           {map[string]any{"exp": 0.5}, "refused"},
		"exp below zero":                          {map[string]any{"exp": -now}, "refused"},
		"exp as a string":                         {map[string]any{"exp": fmt.Sprint(now + 60)}, "refused"},
		"exp as null":                             {map[string]any{"exp": json.RawMessage("null")}, "refused"},
		"exp as true":                             {map[string]any{"exp": true}, "refused"},
		"exp as an array":                         {map[string]any{"exp": []int64{now + 60}}, "refused"},
		"nbf ahead":                               {map[string]any{"nbf": now + 60}, "refused"},
		"nbf beyond belief":                       {map[string]any{"nbf": num("1e300")}, "refused"},
		"nbf as a string":                         {map[string]any{"nbf": "0"}, "refused"},
		"iat ahead":                               {map[string]any{"iat": now + 60}, "refused"},
		"iat as null":                             {map[string]any{"iat": json.RawMessage("null")}, "accepted"},
		"another issuer":                          {map[string]any{"iss": "https://other.example"}, "refused"},
		"the issuer with a slash more":            {map[string]any{"iss": testURL + "/"}, "refused"},
		"the issuer in capitals":                  {map[string]any{"iss": strings.ToUpper(testURL)}, "refused"},
		"the issuer in an array":                  {map[string]any{"iss": []string{testURL}}, "refused"},
		"no issuer":                               {map[string]any{"iss": nil}, "refused"},
		"another audience":                        {map[string]any{"aud": "https://other.example"}, "refused"},
		"an audience that begins like ours":       {map[string]any{"aud": testAudience + ".evil.example"}, "refused"},
		"an empty list of audiences":              {map[string]any{"aud": []string{}}, "refused"},
		"an audience in an object":                {map[string]any{"aud": map[string]string{"x": testAudience}}, "refused"},
		"an audience beside a number":             {map[string]any{"aud": []any{testAudience, 1}}, "refused"},
		"no audience":                             {map[string]any{"aud": nil}, "refused"},
		"no sub":                                  {map[string]any{"sub": nil}, "refused"},
		"an empty sub":                            {map[string]any{"sub": ""}, "refused"},
		"sub as a number":                         {map[string]any{"sub": 1}, "refused"},
		"sub as null":                             {map[string]any{"sub": json.RawMessage("null")}, "refused"},
		"a sid in the place of sub":               {map[string]any{"sub": nil, "sid": "session"}, "refused"},
		"jti as a number":                         {map[string]any{"jti": 1}, "accepted"},
		"scope as an object":                      {map[string]any{"scope": map[string]any{}}, "refused"},
		"SUB beside sub":                          {map[string]any{"SUB": "admin"}, "refused"},
		"Sub instead of sub":                      {map[string]any{"sub": nil, "Sub": "admin"}, "refused"},
		"EXP beside exp":                          {map[string]any{"EXP": now + 9999}, "refused"},
		"a long s for the s of sub":               {map[string]any{"\u017fub": "admin"}, "refused"},
		"a Kelvin sign for the k of token_use":    {map[string]any{"to\u212aen_use": "id"}, "refused"},
		"Client_ID beside client_id":              {map[string]any{"Client_ID": "other"}, "refused"},
		"two custom claims that differ in case":   {map[string]any{"role": "user", "Role": "admin"}, "refused"},
		"members of an object that do so":         {map[string]any{"roles": map[string]any{"a": 1, "A": 2}}, "accepted"},
		"an object 20 deep":                       {map[string]any{"x": nested(20)}, "accepted"},
		"an object 100 deep":                      {map[string]any{"x": nested(100)}, "refused"},
		"events: the mark of a logout token":      {map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, "refused"},
		"40 claims of one's own":                  {many(40), "accepted"},
		"40 of them and two that differ in case":  {join(many(40), map[string]any{"Claim-7": 1}), "refused"},
		"a claim whose name has escapes in it":    {map[string]any{"a\"b\\c\n": 1}, "accepted"},
		"a name beyond ASCII":                     {map[string]any{"größe": "ünïcödé 😀"}, "accepted"},
		"a payload beyond what we care to read":   {map[string]any{"x": strings.Repeat("x", 9000)}, "refused"},
		"a subject of 2,000 characters":           {map[string]any{"sub": strings.Repeat("s", 2000)}, "accepted"},
		"null as the value of a claim of its own": {map[string]any{"x": json.RawMessage("null")}, "accepted"},
	} {
		t.Run(name, func(t *testing.T) { want(t, j, s.token(test.changes), test.want) })
	}
}

// nested is an object in an object, and so on.
func nested(depth int) any {
	return json.RawMessage(strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth))
}

func many(n int) map[string]any {
	m := make(map[string]any)
	for i := range n {
		m[fmt.Sprintf("claim-%d", i)] = i
	}
	return m
}

func join(a, b map[string]any) map[string]any {
	maps.Copy(a, b)
	return a
}

func TestPromise08WhatAPayloadMayLookLike(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	header := `{"alg":"ES256","kid":"key-1"}`
	good := fmt.Sprintf(`"iss":%q,"aud":%q,"exp":%d,"sub":"u"`, testURL, testAudience, time.Now().Add(time.Hour).Unix())
	for name, test := range map[string]struct{ payload, want string }{
		"as it should be":                   {`{` + good + `}`, "accepted"},
		"white space":                       {" {\n\t" + good + "\r\n} ", "accepted"},
		"escapes in a name and a value":     {`{` + strings.Replace(good, `"sub":"u"`, `"\u0073ub":"\u0075"`, 1) + `}`, "accepted"},
		"the same member twice":             {`{` + good + `,"sub":"u"}`, "refused"},
		"the same again behind an escape":   {`{` + good + `,"\u0073ub":"admin"}`, "refused"},
		"another case behind an escape":     {`{` + good + `,"\u0053ub":"admin"}`, "refused"},
		"a member twice further in":         {`{` + good + `,"x":{"a":1,"a":2}}`, "refused"},
		"a member twice in an array":        {`{` + good + `,"x":[{"a":1,"\u0061":2}]}`, "refused"},
		"invalid UTF-8":                     {`{` + good + ",\"x\":\"\xff\"}", "refused"},
		"an overlong encoding":              {`{` + good + ",\"x\":\"\xc0\xaf\"}", "refused"},
		"a surrogate in UTF-8":              {`{` + good + ",\"x\":\"\xed\xa0\x80\"}", "refused"},
		"half a surrogate pair":             {`{` + good + `,"x":"\ud800"}`, "refused"},
		"the other half":                    {`{` + good + `,"x":"\udc00"}`, "refused"},
		"two first halves":                  {`{` + good + `,"x":"\ud800\ud800"}`, "refused"},
		"a whole surrogate pair":            {`{` + good + `,"x":"\ud83d\ude00"}`, "accepted"},
		"a byte order mark":                 {"\ufeff{" + good + `}`, "refused"},
		"two objects":                       {`{` + good + `}{}`, "refused"},
		"a NUL behind":                      {`{` + good + "}\x00", "refused"},
		"a comma too many":                  {`{` + good + `,}`, "refused"},
		"a comment":                         {`{` + good + `/**/}`, "refused"},
		"a name without quotes":             {`{` + good + `,x:1}`, "refused"},
		"single quotes":                     {`{` + good + `,'x':1}`, "refused"},
		"NaN":                               {`{` + good + `,"x":NaN}`, "refused"},
		"a number with a leading zero":      {`{` + good + `,"x":01}`, "refused"},
		"a number with a plus":              {`{` + good + `,"x":+1}`, "refused"},
		"a line break in a string":          {`{` + good + ",\"x\":\"\n\"}", "refused"},
		"cut off":                           {`{` + good, "refused"},
		"an array":                          {`[{` + good + `}]`, "refused"},
		"a string":                          {`"x"`, "refused"},
		"null":                              {`null`, "refused"},
		"nothing":                           {``, "refused"},
		"an array nested 5,000 deep, bare":  {strings.Repeat("[", 5000), "refused"},
		"an object nested 1,000 deep, bare": {strings.Repeat(`{"a":`, 1000), "refused"},
	} {
		t.Run(name, func(t *testing.T) { want(t, j, s.sign(header, test.payload), test.want) })
	}
}

func TestPromise08WhatAHeaderMaySay(t *testing.T) {
	s, j, p := newPair(t, "ES256")
	other := newSigner("ES256", "key-1")
	payload := payloadOf(s.token(nil))
	supplied, _ := json.Marshal(other.jwk())
	for name, test := range map[string]struct {
		signer *signer
		header string
		want   string
	}{
		"alg and kid":                           {s, `{"alg":"ES256","kid":"key-1"}`, "accepted"},
		"typ JWT":                               {s, `{"alg":"ES256","kid":"key-1","typ":"JWT"}`, "accepted"},
		"typ jwt":                               {s, `{"alg":"ES256","kid":"key-1","typ":"jwt"}`, "accepted"},
		"typ at+jwt":                            {s, `{"alg":"ES256","kid":"key-1","typ":"at+jwt"}`, "accepted"},
		"typ application/at+jwt":                {s, `{"alg":"ES256","kid":"key-1","typ":"application/AT+JWT"}`, "accepted"},
		"typ logout+jwt":                        {s, `{"alg":"ES256","kid":"key-1","typ":"logout+jwt"}`, "refused"},
		"typ dpop+jwt":                          {s, `{"alg":"ES256","kid":"key-1","typ":"dpop+jwt"}`, "refused"},
		"typ secevent+jwt":                      {s, `{"alg":"ES256","kid":"key-1","typ":"secevent+jwt"}`, "refused"},
		"an empty typ":                          {s, `{"alg":"ES256","kid":"key-1","typ":""}`, "refused"},
		"typ as a number":                       {s, `{"alg":"ES256","kid":"key-1","typ":1}`, "refused"},
		"no kid, where the set has one key":     {s, `{"alg":"ES256"}`, "accepted"},
		"no kid, and another key's signature":   {other, `{"alg":"ES256"}`, "refused"},
		"an unknown kid":                        {s, `{"alg":"ES256","kid":"key-2"}`, "refused"},
		"kid as a number":                       {s, `{"alg":"ES256","kid":1}`, "refused"},
		"kid as null":                           {s, `{"alg":"ES256","kid":null}`, "refused"},
		"kid as an array":                       {s, `{"alg":"ES256","kid":["key-1"]}`, "refused"},
		"a kid that is a path":                  {s, `{"alg":"ES256","kid":"../../key-1"}`, "refused"},
		"two kids":                              {s, `{"alg":"ES256","kid":"key-1","kid":"key-1"}`, "refused"},
		"two algs":                              {s, `{"alg":"none","alg":"ES256","kid":"key-1"}`, "refused"},
		"Alg instead of alg":                    {s, `{"Alg":"ES256","kid":"key-1"}`, "refused"},
		"KID beside no kid":                     {s, `{"alg":"ES256","KID":"key-1"}`, "refused"},
		"no alg":                                {s, `{"kid":"key-1"}`, "refused"},
		"alg as a number":                       {s, `{"alg":256,"kid":"key-1"}`, "refused"},
		"alg none":                              {s, `{"alg":"none","kid":"key-1"}`, "refused"},
		"alg nOnE":                              {s, `{"alg":"nOnE","kid":"key-1"}`, "refused"},
		"alg es256":                             {s, `{"alg":"es256","kid":"key-1"}`, "refused"},
		"alg HS256":                             {s, `{"alg":"HS256","kid":"key-1"}`, "refused"},
		"alg ES384, which is not on the list":   {s, `{"alg":"ES384","kid":"key-1"}`, "refused"},
		"crit":                                  {s, `{"alg":"ES256","kid":"key-1","crit":["exp"]}`, "refused"},
		"an empty crit":                         {s, `{"alg":"ES256","kid":"key-1","crit":[]}`, "refused"},
		"b64":                                   {s, `{"alg":"ES256","kid":"key-1","b64":false}`, "refused"},
		"a member of its own":                   {s, `{"alg":"ES256","kid":"key-1","x":{"y":[1,2]}}`, "accepted"},
		"jwk with the key that signed":          {other, `{"alg":"ES256","kid":"key-1","jwk":` + string(supplied) + `}`, "refused"},
		"jwk and a kid of its own":              {other, `{"alg":"ES256","kid":"key-9","jwk":` + string(supplied) + `}`, "refused"},
		"jku":                                   {other, `{"alg":"ES256","kid":"key-1","jku":"https://evil.example/jwks.json"}`, "refused"},
		"x5u":                                   {other, `{"alg":"ES256","kid":"key-1","x5u":"https://evil.example/x.pem"}`, "refused"},
		"x5c":                                   {other, `{"alg":"ES256","kid":"key-1","x5c":["MIIB"]}`, "refused"},
		"jku that is not needed":                {s, `{"alg":"ES256","kid":"key-1","jku":"https://evil.example/jwks.json"}`, "accepted"},
		"not JSON":                              {s, `alg=ES256`, "refused"},
		"nothing":                               {s, ``, "refused"},
		"an alg with NUL behind it":             {s, "{\"alg\":\"ES256\\u0000\",\"kid\":\"key-1\"}", "refused"},
		"white space and escapes, which may be": {s, "{ \"\\u0061lg\" : \"ES256\" ,\n \"kid\":\"\\u006bey-1\" }", "accepted"},
	} {
		t.Run(name, func(t *testing.T) { want(t, j, test.signer.sign(test.header, payload), test.want) })
	}
	if n := p.count(); n != 1 {
		t.Errorf("%d fetches, want 1: the flood of headers came within one cool-down", n)
	}
}

// payloadOf is the decoded payload of a token.
func payloadOf(raw string) string {
	payload, ok := decodeSegment(nil, strings.Split(raw, ".")[1])
	if !ok {
		panic("no payload")
	}
	return string(payload)
}

func TestPromise08OneTokenHasOneEncoding(t *testing.T) {
	s, j, _ := newPair(t, "RS256")
	raw := s.token(nil)
	want(t, j, raw, "accepted")
	parts := strings.Split(raw, ".")
	last := raw[len(raw)-1]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// 256 bytes leave four unused bits in the last character.
	twin := alphabet[strings.IndexByte(alphabet, last)|1]
	for name, raw := range map[string]string{
		"unused bits set":            raw[:len(raw)-1] + string(twin),
		"padding":                    raw + "==",
		"a line break in the header": parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1] + "." + parts[2],
		"one in the payload":         parts[0] + "." + parts[1][:4] + "\r\n" + parts[1][4:] + "." + parts[2],
		"one in the signature":       parts[0] + "." + parts[1] + "." + parts[2][:4] + "\n" + parts[2][4:],
		"one at the end":             raw + "\n",
		"a space in front":           " " + raw,
		"the other alphabet":         parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]) + "+",
		"a dot behind":               raw + ".",
		"a dot in front":             "." + raw,
		"four parts":                 raw + "." + parts[2],
		"two parts":                  parts[0] + "." + parts[1],
		"no signature":               parts[0] + "." + parts[1] + ".",
		"no payload":                 parts[0] + ".." + parts[2],
		"no header":                  "." + parts[1] + "." + parts[2],
		"nothing but dots":           "..",
		"nothing":                    "",
		"a NUL":                      raw + "\x00",
		"an ES256 signature":         parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86),
		"the JSON serialisation":     `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
	} {
		t.Run(name, func(t *testing.T) { want(t, j, raw, "refused") })
	}
}

func TestPromise08AFlippedBitIsRefused(t *testing.T) {
	s, j, _ := newPair(t, "ES256")
	raw := s.token(nil)
	want(t, j, raw, "accepted")
	for i := range raw {
		flipped := []byte(raw)
		flipped[i] ^= 1
		if got, _ := verdict(j, string(flipped)); got != "refused" && got != "expired" {
			t.Errorf("byte %d flipped: %s", i, got)
		}
	}
}
