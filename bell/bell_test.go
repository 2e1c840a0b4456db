package bell_test

import (
	"sync"
	"testing"

	"github.com/fairway-bgp/fairway/bell"
)

func TestManyRingsAreOne(t *testing.T) {
	b := bell.New()
	select {
	case <-b.Rung():
		t.Error("a new bell rings")
	default:
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(b.Ring) // nobody listens, and nobody waits
	}
	all.Wait()
	<-b.Rung()
	select {
	case <-b.Rung():
		t.Error("it rings twice")
	default:
	}
	b.Ring()
	<-b.Rung()
}
