package netfilter

import "testing"

// parsed is a rule set of what nft lists.
func parsed(t *testing.T, objects, listing string) *Ruleset {
	t.Helper()
	tables, err := ParseNft([]byte(`{"nftables":[` + objects + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if listing != "" {
			table.ReadListing(listing)
		}
	}
	return &Ruleset{Tables: tables}
}

// TestLinksBelowTheUplink: whether a packet passes a chain there cannot be told, so what
// the chain could drop is unknown.
func TestLinksBelowTheUplink(t *testing.T) {
	const ingress = `{"table":{"family":"netdev","name":"n"}},{"chain":{"family":"netdev","table":"n","name":"c","type":"filter","hook":"ingress","prio":0,"policy":"drop"}}`
	const accepts = `{"table":{"family":"netdev","name":"n"}},{"chain":{"family":"netdev","table":"n","name":"c","type":"filter","hook":"ingress","prio":0,"policy":"accept"}}`
	bridge := func(hook string) string {
		return `{"table":{"family":"bridge","name":"b"}},{"chain":{"family":"bridge","table":"b","name":"c","type":"filter","hook":"` + hook + `","prio":0,"policy":"drop"}}`
	}
	on := func(devices string) string {
		return "table netdev n {\n\tchain c {\n\t\ttype filter hook ingress " + devices + " priority filter; policy drop;\n\t}\n}\n"
	}
	plain := map[string]Link{"up0": {}, "ovn0": {}, "eth0": {}, "eth1": {}}
	bonded := map[string]Link{"up0": {Below: []string{"eth0", "eth1"}}, "ovn0": {}, "eth0": {}, "eth1": {}}
	bridged := map[string]Link{"up0": {Below: []string{"br0"}}, "br0": {Bridge: true, Below: []string{"eth0"}}, "ovn0": {}, "eth0": {}, "eth1": {}}
	cases := map[string]struct {
		objects, listing string
		links            map[string]Link
		want             Verdict
	}{
		"the uplink itself":                        {ingress, on(`device "up0"`), plain, Dropped},
		"one of several links":                     {ingress, on(`devices = { eth9, "up0" }`), plain, Dropped},
		"another link":                             {ingress, on(`device "eth1"`), plain, Accepted},
		"a port of a bond that is the uplink":      {ingress, on(`device "eth1"`), bonded, Unknown},
		"a port of a bridge below a VLAN":          {ingress, on(`device "eth0"`), bridged, Unknown},
		"a link beside the bridge":                 {ingress, on(`device "eth1"`), bridged, Accepted},
		"a link of which nothing is known":         {ingress, on(`device "eth1"`), nil, Unknown},
		"a chain of which the link is not known":   {ingress, "", plain, Unknown},
		"such a chain that drops nothing":          {accepts, "", plain, Accepted},
		"a bridge that is no part of the way":      {bridge("input"), "", plain, Accepted},
		"a bridge on the way in":                   {bridge("input"), "", bridged, Unknown},
		"what a bridge forwards by itself":         {bridge("forward"), "", bridged, Accepted},
		"a bridge that the packet does not go out": {bridge("output"), "", bridged, Accepted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rs := parsed(t, c.objects, c.listing)
			rs.Links = c.links
			for _, six := range []bool{false, true} {
				p := inFromOutside()
				if six {
					p = inFromOutside6()
				}
				if r := rs.Walk(p); r.Verdict != c.want || r.Verdict == Unknown && r.Doubt == nil {
					t.Errorf("IPv6 %v: %s, not %s; doubt %v", six, r.Verdict, c.want, r.Doubt)
				}
			}
		})
	}
}

// TestAFlowTableTakesOnlyWhatIsEstablished: "flow add @f accept" ends for a first
// packet, and in front of a policy DROP nothing else accepts it. The test kernel has no
// flow tables.
func TestAFlowTableTakesOnlyWhatIsEstablished(t *testing.T) {
	chain := func(policy, rest string) string {
		return `{"table":{"family":"inet","name":"t"}},{"chain":{"family":"inet","table":"t","name":"c","type":"filter","hook":"forward","prio":0,"policy":"` + policy +
			`"}},{"rule":{"family":"inet","table":"t","chain":"c","handle":3,"expr":[{"flow":{"op":"add","flowtable":"@f"}}` + rest + `]}}`
	}
	cases := map[string]struct {
		objects string
		change  func(*Packet)
		want    Verdict
	}{
		"a new connection":        {chain("drop", `,{"accept":null}`), func(*Packet) {}, Dropped},
		"no connection":           {chain("drop", `,{"accept":null}`), func(p *Packet) { p.State = Invalid }, Dropped},
		"an echo":                 {chain("drop", `,{"accept":null}`), func(p *Packet) { p.Protocol, p.State = ICMP, Established }, Dropped},
		"an established one":      {chain("drop", `,{"accept":null}`), func(p *Packet) { p.State, p.Flags = Established, ACK }, Unknown},
		"the table drops nothing": {chain("accept", ""), func(p *Packet) { p.State, p.Flags = Established, ACK }, Accepted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Packet{inFromOutside(), inFromOutside6()} {
				c.change(&p)
				if r := parsed(t, c.objects, "").Walk(p); r.Verdict != c.want {
					t.Errorf("%s: %s, not %s", p, r.Verdict, c.want)
				}
			}
		})
	}
}
