package host

import (
	"net/netip"
	"slices"
	"strings"
)

// This file answers: what does a rule of iptables ask, beside which networks and links
// of ours, so that an accept asks the same?

// Why a drop is left alone.
const (
	namesOthers = "it names particular addresses, which is somebody's decision"
	notIptables = "it is a rule that only nft can express"
	twoAnswers  = "what it asks cannot be said in one rule of iptables"
)

// matchesOf gives what a rule asks, as words, without what is true of all packets of the
// network in this direction: its own addresses, and the link into the overlay.
func matchesOf(text string, n netip.Prefix, inbound bool) (asked []string, why string) {
	if !strings.HasPrefix(text, "-A ") {
		return nil, notIptables
	}
	ours, theirs, link := "-s", "-d", "-i"
	if inbound {
		ours, theirs, link = "-d", "-s", "-o"
	}
	side := map[string]string{"-s": "src", "-d": "dst"}[theirs]
	for _, m := range splitMatches(text) {
		negated := m[0] == "!"
		bare := m
		if negated {
			bare = m[1:]
		}
		switch flag := bare[0]; {
		case flag == link:
		case flag == ours:
			p, err := netip.ParsePrefix(bare[1])
			if err != nil || !negated && (p.Bits() > n.Bits() || !p.Contains(n.Addr())) || negated && p.Overlaps(n) {
				return nil, namesOthers
			}
		case flag == theirs:
			return nil, namesOthers
		case flag == "--match-set" && !negated && strings.Contains(bare[len(bare)-1], side), flag == "--src-range", flag == "--dst-range":
			return nil, namesOthers
		default:
			asked = append(asked, m...)
		}
	}
	return asked, ""
}

// splitMatches splits what a rule asks into single options, each with its values and a
// "!" before it; the target and what follows it is left out, and so is the comment.
func splitMatches(text string) [][]string {
	words := splitWords(text)[2:] // behind -A CHAIN
	var out [][]string
	negated := false
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-j", w == "-g":
			return out
		case w == "!":
			negated = true
			continue
		case !strings.HasPrefix(w, "-"):
			out[len(out)-1] = append(out[len(out)-1], w)
			continue
		case w == "-m" && i+1 < len(words) && words[i+1] == "comment":
			i += 3
			continue
		}
		option := []string{w}
		if negated {
			option = []string{"!", w}
		}
		negated = false
		out = append(out, option)
	}
	return out
}

// splitWords splits a rule as iptables-save quotes it.
func splitWords(text string) []string {
	var out []string
	var word strings.Builder
	quoted, begun := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted && i+1 < len(text):
			i++
			word.WriteByte(text[i])
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteByte(c)
		}
	}
	if begun {
		out = append(out, word.String())
	}
	return out
}

// appendMatches joins what two rules on one way ask. An option that iptables takes only
// once must be the same in both.
func appendMatches(have, more []string) (joined []string, ok bool) {
	for _, once := range []string{"-p", "-i", "-o"} {
		i, j := slices.Index(more, once), slices.Index(have, once)
		if i < 0 || j < 0 {
			continue
		}
		negated := i > 0 && more[i-1] == "!"
		if more[i+1] != have[j+1] || negated != (j > 0 && have[j-1] == "!") {
			return nil, false
		}
		first := i
		if negated {
			first--
		}
		more = slices.Delete(slices.Clone(more), first, i+2)
	}
	return append(slices.Clone(have), more...), true
}

// RuleWords are the words of a rule of iptables behind -A CHAIN; nil for a text of nft's.
func RuleWords(text string) []string {
	words := splitWords(text)
	if len(words) < 2 || words[0] != "-A" {
		return nil
	}
	return words[2:]
}
