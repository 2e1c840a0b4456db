// Package program runs the programs by which the packet filter is read and written:
// iptables of both backends and families, nft and ipset. It knows their names and
// gives what they print, or an error with what they said.
package program

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// bound is how long one program may take to print what it knows.
const bound = 20 * time.Second

// Name gives the name of a backend's program: iptables-legacy-save,
// ip6tables-nft-restore.
func Name(b netfilter.Backend, f netfilter.Family, verb string) string {
	name := string(b) + verb
	if f == netfilter.IPv6 {
		name = strings.Replace(name, "iptables", "ip6tables", 1)
	}
	return name
}

// Output runs a program and gives what it prints; an error has what it said.
func Output(ctx context.Context, argv ...string) (string, error) {
	return Feed(ctx, "", argv...)
}

// Feed is Output with a text as the program's input.
func Feed(ctx context.Context, input string, argv ...string) (string, error) {
	return Begin(ctx, input, argv...)()
}

// Begin starts a program and gives what waits for its output. The program runs
// in the network namespace of the calling thread.
func Begin(ctx context.Context, input string, argv ...string) func() (string, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	err := cmd.Start()
	return func() (string, error) {
		defer cancel()
		if err == nil {
			err = cmd.Wait()
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(said.String()))
		}
		return out.String(), nil
	}
}
