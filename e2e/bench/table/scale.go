package main

import (
	"fmt"
	"strings"
)

// scaleRow is one figure of BenchmarkScale in words.
type scaleRow struct {
	// what is the name between Scale/ and /nodes=.
	what, unit, words string
}

// scaleRows are in the order of the table.
func scaleRows() []scaleRow {
	return []scaleRow{
		{"watches/nodes", "watches", "watches on Nodes"},
		{"watches/subnets", "watches", "watches on Subnets"},
		{"watches/bgppeers", "watches", "watches on BGPPeers"},
		{"watches/daemonsets", "watches", "watches on Fairway's DaemonSet"},
		{"watches/speakers", "watches", "watches on Speakers"},
		{"rest/requests", "requests/min", "at rest: requests a minute, all daemons"},
		{"rest/requests/PUT-leases", "requests/min", "… of which a Lease is written"},
		{"rest/requests/GET-leases", "requests/min", "… of which a Lease is read"},
		{"rest/requests/LIST-leases", "requests/min", "… of which the reporter lists Leases"},
		{"rest/bytes", "B/min/daemon", "at rest: bytes a minute to each daemon"},
		{"rest/apiserver-cpu", "cpu-s/min", "at rest: CPU seconds a minute of the API server"},
		{"rest/apiserver-rss", "MB", "the API server: resident memory"},
		{"heartbeat/bytes", "B/daemon", "one Node's status written: bytes to each daemon"},
		{"heartbeat/speaker-writes", "writes", "… Speakers written"},
		{"change/bytes", "B/daemon", "a Subnet of every node changed: bytes to each daemon"},
		{"change/speaker-writes", "writes/daemon", "… Speakers written by each daemon"},
		{"change/apiserver-cpu", "cpu-ms/daemon", "… CPU of the API server for each daemon"},
		{"start/bytes", "B/daemon", "a start: bytes to each daemon"},
		{"tor/bgpd-rss", "MB", "the router: resident memory of bgpd"},
		{"storm/established", "s", "all killed and started at once: until the router has every path"},
		{"storm/requests", "requests/daemon", "… requests of each daemon"},
		{"storm/bytes", "B/daemon", "… bytes to each daemon"},
		{"storm/apiserver-cpu", "cpu-ms/daemon", "… CPU of the API server for each daemon"},
		{"storm/rejected", "requests", "… requests that the API server put off (429)"},
	}
}

// scale is the table of what grows with the number of daemons.
func (r *results) scale() string {
	counts := r.nodeCounts()
	var b strings.Builder
	b.WriteString("| daemons | " + strings.Join(counts, " | ") + " |\n|---|" + strings.Repeat("--:|", len(counts)) + "\n")
	for _, row := range scaleRows() {
		cells, some := []string{row.words}, false
		for _, n := range counts {
			cell := ""
			if f := r.figure("Scale/"+row.what+"/nodes="+n, row.unit); len(f) > 0 {
				cell, some = amount(f.median(), row.unit), true
			}
			cells = append(cells, cell)
		}
		if some {
			b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		}
	}
	return b.String()
}

// nodeCounts gives the numbers of daemons that were measured, in that order.
func (r *results) nodeCounts() []string {
	var out []string
	for _, name := range r.order {
		if n, ours := strings.CutPrefix(name, "Scale/watches/nodes/nodes="); ours {
			out = append(out, n)
		}
	}
	return out
}

// amount gives a value as the table of scale shows it.
func amount(v float64, unit string) string {
	unit, _, _ = strings.Cut(unit, "/")
	switch unit {
	case "B":
		return show(v/1000, "kB")
	case "cpu-ms":
		return show(v, "ms")
	case "MB", "s":
		return show(v, unit)
	case "cpu-s":
		return fmt.Sprintf("%.1f s", v)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}
