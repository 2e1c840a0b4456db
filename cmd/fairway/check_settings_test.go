package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/status"
)

// TestACheckFollowsTheDaemonsSettings: what the daemon was started with need not
// be said again.
func TestACheckFollowsTheDaemonsSettings(t *testing.T) {
	passive := policy.Plan{Sessions: []policy.Session{{SessionSettings: policy.SessionSettings{Address: netip.MustParseAddr("172.30.0.1"), Passive: true}}}}
	cases := []struct {
		name  string
		tells status.Settings
		flags checkFlags
		link  string
		port  uint16
	}{
		{"the daemon tells", status.Settings{OverlayLink: "ovn1", BGPPort: 1179}, checkFlags{overlayLink: "ovn0"}, "ovn1", 1179},
		{"an older daemon tells nothing", status.Settings{}, checkFlags{overlayLink: "ovn0"}, "ovn0", 179},
		{"a flag says otherwise", status.Settings{OverlayLink: "ovn1", BGPPort: 1179}, checkFlags{overlayLink: "ovn2", overlayGiven: true}, "ovn2", 1179},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				json.NewEncoder(w).Encode(status.Status{Plan: passive, Settings: c.tells})
			}))
			defer daemon.Close()
			c.flags.address = strings.TrimPrefix(daemon.URL, "http://")
			want, _, err := c.flags.want(t.Context(), io.Discard)
			if err != nil || want.Overlay != c.link || want.BGPPort != c.port {
				t.Errorf("%v: link %s, port %d", err, want.Overlay, want.BGPPort)
			}
		})
	}
}
