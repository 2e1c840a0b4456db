// Package e2e tells stories of the real program in the lab: nodes and a router in
// network namespaces that each test makes and removes itself, driven as a user
// would, by editing files. What else is told lies beside it: routers (what FRR and
// BIRD make of what is announced), install (charts and rights), live (a cluster's
// API server), replay (recorded changes), chaos (seeded misfortune). The tests need
// root and install nothing; with CI set a missing program is a failure, otherwise they
// are skipped.
package e2e

import (
	"sync/atomic"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// Short names of what package must does.

func mustRun(t testing.TB, argv ...string) string {
	t.Helper()
	return must.Run(t, argv...)
}

// program is what every test here runs.
var program must.Program

func TestMain(m *testing.M) { program.Main(m) }

func await(t testing.TB, what string, yes func() bool) {
	t.Helper()
	must.Await(t, what, yes)
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	must.WriteFile(t, path, b)
}

// labs counts them: stories that mostly wait are told two at a time.
var labs atomic.Uint32
