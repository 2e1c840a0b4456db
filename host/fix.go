package host

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

// planned names a plan: its family, and by what means.
type planned struct{ six, first bool }

// plan is what enforcing would open in a family, worked out once.
func (c *checker) plan(of planned) *planner {
	if c.plans[of] == nil {
		c.plans[of] = newPlan(c.facts, c.want, Means{First: of.first}, of.six)
	}
	return c.plans[of]
}

// What to do where Fairway itself can.
const (
	fixItself = "fairway check --fix, or run the daemon with --host=enforce"
	fixFirst  = "or fairway check --fix --accept=first (the daemon: --host=enforce --accept=first), which overrules what others have decided"
	noTrack   = "or fairway check --fix --host-notrack (the daemon: --host=enforce --host-notrack): packets of the CIDRs are no longer tracked, which breaks NodePort replies with externalTrafficPolicy Local"
)

// fix says what helps against a drop. Whether our own accept does is not
// guessed: the packet walks again through the rules with it in place.
func (c *checker) fix(p netfilter.Packet, r netfilter.Result) string {
	network := c.networkOf(p)
	six := p.Src.Is6()
	rest := c.plan(planned{six: six}).walk(network, p)
	if rest.Verdict != netfilter.Dropped {
		return fixItself
	}
	why := cmp.Or(c.plan(planned{six: six}).why(network, rest.By), "it is not opened")
	lines := []string{"Fairway puts no accept before " + rest.By.Where() + ": " + why, ownerFix(rest.By, network)}
	first := c.plan(planned{six, true})
	if first.walk(network, p).Verdict != netfilter.Dropped {
		lines = append(lines, fixFirst)
	}
	if p.State == netfilter.Invalid && c.untrackedPasses(first, network, p) {
		lines = append(lines, noTrack)
	}
	return strings.Join(lines, "\n")
}

// untrackedPasses is whether the packet gets through where nothing of the network is
// tracked.
func (c *checker) untrackedPasses(plan *planner, network netip.Prefix, p netfilter.Packet) bool {
	p.State = netfilter.Untracked
	return plan.walk(network, p).Verdict == netfilter.Accepted
}

// networkOf is the announced network that the packet is to or from.
func (c *checker) networkOf(p netfilter.Packet) netip.Prefix {
	for _, n := range c.want.Networks {
		if n.Prefix.Contains(p.Src) || n.Prefix.Contains(p.Dst) {
			return n.Prefix
		}
	}
	return netip.Prefix{}
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
	case s.Table == "firewalld" && strings.Contains(rule, "invalid"):
		return "firewalld has no switch for its drop of INVALID, and no accept elsewhere undoes it: make the Subnet centralized, or keep its packets from being tracked"
	case s.Table == "firewalld":
		return firewalldPolicy(network)
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
		return fmt.Sprintf("%s -t %s -P %s ACCEPT, or an accept of yours before the end of that chain", program.Name(s.Backend, s.Family, ""), s.Table, s.Chain.Name)
	}
	return fmt.Sprintf("%s -t %s -D %s %d, in the configuration of whoever made it", program.Name(s.Backend, s.Family, ""), s.Table, s.Chain.Name, s.Rule.Number)
}

// firewalldPolicy opens firewalld for a network: a policy from anywhere to anywhere. Its
// zone trusted does not help, for that says nothing of where packets go to.
func firewalldPolicy(network netip.Prefix) string {
	family := map[bool]string{false: "ipv4", true: "ipv6"}[network.Addr().Is6()]
	lines := []string{"firewall-cmd --permanent --new-policy fairway", "firewall-cmd --permanent --policy fairway --add-ingress-zone ANY", "firewall-cmd --permanent --policy fairway --add-egress-zone ANY"}
	for _, end := range []string{"source", "destination"} {
		lines = append(lines, fmt.Sprintf("firewall-cmd --permanent --policy fairway --add-rich-rule 'rule family=%s %s address=%s accept'", family, end, network))
	}
	return strings.Join(append(lines, "firewall-cmd --reload"), " && ")
}

// kubeOVNs reports whether a rule stands in one of Kube-OVN's chains.
func kubeOVNs(s *netfilter.Step) bool { return strings.HasPrefix(s.Chain.Name, "OVN-") }

func addressWord(p netip.Prefix) string {
	if p.Addr().Is6() {
		return "ip6"
	}
	return "ip"
}
