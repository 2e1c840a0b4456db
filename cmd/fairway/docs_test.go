package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocumentationIsAsTheProgramSays(t *testing.T) {
	for name, write := range generated(filepath.Join("..", "..", "docs")) {
		var want bytes.Buffer
		write(&want)
		got, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(want.String(), string(got)); diff != "" {
			t.Errorf("docs/%s is out of date; make golden rewrites it (-program +file):\n%s", name, diff)
		}
	}
}
