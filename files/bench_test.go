package files

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/routes"
)

// largeInput is 10,000 Subnets in one stream.
func largeInput() []byte {
	var b strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&b, "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata:\n  name: s%d\n  annotations:\n    fairway.dev/advertise: \"true\"\nspec:\n  cidrBlock: 10.%d.%d.0/24\n  gatewayType: distributed\n  natOutgoing: false\n", i, i/256, i%256)
	}
	return []byte(b.String())
}

// BenchmarkRead10k reads 10,000 Subnets for the first time.
func BenchmarkRead10k(b *testing.B) {
	in := []look{{root: "in", files: []content{{name: "in/a.yaml", data: largeInput()}}}}
	for b.Loop() {
		if v := (known{}).next(in, routes.DefaultSettings, noon); len(v.contents.Snapshot.Subnets) != 10000 {
			b.Fatal(v.contents.Problems)
		}
	}
}

// BenchmarkReadAgain10k reads them again because another file has changed.
func BenchmarkReadAgain10k(b *testing.B) {
	large := content{name: "in/a.yaml", data: largeInput()}
	v := known{}
	i := 0
	for b.Loop() {
		i++
		small := content{name: "in/b.yaml", data: fmt.Appendf(nil, "apiVersion: v1\nkind: Node\nmetadata: {name: n%d}\n", i)}
		v = v.next([]look{{root: "in", files: []content{large, small}}}, routes.DefaultSettings, noon)
	}
}
