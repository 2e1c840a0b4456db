package netfilter

import (
	"net/netip"
	"strings"
	"testing"
)

func inFromOutside() Packet {
	return Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.166.0.10"),
		Protocol: TCP, SrcPort: 40000, DstPort: 80, Flags: SYN, State: New, ReturnsByIn: Yes}
}

func inFromOutside6() Packet {
	p := inFromOutside()
	p.Src, p.Dst = netip.MustParseAddr("fd99::1"), netip.MustParseAddr("fd00:166::10")
	return p
}

func walkIptables(t *testing.T, text string, p Packet) Result {
	t.Helper()
	tables, err := ParseIptables(text, IptablesNft, IPv4)
	if err != nil {
		t.Fatal(err)
	}
	rs := &Ruleset{Tables: tables}
	return rs.Walk(p)
}

// TestRulesThatTheTestKernelLacks are judged by their text alone.
func TestRulesThatTheTestKernelLacks(t *testing.T) {
	invalid := inFromOutside()
	invalid.State, invalid.Flags = Invalid, SYN|ACK
	astray := inFromOutside()
	astray.ReturnsByIn = No
	cases := map[string]struct {
		rules string
		p     Packet
		want  Verdict
	}{
		"kube-proxy counts what it drops":                {"-A FORWARD -m conntrack --ctstate INVALID -m nfacct --nfacct-name  ct_state_invalid_dropped_pkts -j DROP", invalid, Dropped},
		"another counter may have a quota":               {"-A FORWARD -m nfacct --nfacct-name mine -j DROP", invalid, Unknown},
		"an unknown match before a drop of its own":      {"-A FORWARD -m frobnicate --knob 3 ! --other -j DROP", inFromOutside(), Unknown},
		"an unknown target":                              {"-A FORWARD -j FROBNICATE --knob 3", inFromOutside(), Unknown},
		"an unknown match that both ways lead to a drop": {"-A FORWARD -m frobnicate -j DROP\n-A FORWARD -j DROP", inFromOutside(), Dropped},
		"an unknown option of a known match":             {"-A FORWARD -m conntrack --ctexpire 5 -j DROP", inFromOutside(), Unknown},
		"an ipset that is not there":                     {"-A FORWARD -m set --match-set gone src -j DROP", inFromOutside(), Unknown},
		"a reverse path filter, and the path is right":   {"-A FORWARD -m rpfilter --validmark --invert -j DROP", inFromOutside(), Accepted},
		"a reverse path filter, and the path is wrong":   {"-A FORWARD -m rpfilter --invert -j DROP", astray, Dropped},
		"a loose reverse path filter asks for any path":  {"-A FORWARD -m rpfilter --loose --invert -j DROP", astray, Unknown},
		"not matched whatever the unknown":               {"-A FORWARD -p udp -m frobnicate -j DROP", inFromOutside(), Accepted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := walkIptables(t, "*filter\n:FORWARD ACCEPT [0:0]\n"+c.rules+"\nCOMMIT\n", c.p)
			if r.Verdict != c.want {
				t.Errorf("%s by %v, doubt %v", r.Verdict, r.By, r.Doubt)
			}
			if r.Verdict == Unknown && r.Doubt == nil {
				t.Error("unknown without a name for it")
			}
		})
	}
}

func TestTextsThatAreNoRules(t *testing.T) {
	for _, text := range []string{"-A FORWARD -j DROP", "*filter\nhello\n", "*filter\n-A FORWARD -m comment --comment \"open\nCOMMIT\n"} {
		if _, err := ParseIptables(text, IptablesNft, IPv4); err == nil {
			t.Errorf("%q is taken for rules", text)
		}
	}
	if _, err := ParseNft([]byte("{")); err == nil {
		t.Error("half an object is taken for a listing")
	}
	if _, err := ParseIPSets("add nobody 10.0.0.1"); err == nil {
		t.Error("a member of no set is taken")
	}
}

// FuzzParsers: whatever a tool prints, nothing panics, neither in reading nor in
// walking.
func FuzzParsers(f *testing.F) {
	f.Add("*filter\n:FORWARD DROP [0:0]\n:C - [0:0]\n-A FORWARD -s 10.0.0.0/8 ! -i up+ -p tcp -m tcp --dport 1:80 -m comment --comment \"a \\\" b\" -g C\n-A C -m set --match-set s src,dst -j MARK --set-xmark 0x1/0x1\nCOMMIT\n")
	f.Add(`{"nftables":[{"table":{"family":"inet","name":"t"}},{"chain":{"family":"inet","table":"t","name":"c","type":"filter","hook":"forward","prio":0,"policy":"drop"}},{"rule":{"family":"inet","table":"t","chain":"c","handle":3,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["new","invalid"]}},{"vmap":{"key":{"meta":{"key":"iifname"}},"data":{"set":[["up0",{"goto":{"target":"c"}}]]}}}]}}]}`)
	f.Add("create s hash:net,port family inet\nadd s 10.0.0.0/8,tcp:80 nomatch\n")
	f.Fuzz(func(t *testing.T, text string) {
		rs := &Ruleset{}
		if tables, err := ParseIptables(text, IptablesLegacy, IPv4); err == nil {
			rs.Tables = append(rs.Tables, tables...)
		}
		if tables, err := ParseNft([]byte(text)); err == nil {
			for _, t := range tables {
				t.Describe(ParseNftTexts(text))
			}
			rs.Tables = append(rs.Tables, tables...)
		}
		if sets, err := ParseIPSets(text); err == nil {
			rs.Sets = sets
		}
		r := rs.Walk(inFromOutside())
		if r.Verdict == Dropped && r.By == nil || r.Verdict == Unknown && r.Doubt == nil {
			t.Errorf("%s without a place", r.Verdict)
		}
		rs.Mentions()
	})
}

// TestFlagsOfATable: a flag is printed in several ways, and a garbled one tells
// nothing but that there is one.
func TestFlagsOfATable(t *testing.T) {
	cases := map[string]struct {
		flags, text string
		want        Verdict
	}{
		"dormant":                           {`"dormant"`, "", Accepted},
		"dormant in a list":                 {`["dormant", "owner"]`, "", Accepted},
		"dormant, and garbled":              {`"fw"`, "table inet fw {\n\tflags dormant\n\n\tchain c {\n", Accepted},
		"dormant and another, by text":      {`["dormant", "persist"]`, "table inet fw { # handle 1\n\tflags dormant,persist\n", Accepted},
		"owner":                             {`"owner"`, "", Dropped},
		"persist":                           {`"persist"`, "", Dropped},
		"owner, and garbled":                {`"fw"`, "table inet fw { # progname firewalld\n\tflags owner\n\n\tchain c {\n", Dropped},
		"owner, garbled into a lie":         {`"dormant"`, "table inet dormant { # progname nft\n\tflags owner\n", Dropped},
		"a set's flags are not the table's": {`"owner"`, "table inet fw {\n\tset s {\n\t\tflags dormant\n", Dropped},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tables, err := ParseNft([]byte(`{"nftables":[{"table":{"family":"inet","name":"fw","flags":` + c.flags +
				`}},{"chain":{"family":"inet","table":"fw","name":"c","type":"filter","hook":"forward","prio":0,"policy":"drop"}}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if !tables[0].Flagged {
				t.Error("not flagged")
			}
			tables[0].ReadListing(c.text)
			if r := (&Ruleset{Tables: tables}).Walk(inFromOutside()); r.Verdict != c.want {
				t.Errorf("%s, not %s", r.Verdict, c.want)
			}
		})
	}
}

func TestMentions(t *testing.T) {
	tables, err := ParseIptables("*filter\n-A FORWARD -s 10.0.0.0/8 -m iprange --dst-range 1.1.1.1-1.1.1.9 -j DROP\nCOMMIT\n*nat\n-A POSTROUTING -s 9.9.9.9/32 -j MASQUERADE\nCOMMIT\n", IptablesNft, IPv4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range (&Ruleset{Tables: tables}).Mentions() {
		got = append(got, p.String())
	}
	if strings.Join(got, " ") != "1.1.1.1/32 1.1.1.9/32 9.9.9.9/32 10.0.0.0/8" {
		t.Errorf("%v", got)
	}
}
