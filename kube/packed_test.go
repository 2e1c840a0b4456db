package kube

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/objects"
)

// TestPackedTextsComeBack: what is valid JSON is the same text again.
func TestPackedTextsComeBack(t *testing.T) {
	subnet := string(objects.Trim("kubeovn.io/v1", objects.KindSubnet, largeSubnet(1, true)))
	for _, text := range append(someState(), subnet, "", "{}", "{\n\t\"a\": \"\\u0001 \\n ü\"\r\n}", string(largeSubnet(2, false))) {
		var written strings.Builder
		p := pack(text)
		p.writeTo(&written)
		if got := p.String(); got != text || written.String() != text {
			t.Errorf("%s came back as %s, and was written as %s", text, got, written.String())
		}
	}
	if p := pack(subnet); 3*len(p) > len(subnet) {
		t.Errorf("%d of %d octets are left: %q", len(p), len(subnet), p)
	}
}

// BenchmarkPack packs the text of a Subnet.
func BenchmarkPack(b *testing.B) {
	subnet := string(objects.Trim("kubeovn.io/v1", objects.KindSubnet, largeSubnet(1, true)))
	b.ReportAllocs()
	for b.Loop() {
		pack(subnet)
	}
}

// FuzzPack looks for valid JSON that does not come back.
func FuzzPack(f *testing.F) {
	f.Add(`{"a":"b"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if json.Valid([]byte(text)) && pack(text).String() != text {
			t.Errorf("%q came back as %q", text, pack(text).String())
		}
	})
}
