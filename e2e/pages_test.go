package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/lab"
)

// labBlock is a block of a page with commands that a node of the lab can run, as in
// ```sh lab n1.
var labBlock = regexp.MustCompile("(?ms)^```sh lab (n[123])\n(.*?)^```$")

// runPages types what the pages below docs say to type on a node, as it stands there: the
// lab has the addresses that they name. Each must be understood, whatever it finds.
func runPages(t *testing.T, l *lab.Lab) {
	t.Helper()
	const docs = "../docs"
	must.Reads(t, docs)
	ran := 0
	err := filepath.WalkDir(docs, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, block := range labBlock.FindAllStringSubmatch(string(text), -1) {
			ran++
			typed := l.Command(t.Context(), block[1], "sh", "-c", block[2])
			typed.Env = append(os.Environ(), "PATH="+filepath.Dir(l.Binary)+":"+os.Getenv("PATH"))
			out, err := typed.CombinedOutput()
			if code := typed.ProcessState.ExitCode(); code < 0 || code > 1 || strings.Contains(string(out), "fairway: ") || len(out) == 0 {
				t.Errorf("%s: %s%v\n%s", path, block[2], err, out)
			}
		}
		return err
	})
	if err != nil || ran == 0 {
		t.Errorf("%d blocks were run: %v", ran, err)
	}
}
