package publisher

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"
)

// An Auth says which credentials [Authenticate] accepts: those whose function is set. Each
// function gets what the caller has sent, and returns the name of the user for [Request.User].
// "" means that the credentials are wrong. An error means that they could not be checked, and is
// the call's error. The function runs in the call: it may wait, by [Request.Offload] for example.
//
// For what is compared with a stored secret use [SecretsEqual], and a hash such as bcrypt, in
// Offload, for passwords.
type Auth struct {
	// Realm says what the credentials are for, in WWW-Authenticate; "" is "zamqp".
	Realm string
	// Basic gets user and password of "Authorization: Basic" (RFC 7617).
	Basic func(r *Request, user, password string) (string, error)
	// Bearer gets the token of "Authorization: Bearer" (RFC 6750).
	Bearer func(r *Request, token string) (string, error)
	// UserID gets the property user_id of a message, which the broker has compared with the
	// login of the publisher. HTTP requests have none.
	UserID func(r *Request, id string) (string, error)
	// CookieAuth gets the header x-cookie-auth of a message, in which collective.zamqp
	// carries the cookie of its user. It is not read from HTTP requests.
	CookieAuth func(r *Request, value string) (string, error)
	// Optional lets calls without any credentials pass, without a user. Wrong ones are still
	// refused.
	Optional bool
}

// Authenticate is a middleware for [Use] that lets only callers pass that say who they are, and
// tells the handler by [Request.User]:
//
//	publisher.Use(publisher.Authenticate(publisher.Auth{Bearer: userOfToken}), "/api/", "consumer orders")
//
// Everybody else gets 401, with a WWW-Authenticate field for each scheme that is accepted, and a
// malformed bearer token 400. A message goes to the dead-letter queue at once; its headers
// Authorization and x-cookie-auth count as those of a request do, and before its user_id. Ticks of
// clocks pass: nobody else can make them. Authenticate panics if no function is set, or if the
// realm cannot be quoted.
func Authenticate(a Auth) func(next Handler) Handler {
	return newGate(a).around
}

// around is the middleware. Around nothing it is a handler that says what it is: see gateOf.
func (g *gate) around(next Handler) Handler {
	if next == nil {
		return func(*Request) error { return &gateItself{g} }
	}
	return func(r *Request) error {
		if r.source.origin() == OriginClock {
			return next(r)
		}
		user, err := g.user(r)
		if err != nil {
			return err
		}
		if user != "" {
			r.user = user
		}
		return next(r)
	}
}

// A gateItself is how the middleware of Authenticate says what it is.
type gateItself struct{ g *gate }

func (*gateItself) Error() string { return "the middleware of Authenticate" }

// gateCode is the code of every [gate.around].
var gateCode = reflect.ValueOf((&gate{}).around).Pointer()

// gateOf returns what Authenticate has made a middleware of; nil if it is another middleware.
func gateOf(middleware func(Handler) Handler) *gate {
	if reflect.ValueOf(middleware).Pointer() != gateCode {
		return nil
	}
	return middleware(nil)(nil).(*gateItself).g
}

// SecretsEqual compares two secrets in a time that says nothing about where they differ, nor about
// their lengths.
func SecretsEqual(a, b string) bool {
	x, y := sha256.Sum256(view(a)), sha256.Sum256(view(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// A gate is an Auth with its refusals.
type gate struct {
	Auth
	missing, wrong, invalidToken, malformed error
}

func newGate(a Auth) *gate {
	if a.Basic == nil && a.Bearer == nil && a.UserID == nil && a.CookieAuth == nil {
		panic("publisher: Authenticate: set a function of Auth, such as Bearer: nobody could pass")
	}
	if a.Realm == "" {
		a.Realm = "zamqp"
	}
	if strings.ContainsFunc(a.Realm, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		panic(fmt.Sprintf(`publisher: Authenticate: the realm %q is not of printable ASCII without " and \`, a.Realm))
	}
	challenged := func(status int, text, bearer string) error {
		e := Errorf(status, "%s", text)
		if a.Bearer != nil {
			e = e.With("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q%s", a.Realm, bearer))
		}
		if a.Basic != nil && status == http.StatusUnauthorized {
			e = e.With("WWW-Authenticate", fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, a.Realm))
		}
		return e
	}
	return &gate{
		Auth:         a,
		missing:      challenged(http.StatusUnauthorized, "credentials are needed", ""),
		wrong:        challenged(http.StatusUnauthorized, "the credentials are wrong", ""),
		invalidToken: challenged(http.StatusUnauthorized, "the token is wrong", `, error="invalid_token"`),
		malformed:    challenged(http.StatusBadRequest, "the Authorization field is malformed", `, error="invalid_request"`),
	}
}

// authorizationMax bounds an Authorization field that is looked at, in octets.
const authorizationMax = 16 << 10

// user finds out who calls. It is "" for a call without credentials, if they are optional.
func (g *gate) user(r *Request) (string, error) {
	authorization, several := authorizationOf(r)
	if several || len(authorization) > authorizationMax {
		return "", g.malformed
	}
	if authorization != "" && (g.Basic != nil || g.Bearer != nil) {
		return g.authorized(r, authorization)
	}
	if r.delivered {
		if value := (messageSource{}).field(r, "x-cookie-auth"); value != "" && g.CookieAuth != nil {
			return g.checked(g.CookieAuth(r, value))
		}
		if len(r.props.UserID) > 0 && g.UserID != nil {
			return g.checked(g.UserID(r, string(r.props.UserID)))
		}
	}
	if g.Optional {
		return "", nil
	}
	return "", g.missing
}

// checked refuses credentials that are wrong.
func (g *gate) checked(user string, err error) (string, error) {
	if err == nil && user == "" {
		err = g.wrong
	}
	return user, err
}

// authorizationOf returns the Authorization field of a request or a message, and whether
// there are several.
func authorizationOf(r *Request) (value string, several bool) {
	const name = "Authorization"
	if r.delivered { // also of a message that runs a route, whose other headers a route does not get
		return messageSource{}.field(r, name), false
	}
	for i := range r.fields {
		if f := &r.fields[i]; len(f.Name) == len(name) && equalFold(f.Name, name) {
			if value != "" {
				return "", true
			}
			value = string(f.Value)
		}
	}
	return value, false
}

// authorized checks the credentials of an Authorization field.
func (g *gate) authorized(r *Request, authorization string) (string, error) {
	scheme, credentials, _ := strings.Cut(authorization, " ")
	credentials = strings.TrimLeft(credentials, " ")
	switch {
	case g.Bearer != nil && strings.EqualFold(scheme, "Bearer"):
		if !isToken(credentials) {
			return "", g.malformed
		}
		user, err := g.Bearer(r, credentials)
		if err == nil && user == "" {
			err = g.invalidToken
		}
		return user, err
	case g.Basic != nil && strings.EqualFold(scheme, "Basic"):
		user, password, ok := basicCredentials(credentials)
		if !ok {
			return "", g.wrong
		}
		return g.checked(g.Basic(r, user, password))
	}
	return "", g.missing
}

// isToken reports whether a text is a b64token. RFC 6750 §2.1.
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// basicCredentials decodes user and password: UTF-8 without control characters. RFC 7617 §2.
func basicCredentials(s string) (user, password string, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") || !utf8.Valid(b) {
		return "", "", false
	}
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return "", "", false
		}
	}
	return strings.Cut(string(b), ":")
}
