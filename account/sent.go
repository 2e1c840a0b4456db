package account

import "github.com/fairway-bgp/fairway/api/v1alpha1"

// Sending is how far a node is with the Subnets that its plan announces.
type Sending struct {
	// All is whether some router has been sent something of each of them.
	All bool
	// Named are Subnets of which some router has been sent something, those that the
	// Speaker has room for.
	Named map[string]bool
	// Unsure is true where the Speaker's list is too short to tell of the others.
	Unsure bool
}

// SendingOf gives what a Speaker says about what the node's plan announces.
func SendingOf(s *v1alpha1.Speaker) Sending {
	out := Sending{Named: map[string]bool{}}
	a := s.Status.Announced
	for _, p := range a.First {
		if p.Sent {
			out.Named[p.Subnet] = true
		}
	}
	if !listsAllAnnounced(s) && a.Sent > 0 {
		out.All = a.Sent == a.Count
		out.Unsure = !out.All
	}
	return out
}

// Sent reports whether some router has been sent something of a Subnet that the plan
// announces.
func (s Sending) Sent(subnet string) bool { return s.All || s.Named[subnet] }

// WhyNotSent says why a node that is to announce a Subnet has sent nothing of it.
func WhyNotSent(s *v1alpha1.Speaker, beats Heartbeats, subnet string) string {
	if why := beats.Why(s); why != "" {
		return why
	}
	for _, w := range s.Status.Withheld.First {
		if w.Subnet == subnet {
			return "withheld, " + w.Reason + ": " + w.Detail
		}
	}
	for _, a := range s.Status.Announced.First {
		if a.Subnet == subnet && len(a.NotSentTo) > 0 {
			return troubleText(s, a.NotSentTo[0])
		}
	}
	for _, e := range s.Status.Sessions {
		if why := troubleWith(s, e.Peer); why != "" {
			return e.Peer + ": " + why
		}
	}
	return "its daemon has not said so yet"
}
