package web

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/status"
)

// Metric documents one metric. All of them are read from the published Status
// at the moment of the scrape: what is gone from the picture is gone from the
// metrics, and nothing has to be deleted by hand.
type Metric struct {
	Name   string
	Kind   prometheus.ValueType
	Help   string
	Labels []string
	// read gives the values at this moment.
	read func(*status.Status) []sample
}

// sample is one value with the values of its labels, in order.
type sample struct {
	value  float64
	labels []string
}

// Metrics gives all metrics of Fairway's own, in the order of the documentation.
func Metrics() []Metric {
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	return []Metric{
		{"fairway_ready", gauge, "1 if the input has been read and the speaker has what the plan wants.", nil,
			func(s *status.Status) []sample { return one(truth(s.Ready)) }},
		{"fairway_degraded", gauge, "How many things are not as they should be: the problems that fairway status counts.", nil,
			func(s *status.Status) []sample { return one(float64(len(s.Degraded()))) }},
		{"fairway_last_pass_timestamp_seconds", gauge, "When the last pass ended, in Unix time.", nil,
			func(s *status.Status) []sample { return one(float64(s.At.UnixMilli()) / 1000) }},
		{"fairway_session_up", gauge, "1 if the BGP session is Established.", []string{"peer"}, sessionSamples(func(e status.Session) float64 { return truth(e.Established()) })},
		{"fairway_session_flaps_total", counter, "How often an Established session went down.", []string{"peer"}, sessionSamples(func(e status.Session) float64 { return float64(e.Flaps) })},
		{"fairway_session_advertised_prefixes", gauge, "Prefixes that the peer has been sent; 0 while the session is down.", []string{"peer"}, sessionSamples(func(e status.Session) float64 { return float64(e.Advertised) })},
		{"fairway_session_received_prefixes", gauge, "Prefixes that the peer has announced since the session is up, counting those that come again; none is taken.", []string{"peer"}, sessionSamples(func(e status.Session) float64 { return float64(e.Received) })},
		{"fairway_bfd_up", gauge, "1 if the BFD session with the router is Up, of peers with bfd.", []string{"peer"}, bfdSamples(func(b status.BFD) float64 { return truth(b.State == "Up") })},
		{"fairway_bfd_downs_total", counter, "How often the BFD session went from Up to Down.", []string{"peer"}, bfdSamples(func(b status.BFD) float64 { return float64(b.Downs) })},
		{"fairway_bfd_detection_seconds", gauge, "For how long the router may be silent before BFD takes it for dead; 0 while it has never been heard.", []string{"peer"}, bfdSamples(func(b status.BFD) float64 { return b.DetectionTime })},
		{"fairway_announced_prefixes", gauge, "Prefixes of the plan that some peer has been sent, by role.", []string{"role"}, announced},
		{"fairway_planned_prefixes", gauge, "Prefixes that the plan announces, by role.", []string{"role"}, planned},
		{"fairway_withheld_prefixes", gauge, "Prefixes of selected Subnets that the plan withholds, by reason.", []string{"reason"}, withheld},
		{"fairway_warnings", gauge, "Warnings of the plan, by reason.", []string{"reason"}, warnings},
		{"fairway_host_findings", gauge, "Findings about the host that are wrong or unknown, by check and state.", []string{"check", "state"}, findings},
		{"fairway_source_problems", gauge, "Objects or files that are not as they should be.", nil,
			func(s *status.Status) []sample { return one(float64(len(s.Source.Problems))) }},
		{"fairway_speaker_errors", gauge, "What the last pass could not bring to the speaker.", nil,
			func(s *status.Status) []sample { return one(float64(len(s.Speaker.Errors))) }},
		{"fairway_build_info", gauge, "1, with the version.", []string{"version"},
			func(s *status.Status) []sample { return []sample{{1, []string{s.Version}}} }},
	}
}

func one(v float64) []sample { return []sample{{value: v}} }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func sessionSamples(value func(status.Session) float64) func(*status.Status) []sample {
	return func(s *status.Status) []sample {
		var out []sample
		for _, e := range s.Sessions {
			out = append(out, sample{value(e), []string{e.Peer}})
		}
		return out
	}
}

// bfdSamples has none of peers without BFD.
func bfdSamples(value func(status.BFD) float64) func(*status.Status) []sample {
	return func(s *status.Status) []sample {
		var out []sample
		for _, e := range s.Sessions {
			if e.BFD != nil {
				out = append(out, sample{value(*e.BFD), []string{e.Peer}})
			}
		}
		return out
	}
}

func planned(s *status.Status) []sample {
	n := map[string]float64{}
	for _, a := range s.Plan.Adverts {
		n[string(a.Role)]++
	}
	return counted(n)
}

// announced has a 0 for a role of which nothing has been sent.
func announced(s *status.Status) []sample {
	n := map[string]float64{}
	for _, a := range s.Plan.Adverts {
		n[string(a.Role)] += truth(s.Sent(a))
	}
	return counted(n)
}

func withheld(s *status.Status) []sample {
	n := map[string]float64{}
	for _, w := range s.Plan.Withheld {
		n[string(w.Reason)]++
	}
	return counted(n)
}

func warnings(s *status.Status) []sample {
	n := map[string]float64{}
	for _, w := range s.Plan.Warnings {
		n[string(w.Reason)]++
	}
	return counted(n)
}

func findings(s *status.Status) []sample {
	n := map[[2]string]float64{}
	for _, f := range s.Findings {
		if f.State != host.OK {
			n[[2]string{f.Check, string(f.State)}]++
		}
	}
	var out []sample
	for labels, v := range n {
		out = append(out, sample{v, labels[:]})
	}
	return out
}

func counted(n map[string]float64) []sample {
	var out []sample
	for label, v := range n {
		out = append(out, sample{v, []string{label}})
	}
	return out
}

// collector answers a scrape from a board.
type collector struct{ board *status.Board }

// Describe sends nothing: what there is depends on the picture.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends every sample of the newest picture, and none before the first.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.board.Newest()
	if s == nil {
		return
	}
	for _, m := range Metrics() {
		desc := prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
		for _, x := range m.read(s) {
			to <- prometheus.MustNewConstMetric(desc, m.Kind, x.value, x.labels...)
		}
	}
}

// mostScrapes is how many may be answered at once, each with its own bytes.
const mostScrapes = 4

func metricsHandler(board *status.Board) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{board}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: mostScrapes})
}
