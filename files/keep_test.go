package files

import (
	"reflect"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/objects/objectstest"
	"github.com/fairway-bgp/fairway/routes"
)

// Whatever follows a good version, a watch never loses a Subnet or a BGPPeer
// that the text still names wrongly, and takes the good version again.
func FuzzWatchNeverPanics(f *testing.F) {
	objectstest.AddSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		good := []byte(objectstest.Subnets + nodeText("of-fuzz"))
		versions := [][]byte{good, text, nil, good}
		var first, v known
		for i, data := range versions {
			v = v.next([]look{{root: "in", files: []content{{name: "in/a.yaml", data: data}}}}, routes.DefaultSettings, noon)
			if i == 0 {
				first = v
			}
		}
		// Nodes of the text are remembered, and what came back is younger.
		v.contents.GoneNodes = nil
		for i := range v.contents.Snapshot.Subnets {
			v.contents.Snapshot.Subnets[i].Created = time.Time{}
		}
		if !reflect.DeepEqual(v.contents, first.contents) {
			t.Fatalf("after %q the good version gives\n%+v\nwant\n%+v", text, v.contents, first.contents)
		}
	})
}

// A file of which only a part has been written changes nothing, wherever it ends:
// unless that is a line end, where it cannot be told from a shorter file.
func TestEveryPrefixOfAFile(t *testing.T) {
	whole := objectstest.Subnets + objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}") + objectstest.SecretHead + "stringData: {password: x}\n" +
		"---\nkind: NodeList\napiVersion: v1\nitems:\n- metadata: {name: n1}\n  status: {}\n- metadata: {name: n2}\n"
	at := func(v known, n int) known {
		return v.next([]look{{root: "in", files: []content{{name: "a.yaml", data: []byte(whole[:n])}}}}, routes.DefaultSettings, noon)
	}
	good := at(known{}, len(whole))
	for n := range len(whole) {
		if n > 0 && whole[n-1] == '\n' {
			continue
		}
		v := at(good, n)
		if !reflect.DeepEqual(v.contents.Snapshot, good.contents.Snapshot) {
			t.Errorf("after %q there is\n%+v", whole[:n], v.contents.Snapshot)
		}
		if len(v.contents.Problems) == 0 {
			t.Errorf("no problem after %q", whole[:n])
		}
	}
}
