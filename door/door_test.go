package door

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// keep opens a door whose visitors are told that it is open, and gives what closes it.
func keep(t *testing.T, doors *Doors, d Door) (closed <-chan struct{}) {
	t.Helper()
	return doors.Keep(t.Context(), d, func(l net.Listener) error {
		for {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			go io.WriteString(c, "open")
		}
	})
}

// visit gives what a door says.
func visit(t *testing.T, d Door) string {
	t.Helper()
	c, err := net.Dial(d.Network, d.Address)
	if err != nil {
		return err.Error()
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4)
	n, _ := io.ReadFull(c, b)
	return string(b[:n])
}

// quick gives Doors that try again at once, and a channel of their changes.
func quick() (*Doors, chan struct{}) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	changes := make(chan struct{}, 16)
	d := New(logrus.NewEntry(log), func() { changes <- struct{}{} })
	d.again = time.Millisecond
	return d, changes
}

func TestAPortThatIsTakenIsServedOnceItIsFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	doors, changes := quick()
	d := Door{Name: "page", Network: "tcp", Address: taken.Addr().String(), Most: 4, Advice: "take another"}
	closed := keep(t, doors, d)
	<-changes
	want := "page " + d.Address + " is not served: bind: address already in use (take another)"
	if shut := doors.Shut(); len(shut) != 1 || shut[0] != want {
		t.Errorf("got %q, want %q", shut, want)
	}
	taken.Close()
	<-changes
	if shut, says := doors.Shut(), visit(t, d); len(shut) != 0 || says != "open" {
		t.Errorf("shut: %q; it says %q", shut, says)
	}
	select {
	case <-closed:
		t.Error("it has closed")
	default:
	}
}

func TestAFolderThatCannotBeWrittenLeavesTheDoorShut(t *testing.T) {
	doors, changes := quick()
	keep(t, doors, Door{Name: "socket", Network: "unix", Address: "/proc/fairway/x.sock", Most: 4})
	<-changes
	if shut := doors.Shut(); len(shut) != 1 || !strings.HasPrefix(shut[0], "socket /proc/fairway/x.sock is not served: ") {
		t.Errorf("shut: %q", shut)
	}
}

func TestMoreVisitorsThanThereIsRoomFor(t *testing.T) {
	doors, _ := quick()
	d := Door{Name: "socket", Network: "unix", Address: filepath.Join(t.TempDir(), "x.sock"), Most: 3}
	keep(t, doors, d)
	for i := range d.Most + 2 {
		want := "open"
		if i >= d.Most {
			want = "" // closed as it came
		}
		if says := visit(t, d); says != want {
			t.Errorf("visitor %d is told %q, want %q", i+1, says, want)
		}
	}
}

func TestTheEndClosesWhoeverIsThere(t *testing.T) {
	doors, _ := quick()
	d := Door{Name: "socket", Network: "unix", Address: filepath.Join(t.TempDir(), "x.sock"), Most: 3}
	ctx, end := context.WithCancel(t.Context())
	closed := doors.Keep(ctx, d, func(l net.Listener) error {
		for {
			if _, err := l.Accept(); err != nil {
				return err
			}
		}
	})
	c, err := net.Dial(d.Network, d.Address)
	if err != nil {
		t.Fatal(err)
	}
	end()
	<-closed
	c.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
}

func TestCheckLoopback(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:7473": true, "[::1]:7473": true, "localhost:7473": true, "127.9.9.9:1": true,
		":7473": false, "0.0.0.0:7473": false, "[::]:7473": false, "10.0.0.1:7473": false, "example.com:0": false, "127.0.0.1": false,
	} {
		if err := CheckLoopback(address); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestSocketTakesOverFromTheDeadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gobgp.sock")
	first, err := Socket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Socket(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a live socket: %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close()
	second, err := Socket(path)
	if err != nil {
		t.Fatalf("a dead socket: %v", err)
	}
	second.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Socket(path); err == nil {
		t.Error("a file was taken for a socket")
	}
}

func TestCheckReachable(t *testing.T) {
	for address, good := range map[string]bool{
		":7474": true, "0.0.0.0:7474": true, "[::]:7474": true, "[2001:db8::1]:7474": true, "192.0.2.1:7474": true, "[192.0.2.1]:7474": true, "localhost:7474": true,
		"": false, "7474": false, "2001:db8::1:7474": false, "node.example:7474": false, "192.0.2.1:0": false, "192.0.2.1:http": false, "192.0.2.1:70000": false,
	} {
		if err := CheckReachable(address); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}
