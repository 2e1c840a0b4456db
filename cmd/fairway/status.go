package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/status"
)

// defaultListen is where the daemon serves its status, and where `status`
// looks for it.
const defaultListen = "127.0.0.1:7473"

// newStatusCommand is `fairway status`: on a node its daemon, elsewhere the cluster's
// Speakers. The daemon goes first, because it knows what its Speaker is told a moment
// later.
func newStatusCommand() *cobra.Command {
	var output outputFormat
	var address, subnet string
	var access kube.Access
	var wholeCluster bool
	var watch watching
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what the daemon on this node does",
		Long: `Show sessions, announced and withheld prefixes, and problems of the daemon on
this node; with --cluster, or where no daemon runs on this machine, what the
Speaker of every node says, which daemons are dead, and which Nodes have none.

Exit status: 0 if it is ready and nothing is degraded (every session is up, every
family negotiated, no object and nothing on the host wrong; in a cluster, every
daemon alive), 1 if not, 2 if it cannot be asked.`,
		Example: `  fairway status
  kubectl fairway status --cluster`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return watch.run(c, &output, func(ctx context.Context, w, notes io.Writer) error {
				if wholeCluster {
					return showSpeakers(ctx, w, notes, access, output.json())
				}
				err := showStatus(w, address, subnet, output.json())
				var away noDaemon
				if !errors.As(err, &away) || c.Flags().Changed("address") {
					return err
				}
				// Not on a node: whoever has a kubeconfig means the cluster.
				if _, none := kube.Connect(access); none != nil {
					return err
				}
				fmt.Fprintln(notes, "fairway: no daemon answers on this machine; this is what the cluster's Speakers say")
				return showSpeakers(ctx, w, notes, access, output.json())
			})
		},
	}
	addAccessFlags(c, &access)
	c.Flags().BoolVar(&wholeCluster, "cluster", false, "show the Speakers of all nodes, from the API server")
	c.Flags().StringVar(&subnet, "subnet", "", "of the prefixes show those of this Subnet alone")
	c.MarkFlagsMutuallyExclusive("subnet", "cluster")
	c.Flags().StringVar(&address, "address", defaultListen, "the daemon's --listen address")
	watch.addFlag(c)
	output.addFlag(c)
	return c
}

func showStatus(w io.Writer, address, subnet string, asJSON bool) error {
	s, body, err := askDaemon(address)
	if err != nil {
		return err
	}
	if subnet != "" {
		if err := known("--subnet", "Subnet", []string{subnet}, s.Plan.Subnets()); err != nil {
			return err
		}
		s.Plan = s.Plan.OnlySubnet(subnet)
	}
	switch {
	case !asJSON:
		err = s.WriteText(w, time.Now())
	case subnet != "":
		err = writeJSON(w, s)
	default:
		_, err = w.Write(body)
	}
	if err != nil {
		return err
	}
	if len(s.Degraded()) > 0 {
		return wrong(nil)
	}
	return nil
}

// askDaemon gives what the daemon at an address says of itself, and the JSON as
// it came.
func askDaemon(address string) (*status.Status, []byte, error) {
	body, err := askPage(address, "/status.json")
	if err != nil {
		return nil, nil, err
	}
	var s status.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, nil, fmt.Errorf("status of %s: %w (another version of fairway?)", address, err)
	}
	return &s, body, nil
}

// askPage gets a page of the daemon at an address.
func askPage(address, page string) ([]byte, error) {
	body, err := fetch("http://" + address + page)
	var away noDaemon
	if errors.As(err, &away) && address == defaultListen {
		// Somebody else may have its port.
		if bySocket, errSocket := askSocket(context.Background(), statusSocket(defaultRunDir), page); errSocket == nil {
			return bySocket, nil
		}
	}
	return body, err
}

// noDaemon says that nobody answers.
type noDaemon struct{ error }

// Unwrap gives the reason.
func (n noDaemon) Unwrap() error { return n.error }

// fetch gets a page of the daemon. That nobody answers is an error of its own kind
// (noDaemon): then there may be another way to ask.
func fetch(url string) ([]byte, error) {
	client := &http.Client{Timeout: 10 * time.Second}
	code, body, err := get(context.Background(), client, url)
	var away noDaemon
	switch {
	case errors.As(err, &away):
		return nil, noDaemon{fmt.Errorf("no daemon answers: %w", away.error)}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", url, err)
	case code != http.StatusOK:
		return nil, fmt.Errorf("%s: %d %s: %s", url, code, http.StatusText(code), body)
	}
	return body, nil
}

// get reads a page of the daemon. The error is a noDaemon where nobody answers.
func get(ctx context.Context, client *http.Client, url string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, noDaemon{err}
	}
	r, err := client.Do(request)
	if err != nil {
		return 0, nil, noDaemon{err}
	}
	defer r.Body.Close()
	body, err = io.ReadAll(r.Body)
	return r.StatusCode, body, err
}
