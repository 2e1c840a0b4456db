package export

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/inet"
)

// What the templates ask for. The judging is done by then (peering.go,
// static.go): these only put it into the words of routers.

// ASN is the router's own AS.
func (p peering) ASN() uint32 { return p.settings.PeerASN }

// Address is the router's own address.
func (p peering) Address() netip.Addr { return p.settings.Address }

// OwnAddress is Address where it may be written down as the source of the
// router's sessions, else "". A link-local one is only known together with an
// interface of the router.
func (p peering) OwnAddress() string {
	a := p.settings.Address
	if !a.IsValid() || a.IsLinkLocalUnicast() {
		return ""
	}
	return a.String()
}

// AsksSource reports whether the router's source address matters: where it dials
// or is some hops away.
func (p peering) AsksSource() bool {
	return !p.Unnumbered() && (p.settings.EBGPMultihop || p.settings.Passive)
}

// NodesDial reports whether the router waits for the nodes.
func (p peering) NodesDial() bool { return !p.settings.Passive }

// OtherPort is the TCP port that the router listens on where that is not 179, else 0.
func (p peering) OtherPort() uint16 {
	if !p.NodesDial() || p.settings.Port == inet.BGPPort {
		return 0
	}
	return p.settings.Port
}

// Password is what stands in the place of the password, "" where there is none.
func (p peering) Password() string { return string(p.settings.Password) }

// TTLSecurity reports whether both sides ask for GTSM (RFC 5082).
func (p peering) TTLSecurity() bool { return p.settings.TTLSecurity }

// ExtendedNextHop reports whether IPv4 prefixes may have IPv6 next hops (RFC 8950).
func (p peering) ExtendedNextHop() bool { return p.settings.ExtendedNextHop }

// GracefulRestart reports whether the nodes ask for it (RFC 4724).
func (p peering) GracefulRestart() bool { return p.settings.GracefulRestartTime > 0 }

// timers are in seconds.
type timers struct{ Keepalive, Hold int }

// Timers is nil unless the BGPPeer gives both.
func (p peering) Timers() *timers {
	t := timers{seconds(p.settings.KeepaliveTime), seconds(p.settings.HoldTime)}
	if t.Keepalive <= 0 || t.Hold <= 0 {
		return nil
	}
	return &t
}

// bfdTimers are those of BFD, in milliseconds.
type bfdTimers struct {
	Transmit, Receive int64
	Multiplier        uint8
}

// BFD gives the router's timers, which are the node's seen from the other end; nil where
// BFD is off.
func (p peering) BFD() *bfdTimers {
	b := p.settings.BFD
	if !b.On() {
		return nil
	}
	return &bfdTimers{b.Receive.Milliseconds(), b.Transmit.Milliseconds(), b.Multiplier}
}

// ConnectRetry is in seconds, 0 where the BGPPeer gives none.
func (p peering) ConnectRetry() int { return max(0, seconds(p.settings.ConnectRetryTime)) }

// ECMP reports whether several nodes may carry a prefix at once. One node must
// not lower what the router has.
func (p peering) ECMP() bool { return p.paths > 1 }

// ExternalECMP reports whether eBGP neighbours may.
func (p peering) ExternalECMP() bool { return p.ECMP() && !p.Groups[0].Internal }

// InternalECMP reports whether iBGP neighbours may.
func (p peering) InternalECMP() bool { return p.ECMP() && p.Groups[len(p.Groups)-1].Internal }

// PathsUpTo is the number of equal paths, at most what the platform has.
func (p peering) PathsUpTo(most int) int { return min(p.paths, most) }

// GroupNames are those of the groups that an export of the same BGPPeer has, or had
// with ranges or without.
func (p peering) GroupNames() []string {
	var out []string
	for _, g := range p.Groups {
		name := strings.TrimSuffix(g.Name, listenSuffix)
		if !slices.Contains(out, name) {
			out = append(out, name, name+listenSuffix)
		}
	}
	return out
}

// Families are those that the sessions negotiate.
func (p peering) Families() []family {
	return slices.DeleteFunc(slices.Clone(p.AllFamilies), func(f family) bool { return !f.On })
}

// IPv4 is that family, negotiated or not.
func (p peering) IPv4() family { return p.AllFamilies[0] }

// Limit is how many prefixes one node may announce in all families together.
func (p peering) Limit() int {
	n := 0
	for _, f := range p.Families() {
		n += f.Limit
	}
	return n
}

// Short is "v4" or "v6".
func (f family) Short() string {
	if f.V6 {
		return "v6"
	}
	return "v4"
}

// IP is the word that begins commands of the family: "ip" or "ipv6".
func (f family) IP() string {
	if f.V6 {
		return "ipv6"
	}
	return "ip"
}

// AF is "ipv4" or "ipv6".
func (f family) AF() string { return "ip" + f.Short() }

// none names the list that lets nothing pass.
func (f family) none() string { return "FAIRWAY-NONE-" + f.suffix() }

func (f family) suffix() string { return strings.ToUpper(f.Short()) }

// All is the prefix that contains every other.
func (f family) All() string {
	if f.V6 {
		return "::/0"
	}
	return "0.0.0.0/0"
}

// Bits is the length of the longest prefix.
func (f family) Bits() int {
	if f.V6 {
		return 128
	}
	return 32
}

// Length is which lengths BIRD's prefix set has of the rule's network.
func (r rule) Length() string {
	switch r.Longest {
	case 0:
		return ""
	case r.Prefix.Addr().BitLen():
		return "+"
	}
	return fmt.Sprintf("{%d,%d}", r.Prefix.Bits(), r.Longest)
}

// Reach says the same as a route filter of Junos.
func (r rule) Reach() string {
	switch r.Longest {
	case 0:
		return "exact"
	case r.Prefix.Addr().BitLen():
		return "orlonger"
	}
	return fmt.Sprintf("upto /%d", r.Longest)
}

// FirstAS is the first of the ASes of a range, and OtherAS the others.
func (g group) FirstAS() uint32 { return g.ASNs()[0] }

// OtherAS are all but the first.
func (g group) OtherAS() []uint32 { return g.ASNs()[1:] }

// ASList is all of them, for a route map.
func (g group) ASList() string { return strings.Join(texts(g.ASNs()), ", ") }

// AllFamilies are IPv4 and IPv6.
func (s static) AllFamilies() []family { return []family{{}, {V6: true}} }

// ECMP reports whether a route has several next hops.
func (s static) ECMP() bool { return slices.ContainsFunc(s.Routes, staticRoute.ECMP) }

// ECMP reports whether the route has several next hops.
func (r staticRoute) ECMP() bool { return len(r.Hops) > 1 }

// V6 reports the family of the route.
func (r staticRoute) V6() bool { return r.Prefix.Addr().Is6() }

// IP is the word that begins commands about the route: "ip" or "ipv6".
func (r staticRoute) IP() string { return family{V6: r.V6()}.IP() }

// Netmask writes the length of an IPv4 prefix as 255.255.0.0.
func (r staticRoute) Netmask() string {
	return net.IP(net.CIDRMask(r.Prefix.Bits(), 32)).String()
}
