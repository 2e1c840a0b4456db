package policy

import (
	"slices"

	"github.com/fairway-bgp/fairway/routes"
)

// Explanation is the chain of decisions for one (Subnet, CIDR) on one node.
type Explanation struct {
	Node   string `json:"node"`
	Subnet string `json:"subnet"`
	Prefix string `json:"prefix"`
	// Reason is empty where the prefix is announced.
	Reason routes.Reason `json:"reason"`
	Detail string        `json:"detail"`
	// Undecided is as in Withheld.
	Undecided bool `json:"undecided,omitempty"`
	// Steps are the questions asked, in order, up to the first refusal.
	Steps []Step `json:"steps"`
	// Mend says what to change; empty where the prefix is announced.
	Mend string `json:"mend"`
	// Adverts are what the node announces for the CIDR, with what each session
	// makes of it.
	Adverts []ExplainedAdvert `json:"adverts"`
	// Warnings are those of the Subnet on the node.
	Warnings []Warning `json:"warnings"`
}

// Step is one question and its answer.
type Step struct {
	Reason routes.Reason `json:"reason"`
	Passed bool          `json:"passed"`
	Answer string        `json:"answer"`
}

// ExplainedAdvert is an advert with its exports.
type ExplainedAdvert struct {
	Advert
	Exports []Export `json:"exports"`
}

// Why explains every CIDR of a Subnet on a node with the same chain that Make
// follows. It is empty for a Subnet that is not selected or not there.
func Why(s Snapshot, node, subnet string) []Explanation {
	v := viewOf(&s, lookAround(&s, node), routes.SubnetsByName(s.Subnets))
	checks := Chain()
	var out []Explanation
	for i := range v.cases {
		if c := &v.cases[i]; c.Subnet.Name == subnet {
			out = append(out, v.explain(checks, c))
		}
	}
	return out
}

func (v *view) explain(checks []routes.Check, c *routes.Case) Explanation {
	e := Explanation{
		Node: v.node.Name, Subnet: c.Subnet.Name, Prefix: c.Text(),
		Steps: []Step{}, Adverts: []ExplainedAdvert{}, Warnings: []Warning{},
	}
	refused := firstRefusal(checks, c)
	for i := range checks {
		if refused.check == &checks[i] {
			e.Steps = append(e.Steps, Step{checks[i].Reason, false, refused.detail})
			e.Reason, e.Detail, e.Mend = checks[i].Reason, refused.detail, checks[i].Mend(c)
			e.Undecided = v.undecided(checks, c)
			return e
		}
		e.Steps = append(e.Steps, Step{checks[i].Reason, true, checks[i].Fact(c)})
	}
	var plan Plan
	for _, s := range shares(c, &[2]share{}) {
		plan.Adverts = v.advertsOf(plan.Adverts, c, s, nil)
		plan.exports = append(plan.exports, v.exports(c, s)...)
	}
	slices.SortFunc(plan.Adverts, compareAdverts)
	slices.SortFunc(plan.exports, compareExports)
	for _, a := range plan.Adverts {
		e.Adverts = append(e.Adverts, ExplainedAdvert{*a, plan.Exports(a)})
	}
	e.Warnings = append(e.Warnings, sortedWarnings(v.subnetWarnings(c))...)
	return e
}

// Remedy says what to do about a reason, whatever the Subnet and the node: SUBNET and
// NODE stand for their names, and NAME for an annotation's. It is "" for no reason of the
// chain.
func Remedy(reason string) string {
	for _, c := range Chain() {
		if string(c.Reason) == reason {
			return c.Mend(exampleCase())
		}
	}
	return ""
}

// exampleCase lets a remedy name a Subnet and a Node.
func exampleCase() *routes.Case {
	return &routes.Case{Snapshot: &routes.Snapshot{}, Subnet: &routes.Subnet{Name: "SUBNET"}, Node: &routes.Node{Name: "NODE"},
		TuningErr: &routes.AnnotationError{Name: routes.Prefix + "NAME"}}
}
