package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// results are what benchmarks have written: values by benchmark and unit, in the order in
// which they came, and what is said of the run as a whole.
type results struct {
	order  []string
	values map[string]map[string][]float64
	config map[string]string
	// pkg is the package whose benchmarks are being read, with a dot; "" for package bench,
	// which writes its lines itself.
	pkg string
}

// read reads Go's benchmark format (golang.org/design/14313-benchmark-format). A name is
// given without its -GOMAXPROCS, and behind its package's.
func (r *results) read(from io.Reader) error {
	if r.values == nil {
		r.values, r.config = map[string]map[string][]float64{}, map[string]string{}
	}
	r.pkg = ""
	s := bufio.NewScanner(from)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if key, value, ok := strings.Cut(s.Text(), ": "); ok && !strings.Contains(key, " ") {
			r.config[key] = strings.TrimSpace(value)
			if key == "pkg" {
				r.pkg = path.Base(value) + "."
			}
		} else if len(fields) >= 4 && strings.HasPrefix(fields[0], "Benchmark") {
			if err := r.line(fields); err != nil {
				return fmt.Errorf("%q: %w", s.Text(), err)
			}
		}
	}
	return s.Err()
}

// line reads NAME N VALUE UNIT VALUE UNIT.
func (r *results) line(fields []string) error {
	name := strings.TrimPrefix(fields[0], "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		name = name[:i]
	}
	name = r.pkg + name
	if r.values[name] == nil {
		r.order, r.values[name] = append(r.order, name), map[string][]float64{}
	}
	for pair := range slices.Chunk(fields[2:], 2) {
		if len(pair) < 2 {
			return fmt.Errorf("%s has no unit", pair[0])
		}
		v, err := strconv.ParseFloat(pair[0], 64)
		if err != nil {
			return err
		}
		r.values[name][pair[1]] = append(r.values[name][pair[1]], v)
	}
	return nil
}

// figure gives the values of a benchmark in a unit, sorted.
func (r *results) figure(name, unit string) figure {
	return slices.Sorted(slices.Values(r.values[name][unit]))
}

// figure is what was measured, sorted.
type figure []float64

// quantile gives the least value that so large a part is not above.
func (f figure) quantile(part float64) float64 {
	i := int(part*float64(len(f))+0.999999) - 1
	return f[min(max(i, 0), len(f)-1)]
}

// median is the middle one, or halfway between the two.
func (f figure) median() float64 {
	n := len(f)
	return (f[n/2] + f[(n-1)/2]) / 2
}
