// Package inet holds the few facts of the Internet that several rooms need: BGP's
// port, what a loopback name is, and the Internet checksum. It is values in, values
// out, and knows no other room.
package inet

import (
	"encoding/binary"
	"net/netip"
)

// BGPPort is BGP's TCP port (RFC 4271 section 4).
const BGPPort = 179

// IsLoopback reports whether a host, without port and brackets, is this machine
// alone: a loopback address, or "localhost". Other names may be resolved to
// anything.
func IsLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Checksum is the Internet checksum (RFC 1071) of bytes in network order.
func Checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
