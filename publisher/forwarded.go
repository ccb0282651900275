package publisher

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"

	"zamqp/publisher/http1"
)

// Proxies are the peers that the server believes when they say how a client has reached them. The
// zero value believes nobody.
type Proxies struct {
	prefixes []netip.Prefix
	unix     bool // all peers on a unix socket
	standard bool // read Forwarded (RFC 7239), not X-Forwarded-*
}

// ParseProxies reads a list of networks such as "10.0.0.0/8", addresses, and "unix". If
// standard is set, the field Forwarded is believed, otherwise X-Forwarded-*. It is never
// both, because a proxy that sets one passes on the other as the client has sent it.
func ParseProxies(list []string, standard bool) (Proxies, error) {
	p := Proxies{standard: standard}
	for _, text := range list {
		if text == "unix" {
			p.unix = true
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			return Proxies{}, errors.New(`not a network: write "10.0.0.0/8", "192.0.2.7" or "unix"`)
		case prefix.Addr().Is4In6():
			return Proxies{}, errors.New("write an IPv4 network as such, without the prefix ::ffff")
		case prefix != prefix.Masked():
			return Proxies{}, errors.New("an address within a network: write " + prefix.Masked().String() + ", or the address without the slash")
		}
		p.prefixes = append(p.prefixes, prefix)
	}
	return p, nil
}

func (p *Proxies) believesAny() bool { return p.unix || len(p.prefixes) > 0 }

func (p *Proxies) believesPeer(remote Remote) bool {
	if remote == nil {
		return false
	}
	switch a := remote.RemoteAddr().(type) {
	case *net.TCPAddr:
		return p.believes(a.AddrPort().Addr())
	case *net.UnixAddr:
		return p.unix
	}
	return false
}

func (p *Proxies) believes(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range p.prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// readForwarded takes scheme, host and prefix from what a trusted proxy says. It ignores what
// the client may have put in front of that. A malformed field changes nothing.
func (r *Request) readForwarded() {
	p := &r.server.options.Proxies
	if !p.believesPeer(r.remote) {
		return
	}
	var f forwarded
	var ok bool
	if p.standard {
		f, ok = p.readStandard(r.fields)
	} else {
		f, ok = p.readXForwarded(r.fields)
	}
	if !ok {
		r.server.warnOnce(&r.server.badForwarded, "a trusted proxy has sent a malformed Forwarded or X-Forwarded field, which is ignored")
	}
	if r.scheme = f.scheme; len(f.host) > 0 {
		r.host = f.host
	}
	r.prefix = f.prefix
	r.client = f.client
}

// ClientAddr is the address of the client. Behind trusted proxies (http.trusted_proxies) it is
// the one that the first of them says in X-Forwarded-For, or in Forwarded. What a client
// writes into these fields itself is not believed. The zero Addr means that it is not known: a
// message, a client on a unix socket, a proxy that does not say it or hides it.
//
// [Request.RemoteAddr] is always that of the connection to this server.
func (r *Request) ClientAddr() netip.Addr {
	addr := r.client.addr
	if !r.client.said && r.remote != nil {
		if peer := r.remote.RemoteAddr(); peer != nil {
			addr, _ = nodeAddr([]byte(peer.String()))
		}
	}
	return addr.Unmap()
}

// clientAddr is what a trusted proxy says of its client.
type clientAddr struct {
	addr netip.Addr // the zero Addr if the proxy hides it
	said bool
}

// forwarded says how a client came to the first trusted proxy.
type forwarded struct {
	scheme       string
	host, prefix []byte
	client       clientAddr
}

// readXForwarded reads X-Forwarded-For, -Proto, -Host and -Prefix. Each proxy appends to
// X-Forwarded-For, so this list says how many of the last proxies are trusted, and which
// values of the other fields are theirs. If one of the other lists is shorter than that, its
// first value counts.
func (p *Proxies) readXForwarded(fields []Field) (f forwarded, ok bool) {
	hops := 1 // the peer
	path := listOf(fields, "X-Forwarded-For")
	for i := len(path) - 1; i >= 0; i-- {
		addr, valid := nodeAddr(path[i])
		f.client = clientAddr{addr, true}
		if !valid || !p.believes(addr) {
			break
		}
		hops++
	}
	ok = true
	pick := func(name string) []byte {
		values := listOf(fields, name)
		if len(values) == 0 {
			return nil
		}
		return values[max(0, len(values)-hops)]
	}
	if v := pick("X-Forwarded-Proto"); v != nil {
		if f.scheme = schemeOf(v); f.scheme == "" {
			ok = false
		}
	}
	if v := pick("X-Forwarded-Host"); v != nil {
		if f.host = v; !http1.ValidHost(v) {
			f.host, ok = nil, false
		}
	}
	if v := pick("X-Forwarded-Prefix"); v != nil {
		if v = bytes.TrimRight(v, "/"); len(v) > 0 && (!isClean(v) || bytes.ContainsAny(v, "?#\"\\<> \t")) {
			v, ok = nil, false
		}
		f.prefix = v
	}
	return f, ok
}

// readStandard reads Forwarded (RFC 7239). Each proxy appends an element with all that it
// knows. The element of the first trusted proxy counts.
func (p *Proxies) readStandard(fields []Field) (f forwarded, ok bool) {
	elements := listOf(fields, "Forwarded")
	for i := len(elements) - 1; i >= 0; i-- {
		node, ok := f.add(elements[i])
		if !ok {
			return forwarded{client: clientAddr{said: true}}, false
		}
		addr, valid := nodeAddr(node)
		if f.client = (clientAddr{addr, true}); !valid || !p.believes(addr) {
			break
		}
	}
	return f, true
}

// add reads one element and returns the value of its parameter "for".
func (f *forwarded) add(element []byte) (node []byte, ok bool) {
	for len(element) > 0 {
		var pair []byte
		pair, element = cutOutside(element, ';')
		name, value, found := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
		if len(bytes.TrimSpace(pair)) == 0 {
			continue
		}
		if value, found = unquote(value, found); !found {
			return nil, false
		}
		switch strings.ToLower(string(name)) {
		case "for":
			node = value
		case "proto":
			if f.scheme = schemeOf(value); f.scheme == "" {
				return nil, false
			}
		case "host":
			if f.host = value; !http1.ValidHost(value) {
				return nil, false
			}
		}
	}
	return node, true
}

// listOf returns the values of a list field, in the order of the lines. RFC 9110 §5.6.1.
func listOf(fields []Field, name string) (values [][]byte) {
	for i := range fields {
		if len(fields[i].Name) != len(name) || !equalFold(fields[i].Name, name) {
			continue
		}
		for rest := fields[i].Value; len(rest) > 0; {
			var value []byte
			value, rest = cutOutside(rest, ',')
			if value = bytes.TrimSpace(value); len(value) > 0 {
				values = append(values, value)
			}
		}
	}
	return values
}

// cutOutside cuts at the first separator that is not in a quoted string.
func cutOutside(b []byte, separator byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			quoted = !quoted
		case quoted && b[i] == '\\':
			i++
		case !quoted && b[i] == separator:
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// unquote returns the value of a token or of a quoted string. RFC 9110 §5.6.4.
func unquote(b []byte, ok bool) ([]byte, bool) {
	if !ok || len(b) == 0 {
		return nil, false
	}
	if b[0] != '"' {
		return b, !bytes.ContainsAny(b, "\" \t")
	}
	if len(b) < 2 || b[len(b)-1] != '"' {
		return nil, false
	}
	b = b[1 : len(b)-1]
	if bytes.IndexByte(b, '\\') < 0 {
		return b, bytes.IndexByte(b, '"') < 0
	}
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == '"' {
			return nil, false
		}
		if b[i] == '\\' {
			if i++; i == len(b) { // the backslash escapes the quote at the end
				return nil, false
			}
		}
		out = append(out, b[i])
	}
	return out, true
}

// nodeAddr returns the address of a node, which may have a port. An "unknown" or a hidden
// node has no address. RFC 7239 §6.
func nodeAddr(node []byte) (addr netip.Addr, ok bool) {
	text := string(node)
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr(), true
	}
	if inner, found := strings.CutPrefix(text, "["); found {
		text = strings.TrimSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil
}

func schemeOf(v []byte) string {
	switch strings.ToLower(string(v)) {
	case "http", "ws":
		return "http"
	case "https", "wss":
		return "https"
	}
	return ""
}
