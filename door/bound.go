package door

import (
	"net"
	"sync"
)

// Bound gives a listener that closes connections beyond most as they come, so that
// they take no file descriptors from BGP, and that closes with it all that it let
// in: a server would wait for those that have not said a word.
func Bound(l net.Listener, most int) net.Listener {
	return &bounded{Listener: l, most: most, open: map[net.Conn]bool{}}
}

type bounded struct {
	net.Listener
	most   int
	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// Accept gives the next connection there is room for.
func (l *bounded) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if in := (&visitor{Conn: c, by: l}); l.admit(in) {
			return in, nil
		}
		c.Close()
	}
}

func (l *bounded) admit(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.open) >= l.most {
		return false
	}
	l.open[c] = true
	return true
}

// Close closes the listener and every connection.
func (l *bounded) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for c := range open {
		c.Close()
	}
	return err
}

// visitor is a connection that makes room when it is closed.
type visitor struct {
	net.Conn
	by *bounded
}

// Close closes the connection.
func (c *visitor) Close() error {
	c.by.mu.Lock()
	delete(c.by.open, net.Conn(c))
	c.by.mu.Unlock()
	return c.Conn.Close()
}
