package objects

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/bfd"
)

// What spec.bfd has where it does not say otherwise, and its bounds, inclusive. Below 10 ms
// a process among others is too often late.
const (
	defaultBFDInterval   = 300 * time.Millisecond
	defaultBFDMultiplier = 3
	leastBFDInterval     = 10 * time.Millisecond
	mostBFDInterval      = time.Minute
)

// bfdSettings gives the zero value where BFD is off.
func bfdSettings(b *v1alpha1.BFD, r *report) bfd.Settings {
	if b == nil {
		return bfd.Settings{}
	}
	return bfd.Settings{
		Transmit:   bfdInterval("spec.bfd.transmitInterval", b.TransmitInterval, r),
		Receive:    bfdInterval("spec.bfd.receiveInterval", b.ReceiveInterval, r),
		Multiplier: bfdMultiplier(b.DetectMultiplier, r),
	}
}

func bfdInterval(field string, d *metav1.Duration, r *report) time.Duration {
	switch {
	case d == nil:
		return defaultBFDInterval
	case d.Duration < leastBFDInterval || d.Duration > mostBFDInterval:
		r.wrong(field, d.Duration, "is not between %s and %s; leave it out for %s", leastBFDInterval, mostBFDInterval, defaultBFDInterval)
		return defaultBFDInterval
	}
	return d.Duration.Truncate(time.Microsecond) // as it is on the wire
}

func bfdMultiplier(n *int32, r *report) uint8 {
	if n == nil {
		return defaultBFDMultiplier
	}
	if *n < 1 || *n > 255 {
		r.wrong("spec.bfd.detectMultiplier", *n, "is not a number from 1 to 255; leave it out for %d", defaultBFDMultiplier)
		return defaultBFDMultiplier
	}
	return uint8(*n)
}
