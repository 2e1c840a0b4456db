package netfilter

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// This file answers: does a match of iptables (-m NAME and its options) hold for a
// packet? What the options mean is in iptables-extensions(8), and in the kernel's
// net/netfilter/xt_NAME.c where that is not enough.
//
// A rule matches if every option of every module does. A module or an option that
// is not listed here is unknown, and its rule may match any packet. That is right
// for three sorts:
//   - what depends on more than the packet: "-m limit --limit 5/sec", "-m recent
//     --rcheck", "-m statistic --probability 0.5", "-m connlimit", "-m time";
//   - what is not said of the packet: "-m string", "-m u32", "-m length", "-m ttl";
//   - what nobody has taught it yet.
//
// Of -m conntrack only --ctstate is known. --ctstatus, --ctorigdst, --ctdir and
// others ask for the connection's past, which a single packet does not show.

// compile turns one -m or -j with its options into statements. Each option is a
// question of its own, so that a doubt names the part that is not known and not the
// whole rule. An option is negated here, once for all modules: the kernel does it
// last too (XT_INV_* flags).
func (p part) compile(t *Table) []statement {
	if p.target {
		return p.compileTarget(t)
	}
	if p.module == "comment" {
		return nil
	}
	if p.module == reversePathModule {
		return []statement{p.reversePath()}
	}
	match := matchers[p.module]
	if match == nil {
		return []statement{unknown(p.text())}
	}
	var out []statement
	for _, o := range p.options {
		test := match(o)
		if test == nil {
			out = append(out, unknown(p.name()+o.text(p.module)))
			continue
		}
		negated := o.negated
		out = append(out, asks(o.text(p.module), func(q *Packet) Truth {
			if negated {
				return test(q).Not()
			}
			return test(q)
		}))
	}
	return out
}

// reversePathModule is the one match whose options make one question: "-m rpfilter
// --loose --invert".
const reversePathModule = "rpfilter"

// name is the module as it is written in front of an option.
func (p part) name() string {
	if p.module == "" {
		return ""
	}
	return "-m " + p.module + " "
}

// matchers are what understands the options of match modules
// (iptables-extensions(8)); "" is the built-in matches. A nil test means that the
// option is not understood.
var matchers = map[string]func(option) func(*Packet) Truth{
	"":          builtinMatch,
	"tcp":       portMatch,
	"udp":       portMatch,
	"multiport": multiportMatch,
	"conntrack": conntrackMatch,
	"state":     conntrackMatch,
	"mark":      markMatch(false),
	"connmark":  markMatch(true),
	"set":       setMatch,
	"addrtype":  addrtypeMatch,
	"iprange":   iprangeMatch,
	"icmp":      icmpMatch,
	"icmp6":     icmpMatch,
	"pkttype":   pkttypeMatch,
	"ttl":       hopLimitMatch,
	"hl":        hopLimitMatch,
	"physdev":   physdevMatch,
	"nfacct":    nfacctMatch,
}

// builtinMatch is "-s 10.0.0.0/8", "! -d 192.0.2.1", "-i eth+", "-o ovn0", "-p tcp"
// and "-f" (iptables(8), PARAMETERS).
//
// A user's chain may ask for -o in prerouting, where no link is chosen yet; the
// kernel compares with an empty name there (ip_packet_match in ip_tables.c).
func builtinMatch(o option) func(*Packet) Truth {
	if len(o.values) != 1 {
		if o.name == "f" { // fragments: what is asked about is whole
			return func(*Packet) Truth { return No }
		}
		return nil
	}
	v := o.values[0]
	switch o.name {
	case "s", "d":
		r, ok := parseMasked(v)
		source := o.name == "s"
		if !ok {
			return nil
		}
		return func(p *Packet) Truth { return r.has(p.addr(source)) }
	case "i":
		return func(p *Packet) Truth { return linkMatches(v, p.In) }
	case "o":
		return func(p *Packet) Truth { return linkMatches(v, p.Out) }
	case "p":
		return protocolTest(v)
	}
	return nil
}

// parseMasked reads an address, a prefix or ADDRESS/MASK, as -s and -d have them. A
// mask with holes ("10.0.0.1/255.0.0.255") is allowed by iptables and is no range of
// addresses: it stays unknown.
func parseMasked(text string) (addrRange, bool) {
	if strings.Contains(text, "-") {
		return addrRange{}, false
	}
	if addr, mask, ok := strings.Cut(text, "/"); ok && strings.ContainsAny(mask, ".:") {
		a, errA := netip.ParseAddr(addr)
		m, errM := netip.ParseAddr(mask)
		if errA != nil || errM != nil {
			return addrRange{}, false
		}
		bits, ok := maskBits(m)
		if !ok {
			return addrRange{}, false
		}
		return rangeOf(netip.PrefixFrom(a, bits)), true
	}
	return parseRange(text)
}

// maskBits is the length of a mask without holes.
func maskBits(m netip.Addr) (int, bool) {
	bits, ended := 0, false
	for _, b := range m.AsSlice() {
		for i := 7; i >= 0; i-- {
			set := b&(1<<i) != 0
			if set && ended {
				return 0, false
			}
			ended = ended || !set
			if set {
				bits++
			}
		}
	}
	return bits, true
}

// linkMatches compares with a name or with a beginning and "+": "eth+" is every link
// whose name begins with eth, and "+" is every link.
func linkMatches(pattern, link string) Truth {
	if beginning, ok := strings.CutSuffix(pattern, "+"); ok {
		return linkBegins(beginning, link)
	}
	return sameLink(pattern, link)
}

// linkBegins is whether a link's name begins so; unknown where NAT has changed the
// packet's way, so that its link is not known.
func linkBegins(beginning, link string) Truth {
	if link == unknownLink {
		return Maybe
	}
	return truthOf(strings.HasPrefix(link, beginning))
}

// sameLink is linkBegins for a whole name.
func sameLink(name, link string) Truth {
	if link == unknownLink {
		return Maybe
	}
	return truthOf(name == link)
}

// protocolTest is "-p NAME". "all" and 0 are every protocol.
func protocolTest(v string) func(*Packet) Truth {
	if v == "all" || v == "0" {
		return func(*Packet) Truth { return Yes }
	}
	n, ok := protocolNumber(v)
	if !ok {
		return nil
	}
	return func(p *Packet) Truth { return truthOf(p.Protocol == n) }
}

// protocolNumber reads a name or a number. A name that is not listed makes the option
// unknown.
func protocolNumber(v string) (uint8, bool) {
	if n, ok := protocols[v]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(v, 10, 8)
	return uint8(n), err == nil
}

// portMatch is "-p tcp -m tcp --dport 1024:65535" or "-m tcp --tcp-flags
// FIN,SYN,RST,ACK SYN": of the flags in the first list exactly those in the second
// are set (xt_tcpudp.c). The packet asked about is whole, so a first fragment, which
// the kernel drops where it is too short for its header, does not come up.
// --tcp-option is unknown.
func portMatch(o option) func(*Packet) Truth {
	switch o.name {
	case "sport", "dport":
		if len(o.values) != 1 {
			return nil
		}
		r, ok := parsePorts(o.values[0], ":")
		if !ok {
			return nil
		}
		return portsTest([]portRange{r}, o.name == "sport", o.name == "dport")
	case "tcp-flags":
		if len(o.values) != 2 {
			return nil
		}
		mask, okMask := parseFlags(o.values[0])
		want, okWant := parseFlags(o.values[1])
		if !okMask || !okWant {
			return nil
		}
		return func(p *Packet) Truth { return truthOf(p.Protocol == TCP && p.flags(mask) == want) }
	}
	return nil
}

// parseFlags reads a list of flags. ALL is the six that iptables has names for, not
// ECE and CWR.
func parseFlags(text string) (uint8, bool) {
	switch text {
	case "NONE":
		return 0, true
	case "ALL":
		return FIN | SYN | RST | PSH | ACK | URG, true
	}
	var out uint8
	for _, name := range strings.Split(strings.ToLower(text), ",") {
		found := false
		for i, n := range flagNames {
			if n == name {
				out, found = out|1<<i, true
			}
		}
		if !found {
			return 0, false
		}
	}
	return out, true
}

// portsTest is whether a port is in one of the ranges. A packet of a protocol
// without ports is never.
func portsTest(ranges []portRange, source, target bool) func(*Packet) Truth {
	return func(p *Packet) Truth {
		for _, r := range ranges {
			from, has := p.port(true)
			to, _ := p.port(false)
			if has && (source && r.has(from) || target && r.has(to)) {
				return Yes
			}
		}
		return No
	}
}

// multiportMatch is "-m multiport --dports 80,443,8000:8080". With --ports either
// port may be in the list; both need not be (xt_multiport.c).
func multiportMatch(o option) func(*Packet) Truth {
	source, target := o.name == "sports" || o.name == "ports", o.name == "dports" || o.name == "ports"
	if len(o.values) != 1 || !source && !target {
		return nil
	}
	var ranges []portRange
	for _, text := range strings.Split(o.values[0], ",") {
		r, ok := parsePorts(text, ":")
		if !ok {
			return nil
		}
		ranges = append(ranges, r)
	}
	return portsTest(ranges, source, target)
}

// conntrackMatch is "-m conntrack --ctstate NEW,RELATED" or the older "-m state
// --state INVALID". A packet without a connection is INVALID, unless a rule has
// forbidden tracking: then it is UNTRACKED (xt_state.c, xt_conntrack.c).
//
// In the same list SNAT and DNAT ask whether the connection's addresses are
// translated. What is asked about comes untranslated, so they are No, until a rule
// on the packet's own way may have done it.
func conntrackMatch(o option) func(*Packet) Truth {
	if (o.name != "ctstate" && o.name != "state") || len(o.values) != 1 {
		return nil
	}
	var want State
	var sourceNAT, targetNAT bool
	for _, name := range strings.Split(strings.ToLower(o.values[0]), ",") {
		switch s, ok := stateNamed(name); {
		case ok:
			want |= s
		case name == "snat":
			sourceNAT = true
		case name == "dnat":
			targetNAT = true
		default:
			return nil
		}
	}
	inState := stateTest(want)
	return func(p *Packet) Truth {
		truth := inState(p)
		if sourceNAT && p.source.truth != No || targetNAT && p.destination.truth != No {
			return truth.or(Maybe)
		}
		return truth // a connection that is asked about is not translated when it comes
	}
}

// stateNamed is a state by its name in lower case.
func stateNamed(name string) (State, bool) {
	for _, s := range []State{New, Established, Related, Invalid, Untracked} {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

// stateTest is Yes where every state that the packet may have is in the list, and No
// where none is.
func stateTest(want State) func(*Packet) Truth {
	return func(p *Packet) Truth {
		switch {
		case p.State&want == 0:
			return No
		case p.State&^want == 0:
			return Yes
		}
		return Maybe
	}
}

// markMatch is "-m mark --mark 0x4000/0x4000" or, of the connection, "-m connmark
// --mark 0x1".
func markMatch(ofConnection bool) func(option) func(*Packet) Truth {
	return func(o option) func(*Packet) Truth {
		if o.name != "mark" || len(o.values) != 1 {
			return nil
		}
		value, mask, ok := parseMark(o.values[0])
		if !ok {
			return nil
		}
		if !ofConnection {
			return func(p *Packet) Truth { return p.mark.equals(value, mask) }
		}
		negated := o.negated
		return func(p *Packet) Truth {
			// Without a connection connmark_mt (xt_connmark.c) says no before it negates.
			// The answer here is negated later, so it must be the opposite.
			if p.State&^(Invalid|Untracked) == 0 {
				return truthOf(negated)
			}
			if p.State&(Invalid|Untracked) != 0 {
				return Maybe
			}
			return p.ctMark.equals(value, mask)
		}
	}
}

// parseMark reads VALUE or VALUE/MASK, in hexadecimal as iptables-save prints it.
func parseMark(text string) (value, mask uint32, ok bool) {
	v, m, has := strings.Cut(text, "/")
	n, err := strconv.ParseUint(v, 0, 32)
	if err != nil {
		return 0, 0, false
	}
	if !has {
		return uint32(n), ^uint32(0), true
	}
	k, err := strconv.ParseUint(m, 0, 32)
	return uint32(n), uint32(k), err == nil
}

// iprangeMatch is "-m iprange --src-range 10.0.0.1-10.0.0.9"; both ends are in it.
func iprangeMatch(o option) func(*Packet) Truth {
	if len(o.values) != 1 || o.name != "src-range" && o.name != "dst-range" {
		return nil
	}
	r, ok := parseRange(o.values[0])
	if !ok {
		return nil
	}
	source := o.name == "src-range"
	return func(p *Packet) Truth { return r.has(p.addr(source)) }
}

// icmpMatch is "-p icmp -m icmp --icmp-type 3/1", type and code, or "-p ipv6-icmp -m
// icmp6 --icmpv6-type 128". Without a code it is every code of the type.
func icmpMatch(o option) func(*Packet) Truth {
	if o.name != "icmp-type" && o.name != "icmpv6-type" || len(o.values) != 1 {
		return nil
	}
	if o.values[0] == "any" {
		return func(p *Packet) Truth { return truthOf(p.Protocol == ICMP || p.Protocol == ICMPv6) }
	}
	kind, code, hasCode := strings.Cut(o.values[0], "/")
	k, err := strconv.ParseUint(kind, 10, 8)
	c, errCode := strconv.ParseUint(code, 10, 8)
	if err != nil || hasCode && errCode != nil {
		return nil
	}
	return func(p *Packet) Truth {
		return truthOf((p.Protocol == ICMP || p.Protocol == ICMPv6) && p.Type == uint8(k) && (!hasCode || p.Code == uint8(c)))
	}
}

// pkttypeMatch is "-m pkttype --pkt-type multicast". The kernel forwards only what
// came to its own link address (ip_forward drops other than PACKET_HOST), and
// calls that unicast.
func pkttypeMatch(o option) func(*Packet) Truth {
	if o.name != "pkt-type" || len(o.values) != 1 {
		return nil
	}
	kind := o.values[0]
	return func(p *Packet) Truth { return truthOf(kind == p.sentTo()) }
}

// physdevMatch is "-m physdev --physdev-is-bridged" and asks about bridge ports. A
// routed packet leaves by none, or by one that is found only later (xt_physdev.c).
// It may have come in by one, where the uplink is a bridge.
func physdevMatch(o option) func(*Packet) Truth {
	switch o.name {
	case "physdev-is-bridged", "physdev-is-out", "physdev-out":
		return func(*Packet) Truth { return No }
	}
	return nil // physdev-in, physdev-is-in
}

// setMatch is "-m set --match-set NAME src,dst"; see sets.go. Its other options
// (--return-nomatch, --packets-gt) are questions of their own here and unknown. A
// set that a rule on the way has written to is unknown, also if the packet itself
// was what it wrote.
func setMatch(o option) func(*Packet) Truth {
	if o.name != "match-set" || len(o.values) != 2 {
		return nil
	}
	var sources []bool
	for _, d := range strings.Split(o.values[1], ",") {
		if d != "src" && d != "dst" {
			return nil
		}
		sources = append(sources, d == "src")
	}
	name := o.values[0]
	written := setBit(name)
	return func(p *Packet) Truth {
		if p.written&written != 0 {
			return Maybe
		}
		return p.rules.Sets.has(name, p, sources)
	}
}

// addrtypeMatch is "-m addrtype ! --dst-type LOCAL". The types that a forwarded
// packet can have are known (see kindOf); others, such as BLACKHOLE or ANYCAST, and
// --limit-iface-in, which asks for one link's addresses, are not.
func addrtypeMatch(o option) func(*Packet) Truth {
	if len(o.values) != 1 || o.name != "src-type" && o.name != "dst-type" {
		return nil
	}
	source := o.name == "src-type"
	kinds := strings.Split(strings.ToLower(o.values[0]), ",")
	for _, k := range kinds {
		if k != "local" && k != "unicast" && k != "multicast" && k != "broadcast" {
			return nil
		}
	}
	return func(p *Packet) Truth {
		if p.is6() {
			return p.addrtype6(p.addr(source), kinds)
		}
		possible := p.kindsOf(source)
		found := truthOf(slices.Contains(kinds, possible[0]))
		for _, kind := range possible[1:] {
			found = either(found, truthOf(slices.Contains(kinds, kind)))
		}
		return found
	}
}

// addrtype6 is addrtype for IPv6: all types in the list must hold, and unicast is every
// address that is not multicast, also one of this node (match_type6 in xt_addrtype.c).
func (p *Packet) addrtype6(a netip.Addr, kinds []string) Truth {
	if !a.IsValid() {
		return Maybe
	}
	holds := map[string]bool{"local": slices.Contains(p.rules.Local, a) || a.IsLoopback(), "multicast": a.IsMulticast(), "unicast": !a.IsMulticast()}
	for _, k := range kinds {
		if !holds[k] {
			return No
		}
	}
	return Yes
}

// kindsOf are the types that the kernel may have for an address of the packet, as far as
// a forwarded packet's can be: unicast, unless it is this node's own. For IPv4 it looks
// into table local only (inet_addr_type in net/ipv4/fib_frontend.c). For IPv6 it looks
// for a route (nft_fib6_eval_type in nft_fib_ipv6.c): without one, or with one that
// refuses, the address is unreachable. A destination has one, or nothing is forwarded,
// and so has a source to which the way back is known; others may or may not.
func (p *Packet) kindsOf(source bool) []string {
	a := p.addr(source)
	switch {
	case !a.IsValid():
		return []string{"local", "unicast", "unreachable", "multicast", "broadcast"}
	case slices.Contains(p.rules.Local, a), a.IsLoopback():
		return []string{"local"}
	case a.IsMulticast():
		return []string{"multicast"}
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return []string{"broadcast"}
	case p.is6() && (source && p.ReturnsByIn != Yes || !source && p.destination.truth != No):
		return []string{"unicast", "unreachable"}
	}
	return []string{"unicast"}
}

// nfacctMatch counts, and matches unless the counter has a quota. Only
// kube-proxy's counters are known to have none (pkg/proxy/metrics/nfacct in
// Kubernetes).
func nfacctMatch(o option) func(*Packet) Truth {
	if o.name != "nfacct-name" || len(o.values) != 1 {
		return nil
	}
	switch o.values[0] {
	case "ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts":
		return func(*Packet) Truth { return Yes }
	}
	return nil
}

// reversePath is "-m rpfilter --invert -j DROP": does the way back to the source
// leave by the link that the packet came in by? With --loose any link will do, so
// that the answer is only known where it is yes. --validmark, which looks the way
// up with the packet's mark, and --accept-local change nothing here: there is one
// way back, that of the main table.
func (p part) reversePath() statement {
	inverted, loose := false, false
	for _, o := range p.options {
		inverted, loose = inverted || o.name == "invert", loose || o.name == "loose"
	}
	return asks(p.text(), func(q *Packet) Truth {
		returns := q.ReturnsByIn
		if loose {
			returns = returns.or(Maybe) // by another link is good enough
		}
		if inverted {
			return returns.Not()
		}
		return returns
	})
}
