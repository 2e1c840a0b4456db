package status

import (
	"reflect"
	"testing"
	"time"
)

func TestDelaysAreCountedAndPublishedOnesStay(t *testing.T) {
	first := Delays{}.Plus(8 * time.Millisecond)
	published := first
	second := first.Plus(time.Minute)
	if !reflect.DeepEqual(first, published) || first.Within[0] != 0 || first.Within[1] != 1 {
		t.Errorf("the first changed: %+v", first)
	}
	last := len(DelayBounds()) - 1
	if second.Count != 2 || second.Within[last] != 1 || second.Sum != 60.008 || second.Last != 60 {
		t.Errorf("a minute is beyond the last bound: %+v", second)
	}
}
