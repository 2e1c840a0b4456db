package routers

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// recipesFolder has a folder for each recipe: what is applied, the cluster that it is for,
// and what the routers then have.
const recipesFolder = "../../docs/recipes"

// recipe is a folder of docs/recipes that is played here. Its README shows what each
// router has.
type recipe struct {
	folder  string
	routers []recipeRouter
	// bird is whether BIRD plays the routers, and not FRR.
	bird bool
}

// recipeRouter is a router as the README's prompts name it.
type recipeRouter struct {
	name string
	// peers are the BGPPeers that it is the neighbour of; it has their addresses and loads
	// what `fairway plan -o` prints for them.
	peers []string
	// file is configuration besides, in the recipe's folder.
	file string
	// address is that of a router that no BGPPeer names.
	address string
}

// recipes are those that no story of their own plays.
func recipes() []recipe {
	tor := []recipeRouter{{name: "tor", peers: []string{"tor"}}}
	return []recipe{
		{folder: "two-tors", routers: []recipeRouter{{name: "tor-a", peers: []string{"tor-a"}}, {name: "tor-b", peers: []string{"tor-b"}}}},
		{folder: "rack-as", routers: []recipeRouter{{name: "tor-rack-a", peers: []string{"tor-rack-a"}}, {name: "tor-rack-b", peers: []string{"tor-rack-b"}}}},
		{folder: "route-reflectors", routers: []recipeRouter{
			{name: "rr-1", peers: []string{"rr-1"}, file: "router/rr.conf"}, {name: "rr-2", peers: []string{"rr-2"}, file: "router/rr.conf"},
			{name: "edge", address: "172.30.0.3", file: "router/edge.conf"},
		}},
		{folder: "ipv6-only", routers: []recipeRouter{{name: "tor", peers: []string{"tor"}, file: "router/bird.conf"}}, bird: true},
		{folder: "dual-stack-one-session", routers: tor},
		{folder: "dual-stack-two-sessions", routers: []recipeRouter{{name: "tor", peers: []string{"tor-v4", "tor-v6"}}}},
		{folder: "centralized-standby", routers: tor},
		{folder: "ecmp-gateways", routers: tor},
		{folder: "nat-policy", routers: tor},
		{folder: "pods-mode", routers: []recipeRouter{{name: "tor", peers: []string{"tor"}}, {name: "edge", peers: []string{"edge"}}}},
		{folder: "static-routes", routers: []recipeRouter{{name: "host", address: "172.30.0.1"}}},
		{folder: "vip-keepalived", routers: tor},
	}
}

// recipeFiles gives files of a recipe, as one stream of objects.
func recipeFiles(t *testing.T, folder string, names ...string) string {
	t.Helper()
	must.Reads(t, filepath.Join(recipesFolder, folder))
	var texts []string
	for _, name := range names {
		texts = append(texts, string(must.ReadFile(t, filepath.Join(recipesFolder, folder, name))))
	}
	return strings.Join(texts, "---\n")
}

// TestRecipes gives the files of each recipe to real daemons and real routers, and wants
// the routers to show what its README says.
func TestRecipes(t *testing.T) {
	needs.Root(t, "ip", frrBgpd, frrZebra, "vtysh", "bird", "birdc")
	must.Reads(t, recipesFolder)
	for i, r := range recipes() {
		t.Run(r.folder, func(t *testing.T) {
			t.Parallel()
			newRecipeWorld(t, r, i).play(t)
		})
	}
}

// TestEachRecipeIsPlayed: a folder of docs/recipes is one of those above, or its README
// names the story that plays it.
func TestEachRecipeIsPlayed(t *testing.T) {
	readmes, err := filepath.Glob(filepath.Join(recipesFolder, "*", "README.md"))
	if err != nil || len(readmes) == 0 {
		t.Fatalf("%v, %v", readmes, err)
	}
	for _, readme := range readmes {
		folder := filepath.Base(filepath.Dir(readme))
		played := slices.ContainsFunc(recipes(), func(r recipe) bool { return r.folder == folder })
		if !played && !regexp.MustCompile("`Test[A-Za-z]+`").Match(must.ReadFile(t, readme)) {
			t.Errorf("docs/recipes/%s: no test plays it, and its README names none", folder)
		}
	}
}

// recipeWorld is a network with the nodes and routers of a recipe on it, each in a
// namespace.
type recipeWorld struct {
	recipe
	t               *testing.T
	prefix, fairway string
	input           []string
	objects         []recipeObject
	vtysh           map[string]*frr
}

// recipeObject is what the story has to know of a Node or a BGPPeer.
type recipeObject struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct{ PeerAddress string }
	Status   struct{ Addresses []struct{ Address string } }
	Items    []recipeObject
}

func newRecipeWorld(t *testing.T, r recipe, number int) *recipeWorld {
	t.Helper()
	folder := filepath.Join(recipesFolder, r.folder)
	w := &recipeWorld{recipe: r, t: t, prefix: fmt.Sprintf("fwr%d-%d", os.Getpid(), number), fairway: program.Build(t), vtysh: map[string]*frr{}}
	w.input = []string{"-f", folder, "-f", filepath.Join(folder, "cluster")}
	w.read(folder)
	w.read(filepath.Join(folder, "cluster"))
	w.namespace("switch")
	w.ip("switch", "link add br0 type bridge")
	w.ip("switch", "link set br0 up")
	for _, o := range w.objects {
		if o.Kind == "Node" {
			w.station(o.Metadata.Name, o.addresses())
		}
	}
	for _, router := range r.routers {
		w.station(router.name, w.routerAddresses(router))
	}
	return w
}

// read takes the objects of a folder.
func (w *recipeWorld) read(folder string) {
	w.t.Helper()
	texts, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(texts) == 0 {
		w.t.Fatalf("%s: %v, %v", folder, texts, err)
	}
	for _, file := range texts {
		for text := range strings.SplitSeq(string(must.ReadFile(w.t, file)), "\n---\n") {
			var o recipeObject
			if err := yaml.Unmarshal([]byte(text), &o); err != nil {
				w.t.Fatalf("%s: %v", file, err)
			}
			w.objects = append(append(w.objects, o), o.Items...)
		}
	}
}

func (o recipeObject) addresses() (all []string) {
	for _, a := range o.Status.Addresses {
		all = append(all, a.Address)
	}
	return all
}

func (w *recipeWorld) routerAddresses(r recipeRouter) (all []string) {
	if r.address != "" {
		return []string{r.address}
	}
	for _, o := range w.objects {
		if o.Kind == "BGPPeer" && slices.Contains(r.peers, o.Metadata.Name) {
			all = append(all, o.Spec.PeerAddress)
		}
	}
	if !slices.ContainsFunc(all, func(a string) bool { return strings.Contains(a, ":") }) {
		all = append(all, "fd00:30::1") // its own; the nodes' IPv6 next hops are on this network
	}
	return all
}

func (w *recipeWorld) namespace(name string) {
	w.t.Helper()
	w.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", w.prefix+name).Run() }) // there may be none yet
	must.Run(w.t, "ip", "netns", "add", w.prefix+name)
	w.ip(name, "link set lo up")
}

// station makes a namespace with these addresses on the network.
func (w *recipeWorld) station(name string, addresses []string) {
	w.t.Helper()
	w.namespace(name)
	w.ip(name, "link add eth0 type veth peer name to-"+name+" netns "+w.prefix+"switch")
	w.ip("switch", "link set to-"+name+" master br0 up")
	for _, a := range addresses {
		length := 24
		if netip.MustParseAddr(a).Is6() {
			length = 64
		}
		w.ip(name, fmt.Sprintf("addr add %s/%d dev eth0%s", a, length, map[bool]string{true: " nodad"}[length == 64]))
	}
	w.ip(name, "link set eth0 up")
}

// ip runs ip(8) in one of the namespaces.
func (w *recipeWorld) ip(name, args string) string {
	w.t.Helper()
	return must.Run(w.t, append([]string{"ip", "-n", w.prefix + name}, strings.Fields(args)...)...)
}

// plan is what `fairway plan` prints of the recipe's files.
func (w *recipeWorld) plan(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(w.fairway, slices.Concat([]string{"plan"}, w.input, args)...).Output()
	if err != nil {
		w.t.Fatalf("plan %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// play starts everything and compares what the README shows.
func (w *recipeWorld) play(t *testing.T) {
	t.Helper()
	for _, r := range w.routers {
		w.start(r)
	}
	for _, o := range w.objects {
		if o.Kind == "Node" && w.peered() {
			daemon(t, w.prefix+o.Metadata.Name, slices.Concat([]string{w.fairway, "run"}, w.input, []string{"--node", o.Metadata.Name,
				"--datapath-gate=false", "--host=off", "--grpc-socket=", "--grpc-address=", "--run-dir=" + t.TempDir(), "--host-state=" + t.TempDir()})...)
		}
	}
	w.wantShown(t)
}

// peered is whether the recipe has a BGPPeer; without one there is nothing for a daemon to do.
func (w *recipeWorld) peered() bool {
	return slices.ContainsFunc(w.objects, func(o recipeObject) bool { return o.Kind == "BGPPeer" })
}

// start starts a router with what is printed for it, or gives a host without BGP its
// static routes.
func (w *recipeWorld) start(r recipeRouter) {
	w.t.Helper()
	language := map[bool]string{true: "bird", false: "frr"}[w.bird]
	var config strings.Builder
	for _, p := range r.peers {
		config.WriteString(w.plan("-o", language, "--peer", p))
	}
	if r.file != "" {
		config.Write(must.ReadFile(w.t, filepath.Join(recipesFolder, w.folder, r.file)))
	}
	switch {
	case config.Len() == 0:
		must.Run(w.t, "ip", "netns", "exec", w.prefix+r.name, "sh", "-ec", w.plan("-o", "iproute"))
	case w.bird:
		runBIRD(w.t, w.prefix+r.name, config.String())
	default:
		w.vtysh[r.name] = runFRR(w.t, w.prefix+r.name, "log stdout\n"+config.String(), "")
	}
}

// shownBlock is a block of a README in which routers are asked: NAME# is FRR's vtysh,
// and NAME$ a shell.
var shownBlock = regexp.MustCompile("(?ms)^```console router\n(.*?)^```$")

// prompt is a question in such a block.
var prompt = regexp.MustCompile(`^([-a-z0-9]+)([#$]) (.*)\n$`)

// wantShown waits until each router answers as the README says.
func (w *recipeWorld) wantShown(t *testing.T) {
	t.Helper()
	readme := filepath.Join(recipesFolder, w.folder, "README.md")
	blocks := shownBlock.FindAllStringSubmatch(string(must.ReadFile(t, readme)), -1)
	if len(blocks) == 0 {
		t.Fatalf("%s shows no router", readme)
	}
	for _, b := range blocks {
		got := ""
		if !must.Eventually(func() bool { got = w.answers(b[1]); return got == b[1] && !unanswered.MatchString(got) }) {
			t.Errorf("%s shows\n%s\nand the routers\n%s", readme, b[1], got)
		}
	}
}

// unanswered is a question in a block that no answer follows.
var unanswered = regexp.MustCompile(`(?m)^[-a-z0-9]+[#$] .*\n([-a-z0-9]+[#$] |\z)`)

// answers asks the questions of a block, and gives it with the answers of now.
func (w *recipeWorld) answers(block string) string {
	var out strings.Builder
	for line := range strings.Lines(block) {
		q := prompt.FindStringSubmatch(line)
		if q == nil {
			continue
		}
		answer := ""
		if router, is := w.vtysh[q[1]]; is && q[2] == "#" {
			answer = withoutLegend(router.ask(q[3]))
		} else {
			b, _ := exec.Command("ip", "netns", "exec", w.prefix+q[1], "sh", "-c", q[3]).Output() // not there yet
			answer = string(b)
		}
		out.WriteString(line + lineEnds.ReplaceAllString(answer, ""))
	}
	return out.String()
}

// ask gives the answer of whichever of FRR's daemons knows, "" on failure.
func (f *frr) ask(command string) string {
	out, err := exec.Command("vtysh", "--vty_socket", f.dir, "-c", command).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// lineEnds are blanks at the ends of lines, which no page shows.
var lineEnds = regexp.MustCompile(`(?m) +$`)

// age is how long FRR has had a route.
var age = regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`)

// withoutLegend takes away what FRR prints around a table, and ages, which no two looks
// have in common.
func withoutLegend(answer string) string {
	var out []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(answer), "\n\n") {
		first, _, _ := strings.Cut(strings.TrimLeft(paragraph, "\n"), " ")
		if !slices.Contains([]string{"Codes:", "BGP", "Displayed", "Total"}, first) && paragraph != "" {
			out = append(out, paragraph)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return age.ReplaceAllString(strings.Join(out, "\n"), "00:00:09") + "\n"
}
