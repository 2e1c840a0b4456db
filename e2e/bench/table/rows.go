package main

import (
	"fmt"
	"strconv"
	"strings"
)

// row is one kind of figure: what a benchmark of package bench is in words.
type row struct {
	// kind is the beginning of its name; what comes behind is key=value/key=value.
	kind, unit string
	// words has {key} for each value.
	words string
	// floor names the figure that it is compared with; "" for none.
	floor func(values map[string]string) string
}

// rows are in the order of the table.
func rows() []row {
	none := func(map[string]string) string { return "" }
	one := func(v map[string]string) string {
		if v["subnets"] == "1" {
			return "Floor/one/router=" + v["router"] + "/there=0"
		}
		return "Floor/one/router=" + v["router"] + "/there=" + v["subnets"]
	}
	all := func(v map[string]string) string { return "Floor/all/router=frr/prefixes=" + v["prefixes"] }
	return []row{
		{"Annotate/", "ms", "annotated → route, {router}, {subnets} Subnets there", one},
		{"Unannotate/", "ms", "annotation removed → route gone, {router}, {subnets} Subnets there", one},
		{"Start/api/", "ms", "exec → {prefixes} routes, API server, we dial", all},
		{"Start/files/", "ms", "exec → {prefixes} routes, files, the router dials", all},
		{"Start/pods/", "ms", "exec → {prefixes} routes of Pods, files, the router dials", all},
		{"StartCPU/api/", "cpu-ms", "processor time until then, {prefixes} routes, API server", none},
		{"StartCPU/files/", "cpu-ms", "the same, {prefixes} routes, files", none},
		{"StartCPU/pods/", "cpu-ms", "the same, {prefixes} routes of Pods, files", none},
		{"Idle/", "cpu-s/min", "processor time in a minute at rest, {subnets} Subnets, API server, `--host=off`", none},
		{"RSS/", "MB", "resident memory, {subnets} Subnets", none},
	}
}

// recorded are kube-ovn-speaker's figures, v1.17.0 with FRR 8.4, on a machine of the same kind,
// quiet: two processors, API server and router beside it. They are not measured again.
func recorded(name string) string {
	return map[string]string{
		"Annotate/router=frr/subnets=1":     "1.4 s, most 5.0 s",
		"Annotate/router=frr/subnets=10000": "3.1 s, most 5.2 s",
		"Unannotate/router=frr/subnets=1":   "2.1 s, most 4.4 s",
		"Start/api/prefixes=1000":           "2.0 s",
		"Start/api/prefixes=10000":          "2.1 s",
		"Idle/subnets=1000":                 "0.11 s",
		"Idle/subnets=10000":                "0.60 s",
		"RSS/subnets=0":                     "79 MB",
		"RSS/subnets=1000":                  "107 MB",
		"RSS/subnets=10000":                 "175 MB",
	}[name]
}

// tables gives the tables that there are figures for, after the date and the machine.
func (r *results) tables() string {
	out := r.machine()
	for _, table := range []string{r.felt(), r.core(), r.scale()} {
		if strings.Count(table, "\n") > 2 { // more than a head
			out += "\n" + table
		}
	}
	return out
}

// machine says when and where it was measured.
func (r *results) machine() string {
	c := r.config
	out := fmt.Sprintf("Measured on %s at revision %s: %s, %s processors, Linux %s, load %s when it began; %s, %s.\n",
		c["date"], c["revision"], c["cpu"], c["processors"], c["kernel"], c["load"], c["frr"], c["bird"])
	if c["quick"] == "true" {
		out += "This was a quick run: few times each, and less of everything.\n"
	}
	return out
}

// felt is the table of what is measured from outside.
func (r *results) felt() string {
	var b strings.Builder
	b.WriteString("| | median | 99 % | floor | times the floor | kube-ovn-speaker, recorded |\n|---|--:|--:|--:|--:|---|\n")
	for _, row := range rows() {
		for _, name := range r.order {
			parameters, ours := strings.CutPrefix(name, row.kind)
			f := r.figure(name, row.unit)
			if !ours || len(f) == 0 {
				continue
			}
			values := parse(parameters)
			floor, times := "", ""
			if least := r.figure(row.floor(values), row.unit); len(least) > 0 {
				floor = show(least.median(), row.unit)
				times = fmt.Sprintf("%.1f (%s more)", f.median()/least.median(), show(f.median()-least.median(), row.unit))
			}
			fmt.Fprintf(&b, "| %s | **%s** | %s | %s | %s | %s |\n", row.text(values), show(f.median(), row.unit), ninetyNine(f, row.unit), floor, times, recorded(name))
		}
	}
	return b.String()
}

// ninetyNine is empty where there is one value only.
func ninetyNine(f figure, unit string) string {
	if len(f) < 2 {
		return ""
	}
	return show(f.quantile(0.99), unit)
}

// parse reads key=value/key=value.
func parse(s string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(s, "/") {
		key, value, _ := strings.Cut(pair, "=")
		out[key] = value
	}
	return out
}

// text gives a row's words.
func (r row) text(values map[string]string) string {
	out := r.words
	for key, v := range values {
		out = strings.ReplaceAll(out, "{"+key+"}", spell(v))
	}
	return strings.ReplaceAll(out, "1 Subnets", "1 Subnet")
}

// spell writes a router's name as its people do, and a number with commas.
func spell(v string) string {
	if v == "frr" || v == "bird" {
		return strings.ToUpper(v)
	}
	if _, err := strconv.Atoi(v); err != nil || len(v) <= 3 {
		return v
	}
	return spell(v[:len(v)-3]) + "," + v[len(v)-3:]
}

// show gives a value with a unit that suits its size.
func show(v float64, unit string) string {
	short := func(v float64, unit string) string {
		switch {
		case v >= 100:
			return fmt.Sprintf("%.0f %s", v, unit)
		case v >= 10:
			return fmt.Sprintf("%.1f %s", v, unit)
		}
		return fmt.Sprintf("%.2f %s", v, unit)
	}
	switch unit {
	case "ms", "cpu-ms":
		if v >= 1000 {
			return short(v/1000, "s")
		}
		return short(v, "ms")
	case "cpu-s/min":
		return short(v, "s")
	case "ns/op":
		if v < 1e5 {
			return short(v/1e3, "µs")
		}
		return short(v/1e6, "ms")
	case "B/op":
		if v < 1e5 {
			return short(v/1e3, "kB")
		}
		return short(v/1e6, "MB")
	}
	return short(v, unit)
}

// coreWords say in words what the benchmarks do that a goal is set for. Others stand under their
// names.
func coreWords() map[string]string {
	return map[string]string{
		"cover.OneOf100kAddresses":           "one address more or less among 100,000",
		"daemon.PassIdle10k":                 "a whole pass, nothing changed, 10,000 Subnets",
		"daemon.PassOneOf10k":                "a whole pass, one Subnet of 10,000 comes or goes",
		"files.Read10k":                      "read 10,000 Subnets from a file",
		"files.ReadAgain10k":                 "read again, another file changed",
		"kube.ChangeOneOf10k":                "convert, one Subnet of 10,000 changed",
		"kube.Idle10k":                       "convert, nothing changed",
		"kube.Load10k":                       "convert 10,000 Subnets of an API server",
		"policy.Make10k":                     "decide about 10,000 Subnets from nothing",
		"policy.OnePod/of=100000/nodes=1000": "decide, one Pod of 100,000 on 1,000 nodes changed",
		"policy.ChangeOneOf10k/advertise":    "decide and compare, one Subnet of 10,000 changed",
		"routes.OnePodOf100k/nodes=1000":     "keep the addresses, one Pod of 100,000 goes and comes",
		"speaker.Observe10k":                 "ask GoBGP what it has sent, 10,000 prefixes",
		"speaker.ReadBack10k":                "read 10,000 prefixes back from GoBGP",
		"speaker.Sync10k":                    "announce and withdraw 10,000 prefixes",
		"speaker.SyncOneOf10k":               "announce one of 10,000",
		"web.Page":                           "the page of a node with 10,000 prefixes",
		"web.Scrape":                         "a scrape, 1,000 Subnets and 64 peers",
	}
}

// core is the table of Go's own benchmarks.
func (r *results) core() string {
	var b strings.Builder
	b.WriteString("| | benchmark | time | allocated | allocations |\n|---|---|--:|--:|--:|\n")
	for _, name := range r.order {
		f, bytes, count := r.figure(name, "ns/op"), r.figure(name, "B/op"), r.figure(name, "allocs/op")
		if len(f) == 0 || len(bytes) == 0 || len(count) == 0 || f.median() == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", coreWords()[name], name, show(f.median(), "ns/op"), show(bytes.median(), "B/op"), spell(fmt.Sprintf("%.0f", count.median())))
	}
	return b.String()
}
