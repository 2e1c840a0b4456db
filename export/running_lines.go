package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// reader reads the configuration of FRR, EOS, IOS or NX-OS: lines of words, whose
// indentation says what they belong to.
type reader struct {
	*running
	format Format
	// bgp is whether the line is of the router's own BGP, and not of a VRF's.
	bgp bool
	// af is the family that the line is of, and afIndent where that began; -1 for none.
	af       string
	afIndent int
	// block is what the line belongs to outside of BGP, as "prefix-list", and name whose.
	block, name string
	v6          bool
	// current is the neighbour or template of NX-OS that the line is of.
	current       *runningPeer
	currentIndent int
	noIPv4        bool
	lastMap       *mapEntry
}

// readLines reads such a configuration.
func readLines(f Format, text string) (*running, error) {
	r := &reader{running: newRunning(), format: f, afIndent: -1}
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "!") || strings.HasPrefix(words[0], "#") {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		if err := r.line(indent, words); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if !r.noIPv4 && f != NXOS {
		for _, p := range r.peers {
			if p.families[0].on == nil && p.group == "" {
				p.families[0].on = ptr(true)
			}
		}
	}
	return r.running, nil
}

func (r *reader) line(indent int, words []string) error {
	if indent == 0 {
		return r.top(words)
	}
	if !r.bgp {
		return r.inBlock(words)
	}
	if indent <= r.afIndent {
		r.af, r.afIndent = "", -1
	}
	if r.current != nil && indent <= r.currentIndent {
		r.current = nil
	}
	switch {
	case words[0] == "address-family":
		r.enterFamily(indent, words[1:])
	case words[0] == "exit-address-family", words[0] == "exit":
		r.af, r.afIndent = "", -1
	case r.format == NXOS:
		r.nxos(indent, words)
	case words[0] == "neighbor" && len(words) > 2:
		r.neighbor(words[1], words[2:])
	case words[0] == "no" && len(words) > 3 && words[1] == "neighbor":
		r.withoutNeighbor(words[2], words[3:])
	case strings.Join(words, " ") == "no bgp default ipv4-unicast":
		r.noIPv4 = true
	case words[0] == "bgp" && len(words) > 2 && words[1] == "listen":
		return r.bgpListen(words[2:])
	case len(words) == 4 && words[0] == "dynamic" && words[2] == "max":
		r.limit = int(number(words[3]))
	}
	return nil
}

// top reads a line that belongs to none before it.
func (r *reader) top(words []string) error {
	r.bgp, r.af, r.afIndent, r.block, r.current, r.lastMap = false, "", -1, "", nil, nil
	switch {
	case words[0] == "neighbor", words[0] == "address-family":
		return fmt.Errorf("%q is not indented, so it cannot be told what it belongs to: give the file as the router shows it", strings.Join(words, " "))
	case len(words) >= 3 && words[0] == "router" && words[1] == "bgp":
		if len(words) == 3 {
			r.bgp, r.asn = true, number(words[2])
		}
	case len(words) >= 3 && (words[0] == "ip" || words[0] == "ipv6") && words[1] == "prefix-list":
		r.block, r.v6, r.name = "prefix-list", words[0] == "ipv6", words[2]
		if len(words) > 3 {
			return r.prefixListLine(words[3:])
		}
	case len(words) == 4 && words[0] == "route-map":
		r.block, r.lastMap = "route-map", &mapEntry{permit: words[2] == "permit"}
		r.name = words[1]
		r.maps[r.name] = append(r.maps[r.name], r.lastMap)
	case len(words) == 2 && words[0] == "peer-filter":
		r.block, r.name = "peer-filter", words[1]
	}
	return nil
}

// inBlock reads a line of a list that has its lines below its name.
func (r *reader) inBlock(words []string) error {
	switch r.block {
	case "prefix-list":
		return r.prefixListLine(words)
	case "route-map":
		if words[0] == "match" {
			r.lastMap.matches = true
		}
		if len(words) > 2 && words[1] == "as-number" {
			r.addASNs(words[2:])
		}
	case "peer-filter":
		if i := slices.Index(words, "as-range"); i > 0 && i+3 < len(words)+1 && slices.Contains(words, "accept") {
			r.addASNs(words[i+1 : i+2])
		}
	}
	return nil
}

func (r *reader) addASNs(words []string) {
	spec := r.filters[r.name]
	for _, w := range words {
		spec.add(w)
	}
	r.filters[r.name] = spec
}

// prefixListLine reads "[seq N] permit PREFIX [ge N] [le N]".
func (r *reader) prefixListLine(words []string) error {
	seq := 0
	if len(words) > 2 && words[0] == "seq" {
		seq, words = int(number(words[1])), words[2:]
	}
	if words[0] != "permit" && words[0] != "deny" {
		return nil // a description
	}
	e, err := newEntry(r.v6, words[0] == "permit", words[1:])
	if err != nil {
		return fmt.Errorf("prefix-list %s: %w", r.name, err)
	}
	e.seq = seq
	r.addEntry(r.v6, r.name, e)
	return nil
}

func (r *reader) enterFamily(indent int, words []string) {
	r.af, r.afIndent = "other", indent
	if (words[0] == "ipv4" || words[0] == "ipv6") && (len(words) == 1 || len(words) == 2 && words[1] == "unicast") {
		r.af = words[0]
	}
	if r.current != nil && r.af != "other" {
		r.current.family(r.af == "ipv6").on = ptr(true)
	}
}

// neighbor reads what is said of a neighbour or group.
func (r *reader) neighbor(name string, words []string) {
	if r.af != "" {
		if r.af != "other" {
			r.peer(name).family(r.af == "ipv6").read(words)
		}
		return
	}
	p := r.peer(name)
	if words[0] == "peer" && len(words) > 1 && words[1] == "group" { // EOS
		words = append([]string{"peer-group"}, words[2:]...)
	}
	switch words[0] {
	case "peer-group":
		if len(words) > 1 {
			p.group = words[1]
		}
	default:
		p.read(words)
		p.family(false).readLimit(words)
		p.family(true).readLimit(words)
	}
}

// withoutNeighbor reads what is taken back of a neighbour.
func (r *reader) withoutNeighbor(name string, words []string) {
	if words[0] == "activate" && (r.af == "ipv4" || r.af == "ipv6") {
		r.peer(name).family(r.af == "ipv6").on = ptr(false)
	}
}

// read reads a statement about the session.
func (p *runningPeer) read(words []string) {
	switch words[0] {
	case "remote-as":
		p.as = asSpec{}
		for _, w := range words[1:] {
			p.as.add(w)
		}
	case "password":
		p.password = unquoted(words[len(words)-1])
		if len(words) > 2 && words[1] != "0" {
			p.password = hidden
		}
	case "ttl-security":
		p.ttlSecurity = true
	case "ttl":
		p.ttlSecurity = true
	case "ebgp-multihop":
		p.multihop = true
	case "shutdown":
		p.shutdown = true
	case "inherit": // a template, which may filter
		for i := range p.families {
			p.families[i].strange = strings.Join(words, " ")
		}
	}
}

// hidden is a password that the router shows in a form of its own.
const hidden = "\x00"

// read reads a statement about what comes in by a family.
func (f *runningFamily) read(words []string) {
	last := words[len(words)-1]
	switch {
	case words[0] == "activate":
		f.on = ptr(true)
	case last == "out":
	case words[0] == "inherit":
		f.strange = strings.Join(words, " ")
	case words[0] == "prefix-list" && len(words) == 3:
		f.in = words[1]
	case words[0] == "route-map" && len(words) == 3:
		f.maps = append(f.maps, words[1])
	case last == "in":
		f.strange = strings.Join(words, " ")
	default:
		f.readLimit(words)
	}
}

func (f *runningFamily) readLimit(words []string) {
	if len(words) > 1 && (words[0] == "maximum-prefix" || words[0] == "maximum-routes") {
		f.limit = int(number(words[1]))
	}
}

// bgpListen reads "range NETWORK peer-group NAME [remote-as N|peer-filter NAME]" and
// "limit N".
func (r *reader) bgpListen(words []string) error {
	if words[0] == "limit" && len(words) > 1 {
		r.limit = int(number(words[1]))
	}
	if words[0] != "range" || len(words) < 4 {
		return nil
	}
	network, err := netip.ParsePrefix(words[1])
	if err != nil {
		return fmt.Errorf("bgp listen range: %q is not a network", words[1])
	}
	n := runningRange{network: network.Masked(), group: words[3]}
	for i := 4; i+1 < len(words); i += 2 {
		switch words[i] {
		case "remote-as":
			n.as.add(words[i+1])
		case "peer-filter":
			n.filter = words[i+1]
		}
	}
	r.ranges = append(r.ranges, n)
	return nil
}

// nxos reads a line of NX-OS's BGP, where neighbours and templates are blocks.
func (r *reader) nxos(indent int, words []string) {
	switch {
	case words[0] == "template" && len(words) > 2 && words[1] == "peer":
		r.current, r.currentIndent = r.peer(words[2]), indent
	case words[0] == "neighbor" && len(words) > 1:
		r.nxosNeighbor(words[1:])
		r.currentIndent = indent
	case r.current == nil:
	case words[0] == "inherit" && len(words) > 2 && words[1] == "peer":
		r.current.group = words[2]
	case r.af == "other":
	case r.af != "":
		r.current.family(r.af == "ipv6").read(words)
	default:
		r.current.read(words)
	}
}

// nxosNeighbor enters a neighbour, or a network of them.
func (r *reader) nxosNeighbor(words []string) {
	r.current = r.peer(words[0])
	network, err := netip.ParsePrefix(words[0])
	if err != nil {
		if len(words) > 1 {
			r.current.read(words[1:])
		}
		return
	}
	n := runningRange{network: network.Masked(), group: words[0]}
	switch {
	case len(words) > 3 && words[2] == "route-map":
		n.filter = words[3]
	case len(words) > 2:
		n.as.add(words[2])
	}
	r.ranges = append(r.ranges, n)
}

func ptr[T any](v T) *T { return &v }

func unquoted(s string) string { return strings.Trim(s, `"'`) }
