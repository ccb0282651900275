package config

import "strings"

// MaskURLs hides the passwords of a connection's URLs, with commas between them.
func MaskURLs(urls []string) string {
	masked := make([]string, len(urls))
	for i, url := range urls {
		masked[i] = maskURL(url)
	}
	return strings.Join(masked, ", ")
}

// maskURL hides the password of a URL. Every place that prints a URL uses it. Text that
// is no valid URL is masked as well, because errors print it: everything between the
// scheme and the last @ counts as user and password.
func maskURL(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		scheme, rest = "", url
	} else {
		scheme += "://"
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		// Without an @, "user:secret" looks like "host:port". A port is digits to the
		// end; anything else may be a password.
		host, port, hasPort := strings.Cut(rest, ":")
		if digits, after := splitUnit(port); hasPort && (digits == "" || after != "" && after[0] != '/') {
			return scheme + host + ":***"
		}
		return url
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	if !hasPassword {
		return url
	}
	return scheme + user + ":***" + rest[at:]
}
