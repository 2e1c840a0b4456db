package host

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

// fix says what helps against a drop. Whether our own accept does is not
// guessed: the packet walks again through the rules with it in place.
func (c *checker) fix(p netfilter.Packet, r netfilter.Result) string {
	network, inbound := c.networkOf(p)
	rules := c.facts.Filter.of(p.Src.Is6())
	for _, at := range Positions() {
		rule := acceptRule(at, network, c.want.Overlay, inbound)
		if rules.WithFirst(at.Table, at.Chain, rule).Walk(p).Verdict == netfilter.Accepted {
			return "fairway check --fix, or run the daemon with --host=enforce"
		}
	}
	both := rules
	for _, at := range Positions() {
		both = both.WithFirst(at.Table, at.Chain, acceptRule(at, network, c.want.Overlay, inbound))
	}
	rest := both.Walk(p)
	if rest.Verdict != netfilter.Dropped {
		return "fairway check --fix, or run the daemon with --host=enforce"
	}
	fix := ownerFix(rest.By, network)
	if p.State == netfilter.Invalid {
		untracked := both.WithFirst("raw", "PREROUTING", "-j CT --notrack")
		if untracked.Walk(p).Verdict == netfilter.Accepted || len(both.Tables) > 0 && rest.By.Backend == netfilter.Nft {
			fix += "\nor --host=enforce --host-notrack: packets from the CIDRs are no longer tracked, which breaks NodePort replies with externalTrafficPolicy Local"
		}
	}
	return "an accept of Fairway's cannot undo a drop in another base chain (" + rest.By.Where() + "):\n" + fix
}

// networkOf is the announced network that the packet is to or from.
func (c *checker) networkOf(p netfilter.Packet) (network netip.Prefix, inbound bool) {
	for _, n := range c.want.Networks {
		if n.Prefix.Contains(p.Src) {
			return n.Prefix, false
		}
		if n.Prefix.Contains(p.Dst) {
			return n.Prefix, true
		}
	}
	return netip.Prefix{}, false
}

// acceptRule is what the Enforcer's rules amount to for one packet.
func acceptRule(p Position, network netip.Prefix, overlay string, inbound bool) string {
	direction := fmt.Sprintf("-s %s -i %s", network, overlay)
	switch {
	case inbound:
		direction = fmt.Sprintf("-d %s -o %s", network, overlay)
	case p.Chain == "POSTROUTING":
		direction = fmt.Sprintf("-s %s", network)
	}
	return direction + p.only + " -j ACCEPT"
}

// ownerFix is what the owner of a rule offers. Owners are known by the names of
// their tables and chains.
func ownerFix(s *netfilter.Step, network netip.Prefix) string {
	rule := ""
	if s.Rule != nil {
		rule = s.Rule.Text
	}
	name := s.Table + " " + s.Chain.Name + " " + rule
	switch {
	case s.Table == "firewalld":
		return fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-source=%s && firewall-cmd --reload; for state INVALID, firewalld has no switch: drop its rule with a policy of your own, or `systemctl disable --now firewalld`", network)
	case strings.Contains(name, "ufw"):
		return fmt.Sprintf("ufw route allow from any to %s && ufw route allow from %s", network, network)
	case strings.Contains(name, "KUBE-FORWARD"):
		return "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1 && kubectl -n kube-system rollout restart ds/kube-proxy"
	case strings.Contains(name, "IP-MASQ"):
		return fmt.Sprintf("add %s to nonMasqueradeCIDRs of ip-masq-agent's ConfigMap", network)
	case kubeOVNs(s):
		return "this is Kube-OVN's own rule: look at natOutgoing of the Subnets that contain " + network.String()
	case strings.Contains(name, "DOCKER"), strings.Contains(name, "docker"):
		return fmt.Sprintf("%[2]s -I DOCKER-USER -d %[1]s -j ACCEPT && %[2]s -I DOCKER-USER -s %[1]s -j ACCEPT", network, program.Name("iptables", FamilyOf(network.Addr().Is6()), ""))
	case s.Backend == netfilter.Nft && s.Rule != nil:
		return fmt.Sprintf("nft delete rule %s %s %s handle %d, in the configuration of whoever made it", s.Family, s.Table, s.Chain.Name, s.Rule.Handle)
	case s.Backend == netfilter.Nft:
		return fmt.Sprintf("nft insert rule %s %s %s %s daddr %s accept, and saddr, in the configuration of whoever made the chain", s.Family, s.Table, s.Chain.Name, addressWord(network), network)
	case s.Rule == nil:
		return fmt.Sprintf("%s -t %s -P %s ACCEPT", program.Name(s.Backend, s.Family, ""), s.Table, s.Chain.Name)
	}
	return fmt.Sprintf("%s -t %s -D %s %d, in the configuration of whoever made it", program.Name(s.Backend, s.Family, ""), s.Table, s.Chain.Name, s.Rule.Number)
}

// kubeOVNs reports whether a rule stands in one of Kube-OVN's chains.
func kubeOVNs(s *netfilter.Step) bool { return strings.HasPrefix(s.Chain.Name, "OVN-") }

func addressWord(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "ip6"
	}
	return "ip"
}
