package loop

import (
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// endpoint is an address in compact form, because most connections are never asked for their
// address.
type endpoint struct {
	ip     [16]byte
	zone   uint32
	port   uint16
	family uint8 // 4, 6, or 1 for unix; 0 is no address
}

func endpoint4(ip [4]byte, port uint16) endpoint {
	e := endpoint{family: 4, port: port}
	copy(e.ip[:], ip[:])
	return e
}

func endpoint6(ip [16]byte, port uint16, zone uint32) endpoint {
	return endpoint{family: 6, ip: ip, port: port, zone: zone}
}

func endpointOf(sa unix.Sockaddr) endpoint {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return endpoint4(sa.Addr, uint16(sa.Port))
	case *unix.SockaddrInet6:
		return endpoint6(sa.Addr, uint16(sa.Port), sa.ZoneId)
	case *unix.SockaddrUnix:
		return endpoint{family: 1}
	}
	return endpoint{}
}

// addr returns the address in the types of package net.
func (e endpoint) addr() net.Addr {
	switch e.family {
	case 4:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte(e.ip[:4])), e.port))
	case 6:
		// An IPv4 client of a socket for both families is shown as IPv4.
		ip := netip.AddrFrom16(e.ip).Unmap()
		if e.zone != 0 {
			ip = ip.WithZone(zoneName(e.zone))
		}
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, e.port))
	case 1:
		return &net.UnixAddr{Net: "unix"}
	}
	return nil
}

func zoneName(index uint32) string {
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

func localEndpoint(fd int) endpoint {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return endpoint{}
	}
	return endpointOf(sa)
}

func remoteEndpoint(fd int) endpoint {
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return endpoint{}
	}
	return endpointOf(sa)
}
