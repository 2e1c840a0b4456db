package status

import (
	"slices"
	"time"
)

// DelayBounds are the upper bounds, in seconds, by which Delays counts.
func DelayBounds() []float64 {
	return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

// Delays counts how long changes took, as a histogram does. The zero value has none.
type Delays struct {
	// Within has for each of DelayBounds how many took no longer.
	Within []uint64 `json:"within,omitempty"`
	Count  uint64   `json:"count"`
	// Sum and Last are in seconds.
	Sum  float64 `json:"sumSeconds"`
	Last float64 `json:"lastSeconds"`
}

// Plus gives the delays with one more. d stays as it is, for it may be published.
func (d Delays) Plus(took time.Duration) Delays {
	bounds := DelayBounds()
	d.Within = slices.Clone(d.Within)
	if d.Within == nil {
		d.Within = make([]uint64, len(bounds))
	}
	d.Last = took.Seconds()
	for i, most := range bounds {
		if d.Last <= most {
			d.Within[i]++
		}
	}
	d.Count++
	d.Sum += d.Last
	return d
}
