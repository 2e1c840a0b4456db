package progress

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestATerminalHasOneLine: a step takes the place of the one before, whatever its length,
// and nothing is left at the end. Elsewhere each is a line.
func TestATerminalHasOneLine(t *testing.T) {
	for terminal, want := range map[bool]string{
		false: "wiring\nstarting the router of the lab\nready\n",
		true:  "\rwiring\x1b[K\rstarting the router…\x1b[K\rready\x1b[K\r\x1b[K",
	} {
		var b bytes.Buffer
		l := &Line{w: &b, terminal: terminal, width: 21}
		fmt.Fprint(l, "wiring\nstarting the router of the lab\n")
		l.Say("ready")
		l.End()
		l.End()
		if b.String() != want {
			t.Errorf("terminal %v: %q, not %q", terminal, b.String(), want)
		}
	}
	if New(&bytes.Buffer{}).terminal {
		t.Error("a buffer is taken for a terminal")
	}
}

// TestWhatTakesLongIsToldAgain, and not any more when it is done.
func TestWhatTakesLongIsToldAgain(t *testing.T) {
	said := make(chan string, 1000)
	done := While(teller(said), "building", time.Millisecond)
	for _, want := range []string{"building\n", "building (0s so far)\n"} {
		select {
		case got := <-said:
			if got != want {
				t.Errorf("%q, not %q", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing is told")
		}
	}
	done()
	for len(said) > 0 {
		<-said
	}
	if s := strings.Join(collect(said), ""); s != "" {
		t.Errorf("told after the end: %q", s)
	}
}

// teller sends what is written, and forgets what nobody takes.
type teller chan string

func (t teller) Write(text []byte) (int, error) {
	select {
	case t <- string(text):
	default:
	}
	return len(text), nil
}

func collect(said chan string) (out []string) {
	for {
		select {
		case s := <-said:
			out = append(out, s)
		default:
			return out
		}
	}
}
