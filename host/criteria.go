package host

import "cmp"

// Criterion is one check: what it asks, why, and how it judges.
type Criterion struct {
	// ID is what findings, flags and documents call it.
	ID string
	// Asks is the question, for documents.
	Asks string
	// Why it matters, in one sentence.
	Why string
	// Mend is what to do in general, for documents.
	Mend string
	// Drops is whether traffic is lost where the answer is wrong; --host-gate
	// withholds for it.
	Drops bool

	judge func(*checker) []Finding
}

// Criteria are all checks, in the order in which findings are given.
func Criteria() []Criterion {
	return []Criterion{
		forwarding(), rpFilter(), forwardDrop(), invalidDrop(), masquerade(), neighbours(), datapath(), conntrack(), bgpPortTaken(), doubleSpeaker(), sourceCheck(), contested(),
	}
}

// Check judges. Without an announced network there is nothing that could be
// wrong, except that the routers are not reached.
func Check(f Facts, w Want) []Finding {
	if len(w.Networks) == 0 {
		return append([]Finding{}, datapath().named(f.Datapath.peersInOverlay(w))...)
	}
	out := []Finding{}
	c := newChecker(&f, w)
	for _, criterion := range Criteria() {
		if criterion.judge != nil {
			out = append(out, criterion.named(criterion.judge(c))...)
		}
	}
	return out
}

// named gives the check's findings what they have of it.
func (c Criterion) named(findings []Finding) []Finding {
	for i := range findings {
		findings[i].Check, findings[i].Why = c.ID, cmp.Or(findings[i].Why, c.Why)
		findings[i].Subject = cmp.Or(findings[i].Subject, findings[i].About.String())
		if findings[i].State == OK {
			findings[i].Fix = ""
		}
	}
	return findings
}

// sourceCheck has no judge: it takes a second node (see Probe).
func sourceCheck() Criterion {
	return Criterion{
		ID:   "source-check",
		Asks: "Does the network between the nodes carry packets with a Pod's source address? Asked only by `fairway check --probe NODE`, between two nodes that run Fairway; where Fairway does not answer, the answer is unknown.",
		Why:  "clouds and virtual switches drop packets whose source is not the machine's own address, and replies of Pods are such packets.",
		Mend: "In the cloud or the hypervisor, disable IP checks for source and destination addresses (also called port security, or MAC/IP anti-spoofing) on the nodes' interfaces.",
	}
}
