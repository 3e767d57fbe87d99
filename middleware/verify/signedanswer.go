package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
)

// The media types of signed answers.
const (
	typeIntrospection = "token-introspection+jwt" // RFC 9701 section 5
	typeJWT           = "jwt"                     // OpenID Connect Core 1.0 section 5.3.2
)

// plainAnswer returns the JSON object of an answer. If signed is set, the
// answer has to be a JWT with one of its signatures, of the media type typ.
// Otherwise it must not be one. The field is the name of signed, for errors. No
// error wraps [ErrInvalid]: it is the answer that is wrong, and not the token.
func plainAnswer(ctx context.Context, signed *JWT, field, typ string, body []byte, contentType string) ([]byte, error) {
	media, _, _ := mime.ParseMediaType(contentType)
	media = strings.TrimPrefix(media, "application/")
	isSigned := media == typ || media == typeJWT
	switch {
	case signed == nil && isSigned:
		return nil, fmt.Errorf("the answer is a signed JWT: set %s to verify it", field)
	case signed == nil:
		return bytes.TrimPrefix(body, []byte("\ufeff")), nil // some servers put a byte order mark before it
	case !isSigned:
		return nil, fmt.Errorf("the answer is not signed, and %s is set", field)
	}
	payload, err := signed.verifyAnswer(ctx, strings.TrimSpace(string(body)), typ)
	if err != nil {
		return nil, errors.New("the signed answer: " + strings.TrimPrefix(err.Error(), "verify: "))
	}
	return payload, nil
}

// verifyAnswer verifies a JWT that is an answer and no token, and returns its
// payload: its issuer, audience, times and signature by the rules of j. It may
// have neither exp nor sub. With [typeIntrospection], its typ has to be that.
func (j *JWT) verifyAnswer(ctx context.Context, raw, typ string) ([]byte, error) {
	j.once.Do(j.setUp)
	p, ok := split(raw)
	if !ok {
		return nil, refusal("not three parts")
	}
	head, ok1 := decodeSegment(nil, p.header)
	payload, ok2 := decodeSegment(nil, p.payload)
	if !ok1 || !ok2 {
		return nil, refusal("not base64url")
	}
	var h header
	if err := h.parse(head); err != nil {
		return nil, err
	}
	var c claims
	if err := c.parse(payload); err != nil {
		return nil, err
	}
	i, err := j.active(ctx, c.iss)
	switch {
	case err != nil:
		return nil, err
	case i == nil:
		return nil, otherIssuer(c.iss)
	}
	r, now := i.rules.Load(), time.Now()
	switch {
	case r.algorithms&h.alg.bit == 0:
		return nil, refusal("algorithm not accepted")
	case typ == typeIntrospection && !strings.EqualFold(string(h.typ), typ),
		typ != typeIntrospection && (!r.acceptsType(h.typ) || strings.EqualFold(string(h.typ), "at+jwt")):
		return nil, refusal("typ not accepted")
	case !r.skipAudience && !r.isFor(c.aud):
		return nil, refusal("for another audience")
	case c.hasNbf && time.Unix(c.nbf, 0).After(now.Add(r.leeway)),
		c.hasIat && time.Unix(c.iat, 0).After(now.Add(r.leeway)):
		return nil, refusal("issued in the future")
	case c.hasExp && !now.Before(time.Unix(c.exp, 0).Add(r.leeway)):
		return nil, ErrExpired
	}
	if err := j.verifySignature(ctx, raw); err != nil {
		return nil, err
	}
	return payload, nil
}
