package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/files"
)

// watchEvery is how often what is watched is asked for.
const watchEvery = 2 * time.Second

// showing prints something once. What is to be known besides goes to notes.
type showing func(ctx context.Context, out, notes io.Writer) error

// watching is the flag -w of the commands that look.
type watching struct{ asked bool }

func (w *watching) addFlag(c *cobra.Command) {
	c.Flags().BoolVarP(&w.asked, "watch", "w", false, "show it again every 2 s until interrupted; not on a terminal, when it has changed")
}

// check refuses to watch what can be read only once.
func (w *watching) check(paths []string) error {
	if w.asked && slices.Contains(paths, files.Stdin) {
		return errors.New("--watch: standard input can be read only once; give -f a file or folder")
	}
	return nil
}

// run shows once, or with -w again and again until a signal asks to end; the error is
// then that of the last showing.
func (w *watching) run(c *cobra.Command, o *outputFormat, show showing) error {
	if !w.asked {
		return show(c.Context(), o.out(c), c.ErrOrStderr())
	}
	ctx, stop := untilInterrupted(c)
	defer stop()
	s := screen{out: c.OutOrStdout(), notes: c.ErrOrStderr(), text: o.value == formatText}
	return s.watch(ctx, watchEvery, show)
}

// screen is where something is shown again and again. Notes are part of a text, and apart
// from anything else: that is for a program.
type screen struct {
	out, notes io.Writer
	text       bool
	// shown and noted are what was written last.
	shown, noted []byte
}

// watch shows until ctx ends: on a terminal in place of what was there, elsewhere when it
// has changed. That it cannot be told for a while ends nothing. The error is the last one.
func (s *screen) watch(ctx context.Context, every time.Duration, show showing) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		var out, notes bytes.Buffer
		err := s.once(ctx, &out, &notes, show)
		var told codedError
		if ctx.Err() != nil && err != nil && !errors.As(err, &told) {
			return last // it was cut off
		}
		last = err
		if err := s.redraw(out.Bytes(), notes.Bytes()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

// once shows into buffers, and an error as run does.
func (s *screen) once(ctx context.Context, out, notes *bytes.Buffer, show showing) error {
	aside, into := io.Writer(notes), io.Writer(out)
	if s.text {
		aside = out
	}
	if s.text && wantsColour(s.out) {
		into = newPainter(out)
	}
	err := show(ctx, into, aside)
	var said codedError
	if err != nil && (!errors.As(err, &said) || said.err != nil) {
		fmt.Fprintf(aside, "fairway: %s\n", columns.PlainLines(err.Error()))
	}
	return err
}

// redraw writes a text over the one before. On a terminal the cursor goes home, and what is
// left of longer lines and more of them is erased (ECMA-48 CUP, EL, ED): nothing flickers.
func (s *screen) redraw(text, notes []byte) error {
	changed, noted := s.shown == nil || !bytes.Equal(text, s.shown), !bytes.Equal(notes, s.noted)
	s.shown, s.noted = append([]byte{}, text...), notes
	if noted {
		if _, err := s.notes.Write(notes); err != nil {
			return err
		}
	}
	switch {
	case isTerminal(s.out):
		text = append([]byte("\x1b[H"), bytes.ReplaceAll(text, []byte("\n"), []byte("\x1b[K\n"))...)
		text = append(text, "\x1b[J"...)
	case !changed:
		return nil
	}
	_, err := s.out.Write(text)
	return err
}
