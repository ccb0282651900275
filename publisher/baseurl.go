package publisher

import (
	"errors"
	"net/url"
	"strings"
)

// A BaseURL is where clients reach the server. [Request.URL] uses it in calls without a
// client. It has a scheme, a host with port, and a prefix of all paths, which a proxy
// removes.
type BaseURL struct {
	Scheme, Host string
	Prefix       string // "" or "/shop"
}

// String is the URL as [ParseBaseURL] reads it.
func (u *BaseURL) String() string { return u.Scheme + "://" + u.Host + u.Prefix }

// ParseBaseURL reads "https://shop.example.com:8443/prefix".
func ParseBaseURL(text string) (*BaseURL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New(`want "https://HOST", "http://HOST:PORT" or one followed by a path`)
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

// URL returns the absolute URL of a path of this server; the path may have a query. For an
// HTTP request the URL has the scheme and the host that a trusted proxy reports
// (http.trusted_proxies), or those of the connection and the Host field. For any other call
// it has those of the base_url of its consuming server, or of site.base_url. Without these
// settings the result is only the path, and the log says so.
func (r *Request) URL(path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	scheme, host, prefix := r.Scheme(), r.Host(), string(r.prefix)
	if base := r.baseURL(); base != nil && (host == "" || !r.source.hasClient()) {
		if host == "" {
			scheme, host = base.Scheme, base.Host
		}
		prefix = base.Prefix
	}
	if host == "" {
		r.server.warnOnce(&r.server.noBase, "URL gives a path without a host: set site.base_url for calls that no HTTP client has made")
		return prefix + path
	}
	if scheme == "" { // the call has a host, from a route, but there is no base URL
		scheme = "http"
	}
	return scheme + "://" + host + prefix + path
}
