package host

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Undone is what an Undo has taken from the host or given back to it.
type Undone struct {
	Chains, Sets []string
	// Sysctls are settings with the value that they have again.
	Sysctls []string
}

// Empty reports whether nothing was done.
func (u Undone) Empty() bool { return len(u.Chains)+len(u.Sets)+len(u.Sysctls) == 0 }

// undone compares what was there with what is there now.
func (f *Filter) undone(now Filter, sysctls []string) Undone {
	gone := func(was, is []string) []string {
		return slices.DeleteFunc(was, func(name string) bool { return slices.Contains(is, name) })
	}
	return Undone{Chains: gone(f.ownChains(), now.ownChains()), Sets: gone(f.ownSets(), now.ownSets()), Sysctls: sysctls}
}

// ownChains names the chains of ours that are there.
func (f *Filter) ownChains() []string {
	var out []string
	for _, six := range []bool{false, true} {
		for _, t := range append(slices.Clone(f.of(six).Tables), f.mixedOf(six)...) {
			for _, p := range append(positions(), untracking()) {
				if t.Name == p.table && t.Chains[p.own] != nil {
					out = append(out, fmt.Sprintf("%s %s %s", program(backendOf(t), familyOf(six), ""), t.Name, p.own))
				}
			}
		}
	}
	return out
}

// backendOf is whose a table of iptables is, also where nft had to list it.
func backendOf(t *netfilter.Table) netfilter.Backend {
	if t.Backend == netfilter.Nft {
		return netfilter.IptablesNft
	}
	return t.Backend
}

// ownSets names the sets of ours that are there.
func (f *Filter) ownSets() []string {
	var out []string
	for _, six := range []bool{false, true} {
		if f.of(six).Sets[setName(six)] != nil {
			out = append(out, setName(six))
		}
	}
	return out
}

// WriteText says it for people, a line for each kind.
func (u Undone) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, kind := range []struct {
		what  string
		names []string
	}{{"chains removed", u.Chains}, {"sets removed", u.Sets}, {"sysctls restored", u.Sysctls}} {
		if len(kind.names) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", kind.what, strings.Join(kind.names, ", "))
		}
	}
	if b.Len() == 0 {
		b.WriteString("nothing of Fairway's is on this host\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
