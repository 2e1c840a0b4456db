// Package progress shows people how far something long is. On a terminal that is one line
// that changes and is gone at the end; anywhere else it is a line for each step, so that a
// log has them all. What is shown goes to standard error: it is no part of a result.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Line is what is shown. It is an io.Writer, too, that takes each line as a step.
type Line struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	// width is that of the terminal, in characters.
	width int
	shown bool
}

// New shows on w. A width that a terminal does not tell is taken for 80.
func New(w io.Writer) *Line {
	l := &Line{w: w, width: 80}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return l
	}
	l.terminal = true
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		l.width = width
	}
	return l
}

// Say shows a step. That it cannot be shown stops nothing.
func (l *Line) Say(step string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.terminal {
		fmt.Fprintln(l.w, step)
		return
	}
	// The last column stays free: some terminals begin a new line there.
	if runes := []rune(step); len(runes) >= l.width {
		step = string(runes[:l.width-2]) + "…"
	}
	fmt.Fprintf(l.w, "\r%s\x1b[K", step) // ECMA-48 EL: what is left of a longer one
	l.shown = true
}

// Write takes each line as a step.
func (l *Line) Write(text []byte) (int, error) {
	for step := range strings.Lines(string(text)) {
		l.Say(strings.TrimRight(step, "\n"))
	}
	return len(text), nil
}

// End takes the line from a terminal, for what is printed next.
func (l *Line) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
	l.shown = false
}

// While shows a step, and from time to time again how long it takes, until what is returned
// is called.
func While(w io.Writer, step string, every time.Duration) (done func()) {
	fmt.Fprintln(w, step)
	began, over := time.Now(), make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				fmt.Fprintf(w, "%s (%s so far)\n", step, time.Since(began).Round(time.Second))
			}
		}
	})
	return func() { close(over); told.Wait() }
}
