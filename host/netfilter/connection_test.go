package netfilter_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

const (
	syn    = netfilter.SYN
	synAck = netfilter.SYN | netfilter.ACK
	ack    = netfilter.ACK
	data   = netfilter.PSH | netfilter.ACK
	fin    = netfilter.FIN | netfilter.ACK
	rst    = netfilter.RST | netfilter.ACK
)

// step is one packet of a connection as a router meets it, and what conntrack calls
// it.
type step struct {
	answers bool // it comes from the side that did not begin
	flags   uint8
	state   netfilter.State
}

// liberally is what conntrack calls a RST whose sequence number it cannot judge: NEW
// with be_liberal, else INVALID.
const liberally = netfilter.New | netfilter.Invalid

// stateByMark writes the conntrack state of a forwarded packet into its DSCP, where the
// receiver finds it.
const stateByMark = `table inet states {
 chain f {
  type filter hook forward priority 0;
  ct state new ip dscp set 1
  ct state established ip dscp set 2
  ct state related ip dscp set 4
  ct state invalid ip dscp set 8
  ct state new ip6 dscp set 1
  ct state established ip6 dscp set 2
  ct state related ip6 dscp set 4
  ct state invalid ip6 dscp set 8
 }
}
`

// TestSegmentsHaveTheStatesThatTheKernelGivesThem sends the packets of connections of
// which a router sees both directions, or one, and compares what conntrack calls each
// with what is said of it, in both ways: nothing else comes, and all of it does.
func TestSegmentsHaveTheStatesThatTheKernelGivesThem(t *testing.T) {
	needs.Root(t, "iptables-legacy", "iptables-nft", "nft", "ipset", "ip")
	const established, invalid, fresh = netfilter.Established, netfilter.Invalid, netfilter.New
	whole := map[string][]step{
		"from the beginning, ended by FINs": {{false, syn, fresh}, {true, synAck, established}, {false, ack, established}, {false, data, established}, {true, ack, established}, {true, data, established}, {false, fin, established}, {true, fin, established}},
		"from the beginning, ended by RST":  {{false, syn, fresh}, {true, synAck, established}, {false, ack, established}, {true, rst, established}},
		"refused":                           {{false, syn, fresh}, {true, rst, established}},
	}
	inPart := map[string][]step{
		"of the side that began":           {{false, syn, fresh}, {false, ack, invalid}, {false, data, invalid}, {false, fin, invalid}},
		"given up by the side that began":  {{false, syn, fresh}, {false, rst, liberally}},
		"of the side that answers":         {{true, synAck, invalid}, {true, ack, fresh}, {true, data, fresh}, {true, fin, fresh}},
		"of data that answers":             {{true, synAck, invalid}, {true, data, fresh}, {true, ack, fresh}, {true, rst, fresh}},
		"a refusal alone":                  {{true, rst, invalid}},
		"an end alone":                     {{true, fin, invalid}},
		"both directions, from the middle": {{false, data, fresh}, {true, ack, established}, {true, data, established}, {false, fin, established}},
	}
	strict := map[string][]step{
		"of the side that began":           {{false, syn, fresh}, {false, ack, invalid}, {false, data, invalid}, {false, fin, invalid}},
		"given up by the side that began":  {{false, syn, fresh}, {false, rst, liberally}},
		"of the side that answers":         {{true, synAck, invalid}, {true, ack, invalid}, {true, data, invalid}, {true, fin, invalid}, {true, rst, invalid}},
		"both directions, from the middle": {{false, data, invalid}, {true, ack, invalid}},
	}
	b := newBench(t)
	for _, liberal := range []string{"0", "1"} {
		for _, c := range []struct {
			loose string
			seen  []netfilter.Segment
			flows []map[string][]step
		}{
			{"1", netfilter.SeenWhole(), []map[string][]step{whole}},
			{"1", netfilter.SeenInPart(netfilter.Yes), []map[string][]step{whole, inPart}},
			{"0", netfilter.SeenInPart(netfilter.No), []map[string][]step{whole, strict}},
		} {
			for _, six := range []bool{false, true} {
				t.Run(fmt.Sprintf("tcp_loose=%s be_liberal=%s six=%v of %d", c.loose, liberal, six, len(c.seen)), func(t *testing.T) {
					b.t = t
					b.clear()
					b.router.RunWith(stateByMark, "nft", "-f", "-")
					b.router.Sysctl("net.netfilter.nf_conntrack_tcp_loose", c.loose)
					b.router.Sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", liberal)
					met := map[netfilter.Segment]bool{}
					port := uint16(20000)
					for _, flows := range c.flows {
						for name, steps := range flows {
							port++
							b.follow(name, six, port, steps, met)
						}
					}
					for _, s := range c.seen {
						if !met[s] {
							t.Errorf("%+v is said to come, and did not", s)
						}
						delete(met, s)
					}
					for s := range met {
						t.Errorf("%+v came, and is not said to", s)
					}
				})
			}
		}
	}
	b.router.Sysctl("net.netfilter.nf_conntrack_tcp_loose", "1")
	b.router.Sysctl("net.netfilter.nf_conntrack_tcp_be_liberal", "0")
}

// follow sends the packets of one connection one after the other.
func (b *bench) follow(name string, six bool, port uint16, steps []step, met map[netfilter.Segment]bool) {
	for i, s := range steps {
		p := netfilter.Packet{In: "up0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.166.0.10"), Protocol: netfilter.TCP, SrcPort: port, DstPort: 80, Flags: s.flags}
		if six {
			p.Src, p.Dst = netip.MustParseAddr("fd99::1"), netip.MustParseAddr("fd00:166::10")
		}
		if s.answers {
			p.In, p.Src, p.Dst, p.SrcPort, p.DstPort = "ovn0", p.Dst, p.Src, p.DstPort, p.SrcPort
		}
		one := probe{p, uint32(b.sent + 1)}
		b.send(one)
		if !b.arrives(one.marker) {
			b.t.Fatalf("%s: packet %d does not arrive", name, i)
		}
		got := dscpOf(b.seen[one.marker])
		if got != s.state && (s.state != liberally || got&(netfilter.New|netfilter.Invalid) == 0) {
			b.t.Errorf("%s: packet %d (%v) is %s, not %s", name, i, p, got, s.state)
		}
		if s.state != liberally {
			met[netfilter.Segment{Flags: s.flags, State: got}] = true
		}
	}
}

// dscpOf is the state that the router has written into a packet.
func dscpOf(packet []byte) netfilter.State {
	if packet[0]>>4 == 6 {
		return netfilter.State((packet[0]&0xf)<<2 | packet[1]>>6)
	}
	return netfilter.State(packet[1] >> 2)
}
