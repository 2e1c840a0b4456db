// Package fairway holds the tests of the conventions that the whole tree
// keeps. It has no code of its own.
package fairway

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
)

const module = "github.com/fairway-bgp/fairway/"

// level is where each package stands: it imports only from lower levels, and
// within the same level only what alsoAllowed names.
func level() map[string]int {
	return map[string]int{
		"columns": -1, "bell": -1, "bfd": -1, "cover": -1, "flock": -1, "inet": -1, "parallel": -1, "progress": -1, "replace": -1,
		"door": 0, "routes": 0, "bfd/wire": 0, "host": 0, "host/netfilter": 0, "host/program": 0, "host/hosttest": 0, "api/v1alpha1": 0, "lab": 0,
		"policy": 1, "host/enforce": 1,
		"objects": 2, "objects/objectstest": 2, "policy/policytest": 2, "speaker": 2, "status": 2, "export": 2, "discover": 2,
		"files": 3, "kube": 3, "account": 3, "picture": 3,
		"daemon": 4, "web": 4,
		"cmd/fairway": 5,
	}
}

// why explains each level to whoever breaks the order.
func why() map[int]string {
	return map[int]string{
		-1: "small common ground (how text for people is set, how a loop is woken, what the Internet agrees on, how a file is replaced or locked, how far something long is, how a path is watched, which prefixes cover addresses, how much is done at once): it serves every other room and knows none",
		0:  "vocabulary and the outside world: they must be understood, and tested, without anything else",
		1:  "the decision: values in, values out, whoever reads the objects and speaks BGP; and what is written on the host for it",
		2:  "text to values, finding neighbours, speaking BGP, the published picture and other routers' configuration: they know what a decision is made of and what it says, and nothing of each other",
		3:  "the two sources, a node's account of itself, and what the page shows of either: an account does not know how it gets into the cluster, and a picture not who looks at it",
		4:  "the loop is the only place where things meet, and the page shows what came of it",
		5:  "commands wire things together",
	}
}

// sameLevel are the arrows within a level.
func sameLevel() map[string][]string {
	return map[string][]string{"host": {"host/netfilter", "host/program"}, "host/program": {"host/netfilter"}, "status": {"objects"}, "picture": {"account"}}
}

// inTests are the arrows that a package's tests may have besides: they use the
// real thing where the package itself must not know it.
func inTests() map[string][]string {
	return map[string][]string{
		"host":           {"host/hosttest"},
		"host/enforce":   {"host/hosttest"},
		"host/netfilter": {"host/hosttest"},
		"kube":           {"account"},
		"lab":            {"cmd/fairway"},
		"objects":        {"objects/objectstest"},
		"policy":         {"files", "objects"},
	}
}

// forTests are the packages that every test may import, and nothing else.
func forTests() []string { return []string{"e2e/needs", "e2e/kubetest", "e2e/rapidseed"} }

// only says which packages may import what, by the beginning of the path; none may
// import what has no package here.
func only() map[string][]string {
	return map[string][]string{
		"github.com/osrg/gobgp":          {"speaker", "lab"},
		"k8s.io/client-go":               {"kube"},
		"github.com/vishvananda/netlink": {"host", "host/netfilter", "host/hosttest", "lab", "discover"},
		"github.com/mdlayher/ndp":        {"discover"},
		"github.com/prometheus":          {"web"},
		"github.com/spf13/cobra":         {"cmd/fairway"},
		"github.com/spf13/pflag":         {"cmd/fairway"},
		"github.com/fsnotify/fsnotify":   {"files", "lab"}, // the lab watches a state file of its own
		"github.com/coreos/go-iptables":  {"host/enforce"},
		"github.com/google/nftables":     {},
	}
}

// atRoot is what may lie at the root of the repository.
func atRoot() []string {
	return []string{
		"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
		"arch_test.go", "go.mod", "go.sum",
		"account", "api", "bell", "bfd", "cmd", "columns", "cover", "daemon", "discover", "docs", "door", "e2e", "export", "files", "flock", "host", "inet", "kube", "lab", "manifests",
		"objects", "parallel", "picture", "policy", "progress", "replace", "routes", "scripts", "speaker", "status", "tools", "web",
	}
}

// pure are the packages of values in, values out: the standard library, and there
// nothing that knows the time, the process or the machine, and the libraries named,
// by the beginning of their paths, which are values in, values out too.
func pure() map[string][]string {
	return map[string][]string{
		"columns": nil, "cover": nil, "inet": nil, "bfd": nil, "routes": nil, "policy": nil, "export": nil,
		"account": {"k8s.io/apimachinery/"},
		"picture": nil,
		"objects": {"go.yaml.in/yaml/v2", "k8s.io/apimachinery/", "sigs.k8s.io/json", "sigs.k8s.io/yaml"},
	}
}

func impure() []string {
	return []string{"os", "log", "net/http", "io/fs", "math/rand", "math/rand/v2", "runtime", "syscall", "context", "sync"}
}

// source is one Go file of the tree.
type source struct {
	pkg, path string
	test      bool
	file      *ast.File
	set       *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); path != "." && (err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(filepath.Dir(path)), path, strings.HasSuffix(path, "_test.go"), f, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// imports gives the import paths of a file.
func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}

func TestPackagesImportOnlyFromLowerLevels(t *testing.T) {
	levels := level()
	for _, s := range sources(t) {
		from, known := levels[s.pkg]
		if s.pkg == "." || strings.HasPrefix(s.pkg, "e2e") {
			continue
		}
		if !known {
			t.Errorf("%s: package %s has no level: give it one in arch_test.go", s.path, s.pkg)
			continue
		}
		for _, i := range s.imports() {
			to, ours := strings.CutPrefix(i, module)
			if !ours || levels[to] < from && !slices.Contains(forTests(), to) || slices.Contains(sameLevel()[s.pkg], to) {
				continue
			}
			if s.test && (to == s.pkg || slices.Contains(forTests(), to) || slices.Contains(inTests()[s.pkg], to)) {
				continue
			}
			t.Errorf("%s: %s (level %d) must not import %s (level %d): %s", s.path, s.pkg, from, to, levels[to], why()[from])
		}
	}
}

func TestLevelsNamePackagesThatExist(t *testing.T) {
	for pkg := range level() {
		if _, err := os.Stat(pkg); err != nil {
			t.Errorf("package %s has a level but is not there: %v", pkg, err)
		}
	}
}

func TestOnlyOnePackageKnowsEachLibrary(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.pkg, "e2e") {
			continue
		}
		for _, i := range s.imports() {
			for prefix, allowed := range only() {
				if strings.HasPrefix(i, prefix) && !slices.Contains(allowed, s.pkg) {
					t.Errorf("%s imports %s: only %v may, so that the others can be understood without it", s.path, i, allowed)
				}
			}
		}
	}
}

// TestOnlyWhatBelongsThereLiesAtTheRoot passes over what .gitignore names, and what
// hides: editors keep their own there.
func TestOnlyWhatBelongsThereLiesAtTheRoot(t *testing.T) {
	there, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range there {
		name := f.Name()
		if name == "bin" || name == "dist" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".test") || slices.Contains(atRoot(), name) {
			continue
		}
		t.Errorf("%s lies at the root: if it belongs there, say so in arch_test.go", name)
	}
}

func TestPurePackagesKnowNeitherTimeNorMachine(t *testing.T) {
	for _, s := range sources(t) {
		libraries, isPure := pure()[s.pkg]
		if s.test || !isPure {
			continue
		}
		for _, i := range s.imports() {
			allowed := !strings.Contains(i, ".") || strings.HasPrefix(i, module) ||
				slices.ContainsFunc(libraries, func(l string) bool { return strings.HasPrefix(i, l) })
			if !allowed || slices.Contains(impure(), i) {
				t.Errorf("%s imports %s: %s is values in, values out, on the standard library and %q alone", s.path, i, s.pkg, libraries)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, sel.Sel.Name) {
					t.Errorf("%s: time.%s: %s must not know what time it is", s.set.Position(n.Pos()), sel.Sel.Name, s.pkg)
				}
			}
			return true
		})
	}
}

func TestNoInitAndNoMutablePackageVariables(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init: nothing happens before main asks for it", s.set.Position(f.Pos()))
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for _, name := range v.Names {
					if !neverChanges(s, v, name.Name) {
						t.Errorf("%s: package variable %s: state belongs to a value that somebody owns", s.set.Position(name.Pos()), name.Name)
					}
				}
			}
		}
	}
}

// neverChanges allows what the language has no constants for, as long as
// nobody in the package assigns to it: errors, tables, embedded files,
// interface checks, and the version that the linker sets.
func neverChanges(s source, v *ast.ValueSpec, name string) bool {
	if name == "_" || name == "version" && s.pkg == "cmd/fairway" || strings.HasPrefix(s.pkg, "api/") {
		return true
	}
	if ident, ok := v.Type.(*ast.Ident); ok && ident.Name == "string" && len(v.Values) == 0 {
		return true // go:embed
	}
	if sel, ok := v.Type.(*ast.SelectorExpr); ok && fmt.Sprint(sel.X) == "embed" {
		return true
	}
	for _, value := range v.Values {
		switch x := value.(type) {
		case *ast.CompositeLit:
		case *ast.CallExpr:
			f, ok := x.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"New", "MustCompile", "MustParsePrefix", "MustParseAddr", "NewReplacer"}, f.Sel.Name) {
				return false
			}
		default:
			return false
		}
	}
	return len(v.Values) > 0
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	says := map[string]bool{}
	for _, s := range sources(t) {
		if s.file.Doc != nil {
			says[s.pkg] = true
		} else if _, ok := says[s.pkg]; !ok {
			says[s.pkg] = false
		}
	}
	for pkg, ok := range says {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func TestEveryReasonIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range policy.ReasonNames() {
		if !strings.Contains(string(doc), "## "+string(r)+"\n") {
			t.Errorf("docs/reasons.md has no entry for %s", r)
		}
	}
	for _, w := range policy.WarningReasons() {
		if !strings.Contains(string(doc), "### "+string(w.Reason)+"\n") {
			t.Errorf("docs/reasons.md has no entry for warning %s", w.Reason)
		}
	}
}

// TestEveryPromiseIsShownByTests looks for the tests that docs/promises.md names.
func TestEveryPromiseIsShownByTests(t *testing.T) {
	doc, err := os.ReadFile("docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	there := testsThatExist(t)
	promises := 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise |") {
			continue
		}
		promises++
		tests := testName().FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("docs/promises.md: no test shows this: %s", line)
		}
		for _, test := range tests {
			if !there[test[1]] {
				t.Errorf("docs/promises.md: there is no %s, which is to show this: %s", test[1], line)
			}
		}
	}
	if promises == 0 {
		t.Error("docs/promises.md promises nothing")
	}
}

// testName matches a test that a page names.
func testName() *regexp.Regexp { return regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]*)`") }

// testsThatExist are the names of all tests of the tree.
func testsThatExist(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				there[f.Name.Name] = true
			}
		}
	}
	return there
}

// TestPagesNameTestsThatExist looks for the tests that any page below docs names.
func TestPagesNameTestsThatExist(t *testing.T) {
	there := testsThatExist(t)
	err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, test := range testName().FindAllStringSubmatch(string(text), -1) {
			if !there[test[1]] {
				t.Errorf("%s: there is no %s", path, test[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryConditionIsDocumented looks for the condition types and reasons that the
// API declares.
func TestEveryConditionIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range sources(t) {
		if s.path != filepath.Join("api", "v1alpha1", "conditions.go") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			found++
			name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil || !strings.Contains(string(doc), "`"+name+"`") {
				t.Errorf("docs/cluster.md has no entry for %s (%v)", v.Names[0].Name, err)
			}
			return true
		})
	}
	if found == 0 {
		t.Error("no condition is declared")
	}
}
