// Package door opens what others look through: the status page, the probes, the
// gobgp CLI. A daemon announces with or without them: a port that somebody else has,
// or a folder that cannot be written, leaves a door shut, which is said and tried
// again. No visitor takes more than the door's share of connections.
package door

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/inet"
)

// Door is one way in.
type Door struct {
	// Name says what it is for, such as "status page".
	Name string
	// Network is "tcp" or "unix".
	Network string
	// Address is HOST:PORT, or the path of a socket that only its owner may use.
	Address string
	// Most is how many connections there may be at once. More are closed as they come.
	Most int
	// Advice says what to do where it cannot be opened, "" for nothing.
	Advice string
}

// String is like "status page 127.0.0.1:7473".
func (d Door) String() string { return d.Name + " " + d.Address }

// again is the time from one try to open a door to the next.
const again = 5 * time.Second

// Doors keeps doors open. It is safe for several goroutines.
type Doors struct {
	log *logrus.Entry
	// changed is called when a door opens or shuts. It must not block.
	changed func()
	again   time.Duration

	mu   sync.Mutex
	shut map[string]string
}

// New gives Doors of which none is open yet.
func New(log *logrus.Entry, changed func()) *Doors {
	return &Doors{log: log, changed: changed, again: again, shut: map[string]string{}}
}

// Shut says which doors are not open though they should be, and why, sorted.
func (d *Doors) Shut() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Values(d.shut))
}

// Keep opens a door, has it served until ctx ends, and closes it; then it closes
// closed. It returns after the first try. Where the door cannot be opened, or serve
// ends before ctx, it tries again. serve must end when its listener is closed.
func (d *Doors) Keep(ctx context.Context, door Door, serve func(net.Listener) error) (closed <-chan struct{}) {
	l, err := door.open()
	d.note(door, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if err == nil {
				d.note(door, d.serve(ctx, l, serve))
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(d.again):
			}
			l, err = door.open()
			d.note(door, err)
		}
	}()
	return done
}

// serve has a listener served until ctx ends, which is no error, or serve does.
func (d *Doors) serve(ctx context.Context, l net.Listener, serve func(net.Listener) error) error {
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	if err := serve(l); ctx.Err() == nil {
		return fmt.Errorf("it ended: %w", err)
	}
	return nil
}

// note takes in whether a door is open; a change is said once.
func (d *Doors) note(door Door, err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("%s is not served: %v", door, cause(err))
		if door.Advice != "" {
			text += " (" + door.Advice + ")"
		}
	}
	d.mu.Lock()
	before := d.shut[door.String()]
	if text == "" {
		delete(d.shut, door.String())
	} else {
		d.shut[door.String()] = text
	}
	d.mu.Unlock()
	switch {
	case text == before:
		return
	case text != "":
		d.log.Warn(text)
	default:
		d.log.Info(door.String() + " is served now")
	}
	d.changed()
}

// cause is an error without the address, which stands before it already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func (d Door) open() (net.Listener, error) {
	var l net.Listener
	var err error
	if d.Network == "unix" {
		l, err = Socket(d.Address)
	} else {
		// "localhost" may be resolved to anything; this may not.
		l, err = net.Listen(d.Network, strings.Replace(d.Address, "localhost", "127.0.0.1", 1))
	}
	if err != nil {
		return nil, err
	}
	return Bound(l, d.Most), nil
}

// CheckLoopback refuses an address that is not HOST:PORT, or that others than this
// node can reach.
func CheckLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not HOST:PORT", address)
	}
	if !inet.IsLoopback(host) {
		return fmt.Errorf("address %q is not a loopback address, such as 127.0.0.1 or ::1", address)
	}
	return nil
}

// CheckReachable refuses an address that is not HOST:PORT, or whose host is a name: that
// may mean another address tomorrow. Without a host, all addresses are meant.
func CheckReachable(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not HOST:PORT (an IPv6 address goes in brackets)", address)
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return fmt.Errorf("address %q: %s is not an IP address", address, host)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q: %s is not a TCP port", address, port)
	}
	return nil
}
