package bell_test

import (
	"sync"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/bell"
)

func TestManyRingsAreOne(t *testing.T) {
	b := bell.New()
	select {
	case <-b.Rung():
		t.Error("a new bell rings")
	default:
	}
	began := time.Now()
	var all sync.WaitGroup
	for range 20 {
		all.Go(b.Ring) // nobody listens, and nobody waits
	}
	all.Wait()
	ended := time.Now()
	if at := <-b.Rung(); at.Before(began) || at.After(ended) {
		t.Errorf("it rang at %s, not between %s and %s", at, began, ended)
	}
	select {
	case <-b.Rung():
		t.Error("it rings twice")
	default:
	}
	b.Ring()
	<-b.Rung()
}

func TestTheEarliestOfManyRingsCounts(t *testing.T) {
	b := bell.New()
	first := time.Now().Add(-time.Second)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { b.RingSince(first.Add(time.Duration(i) * time.Millisecond)) })
		all.Go(b.Ring)
	}
	all.Wait()
	if at := <-b.Rung(); !at.Equal(first) {
		t.Errorf("it rang %s after the first", at.Sub(first))
	}
}
