package enforce

import (
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/host"
)

// fights are repairs that somebody else made necessary, of the last minute. The first is
// done at once; where there are too many, the pause between them grows.
type fights struct {
	repairs []fight
	// rest is until when nothing is repaired, and pause how long that was.
	rest  time.Time
	pause time.Duration
}

// fight is one repair, and what it mended.
type fight struct {
	at     time.Time
	mended []string
}

// So many repairs in a minute are too many: of rules, which a firewall that is loaded
// anew each second makes necessary 60 times, and of sysctls, which nobody reloads.
const (
	fightsOfRules   = 120
	fightsOfSysctls = 3
	fightsFor       = time.Minute
)

// note remembers a repair, and reports whether it is one too many; then there is a rest.
func (f *fights) note(now time.Time, mended []string) (tooMany bool) {
	f.repairs = append(f.repairs, fight{now, slices.Clone(mended)})
	f.forget(now)
	sysctls := 0
	for _, r := range f.repairs {
		if slices.ContainsFunc(r.mended, isSysctl) {
			sysctls++
		}
	}
	if len(f.repairs) <= fightsOfRules && sysctls <= fightsOfSysctls {
		f.pause, f.rest = 0, time.Time{}
		return false
	}
	tooMany = f.pause == 0
	f.pause = min(max(retryInterval, 2*f.pause), fightsFor)
	f.rest = now.Add(f.pause)
	return tooMany
}

// forget drops what is over.
func (f *fights) forget(now time.Time) {
	f.repairs = slices.DeleteFunc(f.repairs, func(r fight) bool { return now.Sub(r.at) > fightsFor+2*f.pause })
}

// isSysctl is whether what was mended is a setting and not a chain.
func isSysctl(mended string) bool { return strings.HasPrefix(mended, "net.") }

// findings name the fight, while there is one.
func (f *fights) findings(now time.Time) []host.Finding {
	f.forget(now)
	if f.pause == 0 || len(f.repairs) == 0 {
		return nil
	}
	return []host.Finding{host.Contested(f.repairs[len(f.repairs)-1].mended, len(f.repairs), f.pause)}
}
