package netfilter

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// This file answers: are the rules of a table of iptables-legacy other ones than
// before? They are compared as the kernel has them (struct ipt_entry and ip6t_entry in
// linux/netfilter_ipv4/ip_tables.h): a rule is its addresses and links, its matches and
// its target. What a rule means is read from what iptables-save prints.

// LegacyEntries is a table as the kernel has it.
type LegacyEntries struct {
	Family Family
	// Hooks has a bit for each hook that the table is in, Entry and Underflow say where
	// the base chain of each begins and where its policy is (enum nf_inet_hooks).
	Hooks            uint32
	Entry, Underflow [5]uint32
	Rules            []byte
}

// entryLayout is where an entry has what is needed of it, in bytes from its beginning.
type entryLayout struct{ target, next, counters, head int }

func (e LegacyEntries) layout() entryLayout {
	if e.Family == IPv6 {
		return entryLayout{target: 140, next: 142, counters: 152, head: 168}
	}
	return entryLayout{target: 88, next: 90, counters: 96, head: 112}
}

// errEntries says that a table is not of the form that is known here.
var errEntries = errors.New("its rules are not of the form that is known")

// legacyEntry is one entry: a rule, a policy, or the head of a chain.
type legacyEntry struct {
	at, next int
	// head is the chain's name where the entry begins one.
	head string
	// target is the target's name, "" for a verdict or a jump, which verdict tells: the
	// place of the chain that is jumped to, or less than 0.
	target  string
	verdict int32
	// verdictAt is where in the entry it stands.
	verdictAt int
}

// entry reads the entry at a place.
func (e LegacyEntries) entry(at int) (legacyEntry, error) {
	l := e.layout()
	if at < 0 || at+l.head > len(e.Rules) {
		return legacyEntry{}, errEntries
	}
	target, next := int(binary.NativeEndian.Uint16(e.Rules[at+l.target:])), int(binary.NativeEndian.Uint16(e.Rules[at+l.next:]))
	const targetHead = 32 // struct xt_entry_target: its size, its name, a revision
	if target < l.head || target+targetHead > next || at+next > len(e.Rules) {
		return legacyEntry{}, errEntries
	}
	out := legacyEntry{at: at, next: at + next, target: cString(e.Rules[at+target+2 : at+target+targetHead-1]), verdictAt: target + targetHead}
	switch payload := e.Rules[at+target+targetHead : at+next]; {
	case out.target == "ERROR":
		out.head = cString(payload)
	case out.target == "" && len(payload) < 4:
		return legacyEntry{}, errEntries
	case out.target == "":
		out.verdict = int32(binary.NativeEndian.Uint32(payload))
	}
	return out, nil
}

// cString is a text of C's.
func cString(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}

// WriteAll writes all of the table but its counters.
func (e LegacyEntries) WriteAll(w io.Writer) error {
	for at := 0; at < len(e.Rules); {
		entry, err := e.entry(at)
		if err != nil {
			return err
		}
		e.clearCounters(at)
		at = entry.next
	}
	_, err := w.Write(e.Rules)
	return err
}

func (e LegacyEntries) clearCounters(at int) {
	l := e.layout()
	clear(e.Rules[at+l.counters : at+l.head])
}

// WriteForwarding writes the chains that a forwarded packet may come to, in an order
// that other chains do not change: a chain that is jumped to is written by its name.
func (e LegacyEntries) WriteForwarding(w io.Writer) error {
	names, err := e.chains()
	if err != nil {
		return err
	}
	const prerouting, forward, postrouting = 0, 2, 4
	for _, hook := range []int{prerouting, forward, postrouting} {
		if e.Hooks&(1<<hook) == 0 {
			continue
		}
		seen := map[int]bool{}
		todo := []int{int(e.Entry[hook])}
		for len(todo) > 0 {
			var begin int
			begin, todo = todo[0], todo[1:]
			if seen[begin] {
				continue
			}
			seen[begin] = true
			jumps, err := e.writeChain(w, begin, int(e.Underflow[hook]), names)
			if err != nil {
				return err
			}
			todo = append(todo, jumps...)
		}
	}
	return nil
}

// chains are the names of users' chains by the place of their first rule.
func (e LegacyEntries) chains() (map[int]string, error) {
	out := map[int]string{}
	for at := 0; at < len(e.Rules); {
		entry, err := e.entry(at)
		if err != nil {
			return nil, err
		}
		if at = entry.next; entry.target == "ERROR" {
			out[at] = entry.head
		}
	}
	return out, nil
}

// writeChain writes one chain and gives where its rules lead: one of a user's ends
// before the next chain's head, a base chain with its policy.
func (e LegacyEntries) writeChain(w io.Writer, begin, policy int, names map[int]string) (jumps []int, err error) {
	if _, err := io.WriteString(w, "chain "+names[begin]+"\n"); err != nil {
		return nil, err
	}
	for at := begin; ; {
		entry, err := e.entry(at)
		if err != nil {
			return nil, err
		}
		if entry.target == "ERROR" {
			return jumps, nil
		}
		e.clearCounters(at)
		rule, to := e.Rules[at:entry.next], int(entry.verdict)
		switch leads := entry.target == "" && entry.verdict >= 0; {
		case leads && to != entry.next: // else it only goes on
			jumps = append(jumps, to)
			fallthrough
		case leads:
			clear(rule[entry.verdictAt : entry.verdictAt+4])
			_, err = io.WriteString(w, "to "+names[to]+"\n")
		}
		if err == nil {
			_, err = w.Write(rule)
		}
		if err != nil || at == policy {
			return jumps, err
		}
		at = entry.next
	}
}
