package kube

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock is the API server's, as its answers tell (RFC 9110 section 6.6.1): that of this
// machine may be wrong.
type clock struct{ ahead atomic.Int64 }

// now gives the time there, to the second; that of this machine before any answer.
func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// listening gives a client that notes what each answer says of the time.
func (c *clock) listening(client *http.Client) *http.Client {
	out := *client
	if out.Transport == nil {
		out.Transport = http.DefaultTransport
	}
	out.Transport = dated{out.Transport, c}
	return &out
}

type dated struct {
	http.RoundTripper
	clock *clock
}

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := d.RoundTripper.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	if at, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		d.clock.ahead.Store(int64(time.Until(at)))
	}
	return answer, nil
}
