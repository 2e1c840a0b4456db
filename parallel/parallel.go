// Package parallel puts all processors to work on many things that do not know of each
// other. What comes of them is the same as one by one. It serves rooms that are values in,
// values out, and knows none.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls do for each of 0 to n-1, in no order, and waits until all is done.
func Each(n int, do func(i int)) {
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	working.Wait()
}
