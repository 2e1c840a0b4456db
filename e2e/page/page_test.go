package page

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/status"
	"github.com/fairway-bgp/fairway/web"
)

// TestPage builds the page anew from its sources, which must give the files that are
// committed, and then uses it in a browser: test/page.mjs has what is clicked and looked
// at there. With FAIRWAY_PICTURES=FOLDER it leaves what it saw in that folder.
func TestPage(t *testing.T) {
	needs.Programs(t, "node", "npm", "chromium")
	ui := install(t)
	t.Run("is what its sources make", func(t *testing.T) { rebuild(t, ui) })
	t.Run("works in a browser", func(t *testing.T) { browse(t, ui) })
}

const sources = "../../web/ui"

// install copies the sources and gets what they are built with.
func install(t *testing.T) string {
	t.Helper()
	ui := t.TempDir()
	for _, part := range []string{"src", "test"} {
		if err := os.CopyFS(filepath.Join(ui, part), os.DirFS(filepath.Join(sources, part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"package.json", "package-lock.json", ".npmrc", "tsconfig.json", "build.mjs"} {
		text, err := os.ReadFile(filepath.Join(sources, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(ui, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, ui, "npm", "ci", "--ignore-scripts")
	return ui
}

func run(t *testing.T, folder, program string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = folder
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func rebuild(t *testing.T, ui string) {
	run(t, ui, "npm", "run", "--silent", "check")
	run(t, ui, "npm", "run", "--silent", "build")
	for _, name := range []string{"index.html", "page.js", "page.css", "icon.svg"} {
		built, err := os.ReadFile(filepath.Join(ui, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join(sources, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(built) != string(committed) {
			t.Errorf("web/ui/dist/%s is not what web/ui/src makes: make page", name)
		}
	}
}

// browse serves a few pages and has the browser use them.
func browse(t *testing.T, ui string) {
	node := newNode(t, wellNode())
	crowd := newNode(t, crowdedNode(10_000))
	cluster := web.NewPage(time.Now())
	cluster.Post(bigCluster(500, 200))
	pictures := os.Getenv("FAIRWAY_PICTURES")
	if pictures == "" {
		pictures = t.TempDir()
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	scene, err := json.Marshal(map[string]string{
		"chromium": chromium,
		"node":     node.url, "control": node.control(t), "crowd": crowd.url, "pictures": pictures,
		"cluster": serve(t, func(l net.Listener) error { return web.ServePage(l, cluster) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(run(t, ui, "node", "test/page.mjs", string(scene)))
}

// serve has something served on a port of its own until the test ends.
func serve(t *testing.T, with func(net.Listener) error) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go with(l)
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String()
}

// node is a daemon's page.
type node struct {
	board *status.Board
	url   string
	door  *door
}

func newNode(t *testing.T, s *status.Status) *node {
	t.Helper()
	n := &node{board: &status.Board{}, door: &door{}}
	n.board.Post(s)
	page := web.NewPage(time.Now())
	go page.Follow(t.Context(), n.board, quiet())
	n.url = serve(t, func(l net.Listener) error { return web.Serve(n.door.of(l), n.board, page) })
	return n
}

// control serves what the browser's side of the test asks of this side.
func (n *node) control(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /well", func(http.ResponseWriter, *http.Request) { n.board.Post(wellNode()) })
	mux.HandleFunc("POST /broken", func(http.ResponseWriter, *http.Request) { n.board.Post(brokenNode()) })
	mux.HandleFunc("POST /away", func(http.ResponseWriter, *http.Request) { n.door.shut(true) })
	mux.HandleFunc("POST /back", func(http.ResponseWriter, *http.Request) { n.door.shut(false) })
	return serve(t, func(l net.Listener) error { return http.Serve(l, mux) })
}
