package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// This file answers: may rules or sets be other ones than when they were read last? The
// kernel is asked, in some tenths of a millisecond beside usual rules; nobody has to be
// run for it.

// FilterState stands for a state of the kernel's packet filter: of equal ones all rules
// and sets are the same.
type FilterState [sha256.Size]byte

// filterPart is what a FilterState is made of.
type filterPart func(hash.Hash) error

// AskFilter gives the state of all that Read reads of the packet filter.
func AskFilter() (FilterState, error) {
	return stateOf(addGeneration, addLinks, addLegacy(false, false, true), addSets(""), addIPsec)
}

// AskForwarding gives the state of what is to be enforced in families (true for IPv6):
// of the chains that forwarded packets may come to, as far as that can be told, and of
// our sets.
func AskForwarding(families ...bool) (FilterState, error) {
	parts := []filterPart{addGeneration, addLegacy(true, families...)}
	for _, six := range families {
		parts = append(parts, addSets(SetName(six)))
	}
	return stateOf(parts...)
}

func stateOf(parts ...filterPart) (FilterState, error) {
	h := sha256.New()
	for _, add := range parts {
		fmt.Fprintln(h, "part")
		if err := add(h); err != nil {
			return FilterState{}, err
		}
	}
	return FilterState(h.Sum(nil)), nil
}

// addGeneration adds the number that nftables counts up with each change by a program
// (NFT_MSG_GETGEN). What rules themselves add to sets, and what times out there, it does
// not count.
func addGeneration(h hash.Hash) error {
	r := nl.NewNetlinkRequest(unix.NFT_MSG_GETGEN|unix.NFNL_SUBSYS_NFTABLES<<8, 0)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	answers, err := r.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return fmt.Errorf("ask for the generation of nftables: %w", err)
	}
	const head = 4 // struct nfgenmsg
	for _, a := range answers {
		attributes, err := nl.ParseRouteAttr(a[min(head, len(a)):])
		if err != nil {
			return fmt.Errorf("ask for the generation of nftables: %w", err)
		}
		for _, at := range attributes {
			if at.Attr.Type == unix.NFTA_GEN_ID {
				h.Write(at.Value)
				return nil
			}
		}
	}
	return errors.New("ask for the generation of nftables: no answer")
}

// addLinks adds the numbers and names of links: some rules have numbers, and nft prints
// names.
func addLinks(h hash.Hash) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		fmt.Fprintln(h, l.Attrs().Index, l.Attrs().Name)
	}
	return nil
}

// addIPsec adds whether there are policies of IPsec, which some rules ask for.
func addIPsec(h hash.Hash) error {
	_, err := fmt.Fprintln(h, hasIPsec())
	return err
}

// addLegacy adds the tables of iptables-legacy in families.
func addLegacy(forwarding bool, families ...bool) filterPart {
	return func(h hash.Hash) error {
		l, err := OpenLegacy()
		if err != nil {
			return err
		}
		defer l.Close()
		for _, six := range families {
			sum, err := l.sum(FamilyOf(six), forwarding)
			if err != nil {
				return err
			}
			h.Write(sum[:])
		}
		return nil
	}
}

// addSets adds what the kernel says of an ipset, or of all where the name is "". Where it
// has no ipsets at all it says nothing.
func addSets(name string) filterPart {
	return func(h hash.Hash) error {
		messages, err := setRequest(nl.IPSET_CMD_LIST, name).Execute(unix.NETLINK_NETFILTER, 0)
		switch {
		case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP): // no such set, or no ipset in this kernel
			return nil
		case err != nil:
			return fmt.Errorf("list ipsets: %w", err)
		}
		for _, m := range messages {
			h.Write(m)
		}
		return nil
	}
}

// Steady tells whether what was read of the packet filter is surely still there. Twice
// the same must have been read in one state: iptables-legacy and ipset have no
// generation, so a single reading may have been of rules that were there for a moment.
type Steady struct {
	state   FilterState
	printed string
	twice   bool
}

// Note takes in a reading and the states before and after it, those that AskFilter gives.
func (s *Steady) Note(before, after FilterState, f *Filter) { s.note(before, after, f, f.printed) }

// NoteForwarding is Note with the states that AskForwarding gives.
func (s *Steady) NoteForwarding(before, after FilterState, f *Filter) {
	s.note(before, after, f, f.key((*netfilter.Ruleset).Forwarding))
}

func (s *Steady) note(before, after FilterState, f *Filter, printed string) {
	if before != after || before == (FilterState{}) || len(f.Unread) > 0 || f.moving {
		*s = Steady{}
		return
	}
	s.twice = s.state == before && s.printed == printed
	s.state, s.printed = before, printed
}

// Holds reports whether in this state there is what was noted last.
func (s *Steady) Holds(now FilterState) bool {
	return s.twice && s.state == now
}

// A FilterReader reads the packet filter again and again, and only where it may have
// changed.
type FilterReader struct {
	steady Steady
	last   Filter
}

// Read is ReadFilter.
func (r *FilterReader) Read(ctx context.Context) Filter {
	before, _ := AskFilter() // what cannot be told is no state, and then all is read
	if r.steady.Holds(before) {
		return r.last
	}
	r.last = ReadFilter(ctx)
	after, _ := AskFilter()
	r.steady.Note(before, after, &r.last)
	return r.last
}

// notePrinted takes in what a program printed of what has no generation, as far as it
// tells of rules: comments have the date, and lines of chains have counters.
func (f *Filter) notePrinted(text string) {
	h := sha256.New()
	h.Write([]byte(f.printed))
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, ":") {
			line, _, _ = strings.Cut(line, "[")
		}
		h.Write([]byte(line))
	}
	f.printed = string(h.Sum(nil))
}

// noteListed takes in what nft printed. Sets to which rules themselves add, and those
// whose elements time out, change without a new generation.
func (f *Filter) noteListed(text string) {
	for _, sign := range []string{"timeout", "expires", "dynamic", "meter", `"add"`, `"update"`, `"delete"`} {
		f.moving = f.moving || strings.Contains(text, sign)
	}
}
