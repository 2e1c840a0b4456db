package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// defaultRunDir is the daemon's folder below /run: nothing in it outlives a boot.
const defaultRunDir = "/run/fairway"

// statusSocket is where the daemon answers its probes, apart from the page that
// everybody on the node can keep busy.
func statusSocket(runDir string) string { return filepath.Join(runDir, "status.sock") }

func newProbeCommand() *cobra.Command {
	var runDir string
	c := &cobra.Command{
		Use:   "probe live|ready",
		Short: "Say whether the daemon on this node works, for a probe of the kubelet",
		Long: `Ask the daemon on this node by its own socket, which nobody else can take or keep
busy. live: its loop turns, and a restart would mend nothing. ready: it has read
everything once, and its table is as the plan wants it. The state of a session is
neither.

Exit status: 0 if so, 1 if not or if nobody answers.`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"live", "ready"},
		RunE: func(c *cobra.Command, args []string) error {
			path := map[string]string{"live": "/healthz", "ready": "/readyz"}[args[0]]
			text, err := askSocket(c.Context(), statusSocket(runDir), path)
			if err != nil {
				return wrong(err)
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
	c.Flags().StringVar(&runDir, "run-dir", defaultRunDir, "the daemon's --run-dir")
	return c
}

// askSocket gets a path of the daemon's page by its socket.
func askSocket(ctx context.Context, socket, path string) ([]byte, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 4 * time.Second}
	code, text, err := get(ctx, client, "http://localhost"+path)
	var away noDaemon
	switch {
	case errors.As(err, &away):
		return nil, noDaemon{fmt.Errorf("no daemon answers at %s: %w", socket, away.error)}
	case err != nil:
		return nil, fmt.Errorf("read the answer at %s: %w", socket, err)
	case code != http.StatusOK:
		return nil, fmt.Errorf("%s", strings.TrimSpace(string(text)))
	}
	return text, nil
}
