package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// podPort is where every Pod serves HTTP.
const podPort = 80

// answerForm is what a Pod answers: its name, its node, the client's address.
const answerForm = "%s on %s sees client %s\n"

// runPod serves one line over HTTP until ctx ends: who answers, where it runs,
// and under which address it sees the client, which tells whether anybody
// translated addresses on the way.
func runPod(ctx context.Context, name, node string) error {
	answer := func(w http.ResponseWriter, r *http.Request) {
		client, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			client = r.RemoteAddr
		}
		_, _ = fmt.Fprintf(w, answerForm, name, node, client) // the client may have left
	}
	server := &http.Server{
		Addr:              fmt.Sprintf(":%d", podPort),
		Handler:           http.HandlerFunc(answer),
		ReadHeaderTimeout: 5 * time.Second,
	}
	go func() {
		<-ctx.Done()
		_ = server.Close() // ends ListenAndServe; nothing to save
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("pod %s: serve: %w", name, err)
	}
	return nil
}
