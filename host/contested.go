package host

import (
	"fmt"
	"strings"
	"time"
)

// contested has no judge: only who enforces can tell (package enforce).
func contested() Criterion {
	return Criterion{
		ID:   "contested",
		Asks: "Does somebody else undo what enforcing puts on this host? Asked only where the daemon runs with --host=enforce. More than 120 repairs of rules in a minute, or 3 of sysctls, are a fight: from then on the pause between repairs doubles, from a second to a minute.",
		Why:  "two programs that undo each other's work lose traffic each time, and neither of them is right for ever.",
		Mend: "Find who writes it, and tell that one what Fairway needs: the journal of the host, `nft monitor`, or `auditctl -w /proc/sys/net/ipv4/ip_forward -p w`.",
	}
}

// Contested is the finding of a fight: what was mended so many times of late, and how long
// the pause between repairs is by now.
func Contested(mended []string, times int, pause time.Duration) Finding {
	found := contested().named([]Finding{{
		Subject: strings.Join(mended, ", "), State: Wrong, Want: "stays as enforcing has put it",
		Got: fmt.Sprintf("undone by somebody else %d times of late; repaired every %s now", times, pause), Fix: contested().Mend,
	}})
	return found[0]
}
