package enforce

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
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
func undone(was, now *host.Filter, sysctls []string) Undone {
	gone := func(was, is []string) []string {
		return slices.DeleteFunc(was, func(name string) bool { return slices.Contains(is, name) })
	}
	return Undone{Chains: gone(ownChains(was), ownChains(now)), Sets: gone(ownSets(was), ownSets(now)), Sysctls: sysctls}
}

// rulesOf are the rules that packets of a family meet.
func rulesOf(f *host.Filter, six bool) *netfilter.Ruleset {
	if six {
		return &f.IPv6
	}
	return &f.IPv4
}

// ownChains names the chains of ours that are there.
func ownChains(f *host.Filter) []string {
	var out []string
	for _, t := range ownTables(f) {
		for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
			if strings.HasPrefix(name, host.OwnChains) {
				out = append(out, chainName(t, name))
			}
		}
	}
	return out
}

// chainName is a chain of a table, as people read it.
func chainName(t *netfilter.Table, own string) string {
	return fmt.Sprintf("%s %s %s", program.Name(backendOf(t), t.Family, ""), t.Name, own)
}

// backendOf is whose a table of iptables is, also where nft had to list it.
func backendOf(t *netfilter.Table) netfilter.Backend {
	if t.Backend == netfilter.Nft {
		return netfilter.IptablesNft
	}
	return t.Backend
}

// ownSets names the sets of ours that are there.
func ownSets(f *host.Filter) []string {
	var out []string
	for _, six := range []bool{false, true} {
		if rulesOf(f, six).Sets[host.SetName(six)] != nil {
			out = append(out, host.SetName(six))
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
