package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

func forwardDrop() Criterion {
	return Criterion{
		ID:    "forward-drop",
		Asks:  "Would a packet to or from the CIDR be dropped on its way through this node? Every rule is evaluated in order, through jumps and policies, in every place that the kernel runs: iptables-legacy, iptables-nft and native nft base chains on the hooks ingress, prerouting, forward, postrouting and egress. A chain on a port of a bridge or a bond below the uplink, or of family bridge there, makes unknown what it could drop. Where a limit or a quota decides, or a rule rewrites the destination, or sets a mark that `ip rule` asks for, the answer is unknown. Where returns are asymmetric, echo replies in conntrack state INVALID are asked about too. " + trafficText,
		Why:   "one drop anywhere on the way is enough, whatever other rules accept.",
		Mend:  "`fairway check --fix`, or the daemon with `--host=enforce`, puts an accept for the announced CIDRs right before the drop, in the same base chain of iptables, where that overrules nobody else's decision. Elsewhere the owner's configuration must allow it.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, n := range c.want.Networks {
				out = append(out, c.byKind(n.Prefix, "from", "forwarded", c.forwarded(n.Asymmetric))...)
			}
			return out
		},
	}
}

// trafficText says which traffic is asked about, for documents.
const trafficText = "Asked about are a TCP connection, UDP and ICMP echo with any client outside, and TCP with clients in 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 (IPv6: fc00::/7). TCP with any client decides about the CIDR; a loss of another kind is a finding of its own, such as `10.166.0.0/16 udp`, which withholds nothing. Single ports and single clients are not asked about, for to shut them out is somebody's decision: `fairway check --trace SRC DST` asks about one client. Of the CIDR, an address that no rule names is asked about, and one of each part that rules on the way can treat worse; where these are too many for a second's work, the answer is unknown and says so."

// forwarded asks about a connection that this node sees from its beginning. Where
// returns are asymmetric it sees no more of an echo than the reply, which conntrack
// takes for the beginning of nothing: it is INVALID.
func (c *checker) forwarded(asymmetric bool) func(netip.Prefix, traffic) Finding {
	return func(p netip.Prefix, t traffic) Finding {
		question, states := "new "+t.name, []netfilter.State{netfilter.New, netfilter.Established}
		if asymmetric && (t.protocol == netfilter.ICMP || t.protocol == netfilter.ICMPv6) {
			question, states = "any "+t.name, append(states, netfilter.Invalid)
		}
		return c.passage.once(question, p, func() Finding { return c.passes(p, t, states...) })
	}
}

// byKind asks about each kind of traffic. What is lost of another kind than the
// one that decides is a finding of its own, but not where the same rule is to
// blame.
func (c *checker) byKind(p netip.Prefix, direction, want string, ask func(netip.Prefix, traffic) Finding) []Finding {
	six := p.Addr().Is6()
	whole := ask(p, decisive(six))
	whole.About, whole.Want = aboutNetwork(p, ""), want
	asked := []string{decisive(six).name}
	var parts []Finding
	for _, t := range c.kinds[six] {
		found := ask(p, t)
		found.About, found.Want = t.about(p, direction), want
		switch {
		case found.State == OK:
			asked = append(asked, t.name)
		case found.State != whole.State || found.Got != whole.Got:
			parts = append(parts, found)
		}
	}
	if whole.State == OK {
		whole.Got += " (" + strings.Join(asked, ", ") + ")"
	}
	return append([]Finding{whole}, parts...)
}

func invalidDrop() Criterion {
	return Criterion{
		ID:    "invalid-drop",
		Asks:  "Where replies may leave by another node than requests came in by: would a packet in conntrack state INVALID be dropped? Also whether a RST in that state is, which makes a refused connection a timeout: one finding for all CIDRs of a family, `IPv4 RST` or `IPv6 RST`, with one CIDR `CIDR RST`; it withholds nothing.",
		Why:   "with asymmetric returns the first packet that a node sees is a SYN-ACK, which conntrack calls INVALID, also with nf_conntrack_tcp_be_liberal=1.",
		Mend:  "`fairway check --fix`, or the daemon with `--host=enforce`, where the drop is in a chain of iptables; else kube-proxy with nf_conntrack_tcp_be_liberal=1 at its start, or the firewall's own configuration. A centralized Subnet has no asymmetric returns.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			refused := map[bool][]Finding{} // by family, true for IPv6
			for _, n := range c.want.Networks {
				if !n.Asymmetric {
					continue
				}
				found := c.invalid(n)
				found.About, found.Want = aboutNetwork(n.Prefix, ""), "forwarded in conntrack state INVALID"
				out = append(out, found)
				if found.State == OK {
					six := n.Prefix.Addr().Is6()
					refused[six] = append(refused[six], c.refused(n))
				}
			}
			for _, six := range []bool{false, true} {
				out = append(out, merged(refusedAbout(refused[six], six), "forwarded, so that a refused connection is seen at once", refused[six])...)
			}
			return out
		},
	}
}

// invalid asks about a connection that this node sees from the middle.
func (c *checker) invalid(n Network) Finding {
	return c.passage.once("invalid", n.Prefix, func() Finding { return c.passes(n.Prefix, decisive(n.Prefix.Addr().Is6()), netfilter.Invalid) })
}

// refused asks about a refused connection: a RST from a Pod, in state INVALID.
// Kube-OVN's own OVN-POSTROUTING drops it on every node (pkg/daemon/gateway_linux.go).
func (c *checker) refused(n Network) Finding {
	found := c.passage.once("reset", n.Prefix, func() Finding {
		refused := decisive(n.Prefix.Addr().Is6())
		refused.refusal = true
		return c.passes(n.Prefix, refused, netfilter.Invalid)
	})
	found.About = aboutNetwork(n.Prefix, "RST")
	return found
}

// refusedAbout is what a finding about refused connections of a family is about.
func refusedAbout(each []Finding, six bool) About {
	if len(each) == 1 {
		return each[0].About
	}
	return About{Family: familyName(six), Part: "RST"}
}

// merged makes one finding of those of each network, of the worst state among
// them: one rule is behind many.
func merged(about About, want string, each []Finding) []Finding {
	if len(each) == 0 {
		return nil
	}
	worst := Worst(each)
	each = slices.DeleteFunc(slices.Clone(each), func(f Finding) bool { return f.State != worst })
	var lines, fixes []string
	networks := map[string][]string{} // by cause
	for _, f := range each {
		networks[f.Got] = append(networks[f.Got], f.About.Prefix.String())
		if !slices.Contains(fixes, f.Fix) {
			fixes = append(fixes, f.Fix)
		}
	}
	for _, f := range each {
		if list, first := networks[f.Got]; first {
			lines = append(append(append(lines, f.Got), f.Evidence...), networkList(list))
			delete(networks, f.Got)
		}
	}
	return []Finding{{About: about, State: worst, Want: want, Got: lines[0], Evidence: lines[1:], Fix: strings.Join(fixes, "\n")}}
}

// networkList counts networks, and names the first of them.
func networkList(networks []string) string {
	const named = 5
	text := columns.Count(len(networks), "CIDR", "CIDRs") + ": " + strings.Join(networks[:min(named, len(networks))], ", ")
	if len(networks) > named {
		text += ", …"
	}
	return text
}

// What is said where no link leads to the peers or to the outside.
const (
	noUplink    = "no route to the outside, so no uplink"
	noUplinkFix = "ip route: add the route to the routers"
)

// passes walks packets to and from a network; the first that is dropped, else
// the first that may be, is the answer.
func (c *checker) passes(n netip.Prefix, t traffic, states ...netfilter.State) Finding {
	found := Finding{State: OK, Got: "forwarded"}
	left := c.passage.eachPart(n, func(inside netip.Addr) bool {
		for _, p := range c.packets(inside, t, states...) {
			r := c.passage.walk(p)
			switch {
			case r.Verdict == netfilter.Dropped:
				found = Finding{State: Wrong, Got: r.By.String(), Evidence: []string{packetText(p)}, Fix: c.fix(p, r)}
				return false
			case r.Verdict == netfilter.Unknown && found.State == OK:
				found = Finding{State: Unknown, Got: r.Doubt.String(), Evidence: []string{"it asks what cannot be told from here: " + r.Question, packetText(p)},
					Fix: traceCommand(p) + " shows the walk; ask the rule's owner"}
			}
		}
		return true
	})
	return c.unlessUnread(found, n, left)
}

// unlessUnread gives an ok only where everything could be read and asked about. A
// drop that was found counts all the same.
func (c *checker) unlessUnread(found Finding, n netip.Prefix, left leftOut) Finding {
	switch {
	case found.State != OK:
	case len(c.uplinks[n.Addr().Is6()]) == 0:
		return Finding{State: Unknown, Got: noUplink, Fix: noUplinkFix}
	case len(c.facts.Filter.Unread) > 0:
		return Finding{State: Unknown, Got: strings.Join(c.facts.Filter.Unread, "; "), Fix: "install the program on the node or in the image, or run as root"}
	case len(left.keys) > 0:
		return Finding{State: Unknown, Got: "all is well as far as was asked, which is not everywhere",
			Evidence: []string{fmt.Sprintf("%d of %d parts that rules tell apart were walked, not %s", left.walked, left.walked+len(left.keys), left.example)},
			Fix:      fmt.Sprintf("fairway check --trace %s %s, and so for others", outsideAddress(n.Addr().Is6()), left.example)}
	}
	return found
}

func packetText(p netfilter.Packet) string { return "for " + p.String() }

func traceCommand(p netfilter.Packet) string {
	return fmt.Sprintf("fairway check --trace %s %s", p.Src, p.Dst)
}

func masquerade() Criterion {
	return Criterion{
		ID:   "masquerade",
		Asks: "Would a new connection from the CIDR leave this node under another source address, by NAT or by a rule that writes into the packet? Asked about are the same kinds of traffic as by forward-drop. What Kube-OVN translates of a Subnet that is announced by `allow-nat-policy` is ok.",
		Why:  "the network outside then sees the node and not the Pod, in connections that Pods open and in replies to UDP that came in by another node; what filters by Pod addresses does not know them.",
		Mend: "Take the CIDR out of the owner's masquerading: ip-masq-agent's nonMasqueradeCIDRs, docker's --ip-masq=false, kube-proxy's --cluster-cidr, or natOutgoing of a Kube-OVN Subnet that contains it.",
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, n := range c.want.Networks {
				want, ask := "leaves under its own address", c.keepsSource
				if n.NATPolicy {
					want, ask = "leaves under its own address, or is translated by its natOutgoingPolicyRules", c.keepsSourceOrPolicy
				}
				out = append(out, c.byKind(n.Prefix, "to", want, ask)...)
			}
			return out
		},
	}
}

func (c *checker) keepsSource(p netip.Prefix, t traffic) Finding {
	return c.source.once("source "+t.name, p, func() Finding { return c.rewritten(p, t, false) })
}

// keepsSourceOrPolicy is keepsSource where Kube-OVN translates by wish.
func (c *checker) keepsSourceOrPolicy(p netip.Prefix, t traffic) Finding {
	return c.source.once("source or policy "+t.name, p, func() Finding { return c.rewritten(p, t, true) })
}

// rewritten walks the packets that go out; the first whose source is rewritten,
// else the first where it may be, is the answer. Where a policy is in force, what
// Kube-OVN's own chains do is no such answer.
func (c *checker) rewritten(n netip.Prefix, t traffic, policy bool) Finding {
	found := Finding{State: OK, Got: "no rule rewrites it"}
	left := c.source.eachPart(n, func(inside netip.Addr) bool {
		for _, p := range c.packets(inside, t, netfilter.New) {
			if p.In != c.want.Overlay {
				continue
			}
			r := c.source.walk(p)
			switch {
			case r.Rewritten != netfilter.No && policy && kubeOVNs(r.RewrittenBy):
				if found.State == OK {
					found.Got = "translated as its natOutgoingPolicyRules have it, by " + r.RewrittenBy.String()
				}
			case r.Rewritten == netfilter.Yes:
				found = Finding{State: Wrong, Got: r.RewrittenBy.String(), Fix: ownerFix(r.RewrittenBy, n)}
				return false
			case r.Rewritten == netfilter.Maybe && found.State == OK:
				found = Finding{State: Unknown, Got: r.RewrittenBy.String(), Fix: traceCommand(p) + " shows the walk"}
			}
		}
		return true
	})
	return c.unlessUnread(found, n, left)
}
