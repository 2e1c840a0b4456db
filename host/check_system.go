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
	name := sysctlName(key)
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

// sysctlName is a path as sysctl(8) takes it. A link's name may have dots: those
// become slashes.
func sysctlName(key string) string {
	parts := strings.Split(key, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], ".", "/")
	}
	return strings.Join(parts, ".")
}

// isOne is what a switch that is on holds.
func isOne(v string) bool { return v == "1" }

func forwarding() Criterion {
	return Criterion{
		ID:    "forwarding",
		Asks:  "Does the kernel forward packets of the announced families, between the uplinks and the overlay? Uplinks are all links by which the peers, and anything outside, are reached.",
		Why:   "without forwarding the kernel drops every packet that is not for the node itself.",
		Mend:  "sysctl -w net.ipv4.ip_forward=1; for IPv6 net.ipv6.conf.all.forwarding=1, and net.ipv6.conf.UPLINK.accept_ra=2 first where the node learns its default route by router advertisements, which forwarding would end.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, six := range c.families() {
				for _, key := range c.facts.forwardingKeys(c.want, six) {
					state, got := c.facts.setting(key, isOne)
					out = append(out, Finding{About: About{Family: familyName(six), Setting: sysctlName(key)}, State: state, Want: "1", Got: got, Fix: c.facts.forwardingFix(key)})
				}
			}
			return out
		},
	}
}

// forwardingKeys are the settings that must be 1: that of all links, and those
// of the links on the way where they can differ.
func (f *Facts) forwardingKeys(w Want, six bool) []string {
	proto, keys := "ipv4", []string{"net/ipv4/ip_forward"}
	if six {
		proto, keys = "ipv6", []string{"net/ipv6/conf/all/forwarding"}
	}
	for _, link := range append(f.Uplinks(w, six), w.Overlay) {
		key := "net/" + proto + "/conf/" + link + "/forwarding"
		if s, ok := f.Sysctls[key]; ok && s.Err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

func (f *Facts) forwardingFix(key string) string {
	fix := "sysctl -w " + sysctlName(key) + "=1"
	if strings.HasPrefix(key, "net/ipv6/") {
		for _, link := range f.Datapath.Learning {
			if s := f.Sysctls[acceptRA(link)]; s.Err == nil && s.Value == "1" {
				fix = "sysctl -w " + sysctlName(acceptRA(link)) + "=2 && " + fix
			}
		}
	}
	return fix
}

func acceptRA(link string) string { return "net/ipv6/conf/" + link + "/accept_ra" }

func rpFilterKey(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

func rpFilter() Criterion {
	return Criterion{
		ID:    "rp_filter",
		Asks:  "Is the kernel's reverse path filter strict on an uplink or on the overlay link? The larger value of `all` and of the link counts.",
		Why:   "strict reverse path filtering drops packets whose source would be answered by another link, as with ECMP and asymmetric returns.",
		Mend:  "sysctl -w net.ipv4.conf.LINK.rp_filter=2 (loose), or 0 for both LINK and all.",
		Drops: true,
		judge: func(c *checker) []Finding {
			if !c.want.has(false) {
				return nil // IPv6 has none
			}
			var out []Finding
			for _, link := range append(c.facts.Uplinks(c.want, false), c.want.Overlay) {
				out = append(out, c.facts.rpFilterOf(link))
			}
			return out
		},
	}
}

func (f *Facts) rpFilterOf(link string) Finding {
	found := Finding{About: About{Family: IPv4, Link: link}, Want: "0 or 2, the larger of all and " + link, Fix: "sysctl -w " + sysctlName(rpFilterKey(link)) + "=2"}
	all, own := f.Sysctls[rpFilterKey("all")], f.Sysctls[rpFilterKey(link)]
	a, errAll := strconv.Atoi(all.Value)
	o, errOwn := strconv.Atoi(own.Value)
	switch {
	case errAll != nil || errOwn != nil:
		found.State, found.Got = Unknown, "rp_filter of all or "+link+" cannot be read"
	case max(a, o) == 1:
		found.State, found.Got = Wrong, fmt.Sprintf("all=%d, %s=%d: strict", a, link, o)
	default:
		found.State, found.Got = OK, fmt.Sprintf("all=%d, %s=%d", a, link, o)
	}
	return found
}

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
	const countKey, maxKey = "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"
	found := Finding{Subject: "table", Want: fmt.Sprintf("below %d %% of nf_conntrack_max", fullAt), Fix: "sysctl -w net.netfilter.nf_conntrack_max=N, twice the present value"}
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
		found.State, found.Got = Unknown, c.facts.Filter.Unread[0]
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
		Mend: "kubectl -n kube-system delete ds kube-ovn-speaker, or keep it from this node.",
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
		found.Fix = "stop " + s.Program + " on this node, or let it have other peers"
		if s.Program == "" {
			found.Got = fmt.Sprintf("a program that cannot be seen from here has a session with %s, or tries to", s.Remote.Addr())
			found.Fix = fmt.Sprintf("ss -tnp dst %s on the node names the program; it may be kube-ovn-speaker: kubectl -n kube-system get pods -o wide", s.Remote.Addr())
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
