package files

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/objects/objectstest"
	"github.com/fairway-bgp/fairway/routes"
)

// watched runs Files over paths in a folder of the test.
type watched struct {
	*testing.T
	dir   string
	files *Source
	rings chan struct{}
}

// startWatch watches paths, which are relative to a new folder that holds files.
func startWatch(t *testing.T, files map[string]string, paths ...string) *watched {
	t.Helper()
	w := &watched{T: t, dir: t.TempDir(), rings: make(chan struct{}, 1)}
	for name, text := range files {
		w.write(name, text)
	}
	var abs []string
	for _, p := range paths {
		abs = append(abs, filepath.Join(w.dir, p))
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	w.files = New(abs, routes.DefaultSettings, func(time.Time) {
		select {
		case w.rings <- struct{}{}:
		default:
		}
	}, logrus.NewEntry(log))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.files.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return w
}

func (w *watched) path(name string) string { return filepath.Join(w.dir, name) }

func (w *watched) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// write writes a file in place.
func (w *watched) write(name, text string) {
	w.Helper()
	w.do(os.MkdirAll(filepath.Dir(w.path(name)), 0o755))
	w.do(os.WriteFile(w.path(name), []byte(text), 0o644))
}

// until waits for the bell until the names of the Nodes are those, and a
// problem's text has the given part; "" is for no problem at all.
func (w *watched) until(nodes string, problem string) objects.Contents {
	w.Helper()
	bound := time.After(30 * time.Second)
	for {
		c, ok := w.files.Latest()
		if ok && nodeNames(c) == nodes && hasProblem(c, problem) {
			return c
		}
		select {
		case <-w.rings:
		case <-bound:
			w.Fatalf("nodes %s, want %s; want problem %q in\n%s", nodeNames(c), nodes, problem, problemText(c))
		}
	}
}

func nodeNames(c objects.Contents) string {
	var names []string
	for _, n := range c.Snapshot.Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

func hasProblem(c objects.Contents, part string) bool {
	if part == "" {
		return len(c.Problems) == 0
	}
	return slices.ContainsFunc(c.Problems, func(p objects.Problem) bool { return strings.Contains(p.Error(), part) })
}

func nodeText(name string) string {
	return "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + name + "}\n"
}

func TestWatchEdit(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a")}, "in")
	w.until("a", "")
	w.write("in/a.yaml", nodeText("a")+nodeText("b"))
	w.until("a b", "")
	w.write("in/c.yaml", nodeText("c"))
	w.until("a b c", "")
	w.do(os.Remove(w.path("in/a.yaml")))
	w.until("c", "")
}

// A file with the last Nodes that is gone took them along by mistake: without them
// everything would be another node's.
func TestWatchTheLastNodesStay(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a") + nodeText("b"), "in/s.yaml": objectstest.Subnets}, "in")
	w.until("a b", "")
	w.do(os.Remove(w.path("in/a.yaml")))
	w.until("a b", "Node a, Node b: no Node is in the input any more: what they said last stays in force")
	w.write("in/s.yaml", "# none\n")
	for c := w.until("a b", "no Node is in the input any more"); len(c.Snapshot.Subnets) > 0; c, _ = w.files.Latest() {
		<-w.rings
	}
	w.write("in/b.yaml", nodeText("b"))
	if c := w.until("b", ""); c.GoneNodes["a"].Name != "a" || !c.GoneNodes["a"].Ready || len(c.GoneNodes) != 1 {
		t.Errorf("gone: %v", c.GoneNodes)
	}
}

func TestWatchAtomicRename(t *testing.T) {
	w := startWatch(t, map[string]string{"a.yaml": nodeText("a")}, "a.yaml")
	w.until("a", "")
	for i := range 3 {
		name := fmt.Sprintf("a%d", i)
		w.write(".a.yaml.tmp", nodeText(name))
		w.do(os.Rename(w.path(".a.yaml.tmp"), w.path("a.yaml")))
		w.until(name, "")
	}
}

// A file that is named itself and is gone is not the same as one deleted from a
// folder: it was asked for.
func TestWatchNamedFileGone(t *testing.T) {
	w := startWatch(t, map[string]string{"a.yaml": nodeText("a")}, "a.yaml")
	w.until("a", "")
	w.do(os.Remove(w.path("a.yaml")))
	w.until("a", "a.yaml: cannot be read: no such file or directory; 1 object stays in force")
	w.write("a.yaml", nodeText("b"))
	w.until("b", "")
}

func TestWatchTruncate(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a") + nodeText("b"), "in/c.yaml": nodeText("c")}, "in")
	w.until("a b c", "")
	w.write("in/a.yaml", "")
	w.until("a b c", "a.yaml: is empty; of its last good version 2 objects stay in force: Node a, Node b")
	// The rest of the folder goes on.
	w.write("in/c.yaml", nodeText("d"))
	w.until("a b d", "a.yaml: is empty; of its last good version 2 objects stay in force: Node a, Node b")
	w.write("in/a.yaml", "# on purpose\n")
	w.until("d", "")
}

func TestWatchHalfFile(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a") + nodeText("b")}, "in")
	w.until("a b", "")
	// The good document counts, and b, whose half cannot be told from nothing, stays.
	w.write("in/a.yaml", nodeText("c")+"---\napiVersion: v1\nkind: No")
	w.until("a b c", "document 2 cannot be read; of its last good version 2 objects stay in force: Node a, Node b")
	w.write("in/a.yaml", nodeText("c")+"---\napiVersion: v1\nkind: Node\nmetadata: {na")
	w.until("a b c", "document 2: line ")
	w.write("in/a.yaml", nodeText("c")+nodeText("b"))
	w.until("b c", "")
}

func TestWatchUnreadableFile(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a")}, "in")
	w.until("a", "")
	// A symlink to nowhere cannot be read by root either.
	w.do(os.Symlink("nowhere", w.path("in/.new")))
	w.do(os.Rename(w.path("in/.new"), w.path("in/a.yaml")))
	w.until("a", "cannot be read: no such file or directory; of its last good version 1 object stays in force: Node a")
	// Where it leads is watched, too.
	w.write("in/nowhere", nodeText("b"))
	w.until("b", "")
}

func TestWatchFolderRemovedAndMadeAgain(t *testing.T) {
	w := startWatch(t, map[string]string{"up/in/a.yaml": nodeText("a"), "up/in/b.yaml": nodeText("b")}, "up/in")
	first := w.until("a b", "")
	for _, gone := range []string{"up/in", "up"} {
		w.do(os.RemoveAll(w.path(gone)))
		w.until("a b", "cannot be read: no such file or directory; 2 objects stay in force")
		w.do(os.MkdirAll(w.path("up/in"), 0o755))
		w.until("a b", "is another folder than before, and empty")
		// The new folder is watched like the old one.
		w.write("up/in/a.yaml", nodeText("a2"))
		w.until("a2", "")
		w.write("up/in/a.yaml", nodeText("a"))
		w.write("up/in/b.yaml", nodeText("b"))
		w.until("a b", "")
	}
	if nodeNames(first) != "a b" {
		t.Error("Contents that were handed out have changed")
	}
}

// rm -r takes the files first, and may take its time: what stays gone for long
// has been deleted on purpose, what is gone with its folder has not.
func TestWatchFolderRemovedSlowly(t *testing.T) {
	for name, tc := range map[string]struct {
		at    time.Duration
		whole bool
		want  string
	}{
		"at once":                {gone / 2, false, "a b"},
		"with the folder":        {gone / 2, true, "a b"},
		"for long":               {gone + gone/2, false, "b"},
		"the folder, after long": {gone + gone/2, true, "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := &watched{T: t, dir: dir}
			w.write("in/a.yaml", nodeText("a"))
			w.write("in/b.yaml", nodeText("b"))
			kernel, err := fsnotify.NewWatcher()
			w.do(err)
			defer kernel.Close()
			log := logrus.New()
			log.SetOutput(io.Discard)
			files := New([]string{w.path("in")}, routes.DefaultSettings, func(time.Time) {}, logrus.NewEntry(log))
			run := &watcher{Source: files, kernel: kernel, disk: &disk{}, renewed: map[string]bool{}, stats: map[string]os.FileInfo{}}
			run.pass(noon)
			w.do(os.Remove(w.path("in/a.yaml")))
			if again := run.pass(noon.Add(time.Minute)); again != gone {
				t.Errorf("looks again after %s, want %s", again, gone)
			}
			if tc.whole {
				w.do(os.RemoveAll(w.path("in")))
			}
			run.pass(noon.Add(time.Minute + tc.at))
			if c, _ := files.Latest(); nodeNames(c) != tc.want {
				t.Errorf("nodes %s, want %s", nodeNames(c), tc.want)
			}
		})
	}
}

// A folder that is made after the start, and empty at first, is no problem.
func TestWatchFolderMadeLater(t *testing.T) {
	w := startWatch(t, nil, "in")
	w.until("", "in: cannot be read: no such file or directory")
	w.do(os.Mkdir(w.path("in"), 0o755))
	if c := w.until("", ""); len(c.Unread) > 0 {
		t.Errorf("unread %v", c.Unread)
	}
	w.write("in/a.yaml", nodeText("a"))
	w.until("a", "")
}

// An unmount leaves an empty folder and tells nobody.
func TestWatchUnmount(t *testing.T) {
	needs.Root(t) // to mount
	w := startWatch(t, map[string]string{"in/README": "x", "beside/b.yaml": nodeText("b")}, "in", "beside")
	w.until("b", "")
	w.do(syscall.Mount("none", w.path("in"), "tmpfs", 0, ""))
	t.Cleanup(func() { _ = syscall.Unmount(w.path("in"), syscall.MNT_DETACH) })
	w.write("in/a.yaml", nodeText("a"))
	// Mounts are noticed at the next look, whatever it is for.
	w.write("beside/b.yaml", nodeText("b2"))
	w.until("a b2", "")
	w.do(syscall.Unmount(w.path("in"), syscall.MNT_DETACH))
	w.write("beside/b.yaml", nodeText("b3"))
	w.until("a b3", "in: cannot be read: is another folder than before, and empty")
	w.write("in/a.yaml", nodeText("c"))
	w.until("b3 c", "")
}

// A folder moved away keeps its watch in the kernel; what happens there must not
// count any more.
func TestWatchFolderMovedAway(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a")}, "in")
	w.until("a", "")
	w.do(os.Rename(w.path("in"), w.path("old")))
	w.until("a", "1 object stays in force")
	w.write("new/a.yaml", nodeText("b"))
	w.do(os.Rename(w.path("new"), w.path("in")))
	w.until("b", "")
	w.write("old/a.yaml", nodeText("c"))
	w.write("in/a.yaml", nodeText("d"))
	w.until("d", "")
}

// How the kubelet updates a mounted ConfigMap (pkg/volume/util/atomic_writer.go).
func TestWatchConfigMapSwap(t *testing.T) {
	for _, paths := range [][]string{{"in"}, {"in/a.yaml"}} {
		t.Run(paths[0], func(t *testing.T) {
			w := startWatch(t, map[string]string{"in/..1/a.yaml": nodeText("a")}, paths...)
			w.do(os.Symlink("..1", w.path("in/..data")))
			w.do(os.Symlink("..data/a.yaml", w.path("in/a.yaml")))
			w.until("a", "")
			for i, name := range []string{"b", "c"} {
				version := fmt.Sprintf("..%d", i+2)
				w.write("in/"+version+"/a.yaml", nodeText(name))
				w.do(os.Symlink(version, w.path("in/..data_tmp")))
				w.do(os.Rename(w.path("in/..data_tmp"), w.path("in/..data")))
				w.do(os.RemoveAll(w.path(fmt.Sprintf("in/..%d", i+1))))
				w.until(name, "")
			}
		})
	}
}

// The whole input as one symlink that is swapped, as deployment tools do, with a
// symlink inside, so that two names lead to one folder.
func TestWatchFolderSymlinkSwap(t *testing.T) {
	w := startWatch(t, map[string]string{"a1/.real": nodeText("a"), "a2/.real": nodeText("b")}, "current")
	w.do(os.Symlink(".real", w.path("a1/a.yaml")))
	w.do(os.Symlink(".real", w.path("a2/a.yaml")))
	w.do(os.Symlink("a1", w.path("current")))
	w.until("a", "")
	w.write("a1/c.yaml", nodeText("c"))
	w.until("a c", "")
	w.do(os.Symlink("a2", w.path("next")))
	w.do(os.Rename(w.path("next"), w.path("current")))
	w.until("b", "")
	w.write("a2/c.yaml", nodeText("c"))
	w.until("b c", "")
	w.write("a2/.real", nodeText("d"))
	w.until("c d", "")
}

// An object that stops converting keeps its last value.
func TestWatchTypoIsNotAWithdrawal(t *testing.T) {
	const subnet = "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\nspec: {cidrBlock: 10.0.0.0/16, natOutgoing: %s}\n"
	good := fmt.Sprintf(subnet, "false") + objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}") + objectstest.SecretHead + "stringData: {password: hunter2}\n"
	w := startWatch(t, map[string]string{"in/a.yaml": good}, "in")
	w.until("", "")
	stays := "; its last good version stays in force"
	for name, tc := range map[string]struct{ text, problem string }{
		"AS 0":            {strings.Replace(good, objectstest.PeerASN, "peerASN: 0", 1), "RFC 6996)" + stays},
		"unknown":         {strings.Replace(good, objectstest.PeerASN, objectstest.PeerASN+"\n  colour: red", 1), "spec.colour: there is no such field; see `kubectl explain` for those there are" + stays},
		"no secret":       {strings.Split(good, objectstest.SecretHead)[0], "Secret md5 is not in the input: add it, or take passwordSecretRef away" + stays},
		"a key twice":     {strings.Replace(good, "natOutgoing: false", "natOutgoing: false, natOutgoing: true", 1), "Subnet s: a key is there twice: line 5: key \"natOutgoing\" already set in map" + stays},
		"no line between": {strings.Replace(good, "---\napiVersion: fairway", "apiVersion: fairway", 1), "is a line with --- missing between two objects?" + stays},
		"NAT a string":    {strings.Replace(good, "natOutgoing: false", "natOutgoing: 'no'", 1), "is neither true nor false (without quotes)" + stays},
		"same address":    {good + objectstest.BGPPeer("a", objectstest.PeerAddress, "peerASN: 65999"), "BGPPeer a: spec.peerAddress: 10.0.0.1: is the address of BGPPeer tor-a too"},
	} {
		w.write("in/a.yaml", tc.text)
		c := w.until("", tc.problem)
		if len(c.Snapshot.Subnets) != 1 || len(c.Snapshot.Peers) != 1 || c.Snapshot.Peers[0].Name != "tor-a" || c.Snapshot.Peers[0].PeerASN != 65000 {
			t.Errorf("%s: subnets %v, peers %v", name, c.Snapshot.Subnets, c.Snapshot.Peers)
		}
		w.write("in/a.yaml", good)
		w.until("", "")
	}
}

// A document whose apiVersion or kind becomes one that nobody reads is no deletion
// of the object that it was.
func TestWatchTypoInTheKindIsNotAWithdrawal(t *testing.T) {
	const subnet = "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\nspec: {cidrBlock: 10.0.0.0/16}\n"
	good := subnet + objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}") + objectstest.SecretHead + "stringData: {password: one}\n" + nodeText("a")
	w := startWatch(t, map[string]string{"in/a.yaml": good}, "in")
	w.until("a", "")
	for name, tc := range map[string]struct{ from, to, problem string }{
		"plural":                {"kind: Subnet", "kind: Subnets", "document 1: Subnet s: kind: Subnets (kubeovn.io/v1): is nothing that Fairway reads"},
		"lower case":            {"kind: Subnet", "kind: subnet", "kind: subnet (kubeovn.io/v1): is nothing"},
		"unknown version":       {"kubeovn.io/v1", "kubeovn.io/v2", "kind: Subnet (kubeovn.io/v2): is nothing"},
		"unknown group":         {"kubeovn.io/v1", "kube-ovn.io/v1", "kind: Subnet (kube-ovn.io/v1): is nothing"},
		"our own kind":          {"kind: BGPPeer", "kind: BgpPeer", "document 2: BGPPeer tor-a: kind: BgpPeer: is nothing"},
		"our own version":       {"fairway.dev/v1alpha1", "fairway.dev/v1", "this version knows BGPPeer"},
		"another group's":       {"fairway.dev/v1alpha1", "metallb.io/v1beta2", "kind: BGPPeer (metallb.io/v1beta2): is nothing"},
		"a Secret with a typo":  {"kind: Secret", "kind: secret", "document 3: Secret md5: kind: secret (v1): is nothing"},
		"a List of one, before": {"kind: Subnet", "kind: SubnetList", "kind: SubnetList (kubeovn.io/v1): is nothing"},
	} {
		for nodes, more := range map[string]string{"a": "", "a b": nodeText("b")} {
			w.write("in/a.yaml", strings.Replace(good, tc.from, tc.to, 1)+more)
			c := w.until(nodes, tc.problem)
			if len(c.Snapshot.Subnets) != 1 || len(c.Snapshot.Peers) != 1 || c.Snapshot.Peers[0].Password != "one" {
				t.Errorf("%s: subnets %v, peers %v", name, c.Snapshot.Subnets, c.Snapshot.Peers)
			}
			if !hasProblem(c, "; its last good version stays in force") {
				t.Errorf("%s: not told that it stays:\n%s", name, problemText(c))
			}
		}
		w.write("in/a.yaml", good)
		w.until("a", "")
	}
}

// What was ignored beside an object before is no typo when that object goes, nor
// is an object that is now in another file lost.
func TestWatchAnotherKindOfTheSameName(t *testing.T) {
	deployment := "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a") + deployment, "in/b.yaml": nodeText("b")}, "in")
	w.until("a b", "")
	w.write("in/a.yaml", deployment)
	w.until("b", "")
	w.write("in/b.yaml", strings.Replace(deployment, "name: a", "name: b", 1))
	w.until("b", "kind: Deployment (apps/v1): is nothing")
	w.write("in/c.yaml", nodeText("b"))
	w.until("b", "")
	w.do(os.Remove(w.path("in/b.yaml")))
	w.write("in/c.yaml", nodeText("c"))
	w.until("c", "")
}

// In files, where nothing has a creationTimestamp, what came later is younger: it
// takes neither prefix nor session from what is there, whatever its name.
func TestWatchNewcomersAreYounger(t *testing.T) {
	subnet := func(name, more string) string {
		return "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: " + name + more + "}\nspec: {cidrBlock: 10.0.0.0/16}\n"
	}
	look := func(v known, minute int, text string) known {
		return v.next([]look{{root: "in", files: []content{{name: "in/a.yaml", data: []byte(text)}}}}, routes.DefaultSettings, noon.Add(time.Duration(minute)*time.Minute))
	}
	created := func(v known) string {
		var out []string
		for _, s := range v.contents.Snapshot.Subnets {
			at := "-"
			if !s.Created.IsZero() {
				at = s.Created.Format("2006 15:04")
			}
			out = append(out, s.Name+" "+at)
		}
		return strings.Join(out, ", ")
	}
	dated := subnet("dated", ", creationTimestamp: \"2025-01-02T03:04:05Z\"")
	first := look(known{}, 0, subnet("routed", "")+dated)
	for _, tc := range []struct {
		name string
		view known
		want string
	}{
		{"at the start", first, "dated 2025 03:04, routed -"},
		{"a newcomer", look(first, 1, subnet("aaa", "")+subnet("routed", "")+dated), "aaa 2026 12:01, dated 2025 03:04, routed -"},
		{"and again", look(look(first, 1, subnet("aaa", "")+subnet("routed", "")), 2, subnet("aaa", ", labels: {a: b}")+subnet("routed", "")), "aaa 2026 12:01, routed -"},
		{"that does not parse any more", look(look(first, 1, subnet("aaa", "")), 2, subnet("aaa", ", labels: 5")), "aaa 2026 12:01"},
		{"that was away", look(look(look(first, 1, subnet("aaa", "")), 2, "# none\n"), 3, subnet("aaa", "")), "aaa 2026 12:03"},
	} {
		if got := created(tc.view); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	v := look(first, 1, objectstest.BGPPeer("tor", objectstest.PeerAddress, objectstest.PeerASN))
	if at := v.contents.Snapshot.Peers[0].Created; !at.Equal(noon.Add(time.Minute)) {
		t.Errorf("a peer of 12:01 is dated %s", at)
	}
}

// A password that stays in force is the old one, until there is a good new one.
func TestWatchPasswordStays(t *testing.T) {
	peer := objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}")
	w := startWatch(t, map[string]string{"in/peer.yaml": peer, "in/secret.yaml": objectstest.SecretHead + "stringData: {password: one}"}, "in")
	w.until("", "")
	w.do(os.Remove(w.path("in/secret.yaml")))
	if c := w.until("", "Secret md5 is not in the input"); c.Snapshot.Peers[0].Password != "one" {
		t.Errorf("password %q", string(c.Snapshot.Peers[0].Password))
	}
	w.write("in/secret.yaml", objectstest.SecretHead+"stringData: {password: two}")
	if c := w.until("", ""); c.Snapshot.Peers[0].Password != "two" {
		t.Errorf("password %q", string(c.Snapshot.Peers[0].Password))
	}
}

// What was never good has nothing to fall back on, and says so.
func TestWatchBadFromTheStart(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": "a: [", "in/b.yaml": nodeText("b")}, "in", "gone")
	c := w.until("b", "a.yaml document 1: line 1")
	if want := []string{w.path("gone"), w.path("in/a.yaml")}; !slices.Equal(c.Unread, want) {
		t.Errorf("unread %v, want %v", c.Unread, want)
	}
	w.write("in/a.yaml", nodeText("a"))
	w.write("gone/c.yaml", nodeText("c"))
	if c := w.until("a b c", ""); len(c.Unread) > 0 {
		t.Errorf("unread %v", c.Unread)
	}
	// Now there is a last good version.
	w.write("in/a.yaml", "a: [")
	if c := w.until("a b c", "document 1 cannot be read; of its last good version 1 object"); len(c.Unread) > 0 {
		t.Errorf("unread %v", c.Unread)
	}
}

// An object that moves to another file while the old one is broken counts there.
func TestWatchMoveWhileBroken(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a") + nodeText("b")}, "in")
	w.until("a b", "")
	w.write("in/a.yaml", "a: [")
	w.until("a b", "2 objects stay")
	w.write("in/b.yaml", strings.Replace(nodeText("b"), "name: b", "name: b, labels: {rack: r}", 1))
	bound := time.After(30 * time.Second)
	for {
		if c, _ := w.files.Latest(); nodeNames(c) == "a b" && c.Snapshot.Nodes[1].Labels["rack"] == "r" {
			if hasProblem(c, "counts: remove one") {
				t.Error("the kept object is reported as a repetition")
			}
			return
		}
		select {
		case <-w.rings:
		case <-bound:
			t.Fatal("the object in the good file does not count")
		}
	}
}

// A problem keeps its date while its field stays wrong, whatever it says.
func TestWatchSince(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": objectstest.BGPPeer("tor-a", objectstest.PeerAddress, "peerASN: 0")}, "in")
	first := w.until("", "peerASN: 0:").Problems[0].Since
	if first.IsZero() {
		t.Fatal("no date")
	}
	w.write("in/a.yaml", nodeText("b")+objectstest.BGPPeer("tor-a", objectstest.PeerAddress, "peerASN: 23456"))
	if got := w.until("b", "peerASN: 23456:").Problems[0].Since; !got.Equal(first) {
		t.Errorf("since %s, want %s", got, first)
	}
}

// Nothing that changes nothing rings.
func TestWatchQuiet(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a")}, "in")
	w.until("a", "")
	select {
	case <-w.rings:
	default:
	}
	w.write("in/a.yaml", nodeText("a"))
	w.write("in/README", "x")
	w.write("in/.a.yaml.swp", nodeText("x"))
	w.write("beside.yaml", nodeText("x"))
	w.do(os.Chtimes(w.path("in/a.yaml"), time.Now(), time.Now()))
	// A change that does ring comes after all of them.
	w.write("in/b.yaml", nodeText("b"))
	select {
	case <-w.rings:
	case <-time.After(30 * time.Second):
		t.Fatal("no ring for a change")
	}
	if c, _ := w.files.Latest(); nodeNames(c) != "a b" {
		t.Errorf("rung for nothing: nodes %s", nodeNames(c))
	}
}

// A file that is written in place and in pieces, each of which ends inside a
// document, never loses an object on the way, whenever it is read.
func TestWatchNeverLosesAnObject(t *testing.T) {
	const all = "a b c d e f g h"
	piece := func(round int, name string) string {
		return fmt.Sprintf("rsion: v1\nkind: Node\nmetadata:\n  labels: {round: r%d}\n  name: %s\n---\napiVe", round, name)
	}
	pieces := func(round int) []string {
		out := []string{"apiVe"}
		for name := range strings.FieldsSeq(all) {
			out = append(out, piece(round, name))
		}
		out[len(out)-1] = strings.TrimSuffix(out[len(out)-1], "---\napiVe")
		return out
	}
	w := startWatch(t, map[string]string{"in/a.yaml": strings.Join(pieces(0), "")}, "in")
	w.until(all, "")
	const rounds = 12
	go func() {
		for i := 1; i <= rounds; i++ {
			f, err := os.Create(w.path("in/a.yaml"))
			if err != nil {
				t.Error(err)
				return
			}
			for _, p := range pieces(i) {
				if _, err := f.WriteString(p); err != nil {
					t.Error(err)
				}
				// From far less than the settling time to more: only then it is read
				// between two pieces.
				time.Sleep(time.Duration(i) * 3 * time.Millisecond)
			}
			f.Close()
		}
	}()
	bound := time.After(30 * time.Second)
	for {
		c, _ := w.files.Latest()
		if got := nodeNames(c); got != all {
			t.Fatalf("nodes %s", got)
		}
		if c.Snapshot.Nodes[0].Labels["round"] == fmt.Sprintf("r%d", rounds) {
			return
		}
		select {
		case <-w.rings:
		case <-bound:
			t.Fatal("the last version was not read")
		}
	}
}

// TestAFileThatDoesNotAnswerFreezesNothing: its objects stay, the others are
// followed, and the end is not waited for.
func TestAFileThatDoesNotAnswerFreezesNothing(t *testing.T) {
	needs.Root(t)
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a"), "in/b.yaml": nodeText("b")}, "in")
	w.until("a b", "")
	// It ends with a message of the kernel that is still to come.
	w.do(os.Remove(w.path("in/a.yaml")))
	w.do(os.Symlink("/proc/kmsg", w.path("in/a.yaml")))
	w.until("a b", "a.yaml: cannot be read: the file system does not answer")
	w.write("in/b.yaml", nodeText("b")+nodeText("c"))
	w.until("a b c", "a.yaml: cannot be read: the file system does not answer")
	w.do(os.Remove(w.path("in/a.yaml")))
	w.write("in/a.yaml", nodeText("d"))
	w.until("b c d", "")
}

func TestAFileOfAGigabyteIsNotRead(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a"), "in/b.yaml": nodeText("b")}, "in")
	w.until("a b", "")
	w.do(os.Truncate(w.path("in/a.yaml"), 1<<30))
	w.until("a b", "a.yaml: cannot be read: is larger than 16 MiB: split it")
	w.write("in/a.yaml", nodeText("c"))
	w.until("b c", "")
}

// TestAFileThatIsWrittenSlowlyIsNotDeletedByItsFirstComment: cut off, then no more
// than its head, then whole.
func TestAFileThatIsWrittenSlowlyIsNotDeletedByItsFirstComment(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a") + nodeText("b")}, "in")
	w.until("a b", "")
	w.write("in/a.yaml", nodeText("a")+"---\napiVe")
	w.until("a b", "document 2 cannot be read")
	w.write("in/a.yaml", "# The nodes.\n")
	w.until("a b", "holds comments alone, after a version that was cut off: if that is meant, remove the file; of its last good version 2 objects stay in force")
	w.write("in/a.yaml", "# The nodes.\n"+nodeText("b"))
	w.until("b", "")
	w.write("in/a.yaml", "# No more.\n")
	w.until("b", "no Node is in the input any more") // a deletion, but of the last Node
}

// TestAReadThatFailedIsTriedAgainSoon: descriptors have run out for a while, and
// nothing tells that they are back.
func TestAReadThatFailedIsTriedAgainSoon(t *testing.T) {
	w := startWatch(t, map[string]string{"in/a.yaml": nodeText("a")}, "in")
	w.until("a", "")
	var limit, none syscall.Rlimit
	w.do(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	none = limit
	none.Cur = 3 // what is open stays so
	w.do(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	w.do(os.Rename(w.path("in/a.yaml"), w.path("in/b.yaml"))) // an event, and no open file
	w.until("a", "too many open files")
	w.do(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	w.until("a", "")
}
