package netfilter

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// compile turns one -m or -j with its options into statements.
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

// reversePathModule is the one match whose options make one question.
const reversePathModule = "rpfilter"

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
	"physdev":   physdevMatch,
	"nfacct":    nfacctMatch,
}

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

// parseMasked reads an address, a prefix or ADDRESS/MASK.
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

// linkMatches compares with a name or with a beginning and "+".
func linkMatches(pattern, link string) Truth {
	if beginning, ok := strings.CutSuffix(pattern, "+"); ok {
		return linkBegins(beginning, link)
	}
	return sameLink(pattern, link)
}

func linkBegins(beginning, link string) Truth {
	if link == unknownLink {
		return Maybe
	}
	return truthOf(strings.HasPrefix(link, beginning))
}

func sameLink(name, link string) Truth {
	if link == unknownLink {
		return Maybe
	}
	return truthOf(name == link)
}

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

func protocolNumber(v string) (uint8, bool) {
	if n, ok := protocols[v]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(v, 10, 8)
	return uint8(n), err == nil
}

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
		return func(p *Packet) Truth { return truthOf(p.Protocol == TCP && p.Flags&mask == want) }
	}
	return nil
}

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

func stateNamed(name string) (State, bool) {
	for _, s := range []State{New, Established, Related, Invalid, Untracked} {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}

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
			if p.State&^(Invalid|Untracked) == 0 { // no connection: never a match, not even a negated one
				return truthOf(negated)
			}
			if p.State&(Invalid|Untracked) != 0 {
				return Maybe
			}
			return p.ctMark.equals(value, mask)
		}
	}
}

// parseMark reads VALUE or VALUE/MASK.
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

func pkttypeMatch(o option) func(*Packet) Truth {
	if o.name != "pkt-type" || len(o.values) != 1 {
		return nil
	}
	unicast := o.values[0] == "unicast" // what is forwarded came to our link address
	return func(*Packet) Truth { return truthOf(unicast) }
}

// physdevMatch asks about bridge ports; a routed packet has none.
func physdevMatch(o option) func(*Packet) Truth {
	switch o.name {
	case "physdev-is-bridged", "physdev-is-out", "physdev-out":
		return func(*Packet) Truth { return No }
	}
	return nil // physdev-in may hold where the uplink is a bridge
}

// setMatch is --match-set NAME DIRECTIONS.
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
		kind := p.rules.kindOf(p.addr(source))
		if kind == "" {
			return Maybe
		}
		return truthOf(slices.Contains(kinds, kind))
	}
}

// kindOf is the kernel's type of an address as far as a forwarded packet's can
// be: it has a route, so it is unicast unless it is this node's own. "" where the
// address is not known.
func (rs *Ruleset) kindOf(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case slices.Contains(rs.Local, a), a.IsLoopback():
		return "local"
	case a.IsMulticast():
		return "multicast"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "broadcast"
	}
	return "unicast"
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

// reversePath is -m rpfilter: does the way back to the source leave by the link
// that the packet came in by?
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
