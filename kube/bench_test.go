package kube

import (
	"fmt"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// largeSubnet is the text of one Subnet of many as an API server has it; natOutgoing
// tells two versions apart.
func largeSubnet(i int, nat bool) []byte {
	cidr := fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)
	return fmt.Appendf(nil, `{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"s%05d","uid":"u%d","resourceVersion":"%d","generation":2,`+
		`"creationTimestamp":"2026-01-02T03:04:05Z","finalizers":["kubeovn.io/kube-ovn-controller"],"annotations":{"fairway.dev/advertise":"true"},`+
		`"managedFields":[{"manager":"kube-ovn-controller","operation":"Update","apiVersion":"kubeovn.io/v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:fairway.dev/advertise":{}}},"f:spec":{".":{},"f:cidrBlock":{},"f:gatewayType":{},"f:natOutgoing":{},"f:protocol":{},"f:provider":{},"f:vpc":{}}}}]},`+
		`"spec":{"cidrBlock":"%s","default":false,"enableLb":true,"excludeIps":["10.%d.%d.1"],"gateway":"10.%d.%d.1","gatewayNode":"","gatewayType":"distributed","natOutgoing":%t,"private":false,"protocol":"IPv4","provider":"ovn","vpc":"ovn-cluster"},`+
		`"status":{"activateGateway":"","v4availableIPs":250,"v4usingIPs":3,"conditions":[`+
		`{"type":"Validated","status":"True","reason":"ValidateLogicalSwitchSuccess","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"},`+
		`{"type":"Ready","status":"True","reason":"ReconcileLogicalSwitchSuccess","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`,
		i, i, i, cidr, i/256, i%256, i/256, i%256, nat)
}

// largePlayback gives a node's source with n Subnets that has not looked yet.
func largePlayback(b *testing.B, n int) *Playback {
	b.Helper()
	p := NewPlayback(LiveOptions{Settings: routes.DefaultSettings, Node: "n1", MassWithdrawDelay: time.Hour, StateMaxAge: time.Hour})
	if err := p.Play("ADDED", fmt.Appendf(nil, playedNode, "n1")); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if err := p.Play("ADDED", largeSubnet(i, false)); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// BenchmarkLoad10k converts 10,000 Subnets that an API server has sent, for the first
// time.
func BenchmarkLoad10k(b *testing.B) {
	p := largePlayback(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		p.state = nil
		if v, _, ok := p.Look(noon); !ok || len(v.Snapshot.Subnets) != 10000 {
			b.Fatal(v.Waiting)
		}
	}
}

// BenchmarkChangeOneOf10k converts one Subnet that has changed among 10,000, until
// there is a new Snapshot.
func BenchmarkChangeOneOf10k(b *testing.B) {
	p := largePlayback(b, 10000)
	p.Look(noon)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := p.Play("MODIFIED", largeSubnet(5000, i%2 == 0)); err != nil {
			b.Fatal(err)
		}
		if v, _, ok := p.Look(noon); !ok || v.Snapshot.Subnets[5000].NATOutgoing != (i%2 == 0) {
			b.Fatal(v.Waiting)
		}
	}
}

// BenchmarkIdle10k looks again though nothing has happened.
func BenchmarkIdle10k(b *testing.B) {
	p := largePlayback(b, 10000)
	p.Look(noon)
	b.ReportAllocs()
	for b.Loop() {
		p.Look(noon)
	}
}

// noon is a moment of the benchmarks' own.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
