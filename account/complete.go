package account

import (
	"maps"
	"slices"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
)

// IsCut reports whether a Speaker lists only the first of what its node announces or
// withholds.
func IsCut(s *v1alpha1.Speaker) bool { return !listsAllAnnounced(s) || !listsAllWithheld(s) }

// Complete gives a Speaker that is cut with everything in its lists, where the plan of its
// node by the objects agrees with all that it says: with its counts, also by reason, and
// with what it does list. Elsewhere it stays as it is, and so does the list of what is
// announced where it cannot be told which of the rest has been sent.
func Complete(s *v1alpha1.Speaker, objects policy.Snapshot) *v1alpha1.Speaker {
	if !IsCut(s) {
		return s
	}
	objects.History = History(s, objects.Subnets)
	plan := policy.Make(objects, s.Name)
	withheld := withheldUpTo(plan.Withheld, len(plan.Withheld))
	if !agrees(s.Status.Announced, plan.Adverts) || !beginsWith(withheld, s.Status.Withheld) {
		return s
	}
	out := s.DeepCopy()
	out.Status.Withheld.First = append(out.Status.Withheld.First, withheld.First[len(out.Status.Withheld.First):]...)
	if rest, ok := restAnnounced(&s.Status, plan.Adverts[len(s.Status.Announced.First):]); ok {
		out.Status.Announced.First = append(out.Status.Announced.First, rest...)
	}
	return out
}

// agrees reports whether a plan announces as many prefixes as a Speaker, and the first
// ones are those that it lists.
func agrees(a v1alpha1.AnnouncedPrefixes, planned []*policy.Advert) bool {
	if int64(len(planned)) != a.Count || len(a.First) > len(planned) {
		return false
	}
	return slices.EqualFunc(a.First, planned[:len(a.First)], func(e v1alpha1.AnnouncedPrefix, p *policy.Advert) bool {
		return e.Prefix == p.Prefix.String() && e.Subnet == p.Subnet && e.Role == string(p.Role)
	})
}

// beginsWith reports whether what is withheld begins with the first of it, and is as much
// in all.
func beginsWith(all, first v1alpha1.WithheldPrefixes) bool {
	if all.Count != first.Count || !maps.Equal(all.Reasons, first.Reasons) || len(first.First) > len(all.First) {
		return false
	}
	return slices.EqualFunc(first.First, all.First[:len(first.First)], func(a, b v1alpha1.WithheldPrefix) bool {
		return a.Prefix == b.Prefix && a.Subnet == b.Subnet && a.Reason == b.Reason
	})
}

// restAnnounced gives the records of adverts that a Speaker does not list; ok is false
// where its counts of what has been sent say another thing than its sessions.
func restAnnounced(s *v1alpha1.SpeakerStatus, rest []*policy.Advert) (out []v1alpha1.AnnouncedPrefix, ok bool) {
	sent := int64(0)
	for _, e := range s.Announced.First {
		if e.Sent {
			sent++
		}
	}
	for _, p := range rest {
		e := v1alpha1.AnnouncedPrefix{Prefix: p.Prefix.String(), Subnet: p.Subnet, Role: string(p.Role), NextHop: p.NextHopText(), Peers: chosenPeers(len(s.Sessions), p)}
		for _, peer := range p.Peers {
			if !hasSent(s.Sessions, peer, p) {
				e.NotSentTo = append(e.NotSentTo, peer)
			}
		}
		if e.Sent = len(e.NotSentTo) < len(p.Peers); e.Sent {
			sent++
		}
		out = append(out, e)
	}
	return out, sent == s.Announced.Sent
}

// hasSent reports whether the session with a BGPPeer is up, and carries a prefix.
func hasSent(sessions []v1alpha1.SessionStatus, peer string, a *policy.Advert) bool {
	return slices.ContainsFunc(sessions, func(e v1alpha1.SessionStatus) bool {
		return e.Peer == peer && e.State == established &&
			!slices.Contains(e.NotOffered, string(policy.FamilyOf(a.Prefix)))
	})
}
