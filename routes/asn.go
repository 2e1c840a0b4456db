package routes

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseASN reads an autonomous system number in plain decimal, 1 to 4294967294.
func ParseASN(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not an AS number, 1 to 4294967294", s)
	}
	if err := CheckASN(uint32(n)); err != nil {
		return 0, err
	}
	return uint32(n), nil
}

// CheckASN refuses the numbers that no speaker may use as its own: 0
// (RFC 7607), AS_TRANS 23456 (RFC 6793), and the last ones, 65535 and 4294967295
// (RFC 7300).
func CheckASN(n uint32) error {
	switch n {
	case 0:
		return fmt.Errorf("AS 0 may not be used (RFC 7607): give a number from 1 to 4294967294")
	case 23456:
		return fmt.Errorf("AS 23456 is AS_TRANS (RFC 6793) and may not be used")
	case 65535, 4294967295:
		return fmt.Errorf("AS %d is reserved (RFC 7300) and may not be used", n)
	}
	return nil
}

// ParseRouterID reads a BGP identifier (RFC 4271 section 4.2) written as an
// IPv4 address; 0.0.0.0 is none (RFC 6286).
func ParseRouterID(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || !a.Is4() || !GoodRouterID(a) {
		return netip.Addr{}, fmt.Errorf("%q is not an IPv4 address that begins with 1 to 223, and not with 127", s)
	}
	return a, nil
}

// GoodRouterID reports whether every router takes an IPv4 address as an identifier.
// RFC 6286 asks only that it be non-zero, but RFC 4271 section 4.2 that it be the
// address of a host, and Junos and older routers refuse others.
func GoodRouterID(a netip.Addr) bool {
	const loopback, lastOfHosts = 127, 223
	first := a.As4()[0]
	return first >= 1 && first <= lastOfHosts && first != loopback
}
