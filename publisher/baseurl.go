package publisher

import (
	"errors"
	"net/url"
	"strings"
)

// A BaseURL is where clients reach the server, as [Request.URL] writes it in calls
// without a client: scheme, host with port, and a prefix of all paths, which a proxy
// takes away.
type BaseURL struct {
	Scheme, Host string
	Prefix       string // "" or "/shop"
}

// ParseBaseURL reads "https://shop.example.com:8443/prefix".
func ParseBaseURL(text string) (*BaseURL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New(`want "https://HOST", "http://HOST:PORT" or one with a path behind it`)
	case u.User != nil:
		return nil, errors.New("a user or a password in it would be in every link: remove it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it ends with the path: remove the query and the fragment")
	}
	prefix := strings.TrimRight(u.EscapedPath(), "/")
	if prefix != "" && !isClean([]byte(prefix)) {
		return nil, errors.New("its path is not clean: write " + cleanPath(prefix))
	}
	return &BaseURL{Scheme: u.Scheme, Host: u.Host, Prefix: prefix}, nil
}

// URL is the absolute URL of a path of this server, which may have a query. For an
// HTTP request it has the scheme and the host by which the client came, as a trusted
// proxy says (http.trusted_proxies), or else as the connection and the Host field say.
// For any other call it has those of site.base_url; without that setting it is the
// path alone, and the log says so.
func (r *Request) URL(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	scheme, host, prefix := r.Scheme(), r.Host(), string(r.prefix)
	if base := r.server.options.BaseURL; base != nil && (host == "" || !r.source.hasClient()) {
		if host == "" {
			scheme, host = base.Scheme, base.Host
		}
		prefix = base.Prefix
	}
	if host == "" {
		r.server.warnOnce(&r.server.noBase, "URL gives a path without a host: set site.base_url for calls that no HTTP client has made")
		return prefix + path
	}
	if scheme == "" { // a route with a host of its own, and no base URL
		scheme = "http"
	}
	return scheme + "://" + host + prefix + path
}
