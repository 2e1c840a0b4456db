package objects

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// InParallel calls do for each of 0 to n-1, on all processors and in no order, and waits
// until all is done.
func InParallel(n int, do func(i int)) {
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
