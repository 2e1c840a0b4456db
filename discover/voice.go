package discover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

// advertiseEvery is the time between two advertisements that nobody asked for, within
// a quarter; FRR has 10 s too for a neighbour on an interface.
const advertiseEvery = 10 * time.Second

// first are the times to the next one after each of the first advertisements, while
// the router may not have seen any.
var first = []time.Duration{time.Second, time.Second, 2 * time.Second, 4 * time.Second}

// answerEvery is the least time between two answers to solicitations.
const answerEvery = 100 * time.Millisecond

// Groups of RFC 4291 section 2.7.1.
var (
	allNodes   = netip.MustParseAddr("ff02::1")
	allRouters = netip.MustParseAddr("ff02::2")
)

// voice speaks neighbour discovery on one link.
type voice struct {
	conn  *ndp.Conn
	state linkState
	// heard takes each advertisement, and says whether the routers are to be asked.
	heard func(router netip.Addr, at time.Time) (ask bool)
	// asking says whether routers are to be asked with an advertisement.
	asking func(at time.Time) bool
}

// speak advertises, answers and listens until ctx ends, or gives the error by which it
// ended before.
func speak(ctx context.Context, name string, s linkState, heard func(netip.Addr, time.Time) bool, asking func(time.Time) bool) error {
	conn, _, err := ndp.Listen(interfaceOf(name, s), ndp.Addr(s.own.WithZone("").String()))
	if err != nil {
		return err
	}
	defer conn.Close()
	v := &voice{conn, s, heard, asking}
	if err := v.prepare(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	asked, broken := make(chan question, 16), make(chan error, 1)
	go func() { broken <- v.listen(asked) }()
	return v.advertise(ctx, asked, broken)
}

// prepare has the socket hear routers and who asks for them, and nothing else.
func (v *voice) prepare() error {
	var f ipv6.ICMPFilter
	f.SetAll(true)
	f.Accept(ipv6.ICMPTypeRouterAdvertisement)
	f.Accept(ipv6.ICMPTypeRouterSolicitation)
	return errors.Join(v.conn.SetICMPFilter(&f), v.conn.JoinGroup(allRouters), v.conn.SetControlMessage(ipv6.FlagHopLimit, true))
}

// question is what an incoming message asks the voice to do: to advertise to somebody,
// or, where to is the zero Addr, to ask which of the routers are still there.
type question struct{ to netip.Addr }

// listen takes in messages until the socket is closed. asked gets who asks for an
// advertisement. What was forwarded by anybody is not from this link (RFC 4861
// section 6.1).
func (v *voice) listen(asked chan<- question) error {
	for {
		m, control, from, err := v.conn.ReadFrom()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("listen for router advertisements: %w", err)
		case control == nil || control.HopLimit != ndp.HopLimit:
			continue
		}
		var q question
		switch m.(type) {
		case *ndp.RouterSolicitation:
			if q.to = allNodes; from.IsLinkLocalUnicast() {
				q.to = from
			}
		case *ndp.RouterAdvertisement:
			if !from.IsLinkLocalUnicast() || !v.heard(from, time.Now()) {
				continue
			}
		}
		select {
		case asked <- q:
		default: // who sends so many gets one answer in a while
		}
	}
}

// advertise sends to all at first often, then every advertiseEvery, and answers.
func (v *voice) advertise(ctx context.Context, asked <-chan question, broken <-chan error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	answered := time.Time{}
	for sent := 0; ; {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err = <-broken:
			return err
		case <-timer.C:
			err = v.announce()
			timer.Reset(pause(sent))
			sent++
		case q := <-asked:
			switch {
			case !q.to.IsValid(): // of the routers that are known, which are there?
				err = v.solicit()
				sent, answered = 0, time.Time{}
				timer.Reset(first[0])
			case time.Since(answered) >= answerEvery:
				err, answered = v.send(v.advertisement(), q.to), time.Now()
			}
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("send router advertisements: %w", err)
		}
	}
}

// pause is the time to the next advertisement after so many.
func pause(sent int) time.Duration {
	if sent < len(first) {
		return first[sent]
	}
	return advertiseEvery*3/4 + rand.N(advertiseEvery/2)
}

// announce sends an advertisement to all, and asks routers for theirs where that may tell
// something.
func (v *voice) announce() error {
	if err := v.send(v.advertisement(), allNodes); err != nil || !v.asking(time.Now()) {
		return err
	}
	return v.solicit()
}

func (v *voice) solicit() error {
	return v.send(&ndp.RouterSolicitation{Options: v.options()}, allRouters)
}

// advertisement tells that the node is there and what its link address is, and makes
// nobody use it: lifetime 0 is no default gateway (RFC 4861 section 4.2), and without a
// prefix nobody makes itself an address. What is zero says nothing.
func (v *voice) advertisement() ndp.Message {
	return &ndp.RouterAdvertisement{Options: v.options()}
}

func (v *voice) options() []ndp.Option {
	if len(v.state.mac) != 6 {
		return nil
	}
	return []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: net.HardwareAddr(v.state.mac)}}
}

func (v *voice) send(m ndp.Message, to netip.Addr) error { return v.conn.WriteTo(m, nil, to) }
