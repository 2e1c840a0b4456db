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
//     --rcheck", "-m statistic --probability 0.5";
//   - what is not said of the packet: "-m string", "-m u32", "-m mac";
//   - what nobody has taught it yet.

// compile turns one -m or -j with its options into statements. Each option is a
// question of its own, so that a doubt names the part that is not known and not the
// whole rule. An option is negated here, once for all modules: the kernel does it
// last too (XT_INV_* flags). Of some modules the options make one question together.
func (p part) compile(t *Table) []statement {
	if p.target {
		return p.compileTarget(t)
	}
	if p.module == "comment" {
		return nil
	}
	if compile := wholeMatchers[p.module]; compile != nil {
		if m := compile(p); m != nil {
			return []statement{{p.text(), m}}
		}
		return []statement{unknown(p.text())}
	}
	compile := matchers[p.module]
	if compile == nil {
		return []statement{unknown(p.text())}
	}
	var out []statement
	for _, o := range p.options {
		if m := o.compile(compile); m != nil {
			out = append(out, statement{o.text(p.module), m})
		} else {
			out = append(out, unknown(p.name()+o.text(p.module)))
		}
	}
	return out
}

// compile is what the option asks, negated where it says so; nil if it is not understood.
func (o option) compile(by func(option) match) match {
	m := by(o)
	if m != nil && o.negated {
		return not{m}
	}
	return m
}

// name is the module as it is written in front of an option.
func (p part) name() string {
	if p.module == "" {
		return ""
	}
	return "-m " + p.module + " "
}

// value is the option's only value, "" where it has another number of them.
func (o option) value() string {
	if len(o.values) != 1 {
		return ""
	}
	return o.values[0]
}

// matchers are what understands the options of match modules
// (iptables-extensions(8)); "" is the built-in matches. A nil match means that the
// option is not understood.
var matchers = map[string]func(option) match{
	"":          builtinMatch,
	"tcp":       portMatch,
	"udp":       portMatch,
	"multiport": multiportMatch,
	"mark":      markMatch,
	"iprange":   iprangeMatch,
	"icmp":      icmpMatch,
	"icmp6":     icmpMatch,
	"pkttype":   pkttypeMatch,
	"physdev":   physdevMatch,
	"nfacct":    nfacctMatch,
	"devgroup":  devgroupMatch,
	"dscp":      headerMatch,
	"tos":       headerMatch,
	"ecn":       headerMatch,
	"length":    headerMatch,
	"ttl":       headerMatch,
	"hl":        headerMatch,
	"tcpmss":    headerMatch,
	"helper":    func(option) match { return helpedMatch{} },
	"owner":     func(option) match { return oneOf{ownerField, numbers(1)} },
}

// wholeMatchers are modules whose options make one question.
var wholeMatchers = map[string]func(part) match{
	"conntrack": part.conntrack,
	"state":     part.conntrack,
	"connmark":  part.connmark,
	"addrtype":  part.addrtype,
	"rpfilter":  part.reversePath,
	"policy":    part.policy,
	"set":       part.setMatch,
	"connlimit": part.connlimit,
	"time":      part.time,
	"cgroup":    func(part) match { return oneOf{ownerField, numbers(1)} },
	// No ordinary packet has these, whatever is asked of them, negated or not.
	"rt": never, "frag": never, "hbh": never, "dst": never, "mh": never, "ah": never, "esp": never, "sctp": never, "dccp": never,
}

// never is a match that holds for no packet that is asked about.
func never(part) match { return answer(No) }

// one is a comparison with values; nil where one of them did not parse.
func one(f field, in []pattern, ok bool) match {
	if !ok {
		return nil
	}
	return oneOf{f, in}
}

// builtinMatch is "-s 10.0.0.0/8", "! -d 192.0.2.1", "-i eth+", "-o ovn0", "-p tcp"
// and "-f" (iptables(8), PARAMETERS).
//
// A user's chain may ask for -o in prerouting, where no link is chosen yet; the
// kernel compares with an empty name there (ip_packet_match in ip_tables.c).
func builtinMatch(o option) match {
	v := o.value()
	switch o.name {
	case "f":
		return answer(No) // fragments: what is asked about is whole
	case "s", "d":
		in, ok := parseMasked(v)
		return one(addressOf[o.name == "s"], in, ok)
	case "i":
		return oneOf{metaFields["iifname"], []pattern{linkPattern(v, "+")}}
	case "o":
		return oneOf{metaFields["oifname"], []pattern{linkPattern(v, "+")}}
	case "p":
		if v == "all" || v == "0" {
			return answer(Yes)
		}
		n, ok := protocolNumber(v)
		return one(metaFields["l4proto"], numbers(uint64(n)), ok)
	}
	return nil
}

// addressOf is the source, or the destination, of either family.
var addressOf = map[bool]field{true: anyAddress(true), false: anyAddress(false)}

func anyAddress(source bool) field {
	return always(kindAddr, func(p *Packet) value { return value{addr: p.addr(source)} })
}

// parseMasked reads an address, a prefix or ADDRESS/MASK, as -s and -d have them.
func parseMasked(text string) ([]pattern, bool) {
	addr, mask, ok := strings.Cut(text, "/")
	if ok && strings.ContainsAny(mask, ".:") {
		a, errA := netip.ParseAddr(addr)
		m, errM := netip.ParseAddr(mask)
		if errA != nil || errM != nil || a.BitLen() != m.BitLen() {
			return nil, false
		}
		return maskedPatterns(a, m), true
	}
	r, ok := parseRange(text)
	return addressPatterns(r), ok && !strings.Contains(text, "-")
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
func portMatch(o option) match {
	switch o.name {
	case "sport", "dport":
		r, ok := parsePorts(o.value(), ":")
		return one(anyPortOf[o.name == "sport"], []pattern{r}, ok)
	case "tcp-flags":
		if len(o.values) != 2 {
			return nil
		}
		mask, okMask := parseFlags(o.values[0])
		want, okWant := parseFlags(o.values[1])
		return one(flagsField(mask), numbers(uint64(want)), okMask && okWant)
	case "tcp-option":
		return optionMatch(o.value())
	}
	return nil
}

// optionMatch is "--tcp-option 2", an option of TCP by its number. Segment size (2),
// window scale (3) and whether selective acknowledgments may come (4) are only in what
// opens a connection; all such packets have the first.
func optionMatch(number string) match {
	opens := oneOf{mssExists, numbers(1)}
	switch number {
	case "2":
		return opens
	case "3", "4":
		return all{opens, answer(Maybe)}
	}
	return nil
}

// anyPortOf is the source's port, or the target's, of any protocol that has ports.
var anyPortOf = map[bool]field{true: anyPort(true, No), false: anyPort(false, No)}

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
		i := slices.Index(flagNames, name)
		if i < 0 {
			return 0, false
		}
		out |= 1 << i
	}
	return out, true
}

// multiportMatch is "-m multiport --dports 80,443,8000:8080". With --ports either
// port may be in the list; both need not be (xt_multiport.c).
func multiportMatch(o option) match {
	var in []pattern
	for _, text := range strings.Split(o.value(), ",") {
		r, ok := parsePorts(text, ":")
		if !ok {
			return nil
		}
		in = append(in, r)
	}
	switch o.name {
	case "sports", "dports":
		return oneOf{anyPortOf[o.name == "sports"], in}
	case "ports":
		return eitherOf{oneOf{anyPortOf[true], in}, oneOf{anyPortOf[false], in}}
	}
	return nil
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

// markMatch is "-m mark --mark 0x4000/0x4000".
func markMatch(o option) match {
	value, mask, ok := parseMark(o.value())
	if o.name != "mark" {
		return nil
	}
	return one(metaFields["mark"].masked(uint64(mask)), numbers(uint64(value)), ok)
}

// connmark is "-m connmark --mark 0x1", the mark of the connection. Without a
// connection it says no, also where it is negated (connmark_mt in xt_connmark.c).
func (p part) connmark() match {
	if len(p.options) != 1 || p.options[0].name != "mark" {
		return nil
	}
	o := p.options[0]
	value, mask, ok := parseMark(o.value())
	if !ok {
		return nil
	}
	return comparison{lookup: lookup{fields: []field{ctFields["mark"].masked(uint64(mask))}, set: setWith(numbers(uint64(value))...)}, negated: o.negated}
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
func iprangeMatch(o option) match {
	if o.name != "src-range" && o.name != "dst-range" {
		return nil
	}
	r, ok := parseRange(o.value())
	return one(addressOf[o.name == "src-range"], addressPatterns(r), ok)
}

// icmpMatch is "-p icmp -m icmp --icmp-type 3/1", type and code, or "-p ipv6-icmp -m
// icmp6 --icmpv6-type 128". Without a code it is every code of the type.
func icmpMatch(o option) match {
	protocol := map[string]string{"icmp-type": "icmp", "icmpv6-type": "icmpv6"}[o.name]
	if protocol == "" {
		return nil
	}
	if o.value() == "any" {
		return oneOf{metaFields["l4proto"], numbers(ICMP, ICMPv6)}
	}
	kind, code, hasCode := strings.Cut(o.value(), "/")
	k, err := strconv.ParseUint(kind, 10, 8)
	c, errCode := strconv.ParseUint(code, 10, 8)
	if err != nil || hasCode && errCode != nil {
		return nil
	}
	asked := all{oneOf{payloadFields[protocol+" type"], numbers(k)}}
	if hasCode {
		asked = append(asked, oneOf{payloadFields[protocol+" code"], numbers(c)})
	}
	return asked
}

// pkttypeMatch is "-m pkttype --pkt-type multicast". The kernel forwards only what
// came to its own link address (ip_forward drops other than PACKET_HOST), and
// calls that unicast.
func pkttypeMatch(o option) match {
	if o.name != "pkt-type" {
		return nil
	}
	return oneOf{metaFields["pkttype"], numbers(constants[kindPktType][o.value()])}
}

// physdevMatch is "-m physdev --physdev-is-bridged" and asks about bridge ports. A
// routed packet leaves by none, or by one that is found only later (xt_physdev.c).
// It may have come in by one, where the uplink is a bridge, or has one below it.
func physdevMatch(o option) match {
	switch o.name {
	case "physdev-is-bridged", "physdev-is-out", "physdev-out":
		return answer(No)
	case "physdev-is-in", "physdev-in":
		return bridged{}
	}
	return nil
}

// devgroupMatch is "-m devgroup --src-group 0x7/0xff".
func devgroupMatch(o option) match {
	v := o.value()
	if v == "default" {
		v = "0"
	}
	group, mask, ok := parseMark(v)
	if o.name != "src-group" && o.name != "dst-group" {
		return nil
	}
	return one(linkProperty(kindGroup, o.name == "src-group", linkGroup).masked(uint64(mask)), numbers(uint64(group)), ok)
}

// headerMatch is a comparison of a number in the header: "-m ttl --ttl-lt 5", "-m length
// --length 1400:65535", "-p tcp -m tcpmss ! --mss 536:65535". A packet without the
// option that names its segment size is beside any range of it (xt_tcpmss.c).
func headerMatch(o option) match {
	v := o.value()
	n, err := strconv.ParseUint(v, 0, 16)
	switch o.name {
	case "length":
		r, ok := parsePorts(v, ":")
		return one(always(kindNumber, length), []pattern{r}, ok)
	case "mss":
		r, ok := parsePorts(v, ":")
		return one(mssField, []pattern{r}, ok)
	case "tos":
		value, mask, ok := parseMark(v)
		return one(always(kindNumber, tos).masked(uint64(mask)), numbers(uint64(value)), ok)
	case "dscp":
		return one(always(kindNumber, dscp), numbers(n), err == nil)
	case "ecn-ip-ect":
		return one(always(kindNumber, ecn), numbers(n), err == nil)
	case "ecn-tcp-cwr":
		return oneOf{flagsField(1 << 7), numbers(1 << 7)}
	case "ecn-tcp-ece":
		return oneOf{flagsField(1 << 6), numbers(1 << 6)}
	case "ttl-eq", "hl-eq", "ttl", "hl":
		return one(always(kindNumber, hops), numbers(n), err == nil)
	case "ttl-lt", "hl-lt":
		return one(always(kindNumber, hops), []pattern{{to: n - 1}}, err == nil && n > 0)
	case "ttl-gt", "hl-gt":
		return one(always(kindNumber, hops), []pattern{{from: n + 1, to: mostHops}}, err == nil)
	}
	return nil
}

// ownerField is whether the packet's socket is of some kind; a forwarded packet has
// no socket (owner_mt in xt_owner.c).
var ownerField = field{kindBool, func(p *Packet) (value, Truth) { return value{unknownBits: 1}, ofOwner(p) }}

// policy is "-m policy --dir in --pol none": has IPsec to do with the packet? Without it
// every other question is answered with no.
func (p part) policy() match {
	wants := uint64(1)
	for _, o := range p.options {
		if o.name == "pol" && o.value() == "none" {
			wants = 0
		}
	}
	asked := match(oneOf{always(kindBool, secured), numbers(wants)})
	if wants == 1 && len(p.options) > 2 {
		asked = all{asked, answer(Maybe)} // of which kind
	}
	return asked
}

// connlimit is "-m connlimit --connlimit-above 80 --connlimit-mask 32 --connlimit-saddr".
// Only where each client is counted by itself is it known whether its connections are
// too many. What a network has open together is not.
func (p part) connlimit() match {
	c := crowd{}
	mask, known := "", false
	for _, o := range p.options {
		switch n, err := strconv.ParseUint(o.value(), 10, 32); {
		case o.name == "connlimit-above" || o.name == "connlimit-upto":
			c.limit, c.over, known = n, (o.name == "connlimit-above") != o.negated, err == nil
		case o.name == "connlimit-mask":
			mask = o.value()
		case o.name == "connlimit-daddr":
			return nil
		}
	}
	if !known || mask != "32" && mask != "128" && c.limit > 0 {
		return nil
	}
	return c
}

// setMatch is "-m set --match-set NAME src,dst"; see sets.go. With --packets-gt and its
// like a member counts only by what it has seen, an exception too, and a wider one is
// asked in its place; --return-nomatch asks for the exceptions (ip_set_core.c,
// mtype_data_match in ip_set_hash_gen.h).
func (p part) setMatch() match {
	var m ipsetMatch
	negated := false
	for _, o := range p.options {
		switch o.name {
		case "match-set":
			if len(o.values) != 2 || m.name != "" {
				return nil
			}
			m.name, m.written, negated = o.values[0], setBit(o.values[0]), o.negated
			for _, d := range strings.Split(o.values[1], ",") {
				if d != "src" && d != "dst" {
					return nil
				}
				m.sources = append(m.sources, d == "src")
			}
		case "update-counters", "update-subcounters":
		default:
			m.counted = true
		}
	}
	switch {
	case m.name == "":
		return nil
	case negated:
		return not{m}
	}
	return m
}

// ipsetMatch is whether a packet is in an ipset. One that a rule on the way has written
// to is unknown, also if the packet itself was what it wrote.
type ipsetMatch struct {
	name    string
	sources []bool
	written uint64
	// counted is whether more is asked of a member than that it has the packet.
	counted bool
}

func (m ipsetMatch) names(add func(names)) { add(names{ipset: m.name}) }
func (m ipsetMatch) matches(p *Packet) Truth {
	if p.written&m.written != 0 {
		return Maybe
	}
	if m.counted {
		return min(Maybe, p.rules.Sets.mention(m.name, p, m.sources))
	}
	return p.rules.Sets.has(m.name, p, m.sources)
}

// nfacctMatch counts, and matches unless the counter has a quota. Only
// kube-proxy's counters are known to have none (pkg/proxy/metrics/nfacct in
// Kubernetes).
func nfacctMatch(o option) match {
	switch o.value() {
	case "ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts":
		return answer(Yes)
	}
	return nil
}

// reversePath is "-m rpfilter --invert -j DROP": does the way back to the source
// leave by the link that the packet came in by? With --loose any link will do, so
// that the answer is only known where it is yes. --validmark, which looks the way
// up with the packet's mark, and --accept-local change nothing here: there is one
// way back, that of the main table.
func (p part) reversePath() match {
	var m match = oneOf{reversePathField, numbers(1)}
	if p.has("loose") {
		m = eitherOf{m, answer(Maybe)} // by another link is good enough
	}
	if p.has("invert") {
		return not{m}
	}
	return m
}

// has is whether the option is given.
func (p part) has(name string) bool {
	return slices.ContainsFunc(p.options, func(o option) bool { return o.name == name })
}
