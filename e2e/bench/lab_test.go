package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// bound is how long one thing may take before the run is given up.
const bound = 3 * time.Minute

// program is what is measured.
var program must.Program

func TestMain(m *testing.M) { program.Main(m) }

// quick says that a run shall be short: less of everything, fewer times.
func quick() bool { return os.Getenv("FAIRWAY_BENCH_QUICK") != "" }

// either gives the second where a run shall be short.
func either[T any](whole, short T) T {
	if quick() {
		return short
	}
	return whole
}

// lab is a node's network namespace and what is linked to it.
type lab struct {
	testing.TB
	prefix, node, dir string
	binary            string
	links             int
}

// newLab makes the node's namespace; it goes with the test.
func newLab(t testing.TB) *lab {
	t.Helper()
	needs.Root(t, "ip", "etcd", "bird", "vtysh", "/usr/lib/frr/bgpd", "/usr/lib/frr/zebra")
	l := &lab{TB: t, prefix: fmt.Sprintf("fwm%d", os.Getpid()), dir: t.TempDir()}
	binary := os.Getenv("FAIRWAY_BENCH_BINARY")
	if binary == "" {
		binary = program.Build(t)
	}
	// A program that was copied, as from an image or by make install, lies in the page cache in
	// smaller pieces than one that the linker wrote, of which each fault maps 10 MB more in all.
	l.binary = filepath.Join(l.dir, "fairway")
	must.Run(t, "cp", binary, l.binary)
	l.node = l.space("n")
	return l
}

// space makes a network namespace that goes with the test, and gives its name.
func (l *lab) space(name string) string {
	l.Helper()
	name = l.prefix + name
	must.Space(l, name)
	return name
}

// link joins two namespaces by a network of its own, and gives their addresses there.
func (l *lab) link(from, to string) (near, far string) {
	l.Helper()
	l.links++
	near, far = fmt.Sprintf("172.30.%d.1", l.links), fmt.Sprintf("172.30.%d.2", l.links)
	here, there := fmt.Sprintf("to%d", l.links), fmt.Sprintf("from%d", l.links)
	must.Run(l, "ip", "-n", from, "link", "add", here, "type", "veth", "peer", "name", there, "netns", to)
	for _, end := range [][3]string{{from, here, near}, {to, there, far}} {
		must.Run(l, "ip", "-n", end[0], "addr", "add", end[2]+"/24", "dev", end[1])
		must.Run(l, "ip", "-n", end[0], "link", "set", end[1], "up")
	}
	return near, far
}

// within runs f on a thread in a namespace. What f opens stays there.
func within(space string, f func() error) error {
	var err error
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with the goroutine
		var to netns.NsHandle
		if to, err = netns.GetFromName(space); err != nil {
			return
		}
		defer to.Close()
		if err = netns.Set(to); err == nil {
			err = f()
		}
	})
	done.Wait()
	return err
}

// dial connects from a namespace.
func (l *lab) dial(space, address string) net.Conn {
	l.Helper()
	var c net.Conn
	must.Await(l, "a connection to "+address, func() bool {
		return within(space, func() (err error) { c, err = net.DialTimeout("tcp", address, time.Second); return err }) == nil
	})
	return c
}

// process is a program that runs in a namespace.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	began time.Time
	said  *lines
}

// spawn starts a program in a namespace. The kernel kills it with this process, which is
// tied to the thread that starts it: that one stays.
func (l *lab) spawn(space string, argv ...string) *process {
	l.Helper()
	p := &process{cmd: exec.Command("ip", append([]string{"netns", "exec", space}, argv...)...), ended: make(chan struct{}), said: &lines{}}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		p.began = time.Now()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

// stop ends the process, and waits for that.
func (p *process) stop(how syscall.Signal) {
	p.cmd.Process.Signal(how)
	<-p.ended
}

// file is one of its own in /proc.
func (p *process) file(name string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}

// rss gives its resident memory in MB.
func (p *process) rss(t testing.TB) float64 {
	t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(must.ReadFile(t, p.file("status")))); s.Scan(); {
		var kib float64
		if _, err := fmt.Sscanf(s.Text(), "VmRSS: %f kB", &kib); err == nil {
			return kib * 1024 / 1e6
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// lines keeps the last of what a process says.
type lines struct {
	mu   sync.Mutex
	text string
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	const most = 1 << 16
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(b)
	l.text = l.text[max(0, len(l.text)-most):]
	return len(b), nil
}

// last gives the last lines.
func (l *lines) last(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(l.text, "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
