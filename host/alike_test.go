package host

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestAThousandNetworksWithOneCauseAreOneThingToRead, and what is not alike stays apart.
func TestAThousandNetworksWithOneCauseAreOneThingToRead(t *testing.T) {
	var findings []Finding
	for i := range 777 {
		p := fmt.Sprintf("10.%d.%d.0/24", i/250, i%250)
		findings = append(findings, Finding{Check: "datapath", Subject: p, State: Wrong, Got: "no route to " + p + " by ovn0", Why: "why", Fix: "fix"})
	}
	findings = append(findings,
		Finding{Check: "datapath", Subject: "10.9.0.0/24", State: Wrong, Got: "10.9.0.0/24 is unreachable", Why: "why", Fix: "fix"},
		Finding{Check: "datapath", Subject: "10.9.1.0/24", State: Unknown, Got: "no route to 10.9.1.0/24 by ovn0", Why: "why"},
		Finding{Check: "invalid-drop", Subject: "10.9.0.0/24", State: Wrong, Got: "rule 1 drops"},
		Finding{Check: "invalid-drop", Subject: "10.9.0.0/24 RST", State: Wrong, Got: "rule 1 drops"},
		Finding{Check: "forwarding", Subject: "net.ipv4.ip_forward", State: Wrong, Got: "net.ipv4.ip_forward=0", Fix: "one"},
		Finding{Check: "forwarding", Subject: "net.ipv4.conf.all.forwarding", State: Wrong, Got: "net.ipv4.conf.all.forwarding=0", Fix: "two"},
	)
	var got []string
	for _, g := range Group(findings) {
		got = append(got, g.Check+" "+g.Subject()+": "+g.Got+" ("+strings.Join(g.Fixes, ", ")+")")
	}
	want := []string{
		"datapath 777 networks: 10.0.0.0/24, 10.0.1.0/24, 10.0.2.0/24 and 774 more: no route to it by ovn0 (fix)",
		"datapath 10.9.0.0/24: 10.9.0.0/24 is unreachable (fix)",
		"datapath 10.9.1.0/24: no route to 10.9.1.0/24 by ovn0 ()",
		"invalid-drop 10.9.0.0/24: rule 1 drops ()",
		"invalid-drop 10.9.0.0/24 RST: rule 1 drops ()",
		"forwarding net.ipv4.ip_forward: net.ipv4.ip_forward=0 (one)",
		"forwarding net.ipv4.conf.all.forwarding: net.ipv4.conf.all.forwarding=0 (two)",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}
