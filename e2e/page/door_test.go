package page

import (
	"io"
	"net"
	"sync"

	"github.com/sirupsen/logrus"
)

func quiet() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

// door lets connections in, or cuts all of them off.
type door struct {
	net.Listener
	mu     sync.Mutex
	closed bool
	open   []net.Conn
}

func (d *door) of(l net.Listener) net.Listener {
	d.Listener = l
	return d
}

// Accept gives a connection, which is closed already while the door is shut.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		c.Close()
	}
	d.open = append(d.open, c)
	return c, nil
}

func (d *door) shut(yes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = yes
	for _, c := range d.open {
		c.Close()
	}
	d.open = nil
}
