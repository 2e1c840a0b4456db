package main

import (
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/host"
)

// TestOneCauseOnManyNodesIsToldOnce.
func TestOneCauseOnManyNodesIsToldOnce(t *testing.T) {
	forwarding := []v1alpha1.FindingStatus{{Check: "forwarding", Subject: "net.ipv4.ip_forward", State: "wrong", Why: "The kernel drops what is not for this node.", Fix: "sysctl -w net.ipv4.ip_forward=1"}}
	words := []account.HostWord{
		{Node: "n1", State: host.Wrong, Findings: forwarding},
		{Node: "n2", State: host.OK},
		{Node: "n3", State: host.Wrong, Findings: forwarding},
		{Node: "n4", State: host.Unknown, Why: "no heartbeat for 55s: its daemon was killed, or does not reach the API server"},
	}
	var b strings.Builder
	if err := writeHosts(&b, words, true); err != nil {
		t.Fatal(err)
	}
	want := `
wrong    forwarding     net.ipv4.ip_forward
        on    n1, n3
        why   The kernel drops what is not for this node.
        fix   sysctl -w net.ipv4.ip_forward=1
ok       node n2
unknown  node n4
        why   no heartbeat for 55s: its daemon was killed, or does not reach the
                API server
4 nodes: 1 ok, 2 wrong, 1 unknown
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for state, several := range map[host.State][]account.HostWord{host.Wrong: words, host.Unknown: words[3:], host.OK: words[1:2]} {
		if got := worstHost(several); got != state {
			t.Errorf("%s, not %s", got, state)
		}
	}
}
