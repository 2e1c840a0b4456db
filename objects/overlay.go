package objects

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// Overlay gives the objects as they are once changes have been applied to those that
// there are: an object takes the place of that of its kind and name, and keeps what
// others write into it, its status and what a controller fills in. With prune, objects
// of a kind that the changes have, and that the changes lack, are gone. remarks say
// where kubectl may leave more in place.
// now is when what is new counts as created.
func Overlay(base, changes []Batch, prune bool, now time.Time) (out []Batch, remarks []string) {
	before, kinds, replaced := map[Key]Object{}, map[string]bool{}, map[Key]bool{}
	for _, b := range base {
		for _, o := range b.Objects {
			if _, again := before[o.Key]; !again && o.Kind != "" {
				before[o.Key] = o
			}
		}
	}
	changes = copyObjects(changes)
	for _, b := range changes {
		for i := range b.Objects {
			o := &b.Objects[i]
			if o.Kind == "" {
				continue
			}
			kinds[o.Kind], replaced[o.Key] = true, true
			if old, there := before[o.Key]; there {
				remarks = append(remarks, o.lacks(old)...)
				o.Value = applied(old.Value, o.Value)
			} else {
				o.Value = createdAt(o.Value, now)
			}
		}
	}
	for _, b := range base {
		b.Objects = slices.DeleteFunc(slices.Clone(b.Objects), func(o Object) bool { return replaced[o.Key] || prune && kinds[o.Kind] })
		out = append(out, b)
	}
	return append(out, changes...), remarks
}

// createdAt gives a new object the time of its creation, where it has none.
func createdAt(value any, now time.Time) any {
	switch v := value.(type) {
	case Peer:
		if v.Created.IsZero() {
			v.Created = now
		}
		return v
	case *Subnet:
		return v.CreatedAt(now)
	}
	return value
}

// applied gives what an object is once a change of it was applied. One that does not
// convert stays so.
func applied(old, change any) any {
	switch c := change.(type) {
	case Peer:
		if o, ok := old.(Peer); ok {
			c.Created = o.Created
		}
		return c
	case *Subnet:
		if o, ok := old.(*Subnet); ok {
			return c.over(o)
		}
	case Node:
		if o, ok := old.(Node); ok {
			return c.over(o)
		}
	}
	return change
}

// over keeps the status, and the fields that Kube-OVN's controller fills in
// (pkg/controller/subnet.go, formatSubnet). Where the gateways change, the controller
// is yet to name the active one: the Subnet is as one that it has not seen.
func (s *Subnet) over(old *Subnet) *Subnet {
	next := *s
	s = &next
	s.Created = old.Created
	if s.Formatted {
		return s
	}
	for to, from := range map[*string]string{&s.VPC: old.VPC, &s.Provider: old.Provider, &s.GatewayType: old.GatewayType} {
		if *to == "" {
			*to = from
		}
	}
	s.Formatted, s.Controlled = old.Formatted, old.Controlled
	s.Validated, s.Unjudged, s.Ready, s.ReadyAt = old.Validated, old.Unjudged, old.Ready, old.ReadyAt
	s.GatewayVerdict, s.ActiveGateway = old.GatewayVerdict, old.ActiveGateway
	moved := s.GatewayType != old.GatewayType || s.GatewayNode != old.GatewayNode || s.EnableECMP != old.EnableECMP ||
		!slices.EqualFunc(s.GatewayNodeSelectors, old.GatewayNodeSelectors, sameSelector)
	if moved && s.GatewayType == routes.Centralized && old.Validated {
		s.Formatted, s.GatewayVerdict = false, ""
		if !slices.Contains(routes.ParseGatewayNodes(s.GatewayNode), s.ActiveGateway) {
			s.ActiveGateway = ""
		}
	}
	s.Subnet = *s.Parsed()
	return s
}

// over keeps what the kubelet and others write; labels and annotations are added, as
// kubectl does with an object that it has not made.
func (n Node) over(old Node) Node {
	n.Labels, n.Annotations = added(old.Labels, n.Labels), added(old.Annotations, n.Annotations)
	if len(n.InternalIPs) == 0 {
		n.InternalIPs = old.InternalIPs
	}
	if len(n.Taints) == 0 {
		n.Taints = old.Taints
	}
	if !n.Reported {
		n.Reported, n.Ready, n.ShuttingDown, n.NetworkUnavailable = old.Reported, old.Ready, old.ShuttingDown, old.NetworkUnavailable
	}
	if !n.Judged {
		n.Judged, n.Allocated = old.Judged, old.Allocated
	}
	return n
}

// CreatedAt gives the Subnet with this time of its creation, where it has none.
func (s *Subnet) CreatedAt(at time.Time) *Subnet {
	if !s.Created.IsZero() {
		return s
	}
	next := *s
	next.Created = at
	return &next
}

func added(to, more map[string]string) map[string]string {
	out := maps.Clone(to)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, more)
	return out
}

// lacks says which annotations of a Subnet a change of it leaves out: whether those go
// depends on who set them.
func (o Object) lacks(old Object) []string {
	change, ok := o.Value.(*Subnet)
	was, wasOne := old.Value.(*Subnet)
	if !ok || !wasOne {
		return nil
	}
	var names []string
	for name := range was.Annotations {
		if _, still := change.Annotations[name]; !still {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return []string{fmt.Sprintf("%s: the new one lacks %s, and is taken to lose it; kubectl apply keeps what it has not set itself",
		o.Key, strings.Join(names, ", "))}
}
