package web

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// Kind is a metric's type.
type Kind string

// Kinds.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Metric documents one metric. All of them are read from the published Status
// at the moment of the scrape: what is gone from the picture is gone from the
// metrics, and nothing has to be deleted by hand.
type Metric struct {
	Name   string
	Kind   Kind
	Help   string
	Labels []string
	// read gives the values at this moment.
	read func(*status.Status) []sample
}

// sample is one value with the values of its labels, in order; of a Histogram it has
// delays instead.
type sample struct {
	value  float64
	labels []string
	delays status.Delays
}

// Metrics gives all metrics of Fairway's own, in the order of the documentation.
func Metrics() []Metric {
	return slices.Concat(daemonMetrics(), sessionMetrics(), bfdMetrics(), prefixMetrics(), nodeMetrics())
}

func daemonMetrics() []Metric {
	return []Metric{
		{"fairway_ready", Gauge, "1 if the input has been read and the speaker has what the plan wants.", nil,
			func(s *status.Status) []sample { return one(truth(s.Ready)) }},
		{"fairway_degraded", Gauge, "How many things are not as they should be: the problems that fairway status counts.", nil,
			func(s *status.Status) []sample { return one(float64(len(s.Degraded()))) }},
		{"fairway_last_pass_timestamp_seconds", Gauge, "When the last pass ended, in Unix time; a pass is made every 30 s at least.", nil,
			func(s *status.Status) []sample { return at(s.At) }},
		{"fairway_change_to_wire_seconds", Histogram, "How long a change took that changed what this node announces: from the moment the daemon was first told of it (an event of the API server, of a file, a link, a route, a neighbour) to the moment the speaker had put all that it changed into the send queues of the sessions that are up. Of changes that come together, the first counts. The start is not measured.", nil,
			func(s *status.Status) []sample { return []sample{{delays: s.ToWire}} }},
		{"fairway_speaker_errors", Gauge, "What the last pass could not bring to the speaker.", nil,
			func(s *status.Status) []sample { return one(float64(len(s.Speaker.Errors))) }},
		{"fairway_build_info", Gauge, "1, with the version, and that of Go.", []string{"version", "goversion"},
			func(s *status.Status) []sample {
				return []sample{{value: 1, labels: []string{s.Version, runtime.Version()}}}
			}},
	}
}

func sessionMetrics() []Metric {
	peer := []string{"peer"}
	return []Metric{
		{"fairway_session_info", Gauge, "1, with whom the session is: the neighbour's address, or where it is looked for, and the AS of both ends; peer_asn is 0 while it is any.", []string{"peer", "neighbour", "peer_asn", "local_asn"}, eachSession(sessionInfo)},
		{"fairway_session_up", Gauge, "1 if the BGP session is Established.", peer, sessionSamples(func(e status.Session) float64 { return truth(e.Established()) })},
		{"fairway_session_state", Gauge, "1, with the state that the session is in (RFC 4271 section 8.2.2).", []string{"peer", "state"}, eachSession(sessionState)},
		{"fairway_session_since_timestamp_seconds", Gauge, "When the session entered that state, in Unix time; none before its first.", peer, eachSession(sessionSince)},
		{"fairway_session_down", Gauge, "1 for a session that is not Established, with the reason, and the code and subcode of the NOTIFICATION if there was one (RFC 4271 section 4.5).", []string{"peer", "reason", "notification"}, eachSession(sessionDown)},
		{"fairway_session_flaps_total", Counter, "How often an Established session went down.", peer, sessionSamples(func(e status.Session) float64 { return float64(e.Flaps) })},
		{"fairway_session_last_reset_timestamp_seconds", Gauge, "When the Established session went down last, in Unix time, with the reason; none if it never did.", []string{"peer", "reason", "notification"}, eachSession(sessionReset)},
		{"fairway_session_planned_prefixes", Gauge, "Prefixes that the plan has for the peer.", peer, sessionSamples(func(e status.Session) float64 { return float64(e.Planned) })},
		{"fairway_session_advertised_prefixes", Gauge, "Prefixes that the peer has been sent; 0 while the session is down.", peer, sessionSamples(func(e status.Session) float64 { return float64(e.Advertised) })},
		{"fairway_session_received_prefixes", Gauge, "Prefixes that the peer has announced since the session is up, counting those that come again; none is taken.", peer, sessionSamples(func(e status.Session) float64 { return float64(e.Received) })},
	}
}

func bfdMetrics() []Metric {
	peer := []string{"peer"}
	return []Metric{
		{"fairway_bfd_up", Gauge, "1 if the BFD session with the router is Up, of peers with bfd.", peer, bfdSamples(func(b status.BFD) float64 { return truth(b.State == "Up") })},
		{"fairway_bfd_downs_total", Counter, "How often the BFD session went from Up to Down.", peer, bfdSamples(func(b status.BFD) float64 { return float64(b.Downs) })},
		{"fairway_bfd_detection_seconds", Gauge, "For how long the router may be silent before BFD takes it for dead; 0 while it has never been heard.", peer, bfdSamples(func(b status.BFD) float64 { return b.DetectionTime })},
	}
}

func prefixMetrics() []Metric {
	return []Metric{
		{"fairway_announced_prefixes", Gauge, "Prefixes of the plan that some peer has been sent, by role.", []string{"role"}, announced},
		{"fairway_planned_prefixes", Gauge, "Prefixes that the plan announces, by role.", []string{"role"}, planned},
		{"fairway_withheld_prefixes", Gauge, "Prefixes of selected Subnets that the plan withholds, by reason (docs/reasons.md).", []string{"reason"}, withheld},
		{"fairway_warnings", Gauge, "Warnings of the plan, by reason (docs/reasons.md).", []string{"reason"}, warnings},
	}
}

func nodeMetrics() []Metric {
	return []Metric{
		{"fairway_host_audited", Gauge, "1 once the host has been looked at; 0 for ever with --host=off.", nil,
			func(s *status.Status) []sample { return one(truth(s.Audited)) }},
		{"fairway_host_findings", Gauge, "Findings about the host that are wrong or unknown, by check (docs/checks.md) and state.", []string{"check", "state"}, findings},
		{"fairway_draining", Gauge, "1 while everything is to be withdrawn from the node, or is.", nil,
			func(s *status.Status) []sample { return one(truth(s.Draining)) }},
		{"fairway_drain_until_timestamp_seconds", Gauge, "When a draining node will withdraw what it announces with a path that loses, in Unix time; none where nothing waits for that.", nil,
			func(s *status.Status) []sample { return at(s.DrainUntil) }},
		{"fairway_source_in_step_timestamp_seconds", Gauge, "When the source was last in step with all that it follows, in Unix time: the last pass while it is. fairway_last_pass_timestamp_seconds less this is for how long it is not.", nil, inStep},
		{"fairway_source_problems", Gauge, "Objects or files that are not as they should be.", nil,
			func(s *status.Status) []sample { return one(float64(len(s.Source.Problems))) }},
		{"fairway_source_objects", Gauge, "Objects that have been read, by kind.", []string{"kind"}, sourceObjects},
	}
}

func one(v float64) []sample { return []sample{{value: v}} }

// at is a time as Prometheus has it; none for the zero time.
func at(t time.Time) []sample {
	if t.IsZero() {
		return nil
	}
	return one(seconds(t))
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// eachSession gives what of each session there is to tell, with the peer as first label.
func eachSession(of func(status.Session) (value float64, more []string, told bool)) func(*status.Status) []sample {
	return func(s *status.Status) []sample {
		var out []sample
		for _, e := range s.Sessions {
			if value, more, told := of(e); told {
				out = append(out, sample{value: value, labels: append([]string{e.Peer}, more...)})
			}
		}
		return out
	}
}

func sessionSamples(value func(status.Session) float64) func(*status.Status) []sample {
	return eachSession(func(e status.Session) (float64, []string, bool) { return value(e), nil, true })
}

func sessionInfo(e status.Session) (float64, []string, bool) {
	asn := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	return 1, []string{e.Neighbour(), asn(e.PeerASN), asn(e.LocalASN)}, true
}

func sessionState(e status.Session) (float64, []string, bool) { return 1, []string{e.State}, true }

func sessionSince(e status.Session) (float64, []string, bool) {
	return seconds(e.Since), nil, !e.Since.IsZero()
}

func sessionDown(e status.Session) (float64, []string, bool) {
	if e.Down == nil {
		return 0, nil, false
	}
	return 1, []string{e.Down.Reason, e.Down.Notification}, true
}

func sessionReset(e status.Session) (float64, []string, bool) {
	r := e.LastReset
	if r == nil {
		return 0, nil, false
	}
	return seconds(r.At), []string{r.Reason, r.Notification}, true
}

// bfdSamples has none of peers without BFD.
func bfdSamples(value func(status.BFD) float64) func(*status.Status) []sample {
	return eachSession(func(e status.Session) (float64, []string, bool) {
		if e.BFD == nil {
			return 0, nil, false
		}
		return value(*e.BFD), nil, true
	})
}

// planned has a 0 for each role of which there is nothing, and so has announced: a
// metric that is not there alarms nobody.
func planned(s *status.Status) []sample {
	n := byRole()
	for _, a := range s.Plan.Adverts {
		n[string(a.Role)]++
	}
	return counted(n)
}

func announced(s *status.Status) []sample {
	n := byRole()
	for role, of := range s.AnnouncedAs() {
		n[string(role)] = float64(of)
	}
	return counted(n)
}

func byRole() map[string]float64 {
	n := map[string]float64{}
	for _, r := range routes.Roles() {
		n[string(r)] = 0
	}
	return n
}

func inStep(s *status.Status) []sample {
	switch {
	case !s.Source.StaleSince.IsZero():
		return at(s.Source.StaleSince)
	case s.Source.Known():
		return at(s.At)
	}
	return nil
}

func sourceObjects(s *status.Status) []sample {
	return counted(map[string]float64{"Subnet": float64(s.Source.Subnets), "Node": float64(s.Source.Nodes), "BGPPeer": float64(s.Source.Peers)})
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
		out = append(out, sample{value: v, labels: labels[:]})
	}
	return out
}

func counted(n map[string]float64) []sample {
	var out []sample
	for label, v := range n {
		out = append(out, sample{value: v, labels: []string{label}})
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
			to <- m.sent(desc, x)
		}
	}
}

// sent gives a sample in Prometheus' form.
func (m Metric) sent(desc *prometheus.Desc, x sample) prometheus.Metric {
	switch m.Kind {
	case Histogram:
		buckets := map[float64]uint64{}
		for i, most := range status.DelayBounds() {
			buckets[most] = 0
			if x.delays.Within != nil {
				buckets[most] = x.delays.Within[i]
			}
		}
		return prometheus.MustNewConstHistogram(desc, x.delays.Count, x.delays.Sum, buckets, x.labels...)
	case Counter:
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, x.value, x.labels...)
	}
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, x.value, x.labels...)
}

// mostScrapes is how many may be answered at once, each with its own bytes.
const mostScrapes = 4

func metricsHandler(board *status.Board) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{board}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: mostScrapes})
}
