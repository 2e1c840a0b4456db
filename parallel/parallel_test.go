package parallel_test

import (
	"sync/atomic"
	"testing"

	"github.com/fairway-bgp/fairway/parallel"
)

func TestEachIsDoneOnce(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		done := make([]atomic.Int32, n)
		parallel.Each(n, func(i int) { done[i].Add(1) })
		for i := range done {
			if times := done[i].Load(); times != 1 {
				t.Errorf("%d of %d is done %d times", i, n, times)
			}
		}
	}
}
