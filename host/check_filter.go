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
		Asks:  "Would a packet to or from the CIDR be dropped on its way through this node? Every rule is evaluated in order, through jumps and policies, in every place that the kernel runs: iptables-legacy, iptables-nft and native nft base chains on the hooks ingress, prerouting, forward, postrouting and egress.\n\nA chain on a port of a bridge or a bond below the uplink, or of family bridge there, makes unknown what it could drop. Where a limit or a quota decides, or a rule rewrites the destination, or sets a mark that `ip rule` asks for, the answer is unknown.\n\nOf TCP the whole life of a connection is asked about: SYN, SYN-ACK, ACK, data, FIN. Where returns are asymmetric a node sees one direction of some connections, and conntrack begins these in the middle (nf_conntrack_tcp_loose=1, the default): then packets without SYN in conntrack state NEW are asked about too, which `-p tcp ! --syn -m conntrack --ctstate NEW -j DROP` drops, and echo replies in state INVALID.\n\nWhere a program of tc or XDP is at an uplink, at the overlay link or at a link below these, the answer is unknown and names it (`up0 has a tc filter u32 at ingress`); disciplines that only limit a rate are none. Programs of tcx are seen where bpf(2) may be asked, which the Pod of the manifests may not: there a node with links of Cilium's, or of Calico's eBPF data plane, counts as one that has some. BPF programs in netfilter's own hooks, and a flow table, are not seen: the latter takes packets past the rules and drops none.\n\n" + trafficText,
		Why:   "one drop anywhere on the way is enough, whatever other rules accept.",
		Mend:  "`fairway check --fix`, or the daemon with `--host=enforce`, puts an accept for the announced CIDRs right before the drop, in the same base chain of iptables, where that overrules nobody else's decision. Elsewhere the owner's configuration must allow it.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, n := range c.want.Networks {
				out = append(out, c.byKind(n.Prefix, "from", "forwarded", c.forwardedKinds(n.Prefix.Addr().Is6()), c.forwarded(n.Asymmetric))...)
			}
			return out
		},
	}
}

// trafficText says which traffic is asked about, for documents.
const trafficText = "Asked about are a TCP connection, UDP and ICMP echo with any client outside, and TCP with clients in 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 (IPv6: fc00::/7). TCP with any client decides about the CIDR; a loss of another kind is a finding of its own, such as `10.166.0.0/16 udp`, which withholds nothing.\n\nSo are `10.166.0.0/16 RST`, the answer to a connection that is refused, and `10.166.0.0/16 path MTU`: the ICMP errors (type 3 code 4, ICMPv6 type 2) of routers outside and, where the overlay link takes less than the uplink, of this node itself, which say how large packets may be. They are RELATED, and where returns are asymmetric INVALID too. Their loss withholds nothing, because it strikes only where a link on the way takes less than the Pods' own MTU, which no node can see.\n\nSingle ports and single clients are not asked about, for to shut them out is somebody's decision: `fairway check --trace SRC DST` asks about one client.\n\nThe packets are ordinary: whole, without options of IP, DSCP and ECN 0, with 32 to 255 hops left, of any length, of a client with at most 16 connections; a rule that takes some of these and not others makes the answer unknown.\n\nOf the CIDR, an address that no rule names is asked about, and one of each part that rules on the way can treat worse; where these are too many for a second's work, the answer is unknown and says so. Parts that are together less than a sixteenth of the CIDR (4,096 addresses of a /16, 16 of a /24) are a finding of their own, `10.166.0.0/16 part 10.166.0.8/29`, which withholds nothing: to ban a few addresses is a decision about these. From a sixteenth on it is the CIDR that is lost."

// forwardedKinds are the kinds beside the decisive one.
func (c *checker) forwardedKinds(six bool) []traffic {
	return append(slices.Clip(c.kinds[six]), refusal(six), tooLarge(six))
}

// forwarded asks about traffic that this node sees, as far as it is not INVALID TCP,
// which is a check of its own, nor the refusal of a connection, which is one kind.
func (c *checker) forwarded(asymmetric bool) func(netip.Prefix, traffic) answer {
	question := "forwarded "
	if asymmetric {
		question = "forwarded and asymmetric "
	}
	return func(p netip.Prefix, t traffic) answer {
		if t.errors {
			return c.pathMTU(p, asymmetric)
		}
		return c.passage.once(question+t.name, p, func() answer {
			return c.passes(p, t, which(c.facts.segments(t, asymmetric), func(s netfilter.Segment) bool {
				return t.protocol != netfilter.TCP || refuses(s) == t.refusal && s.State != netfilter.Invalid
			}))
		})
	}
}

// byKind asks about the decisive kind of traffic, and about others. What is lost of
// another kind, or of a small part of the network, is a finding of its own, but not
// where the same rule is to blame.
func (c *checker) byKind(p netip.Prefix, direction, want string, others []traffic, ask func(netip.Prefix, traffic) answer) []Finding {
	whole := ask(p, decisive(p.Addr().Is6()))
	whole.About, whole.Want = aboutNetwork(p, ""), want
	asked := []string{decisive(p.Addr().Is6()).name}
	var apart []Finding
	said := map[string]bool{} // causes of what is lost of small parts
	addPart := func(a answer, kind string) {
		if a.part == nil || said[a.part.Got] || a.part.State == whole.State && a.part.Got == whole.Got {
			return
		}
		said[a.part.Got] = true
		part := *a.part
		part.About.Part, part.Want = strings.TrimSpace(part.About.Part+" "+kind), want
		apart = append(apart, part)
	}
	addPart(whole, "")
	for _, t := range others {
		found := ask(p, t)
		found.About, found.Want = t.about(p, direction), want
		switch {
		case found.State == OK:
			asked = append(asked, t.name)
		case found.State != whole.State || found.Got != whole.Got:
			apart = append(apart, found.Finding)
		}
		addPart(found, found.About.Part)
	}
	if whole.State == OK {
		whole.Got += " (" + strings.Join(asked, ", ") + ")"
	}
	return append([]Finding{whole.Finding}, apart...)
}

func invalidDrop() Criterion {
	return Criterion{
		ID:    "invalid-drop",
		Asks:  "Where replies may leave by another node than requests came in by: would a packet in conntrack state INVALID be dropped? Asked about are SYN-ACK, ACK, data and FIN of a TCP connection, in both directions. Also whether a RST in that state is, which makes a refused connection a timeout: one finding for all CIDRs of a family, `IPv4 RST` or `IPv6 RST`, with one CIDR `CIDR RST`; it withholds nothing.",
		Why:   "with asymmetric returns the first packet that a node sees is a SYN-ACK, which conntrack calls INVALID, and so is each ACK behind a SYN whose answer went by another node; also with nf_conntrack_tcp_be_liberal=1.",
		Mend:  "`fairway check --fix`, or the daemon with `--host=enforce`, where the drop is in a chain of iptables; else kube-proxy with nf_conntrack_tcp_be_liberal=1 at its start, or the firewall's own configuration. A centralized Subnet has no asymmetric returns.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			refused := map[bool][]Finding{} // by family, true for IPv6
			for _, n := range c.want.Networks {
				if !n.Asymmetric {
					continue
				}
				found, want := c.invalid(n), "forwarded in conntrack state INVALID"
				found.About, found.Want = aboutNetwork(n.Prefix, ""), want
				out = append(out, found.Finding)
				if found.part != nil {
					found.part.Want = want
					out = append(out, *found.part)
				}
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

// invalid asks about a connection of which this node sees one direction, and finds no
// beginning: all packets of it, but for a refusal.
func (c *checker) invalid(n Network) answer {
	return c.passage.once("invalid", n.Prefix, func() answer { return c.passesInvalid(n, false) })
}

// refused asks about a refused connection: a RST from a Pod, in state INVALID.
// Kube-OVN's own OVN-POSTROUTING drops it on every node (pkg/daemon/gateway_linux.go).
func (c *checker) refused(n Network) Finding {
	found := c.passage.once("reset", n.Prefix, func() answer { return c.passesInvalid(n, true) })
	if found.part != nil && found.State == OK {
		found.Finding = *found.part
	}
	found.About = aboutNetwork(n.Prefix, "RST")
	return found.Finding
}

func (c *checker) passesInvalid(n Network, refusal bool) answer {
	t := decisive(n.Prefix.Addr().Is6())
	return c.passes(n.Prefix, t, which(c.facts.segments(t, true), func(s netfilter.Segment) bool {
		return s.State == netfilter.Invalid && refuses(s) == refusal
	}))
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

// passes walks packets to and from a network; of each part the first that is dropped,
// else the first that may be, is the answer.
func (c *checker) passes(n netip.Prefix, t traffic, segments []netfilter.Segment) answer {
	s := c.passage.survey(n, func(inside netip.Addr) Finding {
		found := Finding{State: OK, Got: "forwarded"}
		c.passage.eachPacket(inside, t, directions{true, false}, segments, func(p netfilter.Packet, r netfilter.Result) bool {
			switch {
			case r.Verdict == netfilter.Dropped:
				found = lostTo(p, r, c.fix(p, r))
				return false
			case r.Verdict == netfilter.Unknown && found.State == OK:
				found = doubtfulBy(p, r, traceCommand(p)+" shows the walk; ask the rule's owner")
			}
			return true
		})
		return found
	})
	return c.conclude(s, "forwarded")
}

// lostTo is the finding of a packet that is dropped.
func lostTo(p netfilter.Packet, r netfilter.Result, fix string) Finding {
	return Finding{State: Wrong, Got: r.By.String(), Evidence: []string{packetText(p)}, Fix: fix}
}

// doubtfulBy is the finding of a packet of which it is not known whether it is dropped.
func doubtfulBy(p netfilter.Packet, r netfilter.Result, fix string) Finding {
	return Finding{State: Unknown, Got: r.Doubt.String(), Evidence: []string{"it asks what cannot be told from here: " + r.Question, packetText(p)}, Fix: fix}
}

// unread is what keeps a family from an ok, whatever was found; ok where nothing does.
func (c *checker) unread(six bool) Finding {
	switch {
	case len(c.uplinks[six]) == 0:
		return Finding{State: Unknown, Got: noUplink, Fix: noUplinkFix}
	case len(c.programs(six)) > 0:
		return programDoubt(c.programs(six))
	case len(c.facts.Filter.Unread) > 0:
		return Finding{State: Unknown, Got: strings.Join(c.facts.Filter.Unread, "; "), Fix: unreadFix}
	}
	return Finding{State: OK}
}

// unlessUnread gives an ok only where everything could be read and asked about. A
// drop that was found counts all the same.
func (c *checker) unlessUnread(found Finding, s survey) Finding {
	six := s.network.Addr().Is6()
	switch unread := c.unread(six); {
	case found.State != OK:
	case unread.State != OK:
		return unread
	case len(s.left) > 0:
		return Finding{State: Unknown, Got: "all is well as far as was asked, which is not everywhere",
			Evidence: []string{fmt.Sprintf("%d of %d parts that rules tell apart were walked, not %s", s.walked, s.walked+len(s.left), s.example)},
			Fix:      fmt.Sprintf("fairway check --trace %s %s, and so for others", outsideAddress(six), s.example)}
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
		Asks: "Would a new connection from the CIDR leave this node under another source address, by NAT or by a rule that writes into the packet? Asked about are the same kinds of traffic as by forward-drop; where returns are asymmetric, also a TCP connection that conntrack begins in the middle. What Kube-OVN translates of a Subnet that is announced by `allow-nat-policy` is ok.",
		Why:  "the network outside then sees the node and not the Pod, in connections that Pods open and in replies to UDP that came in by another node; what filters by Pod addresses does not know them.",
		Mend: "Take the CIDR out of the owner's masquerading: ip-masq-agent's nonMasqueradeCIDRs, docker's --ip-masq=false, kube-proxy's --cluster-cidr, or natOutgoing of a Kube-OVN Subnet that contains it.",
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, n := range c.want.Networks {
				want, ask := "leaves under its own address", c.keepsSource
				if n.NATPolicy {
					want, ask = "leaves under its own address, or is translated by its natOutgoingPolicyRules", c.keepsSourceOrPolicy
				}
				out = append(out, c.byKind(n.Prefix, "to", want, c.kinds[n.Prefix.Addr().Is6()], ask(n.Asymmetric))...)
			}
			return out
		},
	}
}

// keepsSource asks about what leaves this node.
func (c *checker) keepsSource(asymmetric bool) func(netip.Prefix, traffic) answer {
	return c.sourceKept("source ", asymmetric, false)
}

// keepsSourceOrPolicy is keepsSource where Kube-OVN translates by wish.
func (c *checker) keepsSourceOrPolicy(asymmetric bool) func(netip.Prefix, traffic) answer {
	return c.sourceKept("source or policy ", asymmetric, true)
}

func (c *checker) sourceKept(question string, asymmetric, policy bool) func(netip.Prefix, traffic) answer {
	if asymmetric {
		question += "and asymmetric "
	}
	return func(p netip.Prefix, t traffic) answer {
		return c.source.once(question+t.name, p, func() answer {
			return c.rewritten(p, t, which(c.facts.segments(t, asymmetric), netfilter.Segment.Begins), policy)
		})
	}
}

// rewritten walks the packets that go out; of each part the first whose source is
// rewritten, else the first where it may be, is the answer. Where a policy is in force,
// what Kube-OVN's own chains do is no such answer.
func (c *checker) rewritten(n netip.Prefix, t traffic, begins []netfilter.Segment, policy bool) answer {
	kept := "no rule rewrites it"
	s := c.source.survey(n, func(inside netip.Addr) Finding {
		found := Finding{State: OK}
		c.source.eachPacket(inside, t, directions{false}, begins, func(p netfilter.Packet, r netfilter.Result) bool {
			switch {
			case r.Rewritten != netfilter.No && policy && kubeOVNs(r.RewrittenBy):
				kept = "translated as its natOutgoingPolicyRules have it, by " + r.RewrittenBy.String()
			case r.Rewritten == netfilter.Yes:
				found = Finding{State: Wrong, Got: r.RewrittenBy.String(), Fix: ownerFix(r.RewrittenBy, n)}
				return false
			case r.Rewritten == netfilter.Maybe && found.State == OK:
				found = Finding{State: Unknown, Got: r.RewrittenBy.String(), Fix: traceCommand(p) + " shows the walk"}
			}
			return true
		})
		return found
	})
	return c.conclude(s, kept)
}
