package speaker

import (
	"log/slog"
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairway-bgp/fairway/policy"
)

// updateShown is the line by which GoBGP shows an UPDATE to its log (handleUpdate in
// pkg/server/peer.go): the message itself, in the goroutine that handles it, before
// anything is made of it. There the prefixes are taken out.
//
// GoBGP keeps every route that a peer sends, also those that the import policy
// rejects, and has no setting against that but a limit that ends the session. A
// router that sends a full table would cost each node of a cluster 600 MiB and more,
// at once. Should a later GoBGP show its messages otherwise, routes are rejected and
// kept as before, and TestAFullTableIsNotKept fails.
const updateShown = "received update"

// receivedPrefixes counts prefixes by family.
type receivedPrefixes struct{ ipv4, ipv6 int }

func (n receivedPrefixes) all() int { return n.ipv4 + n.ipv6 }

// add counts a list that names its family: IPv4 prefixes come in one if their next
// hop is IPv6 (RFC 8950).
func (n *receivedPrefixes) add(reach *bgp.PathAttributeMpReachNLRI) {
	if reach.AFI == bgp.AFI_IP {
		n.ipv4 += len(reach.Value)
	} else {
		n.ipv6 += len(reach.Value)
	}
}

func (n receivedPrefixes) of(f policy.Family) int {
	if f == policy.IPv6Unicast {
		return n.ipv6
	}
	return n.ipv4
}

// takeOut empties the UPDATE that a line shows and says how much it announced. The
// list of IPv4 prefixes cannot be made shorter from here: they become one and the
// same in it, which GoBGP then keeps once.
func takeOut(r slog.Record) receivedPrefixes {
	var out receivedPrefixes
	r.Attrs(func(a slog.Attr) bool {
		switch list := a.Value.Any().(type) {
		case []bgp.PathNLRI:
			if a.Key == "nlri" {
				out.ipv4 += len(list)
				allNowhere(list)
			}
		case []bgp.PathAttributeInterface:
			for _, attribute := range list {
				if reach, ok := attribute.(*bgp.PathAttributeMpReachNLRI); ok {
					out.add(reach)
					reach.Value = nil
				}
			}
		}
		return true
	})
	return out
}

// allNowhere puts 0.0.0.0/32, which no route leads to, in the place of each prefix.
func allNowhere(list []bgp.PathNLRI) {
	if len(list) == 0 {
		return
	}
	nowhere, err := bgp.NewIPAddrPrefix(netip.PrefixFrom(netip.IPv4Unspecified(), 32))
	if err != nil {
		return // a valid prefix is one
	}
	for i := range list {
		list[i] = bgp.PathNLRI{NLRI: nowhere}
	}
}
