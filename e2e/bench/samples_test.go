package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// samples are the values of one figure, as they were measured one after the other.
type samples struct {
	testing.TB
	// name is that of a benchmark, unit as benchstat wants it.
	name, unit string
	values     []float64
}

// output keeps lines of two figures apart.
var output sync.Mutex

// keep notes a value, and writes it where the run keeps them.
func (s *samples) keep(v float64) {
	s.Helper()
	s.values = append(s.values, v)
	write(s, fmt.Sprintf("Benchmark%s-%d 1 %.6g %s", s.name, runtime.GOMAXPROCS(0), v, s.unit))
}

// write adds a line to what the run keeps, if it does.
func write(t testing.TB, line string) {
	t.Helper()
	file := os.Getenv("FAIRWAY_BENCH_OUT")
	if file == "" {
		return
	}
	output.Lock()
	defer output.Unlock()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, line); err != nil {
		t.Fatal(err)
	}
}

// describe says when and on what machine it is measured (benchmark format, configuration
// lines).
func describe(t testing.TB) {
	t.Helper()
	ask := func(argv ...string) string {
		out, _ := exec.Command(argv[0], argv[1:]...).CombinedOutput() // what it says is for people
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return first
	}
	load, _, _ := strings.Cut(string(must.ReadFile(t, "/proc/loadavg")), " ")
	for _, line := range [][2]string{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
		{"revision", ask("git", "rev-parse", "--short", "HEAD")},
		{"quick", strconv.FormatBool(quick())},
		{"cpu", ask("sed", "-n", "s/^model name.*: //p", "/proc/cpuinfo")},
		{"processors", strconv.Itoa(runtime.NumCPU())},
		{"load", load},
		{"kernel", ask("uname", "-r")},
		{"frr", ask("/usr/lib/frr/bgpd", "--version")},
		{"bird", ask("bird", "--version")},
	} {
		write(t, line[0]+": "+line[1])
	}
}

// took notes a duration, in milliseconds.
func (s *samples) took(d time.Duration) {
	s.Helper()
	s.keep(float64(max(0, d).Microseconds()) / 1000)
}

// repeat measures a duration so many times, and says what came out.
func repeat(t testing.TB, name string, times int, measure func() time.Duration) {
	t.Helper()
	s := &samples{TB: t, name: name, unit: "ms"}
	for range times {
		s.took(measure())
	}
	s.say()
}

// one notes a figure that is measured once.
func one(t testing.TB, name, unit string, v float64) {
	t.Helper()
	s := &samples{TB: t, name: name, unit: unit}
	s.keep(v)
	s.say()
}

// say tells the one who waits.
func (s *samples) say() {
	sorted := slices.Sorted(slices.Values(s.values))
	fmt.Fprintf(os.Stderr, "%s: median %.4g %s of %d, most %.4g\n", s.name, sorted[len(sorted)/2], s.unit, len(sorted), sorted[len(sorted)-1])
}
