package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/inet"
)

// setting compares a setting with what it should be.
func (f *Facts) setting(key string, good func(string) bool) (State, string) {
	s, ok := f.Sysctls[key]
	name := SysctlName(key)
	switch {
	case !ok:
		return Unknown, name + " is not there"
	case s.Err != nil:
		return Unknown, s.Err.Error()
	case good(s.Value):
		return OK, name + "=" + s.Value
	}
	return Wrong, name + "=" + s.Value
}

// SysctlName is a path below /proc/sys as sysctl(8) takes it. A link's name may have dots: those
// become slashes.
func SysctlName(key string) string {
	parts := strings.Split(key, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], ".", "/")
	}
	return strings.Join(parts, ".")
}

// isOne is what a switch that is on holds.
func isOne(v string) bool { return v == "1" }

func conntrack() Criterion {
	return Criterion{
		ID:   "conntrack",
		Asks: "Has the connection table room, and does kube-proxy's drop of INVALID packets, decided from nf_conntrack_tcp_be_liberal at its start, stand in the way of asymmetric traffic?",
		Why:  "a full table drops new connections, and kube-proxy in iptables mode drops INVALID packets unless nf_conntrack_tcp_be_liberal was 1 when it started; it does not look again.",
		Mend: "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1 and restart kube-proxy; sysctl -w net.netfilter.nf_conntrack_max=N for more room.",
		judge: func(c *checker) []Finding {
			return append(c.facts.tableRoom(), c.kubeProxyDecision()...)
		},
	}
}

// fullAt is the share of the table, in percent, from which it counts as full:
// above it there is no room for a burst.
const fullAt = 90

func (f *Facts) tableRoom() []Finding {
	const countKey, maxKey = ConntrackCount, "net/netfilter/nf_conntrack_max"
	found := Finding{Subject: "table", Want: fmt.Sprintf("below %d %% of nf_conntrack_max", fullAt), Fix: "sysctl net.netfilter.nf_conntrack_max: is this kernel's table there, and may it be read?"}
	count, errCount := strconv.Atoi(f.Sysctls[countKey].Value)
	limit, errMax := strconv.Atoi(f.Sysctls[maxKey].Value)
	_, there := f.Sysctls[maxKey]
	switch {
	case !there:
		return nil // no conntrack in this kernel: nothing is tracked
	case errCount != nil || errMax != nil:
		found.State, found.Got = Unknown, "nf_conntrack_count or nf_conntrack_max cannot be read"
	case limit > 0 && count*100 >= limit*fullAt:
		found.State, found.Got = Wrong, fmt.Sprintf("%d of %d", count, limit)
		found.Fix = fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*limit)
	default:
		found.State, found.Got = OK, fmt.Sprintf("%d of %d", count, limit)
		if limit == 0 {
			found.Got = fmt.Sprintf("%d, no limit", count)
		}
	}
	return []Finding{found}
}

// kubeProxyDecision compares kube-proxy's rule with the setting that it was
// decided from (pkg/proxy/iptables/proxier.go in Kubernetes).
func (c *checker) kubeProxyDecision() []Finding {
	asymmetric := slices.DeleteFunc(c.families(), func(six bool) bool { return !c.want.asymmetric(six) })
	if len(asymmetric) == 0 {
		return nil
	}
	var drops *netfilter.Rule
	for _, six := range asymmetric {
		for _, t := range c.facts.Filter.of(six).Tables {
			if c := t.Chains["KUBE-FORWARD"]; c != nil {
				for _, r := range c.Rules {
					if r.Drops(netfilter.Invalid) {
						drops = r
					}
				}
			}
		}
	}
	const key = "net/netfilter/nf_conntrack_tcp_be_liberal"
	state, got := c.facts.setting(key, isOne)
	found := Finding{Subject: "kube-proxy", State: OK, Want: "no drop of INVALID in KUBE-FORWARD, or an accept before it", Got: "no such rule",
		Fix: "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1 && kubectl -n kube-system rollout restart ds/kube-proxy"}
	switch {
	case drops == nil && len(c.facts.Filter.Unread) > 0:
		found.State, found.Got, found.Fix = Unknown, c.facts.Filter.Unread[0], unreadFix
	case drops == nil:
	case c.invalidPasses():
		found.Got = "an accept before " + drops.Text
	case state == OK:
		found.State, found.Got = Wrong, got+" now, but was not when kube-proxy started: "+drops.Text
		found.Fix = "kubectl -n kube-system rollout restart ds/kube-proxy"
	default:
		found.State, found.Got = Wrong, got+", and "+drops.Text
	}
	return []Finding{found}
}

// invalidPasses reports whether packets in state INVALID get through all the
// same, as with our own accept in front.
func (c *checker) invalidPasses() bool {
	for _, n := range c.want.Networks {
		if n.Asymmetric && c.invalid(n).State != OK {
			return false
		}
	}
	return true
}

func bgpPortTaken() Criterion {
	return Criterion{
		ID:   "bgp-port",
		Asks: "Where a peer is passive: is the BGP port free for Fairway, or its own?",
		Why:  "a passive session waits for the router to dial this port, and another program answers it.",
		Mend: "Stop the other BGP speaker, or give `--bgp-port` another port.",
		judge: func(c *checker) []Finding {
			if c.want.BGPPort == 0 {
				return nil
			}
			return []Finding{c.facts.Sockets.port(c.want.BGPPort)}
		},
	}
}

func (s Sockets) port(port uint16) Finding {
	found := Finding{Subject: fmt.Sprintf("port %d", port), State: OK, Want: "free, or fairway's", Got: "free", Fix: fmt.Sprintf("ss -ltnp 'sport = :%d' names the program; stop it", port)}
	if s.Err != nil {
		found.State, found.Got = Unknown, s.Err.Error()
		return found
	}
	for _, l := range s.List {
		if !l.Listening || l.Local.Port() != port {
			continue
		}
		switch l.Program {
		case ourProgram:
			found.Got = "fairway's"
		case "":
			found.State, found.Got = Unknown, "taken; by whom cannot be seen from here"
		default:
			found.State, found.Got = Wrong, "taken by "+l.Program
			return found
		}
	}
	return found
}

// ourProgram is this program's own name.
const ourProgram = "fairway"

func doubleSpeaker() Criterion {
	return Criterion{
		ID:   "double-speaker",
		Asks: "Does kube-ovn-speaker run on this node, or has another program a session with one of the peers, or tries to get one? The node's network shows every session, also those of other Pods; whose they are, and whether kube-ovn-speaker runs without a session, is seen only where the node's processes are (hostPID). So in a Pod without them `ok` is about sessions alone, and a speaker is noticed once it dials one of the peers; the warning DoubleAnnouncement names the Subnets that kube-ovn-speaker would announce too.",
		Why:  "two speakers with one source address collide at the router, and both announce the same Subnets with different rules.",
		Mend: "kubectl -n kube-system delete ds kube-ovn-speaker, or keep it from this node. MetalLB, or another FRR of the node, may keep its session and announce Fairway's prefixes too: docs/recipes/metallb/README.md.",
		judge: func(c *checker) []Finding {
			return []Finding{c.facts.otherSpeaker(c.want)}
		},
	}
}

func (f *Facts) otherSpeaker(w Want) Finding {
	found := Finding{State: OK, Want: "fairway alone", Got: "no other speaker", Fix: "kubectl -n kube-system delete ds kube-ovn-speaker"}
	if slices.Contains(f.Processes.Names, "kube-ovn-speaker") {
		found.State, found.Got = Wrong, "kube-ovn-speaker runs here"
		return found
	}
	if s, ok := f.foreignSession(w); ok {
		found.State, found.Got = Wrong, fmt.Sprintf("%s has a session with %s, or tries to", s.Program, s.Remote.Addr())
		found.Fix = "stop " + s.Program + " on this node, let it have other peers, or announce through it: docs/recipes/metallb/README.md"
		if s.Program == "" {
			found.Got = fmt.Sprintf("a program that cannot be seen from here has a session with %s, or tries to", s.Remote.Addr())
			found.Fix = fmt.Sprintf("ss -tnp dst %s on the node names the program; it may be kube-ovn-speaker (kubectl -n kube-system get pods -o wide), or MetalLB: docs/recipes/metallb/README.md", s.Remote.Addr())
		}
		if s.Program == "" && !f.seesOurs() {
			found.State, found.Got = Unknown, found.Got+"; it may be fairway itself"
		}
		return found
	}
	switch {
	case f.Processes.Err != nil:
		found.State, found.Got = Unknown, f.Processes.Err.Error()
	case f.Sockets.Err != nil:
		found.State, found.Got = Unknown, f.Sockets.Err.Error()
	case f.Processes.Partial:
		found.Got = "no other session with a peer; programs outside this container are not seen"
	}
	return found
}

// foreignSession is a session with a peer that is not seen to be ours, one whose
// program is known before others.
func (f *Facts) foreignSession(w Want) (unseen Socket, found bool) {
	for _, s := range f.Sockets.List {
		switch {
		case s.Listening || s.Program == ourProgram || !slices.Contains(w.Peers, s.Remote.Addr()):
		case s.Remote.Port() != inet.BGPPort && s.Local.Port() != inet.BGPPort:
		case s.Program != "":
			return s, true
		default:
			unseen, found = s, true
		}
	}
	return unseen, found
}

// seesOurs reports whether sockets of Fairway's are seen to be its own: then
// those that are not seen are somebody else's.
func (f *Facts) seesOurs() bool {
	return slices.ContainsFunc(f.Sockets.List, func(s Socket) bool { return s.Program == ourProgram })
}
