package host

import (
	"fmt"
	"slices"
	"strconv"
)

func forwarding() Criterion {
	return Criterion{
		ID:    "forwarding",
		Asks:  "Does the kernel forward packets of the announced families, between the uplinks and the overlay? Uplinks are the links by which the peers are reached, and those by which replies leave. IPv4 asks the link that a packet comes in by; net.ipv4.ip_forward sets them all. IPv6 asks net.ipv6.conf.all.forwarding, or the link's own force_forwarding (Linux 6.17), and each link must have IPv6 (disable_ipv6).",
		Why:   "without forwarding the kernel drops every packet that is not for the node itself.",
		Mend:  "sysctl -w net.ipv4.ip_forward=1; for IPv6 net.ipv6.conf.all.forwarding=1, and net.ipv6.conf.UPLINK.accept_ra=2 first where the node learns its default route by router advertisements, which forwarding would end.",
		Drops: true,
		judge: func(c *checker) []Finding {
			var out []Finding
			for _, six := range c.families() {
				out = append(out, c.facts.forwarding(c.want, six)...)
			}
			return out
		},
	}
}

// The settings of all links.
const (
	ipForward     = "net/ipv4/ip_forward"
	allForwarding = "net/ipv6/conf/all/forwarding"
)

func forwardingKey(link string, six bool) string {
	if six {
		return "net/ipv6/conf/" + link + "/forwarding"
	}
	return "net/ipv4/conf/" + link + "/forwarding"
}

func forceForwardingKey(link string) string { return "net/ipv6/conf/" + link + "/force_forwarding" }
func disableIPv6Key(link string) string     { return "net/ipv6/conf/" + link + "/disable_ipv6" }

// onTheWay are the links that packets of a family come in by; where none leads outside,
// those of the other one, for a link without IPv6 has no routes either.
func (f *Facts) onTheWay(w Want, six bool) []string {
	links := f.Uplinks(w, six)
	if len(links) == 0 {
		links = f.Uplinks(w, !six)
	}
	return append(links, w.Overlay)
}

// forwarding judges a family.
func (f *Facts) forwarding(w Want, six bool) []Finding {
	if six {
		return f.forwarding6(w)
	}
	all := f.forwardingOf(ipForward, false)
	if all.State == Wrong && f.forwards(w, false) {
		all.State, all.Got = OK, all.Got+", and each link on the way forwards by its own setting"
	}
	out := []Finding{all}
	for _, link := range f.onTheWay(w, false) {
		if s, ok := f.Sysctls[forwardingKey(link, false)]; ok && s.Err == nil {
			out = append(out, f.forwardingOf(forwardingKey(link, false), false))
		}
	}
	return out
}

// forwarding6 judges IPv6 (ip6_forward in net/ipv6/ip6_output.c).
func (f *Facts) forwarding6(w Want) []Finding {
	links := f.onTheWay(w, true)
	all := f.forwardingOf(allForwarding, true)
	forced := func(link string) bool { return isOne(f.Sysctls[forceForwardingKey(link)].Value) }
	if all.State == Wrong && !slices.ContainsFunc(links, func(l string) bool { return !forced(l) }) {
		all.State, all.Got = OK, all.Got+", and each link on the way has force_forwarding=1"
	}
	out := []Finding{all}
	for _, link := range links {
		if s := f.Sysctls[disableIPv6Key(link)]; isOne(s.Value) {
			name := SysctlName(disableIPv6Key(link))
			out = append(out, Finding{About: About{Family: IPv6, Setting: name}, State: Wrong, Want: "0", Got: name + "=1",
				Why: "a link without IPv6 drops every IPv6 packet, and has lost its addresses and routes.",
				Fix: "sysctl -w " + name + "=0, and give the link its addresses and routes again"})
		}
	}
	return out
}

func (f *Facts) forwardingOf(key string, six bool) Finding {
	state, got := f.setting(key, isOne)
	return Finding{About: About{Family: familyName(six), Setting: SysctlName(key)}, State: state, Want: "1", Got: got, Fix: f.forwardingFix(key, six)}
}

func (f *Facts) forwardingFix(key string, six bool) string {
	fix := "sysctl -w " + SysctlName(key) + "=1"
	for _, link := range f.Datapath.Learning {
		if s := f.Sysctls[acceptRA(link)]; six && s.Err == nil && s.Value == "1" {
			fix = "sysctl -w " + SysctlName(acceptRA(link)) + "=2 && " + fix
		}
	}
	return fix
}

// forwards reports whether nothing says that packets of a family are not forwarded on
// their way: where each link there forwards by its own setting, that of all links is of no
// account.
func (f *Facts) forwards(w Want, six bool) bool {
	if six {
		return f.forwarding6(w)[0].State != Wrong
	}
	return !slices.ContainsFunc(f.onTheWay(w, false), func(link string) bool {
		key := forwardingKey(link, false)
		if _, own := f.Sysctls[key]; !own {
			key = ipForward // which is all that could be read
		}
		state, _ := f.setting(key, isOne)
		return state == Wrong
	})
}

func acceptRA(link string) string { return "net/ipv6/conf/" + link + "/accept_ra" }

func rpFilterKey(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

func srcValidMarkKey(link string) string { return "net/ipv4/conf/" + link + "/src_valid_mark" }

func looseFix(link string) string { return "sysctl -w " + SysctlName(rpFilterKey(link)) + "=2" }

func rpFilter() Criterion {
	return Criterion{
		ID:    "rp_filter",
		Asks:  "Does the kernel's reverse path filter, where it is strict on an uplink, drop clients' packets? The larger value of `all` and of the link counts. Strict is right where replies leave by the link that the packets came in by, also with asymmetric returns by another node; the kernel is asked by which link a client is answered. With src_valid_mark and a rule of `ip rule` that asks for a mark, the answer is unknown.",
		Why:   "strict reverse path filtering drops packets whose source is answered by another link.",
		Mend:  "sysctl -w net.ipv4.conf.LINK.rp_filter=2 (loose), or 0 for both LINK and all.",
		Drops: true,
		judge: func(c *checker) []Finding {
			if !c.want.has(false) {
				return nil // IPv6 has none
			}
			var out []Finding
			x := c.facts.Datapath.waysFor(c.want)
			for _, link := range append(c.facts.Uplinks(c.want, false), c.want.Overlay) {
				out = append(out, c.facts.rpFilterOf(x, link)...)
			}
			return out
		},
	}
}

// rpFilterOf judges a link: for anybody, and for parts of the clients.
func (f *Facts) rpFilterOf(x ways, link string) []Finding {
	found := Finding{About: About{Family: IPv4, Link: link}, Want: "replies leave by " + link + ", or 0 or 2, the larger of all and " + link, Fix: looseFix(link)}
	strict, got, err := f.strict(link)
	switch {
	case err != nil:
		found.State, found.Got = Unknown, err.Error()
		return []Finding{found}
	case !strict:
		found.State, found.Got = OK, got
		return []Finding{found}
	}
	found.State, found.Got = OK, got+", and replies leave by it"
	if f.marksCount(link) {
		found.State, found.Got = Unknown, got+", and src_valid_mark has packets' marks count, which `ip rule` asks for"
		return []Finding{found}
	}
	if link == x.Link.Name {
		found.Got = got + ", and the way to the networks is by it"
		return []Finding{found} // where it is not, the check datapath says so
	}
	out := []Finding{found}
	for i, c := range x.clients[false] {
		state, way, t := x.strictHurts(link, c)
		if state == OK {
			continue
		}
		hurt := found
		hurt.State, hurt.Got, hurt.Evidence = state, got+", and replies leave by "+way, []string{"for " + t.String()}
		switch {
		case i == 0:
			out[0] = hurt
		case c.network.IsValid() && hurt.Got != out[0].Got:
			hurt.About.Part = "from " + c.network.String()
			out = append(out, hurt)
		}
	}
	return out
}

// strict reports whether the link's reverse path filter is, and in which words.
func (f *Facts) strict(link string) (strict bool, got string, err error) {
	a, errAll := strconv.Atoi(f.Sysctls[rpFilterKey("all")].Value)
	o, errOwn := strconv.Atoi(f.Sysctls[rpFilterKey(link)].Value)
	if errAll != nil || errOwn != nil {
		return false, "", fmt.Errorf("rp_filter of all or %s cannot be read", link)
	}
	got = fmt.Sprintf("all=%d, %s=%d", a, link, o)
	if max(a, o) == 1 {
		return true, got + ": strict", nil
	}
	return false, got, nil
}

// marksCount reports whether a packet's mark may decide which way back is looked for
// (IN_DEV_SRC_VMARK in the kernel).
func (f *Facts) marksCount(link string) bool {
	mark := isOne(f.Sysctls[srcValidMarkKey("all")].Value) || isOne(f.Sysctls[srcValidMarkKey(link)].Value)
	return mark && len(f.Datapath.Policy.Marks[false]) > 0
}

// strictHurts is Wrong where a strict filter on a link would drop a client's packets
// to one of the networks, and by which link that client is answered. The kernel looks
// for the way back of the packet (fib_validate_source in net/ipv4/fib_frontend.c).
// Where the client is not answered at all, that is for the check datapath to say.
func (x ways) strictHurts(link string, c client) (State, string, Trip) {
	state, by, trip := OK, "", Trip{}
	for _, p := range x.want.prefixes(false) {
		t := x.back(x.plainAddress(p), c)
		switch way := x.way(t); {
		case way.Err != nil && state == OK:
			state, by, trip = Unknown, "a link that is not known: "+way.Err.Error(), t
		case len(way.Links) > 0 && !slices.Contains(way.Links, link):
			return Wrong, listed(way.Links), t
		}
	}
	return state, by, trip
}

// strictLinks are the uplinks whose strict reverse path filter drops packets.
func (f *Facts) strictLinks(w Want) []string {
	if !w.has(false) {
		return nil
	}
	var out []string
	x := f.Datapath.waysFor(w)
	for _, link := range f.Uplinks(w, false) {
		if slices.ContainsFunc(f.rpFilterOf(x, link), func(found Finding) bool { return found.State == Wrong }) {
			out = append(out, link)
		}
	}
	return out
}
