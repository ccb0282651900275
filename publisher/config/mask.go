package config

import "strings"

// maskURLs is maskURL for those of one connection.
func MaskURLs(urls []string) string {
	masked := make([]string, len(urls))
	for i, url := range urls {
		masked[i] = maskURL(url)
	}
	return strings.Join(masked, ", ")
}

// maskURL hides the password of a URL, for every place that prints one. It
// also works on what is not a URL (yet), because errors print those: whatever
// stands between the scheme and the last @ counts as user and password.
func maskURL(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		scheme, rest = "", url
	} else {
		scheme += "://"
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		// "user:secret" with the @ forgotten is not told from "host:port": a
		// port is digits to the end, everything else may be a password.
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
