package objects

import (
	"fmt"
	"strings"
	"testing"
)

// A field in the wrong case is passed over by the decoder: it is named, with the right
// one, in every kind that is read, however deep.
func TestAFieldInTheWrongCaseIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s}, spec: {cidrBlock: 10.0.0.0/16, natOutGoing: true}}":                     "Subnet s: spec.natOutGoing: natOutgoing",
		"{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s}, spec: {CIDRBlock: 10.0.0.0/16}}":                                        "Subnet s: spec.CIDRBlock: cidrBlock",
		"{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s}, spec: {enableECMP: true, u2oFeatures: {vpc: x}}}":                       "Subnet s: spec.enableECMP: enableEcmp",
		"{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s}, spec: {gatewayNodeSelectors: [{}, {matchlabels: {a: b}}]}}":             "Subnet s: spec.gatewayNodeSelectors[1].matchlabels: matchLabels",
		"{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s, Annotations: {}}, spec: {}}":                                             "Subnet s: metadata.Annotations: annotations",
		"{apiVersion: kubeovn.io/v1, kind: Vlan, metadata: {name: v}, spec: {Provider: p}}":                                                     "Vlan v: spec.Provider: provider",
		"{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {Taints: x}}, status: {addresses: [{type: InternalIP, Address: 10.0.0.1}]}}": "Node n1: status.addresses[0].Address: address",
		"{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: d}, spec: {nodename: n}}":                                                   "Pod d/p: spec.nodename: nodeName",
		"{apiVersion: v1, kind: Secret, metadata: {name: s}, stringdata: {password: hunter2}}":                                                  "Secret s: stringdata: stringData",
		"{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s}, spec: {natOutgoing: false, mtu: 1400}}":                                 "",
	} {
		got := ""
		for _, o := range Parse("a.yaml", []byte(text)) {
			for _, p := range o.Problems {
				if p.Severity == Refused && strings.Contains(p.Message, "case") {
					got += fmt.Sprintf("%s: %s: %s", p.Object, p.Field, p.Message)
				}
			}
		}
		if i := strings.LastIndex(want, ": "); i > 0 {
			want = want[:i+1] + " is not read: the field is called " + want[i+2:] + "; upper and lower case count"
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}
