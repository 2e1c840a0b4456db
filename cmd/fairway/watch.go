package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fairway-bgp/fairway/columns"
)

// watchEvery is how often what is watched is asked for.
const watchEvery = 2 * time.Second

// watchText shows something again and again until ctx ends: on a terminal in place of what
// was there, elsewhere when it has changed. That it cannot be told for a while ends
// nothing. The error is the last one.
func watchText(ctx context.Context, w io.Writer, every time.Duration, colours bool, show func(io.Writer) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last []byte
	for {
		var b bytes.Buffer
		var into io.Writer = &b
		if colours && wantsColour(w) {
			into = newPainter(&b)
		}
		err := show(into)
		var said codedError
		if err != nil && (!errors.As(err, &said) || said.err != nil) {
			fmt.Fprintf(&b, "fairway: %s\n", columns.PlainLines(err.Error()))
		}
		if err := redraw(w, b.Bytes(), last); err != nil {
			return err
		}
		last = b.Bytes()
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// redraw writes a text over the one before. On a terminal the cursor goes home, and what is
// left of longer lines and more of them is erased (ECMA-48 CUP, EL, ED): nothing flickers.
func redraw(w io.Writer, text, last []byte) error {
	if !isTerminal(w) {
		if bytes.Equal(text, last) {
			return nil
		}
		_, err := w.Write(text)
		return err
	}
	screen := append([]byte("\x1b[H"), bytes.ReplaceAll(text, []byte("\n"), []byte("\x1b[K\n"))...)
	_, err := w.Write(append(screen, "\x1b[J"...))
	return err
}
