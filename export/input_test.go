package export

import (
	"net/netip"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// secret must not be seen in any output.
const secret = "hunter2-and-more"

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func node(name string, ips ...string) routes.Node {
	n := routes.Node{Name: name, Ready: true}
	for _, ip := range ips {
		n.InternalIPs = append(n.InternalIPs, addr(ip))
	}
	return n
}

func advert(p, subnet string, role routes.Role, peers ...string) *policy.Advert {
	return &policy.Advert{Prefix: prefix(p), Subnet: subnet, Role: role, Peers: peers}
}

func both() []policy.Family { return []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast} }

// torA is a plain IPv4 session with a password; each node has an AS of its own.
func torA(asn uint32) policy.Session {
	return policy.Session{Peer: "tor-a", LocalASN: asn, SessionSettings: policy.SessionSettings{
		Address: addr("172.30.0.1"), Port: 179, PeerASN: 65000, Password: secret,
		HoldTime: 90 * time.Second, KeepaliveTime: 30 * time.Second, ConnectRetryTime: 5 * time.Second,
		GracefulRestartTime: 120 * time.Second, Families: both(),
	}}
}

// torB is an IPv6 session with GTSM and BFD that carries IPv4 with IPv6 next hops.
func torB(asn uint32) policy.Session {
	return policy.Session{Peer: "tor-b", LocalASN: asn, SessionSettings: policy.SessionSettings{
		Address: addr("fd00:30::2"), Port: 1790, PeerASN: 65001, TTLSecurity: true,
		HoldTime: 9 * time.Second, KeepaliveTime: 3 * time.Second,
		Families: both(), ExtendedNextHop: true,
		BFD: bfd.Settings{Transmit: 100 * time.Millisecond, Receive: 200 * time.Millisecond, Multiplier: 3},
	}}
}

// core is a router some hops away that dials the nodes itself, takes IPv4 only,
// and is in the AS of some of them.
func core(asn uint32) policy.Session {
	return policy.Session{Peer: "core.dc1", LocalASN: asn, SessionSettings: policy.SessionSettings{
		Address: addr("10.255.0.1"), Port: 179, PeerASN: 64512, EBGPMultihop: true, Passive: true,
		HoldTime: 9 * time.Second, KeepaliveTime: 3 * time.Second, ConnectRetryTime: 2 * time.Second,
		Families: []policy.Family{policy.IPv4Unicast},
		BFD:      bfd.Settings{Transmit: 300 * time.Millisecond, Receive: 300 * time.Millisecond, Multiplier: 5},
	}}
}

// cluster is three nodes and three routers, with a Subnet of every kind.
func cluster() Input {
	vip := func(a *policy.Advert) *policy.Advert { a.NextHop = addr("172.30.0.100"); return a }
	all := []string{"core.dc1", "tor-a", "tor-b"}
	routed := func() []*policy.Advert {
		return []*policy.Advert{
			advert("10.166.0.0/16", "routed", routes.RoleDistributed, all...),
			advert("fd00:166::/64", "routed", routes.RoleDistributed, "tor-a", "tor-b"),
		}
	}
	nat := policy.Withheld{Prefix: "10.167.0.0/16", Subnet: "nat", Reason: routes.NATOutgoing}
	away := policy.Withheld{Prefix: "10.172.0.0/16", Subnet: "central2", Reason: routes.NoActiveGateway}
	noPods := policy.Withheld{Prefix: "10.169.0.0/16", Subnet: "pods", Reason: routes.NoPods}
	n1 := policy.Plan{Node: "n1", Sessions: []policy.Session{core(64512), torA(64512), torB(64512)},
		Adverts: append(routed(),
			advert("10.168.0.0/16", "central", routes.RoleActive, all...),
			advert("10.169.3.4/32", "pods", routes.RolePod, "tor-a"),
			advert("10.169.8.0/30", "pods", routes.RolePod, "tor-a"),
			vip(advert("10.170.0.0/16", "vip", routes.RoleECMP, "tor-a"))),
		Withheld: []policy.Withheld{nat, away}}
	n2 := policy.Plan{Node: "n2", Sessions: []policy.Session{core(64512), torA(64513), torB(64512)},
		Adverts: append(routed(),
			advert("10.168.0.0/16", "central", routes.RoleStandby, all...),
			vip(advert("10.170.0.0/16", "vip", routes.RoleECMP, "tor-a"))),
		Withheld: []policy.Withheld{nat, away, noPods}}
	n3 := policy.Plan{Node: "n3.example", Sessions: []policy.Session{core(64514), torA(64512), torB(64512)},
		Adverts:  append(routed(), advert("10.171.0.0/24", "rack-b-only", routes.RoleActive, "tor-b")),
		Withheld: []policy.Withheld{nat, noPods}}
	return Input{
		Plans: []policy.Plan{n1, n2, n3},
		Nodes: []routes.Node{
			node("n1", "172.30.0.11", "fd00:30::11"),
			node("n2", "172.30.0.12", "fd00:30::12"),
			node("n3.example", "172.30.0.13", "fd00:30::13"),
		},
		Subnets: []*routes.Subnet{routes.Subnet{Name: "pods", CIDRBlock: "fd00:169::/64, 10.169.0.0/16"}.Parsed()},
	}
}
