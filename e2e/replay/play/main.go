// Command play plays recordings of Kube-OVN in their own time to two daemons, with
// FRR as their router, and prints each prefix's next hops over time, how long it had
// none, and how often they changed. It needs root, FRR and iproute2.
//
//	go run ./e2e/replay/play -fairway bin/fairway e2e/replay/testdata/*.jsonl
//	go run ./e2e/replay/play -fairway bin/fairway -kill node1@2.5 -term node2@3 e2e/replay/testdata/03-*.jsonl
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fairway-bgp/fairway/e2e/replay"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	binary := flag.String("fairway", "bin/fairway", "the program")
	var kills []replay.Kill
	add := func(how syscall.Signal) func(string) error {
		return func(s string) error {
			k, err := parseKill(s, how)
			kills = append(kills, k)
			return err
		}
	}
	flag.Func("kill", "end a daemon with SIGKILL and start it again: `NODE@SECONDS`", add(syscall.SIGKILL))
	flag.Func("term", "the same with SIGTERM: `NODE@SECONDS`", add(syscall.SIGTERM))
	flag.Parse()
	slices.SortFunc(kills, func(a, b replay.Kill) int { return int(a.At - b.At) })
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	stage, err := replay.NewStage(*binary)
	if err != nil {
		return err
	}
	defer stage.Close()
	for _, path := range flag.Args() {
		trace, err := replay.Read(path)
		if err != nil {
			return err
		}
		result, err := stage.Play(ctx, trace, kills...)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Println(result)
	}
	return nil
}

// parseKill reads "node1@2.5".
func parseKill(s string, how syscall.Signal) (replay.Kill, error) {
	node, at, _ := strings.Cut(s, "@")
	seconds, err := strconv.ParseFloat(at, 64)
	if err != nil {
		return replay.Kill{}, fmt.Errorf("%q is not NODE@SECONDS", s)
	}
	return replay.Kill{Node: node, At: time.Duration(seconds * float64(time.Second)), Signal: how}, nil
}
