package export

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// plain makes a name from an object safe to print anywhere: in a configuration
// language, in quotes, in a shell script. Names in a cluster are plain already;
// those in a file on a laptop are what somebody wrote there.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-._:/,", r):
			return r
		}
		return '_'
	}, s)
}

// maxSymbol bounds the names of lists and groups. The tightest limit of the
// formats is 63 characters (prefix-list names of IOS and NX-OS); some get a
// suffix.
const maxSymbol = 48

// symbol makes an identifier of letters, digits and sep, out of the name of an
// object. A name that is too long keeps its beginning and gets a hash.
func symbol(name, sep string) string {
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return []rune(sep)[0]
	}, name)
	if len(s) <= maxSymbol {
		return s
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("%s%s%08x", s[:maxSymbol-9], sep, h.Sum32())
}

// join lists things for a sentence.
func join[T ~string](items []T) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// some lists the first few things of a list that may be long.
func some(items []string) string {
	const few = 8
	if len(items) <= few {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:few], ", "), len(items)-few)
}

// seconds rounds up: a timer of 500 ms is not "off".
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
