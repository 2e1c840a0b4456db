package lab

import (
	"bytes"
	"testing"
)

func TestDemoProvesItsStories(t *testing.T) {
	opts := testOptions(t)
	var out bytes.Buffer
	err := Demo(t.Context(), opts, &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
}
