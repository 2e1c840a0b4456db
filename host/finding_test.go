package host_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"

	"github.com/fairway-bgp/fairway/host"
)

// TestAFindingGoesThroughJSON: another process reads of a finding all that this one
// knows, and people still find the whole text in got.
func TestAFindingGoesThroughJSON(t *testing.T) {
	f := host.Finding{
		Check: "forward-drop", Subject: "10.166.0.0/16", About: host.About{Family: host.IPv4, Prefix: netip.MustParsePrefix("10.166.0.0/16")},
		State: host.Wrong, Want: "forwarded", Got: "policy DROP", Evidence: []string{"for a <packet>"}, Why: "why", Fix: "fix",
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back host.Finding
	if err := json.Unmarshal(b, &back); err != nil || !back.Equal(f) {
		t.Errorf("%s: %v: %+v", b, err, back)
	}
	var read map[string]any
	if err := json.Unmarshal(b, &read); err != nil || read["got"] != "policy DROP\nfor a <packet>" || read["drops"] != true || read["cause"] != "policy DROP" {
		t.Errorf("%v: %v", err, read)
	}
	if want := (map[string]any{"family": "IPv4", "prefix": "10.166.0.0/16"}); !reflect.DeepEqual(read["about"], want) {
		t.Errorf("about: %v", read["about"])
	}
}

// TestAFindingOfAnOlderDaemonIsRead: its JSON has no cause.
func TestAFindingOfAnOlderDaemonIsRead(t *testing.T) {
	var f host.Finding
	err := json.Unmarshal([]byte(`{"check":"forward-drop","subject":"10.166.0.0/16","state":"wrong","got":"policy DROP\nfor a packet"}`), &f)
	if err != nil || f.Got != "policy DROP" || f.Text() != "policy DROP\nfor a packet" {
		t.Errorf("%v: %+v", err, f)
	}
}
