package netfilter

import (
	"bufio"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// This file answers: is a packet in an ipset? It also has the addresses, ranges and
// ports that rules of every backend are made of.
//
// A rule asks "-m set --match-set NAME src,dst": for each part of a member, whether
// the packet's source or its destination is compared (ipset(8)). For hash:net,iface
// and "src,src" that is the source address and the link the packet came in by.
// Examples of members, as `ipset save` prints them:
//
//	add nets 10.16.0.0/16               hash:net
//	add nets 10.16.5.0/24 nomatch       an exception from it
//	add web 10.16.0.1,tcp:80            hash:ip,port
//	add by 10.16.0.0/16,eth0            hash:net,iface
//	add all nets                        list:set
//
// Not modelled, so that the whole set is unknown: MAC addresses, ports of ICMP
// ("icmp:8/0"), ports of bridges (physdev:), the options bitmask and markmask. A
// set that rules write to (-j SET) is unknown behind such a rule. Timeouts are
// taken as they were when the set was read.

// IPSets are the kernel's ipsets by name.
type IPSets map[string]*IPSet

// IPSet is one ipset.
type IPSet struct {
	Name string
	// Type is such as hash:net or hash:ip,port.
	Type string
	is6  bool
	// netmask is the length to which addresses are cut before they are compared; 0
	// for none.
	netmask int
	members []ipsetMember
	// lists are the sets in a list:set.
	lists []string
	// unparsed is set where a member does not parse: then nothing is known.
	unparsed bool
}

// ipsetMember is one element.
type ipsetMember struct {
	// fields are the tests of its parts, each of the packet's source or destination.
	fields []func(p *Packet, source bool) Truth
	// bits is how narrow it is. Of several networks the first one's length counts, and
	// the next one's among equals (mtype_test_cidrs in ip_set_hash_gen.h).
	bits int
	// nomatch makes it an exception: what it holds is not in the set.
	nomatch bool
	text    string
}

// Members are the set's elements, as printed; exceptions end in " nomatch".
func (s *IPSet) Members() []string {
	out := make([]string, 0, len(s.members))
	for _, m := range s.members {
		if m.nomatch {
			m.text += " nomatch"
		}
		out = append(out, m.text)
	}
	return out
}

// ParseIPSets reads what `ipset save` prints. A set that is not understood is
// kept and matches Maybe.
func ParseIPSets(text string) (IPSets, error) {
	sets := IPSets{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(unquoted(lines.Text()))
		if len(words) < 3 {
			continue
		}
		switch words[0] {
		case "create":
			sets[words[1]] = newIPSet(words)
		case "add":
			s := sets[words[1]]
			if s == nil {
				return nil, fmt.Errorf("ipset save: %s has a member but is not created", words[1])
			}
			s.add(words[2], words[3:])
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("ipset save: %w", err)
	}
	return sets, nil
}

// unquoted leaves comments out: ipset quotes them, and takes no quote in them.
func unquoted(line string) string {
	var b strings.Builder
	for i, piece := range strings.Split(line, `"`) {
		if i%2 == 0 {
			b.WriteString(piece)
		}
	}
	return b.String()
}

// newIPSet reads "create NAME TYPE OPTION…". Some options have a value and some have
// none, so every word is looked at.
func newIPSet(words []string) *IPSet {
	s := &IPSet{Name: words[1], Type: words[2]}
	for i := 3; i+1 < len(words); i++ {
		switch words[i] {
		case "family":
			s.is6 = words[i+1] == "inet6"
		case "netmask":
			n, err := strconv.Atoi(words[i+1])
			s.netmask, s.unparsed = n, s.unparsed || err != nil
		case "bitmask", "markmask":
			s.unparsed = true
		}
	}
	return s
}

// add reads one member and its options; counters, comments and timeouts change
// nothing.
func (s *IPSet) add(text string, options []string) {
	kind, parts, _ := strings.Cut(s.Type, ":")
	if kind == "list" {
		s.lists = append(s.lists, text)
		return
	}
	m := ipsetMember{text: text}
	for _, o := range options {
		m.nomatch = m.nomatch || o == "nomatch"
	}
	values := strings.Split(text, ",")
	names := strings.Split(parts, ",")
	if len(values) != len(names) {
		s.unparsed = true
		return
	}
	for i, name := range names {
		compile := ipsetFields[name]
		if compile == nil {
			s.unparsed = true
			return
		}
		if name == "iface" && slices.Contains(options, "wildcard") {
			values[i] += wildcard
		}
		f, bits, ok := compile(s, values[i])
		if !ok {
			s.unparsed = true
			return
		}
		m.fields, m.bits = append(m.fields, f), m.bits<<8|bits
	}
	s.members = append(s.members, m)
}

// ipsetFields are the parts that types of sets are made of (ipset(8)). They give
// a test and how narrow the member is.
var ipsetFields = map[string]func(s *IPSet, value string) (test func(*Packet, bool) Truth, bits int, ok bool){
	"ip":    (*IPSet).addresses,
	"net":   (*IPSet).addresses,
	"port":  func(_ *IPSet, value string) (func(*Packet, bool) Truth, int, bool) { return portField(value) },
	"iface": func(_ *IPSet, value string) (func(*Packet, bool) Truth, int, bool) { return linkField(value) },
	"mark": func(_ *IPSet, value string) (func(*Packet, bool) Truth, int, bool) {
		n, err := strconv.ParseUint(value, 0, 32)
		return func(p *Packet, _ bool) Truth { return p.mark.equals(uint32(n), ^uint32(0)) }, 32, err == nil
	},
}

// addresses is a part that is an address, a prefix or a range.
func (s *IPSet) addresses(value string) (func(*Packet, bool) Truth, int, bool) {
	n, ok := parseRange(value)
	if s.netmask > 0 && n.from.IsValid() {
		p, err := n.from.Prefix(s.netmask)
		if err != nil {
			return nil, 0, false
		}
		n = rangeOf(p)
	}
	return func(p *Packet, source bool) Truth { return n.has(p.addr(source)) }, n.bits(), ok
}

// wildcard ends a link's name that stands for all that begin so; no name has it.
const wildcard = "/"

// linkField is a part that is a link: that which the packet came in by for a
// source, that which it goes out by for a destination. A member with the option
// wildcard is the beginning of names.
func linkField(value string) (func(*Packet, bool) Truth, int, bool) {
	name := linkPattern(value, wildcard)
	return func(p *Packet, source bool) Truth {
		switch {
		case source && p.hook == Postrouting:
			return Maybe // the kernel does not always hand the link on
		case source:
			return name.hasLink(p.In)
		}
		return name.hasLink(p.Out)
	}, 16, !strings.HasPrefix(value, "physdev:")
}

// portField reads PORT, FROM-TO or PROTO:PORT. For ICMP the kernel compares type
// and code instead (ip_set_get_ip4_port in ip_set_getport.c); that is not modelled.
func portField(value string) (func(*Packet, bool) Truth, int, bool) {
	proto, ports, has := strings.Cut(value, ":")
	number := -1
	if has {
		n, ok := protocols[proto]
		if !ok || n == ICMP || n == ICMPv6 {
			return nil, 0, false
		}
		number = int(n)
	} else {
		ports = proto
	}
	r, ok := parsePorts(ports, "-")
	return func(p *Packet, source bool) Truth {
		port, has := p.port(source)
		return truthOf(has && (number < 0 || int(p.Protocol) == number) && r.from <= uint64(port) && uint64(port) <= r.to)
	}, 16, ok
}

// has asks whether the packet is in the set, each part of a member compared with
// the source or the destination as sources says. A set of one family never has a
// packet of the other. The kernel takes no list into a list (ip_set_list_set.c). A set
// that is not known cannot be answered for.
func (sets IPSets) has(name string, p *Packet, sources []bool) Truth {
	return sets.ask(name, p, sources, (*IPSet).lookUp)
}

// mention is has of a set whose exceptions count as members.
func (sets IPSets) mention(name string, p *Packet, sources []bool) Truth {
	return sets.ask(name, p, sources, (*IPSet).mentions)
}

func (sets IPSets) ask(name string, p *Packet, sources []bool, of func(*IPSet, *Packet, []bool) Truth) Truth {
	s := sets[name]
	if s == nil || s.unparsed {
		return Maybe
	}
	if len(s.lists) > 0 {
		found := No
		for _, l := range s.lists {
			if !strings.HasPrefix(sets.typeOf(l), "list:") {
				found = found.or(sets.ask(l, p, sources, of))
			}
		}
		return found
	}
	if strings.HasPrefix(s.Type, "hash:") && s.is6 != p.is6() {
		return No
	}
	return of(s, p, sources)
}

func (sets IPSets) typeOf(name string) string {
	if s := sets[name]; s != nil {
		return s.Type
	}
	return ""
}

// lookUp takes the narrowest member that matches, as the kernel does
// (mtype_test_cidrs in ip_set_hash_gen.h tries the longest prefix first). So
// "10.0.0.0/8 nomatch" and 10.16.0.0/16 together have 10.16.0.1, in either order.
// A member that may match makes the answer unknown, unless a narrower one was found
// before it.
func (s *IPSet) lookUp(p *Packet, sources []bool) Truth {
	found, bits := No, -1
	if s.Type == "hash:net,iface" {
		bits = s.narrowest(p, sources)
	}
	for _, m := range s.members {
		if len(m.fields) > len(sources) {
			return No // the kernel refuses a rule with too few directions
		}
		t := m.has(p, sources)
		switch {
		case t == No || m.bits < bits:
		case t == Maybe:
			return Maybe
		default:
			bits, found = m.bits, truthOf(!m.nomatch)
		}
	}
	return found
}

// has is whether each part of the member is the packet's.
func (m ipsetMember) has(p *Packet, sources []bool) Truth {
	t := Yes
	for i, f := range m.fields {
		t = min(t, f(p, sources[i]))
	}
	return t
}

// mentions is whether any member or exception has the packet.
func (s *IPSet) mentions(p *Packet, sources []bool) Truth {
	found := No
	for _, m := range s.members {
		if len(m.fields) <= len(sources) {
			found = found.or(m.has(p, sources))
		}
	}
	return found
}

// narrowest is how narrow the narrowest network is that has the address. In a
// set of networks and links the kernel looks no further than that, even where
// its link is another (ip_set_hash_gen.h, IP_SET_HASH_WITH_MULTI).
func (s *IPSet) narrowest(p *Packet, sources []bool) int {
	bits := -1
	for _, m := range s.members {
		if len(sources) > 0 && m.fields[0](p, sources[0]) == Yes {
			bits = max(bits, m.bits)
		}
	}
	return bits
}

// addr is the source or the destination; invalid where NAT made it unknown.
func (p *Packet) addr(source bool) netip.Addr {
	if source {
		return p.Src
	}
	return p.Dst
}

// port is the source's or the destination's; false where the protocol has none.
func (p *Packet) port(source bool) (uint16, bool) {
	if p.Protocol != TCP && p.Protocol != UDP {
		return 0, false
	}
	if source {
		return p.SrcPort, true
	}
	return p.DstPort, true
}

// addrRange is from..to, both in it.
type addrRange struct{ from, to netip.Addr }

// parseRange reads ADDRESS, PREFIX or FROM-TO.
func parseRange(text string) (addrRange, bool) {
	if from, to, ok := strings.Cut(text, "-"); ok {
		a, errA := netip.ParseAddr(from)
		b, errB := netip.ParseAddr(to)
		return addrRange{a, b}, errA == nil && errB == nil
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return addrRange{a, a}, true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return addrRange{}, false
	}
	return rangeOf(p), true
}

// rangeOf is from a prefix's first address to its last.
func rangeOf(p netip.Prefix) addrRange {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	to, _ := netip.AddrFromSlice(last)
	return addrRange{p.Addr(), to}
}

// has is whether the range holds an address; unknown for one that NAT made so.
// Addresses of the other family are never in it.
func (r addrRange) has(a netip.Addr) Truth {
	if !a.IsValid() {
		return Maybe
	}
	return truthOf(a.BitLen() == r.from.BitLen() && r.from.Compare(a) <= 0 && a.Compare(r.to) <= 0)
}

// bits is the length of the longest common prefix, which orders prefixes.
func (r addrRange) bits() int {
	a, b := r.from.AsSlice(), r.to.AsSlice()
	for i := range len(a) * 8 {
		if (a[i/8]^b[i/8])&(1<<(7-i%8)) != 0 {
			return i
		}
	}
	return len(a) * 8
}

// parsePorts reads PORT or FROM and TO with a separator between; a missing end
// is the lowest or highest port. Both are in the range.
func parsePorts(text, separator string) (pattern, bool) {
	from, to, ranged := strings.Cut(text, separator)
	if !ranged {
		to = from
	}
	if from == "" {
		from = "0"
	}
	if to == "" {
		to = "65535"
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	return pattern{from: a, to: b}, errA == nil && errB == nil && text != ""
}
