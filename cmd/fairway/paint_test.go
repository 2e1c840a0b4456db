package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestWhatIsWrongStandsOut: one part of a line has a colour, and without the colours the
// text is what it was.
func TestWhatIsWrongStandsOut(t *testing.T) {
	for line, want := range map[string]string{
		"  tor-a  172.30.0.1  Established  3s  1\n":                    "  tor-a  172.30.0.1  {32 Established}  3s  1\n",
		"  tor-a  172.30.0.1  Active       3s  0\n":                    "  tor-a  172.30.0.1  {33 Active}       3s  0\n",
		"  ! 172.30.0.1 is not there\n":                                "  {31 ! 172.30.0.1 is not there}\n",
		"> 10.166.0.0/16  self\n":                                      "{32 >} 10.166.0.0/16  self\n",
		"- 10.167.0.0/16  nat     NATOutgoing\n":                       "{33 -} 10.167.0.0/16  nat     NATOutgoing\n",
		"Subnet nat, 10.167.0.0/16, on n1: withheld, NATOutgoing\n":    "Subnet nat, 10.167.0.0/16, on n1: {33 withheld, NATOutgoing}\n",
		"wrong   forwarding     net.ipv4.ip_forward\n":                 "{31 wrong}   forwarding     net.ipv4.ip_forward\n",
		"Fairway 1 on node n1, up 3s, DEGRADED: 2 problems\n":          "Fairway 1 on node n1, up 3s, {31 DEGRADED: 2 problems}\n",
		"n1                   1/2 up            3         0  degraded": "n1                   1/2 up            3         0  {31 degraded}",
		"n2                   2/2 up            3         0  ready\n":  "n2                   2/2 up            3         0  {32 ready}\n",
		"Source files c.yaml: 3 Subnets, 3 Nodes, 2 BGPPeers\n":        "Source files c.yaml: 3 Subnets, 3 Nodes, 2 BGPPeers\n",
	} {
		var b bytes.Buffer
		if n, err := io.WriteString(newPainter(&b), line); n != len(line) || err != nil {
			t.Errorf("%q: %d, %v", line, n, err)
		}
		got := strings.NewReplacer("\x1b[0m", "}", "\x1b[31m", "{31 ", "\x1b[32m", "{32 ", "\x1b[33m", "{33 ").Replace(b.String())
		if got != want {
			t.Errorf("%q\n\tis %q\n\tnot %q", line, got, want)
		}
	}
	var pipe bytes.Buffer
	if wantsColour(&pipe) {
		t.Error("there are colours in a pipe")
	}
}

// TestWatchedTextIsWrittenWhenItChanges, and goes on when it cannot be told.
func TestWatchedTextIsWrittenWhenItChanges(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	texts := []string{"one\n", "one\n", "", "two\n"}
	var shown bytes.Buffer
	s := screen{out: &shown, notes: io.Discard, text: true}
	err := s.watch(ctx, time.Millisecond, func(_ context.Context, w, _ io.Writer) error {
		text := texts[0]
		if texts = texts[1:]; len(texts) == 0 {
			cancel()
		}
		if text == "" {
			return errors.New("nobody answers")
		}
		_, err := io.WriteString(w, text)
		return err
	})
	if want := "one\nfairway: nobody answers\ntwo\n"; err != nil || shown.String() != want {
		t.Errorf("%q, %v", shown.String(), err)
	}
}
