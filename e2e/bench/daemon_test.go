package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// page is where each daemon shows its status, in its own namespace.
const page = "127.0.0.1:7473"

// daemon is the program in a node's namespace.
type daemon struct {
	*lab
	*process
	space string
}

// run starts the daemon of a node.
func (l *lab) run(node, space string, more ...string) *daemon {
	l.Helper()
	run := filepath.Join(l.dir, "run-"+node)
	if err := os.MkdirAll(run, 0o755); err != nil {
		l.Fatal(err)
	}
	argv := []string{
		l.binary, "run", "--node=" + node, "--datapath-gate=false", "--host=off",
		"--grpc-socket=", "--grpc-address=", "--listen=" + page, "--run-dir=" + run,
	}
	return &daemon{lab: l, process: l.spawn(space, append(argv, more...)...), space: space}
}

// inCluster are the flags of a daemon that follows the API server.
func inCluster(kubeconfig string) []string {
	return []string{"--kubeconfig=" + kubeconfig, "--namespace=" + namespace}
}

// words are the last of its log, for the one who reads why a run failed.
func (d *daemon) words() string { return d.said.last(20) }

// get reads one of its pages; "" where it does not answer.
func (d *daemon) get(path string) string {
	dial := func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = within(d.space, func() (err error) { c, err = (&net.Dialer{}).DialContext(ctx, network, address); return err })
		return c, err
	}
	client := http.Client{Timeout: must.Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	answer, err := client.Get("http://" + page + path)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(text)
}

// answering waits until it shows its status.
func (d *daemon) answering() {
	d.Helper()
	must.Await(d, "the daemon answers", func() bool { return d.get("/status.json") != "" })
}

// metric gives one of its metrics.
func (d *daemon) metric(name string) float64 {
	d.Helper()
	n, ok := readMetrics(strings.NewReader(d.get("/metrics")), name)[""]
	if !ok {
		d.Fatalf("the daemon shows no metric %s: %s", name, d.words())
	}
	return n
}

// cpu gives the processor time that it has used (proc_pid_stat(5), utime and stime).
func (d *daemon) cpu() time.Duration {
	d.Helper()
	const tick = time.Second / 100 // USER_HZ, which is 100 on every architecture that Go knows
	text := string(must.ReadFile(d, d.file("stat")))
	// The name before may hold spaces.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		d.Fatal(err)
	}
	return time.Duration(user+system) * tick
}

// descriptors gives how many files and sockets it has open.
func (d *daemon) descriptors() int {
	d.Helper()
	all, err := os.ReadDir(d.file("fd"))
	if err != nil {
		d.Fatal(err)
	}
	return len(all)
}

// socket reports whether it has a TCP socket at port 179 in a state of /proc/net/tcp
// (include/net/tcp_states.h).
func (d *daemon) socket(state string) bool {
	d.Helper()
	const port = ":00B3"
	for _, file := range []string{"net/tcp", "net/tcp6"} {
		for s := bufio.NewScanner(bytes.NewReader(must.ReadFile(d, d.file(file)))); s.Scan(); {
			if f := strings.Fields(s.Text()); len(f) > 3 && strings.HasSuffix(f[1], port) && f[3] == state {
				return true
			}
		}
	}
	return false
}

// dialled has the router dial as soon as the daemon listens, until it has a route.
func (d *daemon) dialled(r *router) {
	d.Helper()
	const established, listening = "01", "0A"
	for end := time.Now().Add(bound); r.kernel.empty(); time.Sleep(2 * time.Millisecond) {
		if d.socket(listening) && !d.socket(established) {
			r.poke()
		}
		if time.Now().After(end) {
			d.Fatalf("no route came in %s: %s", bound, d.words())
		}
	}
}

// end withdraws everything, and waits until the router has nothing of it and would take a new
// session.
func (d *daemon) end(r *router) {
	d.Helper()
	gone := r.kernel.expect(0)
	d.stop(syscall.SIGTERM)
	r.kernel.until(gone, d.words)
	must.Await(d, r.kind+" is ready for the next session", r.ready)
}
