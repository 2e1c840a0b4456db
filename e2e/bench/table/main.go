// Program table makes the table of docs/performance.md of what `make bench` has measured:
// median, 99th percentile, the floor of the same run and how often it fits in, and what
// kube-ovn-speaker was recorded with.
//
//	go run ./e2e/bench/table bin/bench/*.txt
//	go run ./e2e/bench/table -page docs/performance.md bin/bench/*.txt
//
// The second puts it into a page, between the lines that say where.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	page := flag.String("page", "", "page to put the table into, instead of printing it")
	flag.Parse()
	if err := run(*page, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(page string, files []string) error {
	var r results
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := r.read(f); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	text := r.tables()
	if page == "" {
		_, err := fmt.Print(text)
		return err
	}
	whole, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	with, err := replaced(string(whole), text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(with), 0o644)
}

// The lines of a page between which the table stands.
const (
	begin = "<!-- make bench-page writes from here -->\n"
	end   = "<!-- to here -->\n"
)

// replaced gives a page with another table.
func replaced(page, table string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, also := strings.Cut(rest, end)
	if !ok || !also {
		return "", fmt.Errorf("there is no place for the table: the lines %q and %q", begin, end)
	}
	return before + begin + "\n" + table + "\n" + end + after, nil
}
