package discover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkState is what a link must have to be spoken on. Two are equal where the same
// voice may go on.
type linkState struct {
	index int
	mac   string
	// own is the node's link-local address there, with the link as zone.
	own netip.Addr
}

// readLink gives the state of a link, and why nobody can speak there. gone is whether
// there is no such link.
func readLink(name string) (s linkState, why string, gone bool) {
	link, err := netlink.LinkByName(name)
	switch missing := (netlink.LinkNotFoundError{}); {
	case errors.As(err, &missing):
		return s, fmt.Sprintf("this node has no link %s: correct spec.interface, or select only nodes that have it (spec.nodeSelector)", name), true
	case err != nil:
		return s, fmt.Sprintf("link %s cannot be read: %v", name, err), false
	}
	at := link.Attrs()
	s.index, s.mac = at.Index, string(at.HardwareAddr)
	switch {
	case at.RawFlags&unix.IFF_UP == 0:
		return s, fmt.Sprintf("link %s is down: ip link set %[1]s up", name), false
	case at.RawFlags&unix.IFF_RUNNING == 0:
		return s, fmt.Sprintf("link %s has no carrier: look at the cable, and at the router's port", name), false
	}
	if s.own, err = ownAddress(link); err != nil {
		return s, fmt.Sprintf("addresses of link %s cannot be read: %v", name, err), false
	}
	if !s.own.IsValid() {
		return s, fmt.Sprintf("link %s has no IPv6 link-local address: see sysctl net.ipv6.conf.%[1]s.disable_ipv6, and addrgenmode in `ip -d link show %[1]s`", name), false
	}
	return s, "", false
}

// ownAddress is the link's first link-local address that may be used; the zero Addr
// where there is none yet. While others are asked whether it is theirs (RFC 4862
// section 5.4) it may not.
func ownAddress(link netlink.Link) (netip.Addr, error) {
	all, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ok && ip.IsLinkLocalUnicast() && a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0 {
			return ip.WithZone(link.Attrs().Name), nil
		}
	}
	return netip.Addr{}, nil
}

// interfaceOf is the link as package net has it.
func interfaceOf(name string, s linkState) *net.Interface {
	return &net.Interface{Index: s.index, Name: name, MTU: mostMessage, HardwareAddr: net.HardwareAddr(s.mac)}
}

// mostMessage is the room for one message of neighbour discovery, in bytes: the least
// MTU of IPv6, which no advertisement of a router exceeds.
const mostMessage = 1500
