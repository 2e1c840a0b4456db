package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// A node's status page is on the loopback of its namespace, where no browser
// is. The agent, which lives outside, therefore carries connections from a port
// of this machine's loopback to each page.

// pageFile holds the address, on this machine's loopback, of a node's page.
func (o Options) pageFile(node string) string { return filepath.Join(o.State, node+".page") }

// servePages opens a port for each node's page and carries connections until ctx
// ends. Ports are the kernel's choice, so that several labs fit on a machine.
func (a *agent) servePages(ctx context.Context) error {
	for _, n := range nodes() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("page of %s: %w", n.name, err)
		}
		context.AfterFunc(ctx, func() { _ = l.Close() }) // nothing was written to it
		if err := os.WriteFile(a.options.pageFile(n.name), []byte(l.Addr().String()), 0o644); err != nil {
			return fmt.Errorf("page of %s: %w", n.name, err)
		}
		go carryAll(l, a.wiring.spaces[n.name])
	}
	return nil
}

// carryAll carries each connection of l to the page in a namespace.
func carryAll(l net.Listener, s *space) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go carry(c, s)
	}
}

func carry(outside net.Conn, s *space) {
	defer outside.Close()
	var inside net.Conn
	err := s.do(func() (err error) {
		inside, err = net.Dial("tcp", StatusAddress)
		return err
	})
	if err != nil {
		return // the browser shows that nothing answers
	}
	defer inside.Close()
	go func() {
		_, _ = io.Copy(inside, outside)
		inside.Close()
	}()
	_, _ = io.Copy(outside, inside)
}

// page gives the URL of a node's page, or "" where the agent has none.
func (o Options) page(node string) string {
	address, err := os.ReadFile(o.pageFile(node))
	if err != nil {
		return ""
	}
	return "http://" + strings.TrimSpace(string(address)) + "/"
}
