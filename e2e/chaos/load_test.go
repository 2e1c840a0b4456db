package chaos

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/vishvananda/netns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/lab"
)

// flooded opens more connections than anybody needs, or asks without end.
func (r *run) flooded() {
	n := draw(r, r.free())
	targets := map[string]string{"status page": lab.StatusAddress, "gRPC address": "127.0.0.1:50051", "BGP port": addressOf(n, false).String() + ":179"}
	what := draw(r, []string{"status page", "gRPC address", "BGP port", "gRPC socket"})
	r.say("%s: the daemon's %s is flooded", n, what)
	r.change(nil, func() {
		if target, ok := targets[what]; ok {
			r.sayNothing(n, target)
		} else {
			r.listAll(n)
		}
	})
	r.allRead()
}

// crowd is how many connections come at once: more than any door has room for.
const crowd = 300

// sayNothing opens connections from inside a node and leaves them silent. The door is
// open some time after the daemon's start; of the crowd, who is refused is refused.
func (r *run) sayNothing(n, target string) {
	r.Helper()
	must.Await(r, target+" is open on "+n, func() bool { return r.silent(n, target, 1, 0) > 0 })
	r.silent(n, target, crowd, moment)
}

// silent opens connections, holds them for a time, and gives how many there were.
func (r *run) silent(n, target string, most int, hold time.Duration) (opened int) {
	r.Helper()
	err := inside(r.Prefix+n, func() error {
		for range most {
			if c, err := net.DialTimeout("tcp", target, moment); err == nil {
				opened++
				defer c.Close()
			}
		}
		time.Sleep(hold)
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return opened
}

// inside runs f on a thread in a namespace, which ends with it.
func inside(namespace string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: no other goroutine finds itself in there
		space, err := netns.GetFromName(namespace)
		if err == nil {
			err = netns.Set(space)
			_ = space.Close() // nothing was written to it
		}
		if err != nil {
			done <- fmt.Errorf("namespace %s: %w", namespace, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// listAll has readers list a daemon's table again and again, and watchers that read
// nothing of what they get.
func (r *run) listAll(n string) {
	r.Helper()
	conn, err := grpc.NewClient("unix://"+filepath.Join(r.State, n+".sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(r.Context(), moment)
	defer cancel()
	client := api.NewGoBgpServiceClient(conn)
	var all sync.WaitGroup
	for range 16 {
		// What is refused is what bounds are for.
		_, _ = client.WatchEvent(ctx, &api.WatchEventRequest{Table: &api.WatchEventRequest_Table{Filters: []*api.WatchEventRequest_Table_Filter{{Type: api.WatchEventRequest_Table_Filter_TYPE_BEST, Init: true}}}})
		all.Go(func() {
			for ctx.Err() == nil {
				list(ctx, client)
			}
		})
	}
	all.Wait()
}

// list reads a table once, as far as it is let.
func list(ctx context.Context, client api.GoBgpServiceClient) {
	paths, err := client.ListPath(ctx, &api.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}})
	for err == nil {
		_, err = paths.Recv()
	}
}

// usage is what a daemon uses.
type usage struct{ goroutines, descriptors, memory float64 }

// more is what a daemon may use beyond what it began with. The kernel's and the
// runtime's own caches come to some.
func more() usage { return usage{goroutines: 25, descriptors: 25, memory: 64 << 20} }

func (u usage) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f descriptors, %.1f MB", u.goroutines, u.descriptors, u.memory/1e6)
}

// within reports whether u is no more than first and what may come on top.
func (u usage) within(first, more usage) bool {
	return u.goroutines <= first.goroutines+more.goroutines && u.descriptors <= first.descriptors+more.descriptors && u.memory <= first.memory+more.memory
}

// noLeaks waits until no daemon uses more than it may.
func (r *run) noLeaks() {
	r.Helper()
	for _, n := range nodeNames() {
		var now usage
		if !must.Eventually(func() bool { now = r.usage(n); return now.within(r.first[n], more()) }) {
			r.Fatalf("the daemon of %s uses %s, and used %s", n, now, r.first[n])
		}
		r.Logf("the daemon of %s uses %s; it used %s", n, now, r.first[n])
	}
}

// usage reads a daemon's metrics, by the port that the lab's agent has for its page.
func (r *run) usage(n string) usage {
	r.Helper()
	address := strings.TrimSpace(string(must.ReadFile(r, filepath.Join(r.State, n+".page"))))
	values := map[string]float64{}
	must.Await(r, "the metrics of "+n, func() bool {
		answer, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), " "); ok {
				values[name], _ = strconv.ParseFloat(value, 64) // comments are no numbers
			}
		}
		return values["go_goroutines"] > 0
	})
	return usage{values["go_goroutines"], values["process_open_fds"], values["process_resident_memory_bytes"]}
}
