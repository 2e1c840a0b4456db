// Package rapidseed gives the property tests of a package the same cases in each run,
// so that what a run finds was changed by what it tests. The flag -rapid.seed=0 draws
// others each time.
package rapidseed

import (
	"flag"
	"os"
	"testing"

	_ "pgregory.net/rapid" // declares the flag
)

// Main runs a package's tests: what TestMain calls.
func Main(m *testing.M) {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
