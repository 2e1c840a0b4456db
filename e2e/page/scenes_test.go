package page

import (
	"fmt"
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/picture"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// session is one that is up, with prefixes sent.
func session(peer, address, from string, prefixes int) status.Session {
	return status.Session{
		Peer: peer, Address: address, LocalAddress: from, PeerASN: 65000, LocalASN: 65001, State: "Established",
		Since: time.Now().Add(-3 * time.Hour), Advertised: prefixes, Planned: prefixes, Families: []string{"ipv4-unicast", "ipv6-unicast"},
	}
}

// down is a session that was lost a moment ago.
func down(s status.Session, why string) status.Session {
	s.State, s.LastError, s.LastErrorAt, s.Advertised, s.Flaps = "Active", why, time.Now(), 0, s.Flaps+1
	s.Since, s.LastReset = time.Now(), &status.Reset{At: time.Now(), Why: status.Why{Reason: "hold-timer-expired"}}
	return s
}

func advert(prefix, subnet string, role routes.Role, peers ...string) *policy.Advert {
	return &policy.Advert{Prefix: netip.MustParsePrefix(prefix), Subnet: subnet, Role: role, Peers: peers}
}

// wellNode is a node with two routers and all kinds of Subnets, and nothing amiss.
func wellNode() *status.Status {
	now := time.Now()
	both := []string{"tor-a", "tor-b"}
	vip := advert("10.170.0.0/16", "edge", routes.RoleECMP, both...)
	vip.NextHop = netip.MustParseAddr("172.30.0.100")
	s := &status.Status{
		Version: "v1.0.0", Node: "n1", Started: now.Add(-26 * time.Hour), At: now, Ready: true, Waiting: []string{},
		Source:   status.Source{Kind: "api", From: []string{"https://192.0.2.1:6443"}, Subnets: 9, Nodes: 3, Peers: 2},
		Speaker:  status.Speaker{RouterID: netip.MustParseAddr("172.30.0.11"), ASN: 65001, InSync: true},
		Sessions: []status.Session{session("tor-a", "172.30.0.1", "172.30.0.11", 6), session("tor-b", "172.30.1.1", "172.30.1.11", 6)},
		Plan: policy.Plan{Node: "n1",
			Adverts: []*policy.Advert{
				advert("10.166.0.0/16", "routed", routes.RoleDistributed, both...), advert("fd00:166::/64", "routed", routes.RoleDistributed, both...),
				advert("10.168.0.0/16", "central", routes.RoleActive, both...), vip,
				advert("10.171.0.0/16", "backup", routes.RoleStandby, both...), advert("10.172.4.0/24", "pods", routes.RolePod, "tor-a"),
			},
			Withheld: []policy.Withheld{
				{Prefix: "10.167.0.0/16", Subnet: "nat", Reason: routes.NATOutgoing, Detail: "spec.natOutgoing is true"},
				{Prefix: "10.173.0.0/16", Subnet: "elsewhere", Reason: routes.NotGateway, Detail: "the active gateway is n2"},
			},
			Warnings: []policy.Warning{{Subnet: "routed", Reason: routes.Private, Detail: "spec.private is true: Pods answer only those that spec.allowSubnets names"}},
		},
		Audited: true,
	}
	for _, check := range []string{"forwarding", "rp_filter", "invalid-drop", "masquerade", "bgp-port"} {
		s.Findings = append(s.Findings, host.Finding{Check: check, Subject: "n1", State: host.OK})
	}
	return s
}

// brokenNode is the same at three in the morning.
func brokenNode() *status.Status {
	s := wellNode()
	s.Sessions[1] = down(s.Sessions[1], "the hold timer expired: the router has said nothing for 90 s")
	for _, network := range []string{"10.166.0.0/16", "10.168.0.0/16", "10.170.0.0/16"} {
		s.Findings = append(s.Findings, host.Finding{
			Check: "forward-drop", Subject: network, State: host.Wrong, Got: "iptables-nft filter FORWARD: policy DROP",
			Want: "packets to " + network + " are forwarded", Why: "packets from outside to " + network + " are dropped on this node",
			Fix: "iptables -A FORWARD -d " + network + " -j ACCEPT",
		})
	}
	s.Findings = append(s.Findings, host.Finding{
		Check: "conntrack", Subject: "nf_conntrack_max", State: host.Unknown, Got: "/proc/sys/net/netfilter/nf_conntrack_max: permission denied",
		Why: "a full table drops new connections", Fix: "run the daemon with CAP_NET_ADMIN",
	})
	s.Source.Problems = []status.Problem{status.Problemf("peers.yaml: BGPPeer <b>tor-c</b>: spec.peerASN: 0: an AS number is 1 to 4294967294")}
	s.Plan.Adverts = s.Plan.Adverts[:5]
	s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: "10.172.4.0/24", Subnet: "pods", Reason: routes.DatapathDown, Detail: "the join gateway 100.64.0.1 does not answer on ovn0"})
	return s
}

// crowdedNode announces many prefixes.
func crowdedNode(prefixes int) *status.Status {
	s := wellNode()
	s.Plan.Adverts, s.Plan.Withheld = nil, nil
	for i := range prefixes {
		prefix := fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)
		if i%10 == 9 {
			s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: prefix, Subnet: fmt.Sprintf("nat-%05d", i), Reason: routes.NATOutgoing, Detail: "spec.natOutgoing is true"})
		} else {
			s.Plan.Adverts = append(s.Plan.Adverts, advert(prefix, fmt.Sprintf("subnet-%05d", i), routes.RoleDistributed, "tor-a", "tor-b"))
		}
	}
	for i := range s.Sessions {
		s.Sessions[i].Advertised = len(s.Plan.Adverts)
	}
	return s
}

// bigCluster is one of many nodes, each with four routers: some of them are not well.
func bigCluster(nodes, subnets int) *picture.Picture {
	now := time.Now()
	beats := account.Heartbeats{At: now, Last: map[string]time.Time{}}
	var speakers []v1alpha1.Speaker
	var s policy.Snapshot
	s.Settings = routes.DefaultSettings
	for i := range nodes {
		one := nodeOfMany(i, subnets)
		speaker := v1alpha1.Speaker{ObjectMeta: metav1.ObjectMeta{Name: one.Node}, Status: account.SpeakerStatus(one)}
		speaker.Status.Heartbeat = "fairway-system/" + one.Node
		beats.Last[speaker.Status.Heartbeat] = now.Add(-5 * time.Second)
		speakers = append(speakers, speaker)
		s.Nodes = append(s.Nodes, routes.Node{Name: one.Node, Ready: true, Allocated: true})
	}
	beats.Last[speakers[137%nodes].Status.Heartbeat] = now.Add(-3 * time.Minute)
	p := picture.OfCluster(picture.Cluster{
		Server: "https://192.0.2.1:6443", Version: "v1.0.0", Started: now.Add(-time.Hour), At: now, Rows: account.Rows(s, speakers, beats), Peers: 4,
	})
	return &p
}

func nodeOfMany(i, subnets int) *status.Status {
	s := wellNode()
	s.Node = fmt.Sprintf("worker-%03d", i)
	s.Sessions, s.Plan.Adverts, s.Plan.Withheld, s.Plan.Warnings = nil, nil, nil, nil
	var peers []string
	for k, peer := range []string{"tor-a", "tor-b", "tor-c", "tor-d"} {
		peers = append(peers, peer)
		s.Sessions = append(s.Sessions, session(peer, fmt.Sprintf("172.30.%d.1", k), fmt.Sprintf("172.30.%d.%d", k, i%250+2), subnets))
	}
	for k := range subnets {
		prefix := fmt.Sprintf("10.%d.%d.0/24", 100+k/256, k%256)
		name := fmt.Sprintf("tenant-%03d", k)
		if k%25 == 7 && i != k {
			s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: prefix, Subnet: name, Reason: routes.NotGateway, Detail: fmt.Sprintf("the active gateway is worker-%03d", k)})
		} else {
			s.Plan.Adverts = append(s.Plan.Adverts, advert(prefix, name, routes.RoleDistributed, peers...))
		}
	}
	switch i {
	case 42:
		s.Sessions[2] = down(s.Sessions[2], "connection refused")
	case 43, 44:
		s.Findings = append(s.Findings, host.Finding{Check: "rp_filter", Subject: "ovn0", State: host.Wrong, Got: "strict", Why: "replies that come back another way are dropped", Fix: "sysctl -w net.ipv4.conf.ovn0.rp_filter=2"})
	}
	return s
}
