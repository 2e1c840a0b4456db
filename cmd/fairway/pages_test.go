package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// repository is the folder that paths in commands of the documentation start from.
const repository = "../.."

// page is a file of the documentation.
type page struct {
	// path is relative to the repository.
	path, text string
	fences     []fence
}

// fence is a block of a page between ``` and ```. Its first line says what it is:
//
//	sh                 commands, which the test runs; none may fail
//	sh lab n1          commands that TestHostStory of e2e runs on a node of the lab
//	sh not-run: WHY    commands that cannot be run here; flags and files are checked
//	console            a command after each "$ ", which is run, and what it prints; "..."
//	                   stands for lines left out
//	console router     questions to routers, which TestRecipes of e2e/routers asks
//	yaml FILE          the content of a file in the page's folder
//	text, yaml, ...    something else
type fence struct {
	line                 int
	language, info, text string
}

// pages gives README.md, CONTRIBUTING.md, the chart's README and everything below docs.
func pages(t *testing.T) []page {
	t.Helper()
	paths := []string{"README.md", "CONTRIBUTING.md", "manifests/chart/README.md"}
	err := filepath.WalkDir(filepath.Join(repository, "docs"), func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			relative, _ := filepath.Rel(repository, path) // both are relative
			paths = append(paths, filepath.ToSlash(relative))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []page
	for _, path := range paths {
		text, err := os.ReadFile(filepath.Join(repository, path))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page{path, string(text), fences(string(text))})
	}
	return out
}

// fences gives the blocks of a page, also those that are set in as part of a list.
func fences(text string) []fence {
	var out []fence
	var open *fence
	indent := ""
	for i, line := range strings.Split(text, "\n") {
		mark := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(mark, "```"):
			language, info, _ := strings.Cut(strings.TrimPrefix(mark, "```"), " ")
			open, indent = &fence{line: i + 1, language: language, info: info}, line[:len(line)-len(mark)]
		case open != nil && mark == "```":
			out, open = append(out, *open), nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return out
}

func (p page) at(f fence) string { return fmt.Sprintf("%s:%d", p.path, f.line) }

// TestEveryBlockSaysWhatItIs: what looks like commands is marked as such, so that it is
// run or checked.
func TestEveryBlockSaysWhatItIs(t *testing.T) {
	command := regexp.MustCompile(`(?m)^(\$ )?(fairway|bin/fairway|kubectl|helm|make|docker|gobgp|ip|vtysh|birdc) \S`)
	for _, p := range pages(t) {
		for _, f := range p.fences {
			switch {
			case f.language == "sh" || f.language == "console":
				if known := f.info == "" || f.info == "router" || strings.HasPrefix(f.info, "not-run: ") || strings.HasPrefix(f.info, "lab ") || p.isFile(f); !known {
					t.Errorf("%s: %q is neither a file nor router nor lab NODE nor not-run: WHY", p.at(f), f.info)
				}
			case (f.language == "" || f.language == "text") && command.MatchString(f.text):
				t.Errorf("%s: this has commands: begin it with ```sh, ```console, or with \"not-run: WHY\" behind that", p.at(f))
			}
		}
	}
}

// isFile is whether a block says that it is a file of the page's folder.
func (p page) isFile(f fence) bool {
	if f.info == "" || strings.Contains(f.info, ":") {
		return false
	}
	info, err := os.Stat(filepath.Join(repository, filepath.Dir(p.path), f.info))
	return err == nil && !info.IsDir()
}

// TestBlocksAreTheFilesThatTheyName: a reader who copies the block has the file.
func TestBlocksAreTheFilesThatTheyName(t *testing.T) {
	for _, p := range pages(t) {
		for _, f := range p.fences {
			if !p.isFile(f) {
				continue
			}
			file, err := os.ReadFile(filepath.Join(repository, filepath.Dir(p.path), f.info))
			if diff := cmp.Diff(string(file), f.text); err != nil || diff != "" {
				t.Errorf("%s: %v\n-%s +page:\n%s", p.at(f), err, f.info, diff)
			}
		}
	}
}

// TestPagesShowWhatTheCommandsPrint runs what can be run without a cluster: blocks of sh,
// and of console, whose output it compares.
func TestPagesShowWhatTheCommandsPrint(t *testing.T) {
	for _, p := range pages(t) {
		folder := workFolder(t)
		for _, f := range p.fences {
			switch {
			case f.info != "":
			case f.language == "sh":
				if out, err := shell(folder, f.text); err != nil {
					t.Errorf("%s: %v\n%s", p.at(f), err, out)
				}
			case f.language == "console":
				p.runConsole(t, f, folder)
			}
		}
	}
}

// workFolder is a folder with the files that commands name, in which they may write.
func workFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"docs", "manifests"} {
		if err := os.Symlink(mustAbs(filepath.Join(repository, name)), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// shell runs commands as a user does who has no cluster.
func shell(folder, commands string) (string, error) {
	c := exec.Command("bash", "-e", "-o", "pipefail", "-c", commands)
	c.Dir = folder
	c.Env = append(os.Environ(), "HOME="+folder, "KUBECONFIG=", "NO_COLOR=1")
	out, err := c.CombinedOutput()
	return string(out), err
}

// runConsole runs each command of a block. Its exit status is not looked at: a plan with
// something wrong in it is worth showing.
func (p page) runConsole(t *testing.T, f fence, folder string) {
	t.Helper()
	for _, part := range strings.Split("\n"+f.text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		got, _ := shell(folder, command)
		if !printed(strings.TrimRight(want, "\n"), strings.TrimRight(got, "\n")) {
			t.Errorf("%s: %s (-page +program)\n%s", p.at(f), command, cmp.Diff(want, got))
		}
	}
}

// printed is whether the output is the wanted text, in which a line of ... stands for any
// lines.
func printed(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want+"\n"), regexp.QuoteMeta("...\n"), `(.*\n)*`)
	return regexp.MustCompile("^" + pattern + "$").MatchString(got + "\n")
}

// TestCommandsInPagesAreUnderstood: each fairway command line, in a block or in the text,
// has commands and flags that there are; and each file and make target is there.
func TestCommandsInPagesAreUnderstood(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, words := range p.commandLines() {
			if err := understood(words); err != nil && !strings.Contains(err.Error(), "flag needs an argument") { // in the text a flag is named alone
				t.Errorf("%s: %s: %v", p.path, strings.Join(words, " "), err)
			}
			if words[0] == "make" && len(words) > 1 && !bytes.Contains(makefile, []byte("\n"+words[1]+":")) {
				t.Errorf("%s: there is no make %s", p.path, words[1])
			}
			for _, missing := range missingFiles(words) {
				t.Errorf("%s: %s: there is no %s", p.path, strings.Join(words, " "), missing)
			}
		}
	}
}

// commandLines gives the commands in blocks and in code within the text.
func (p page) commandLines() (out [][]string) {
	for _, f := range p.fences {
		switch {
		case f.language == "sh" && !p.isFile(f):
			out = append(out, commands(f.text)...)
		case f.language == "console" && f.info != "router":
			for _, m := range regexp.MustCompile(`(?m)^\$ (.*)$`).FindAllStringSubmatch(f.text, -1) {
				out = append(out, commands(m[1])...)
			}
		}
	}
	for _, m := range regexp.MustCompile("`(?:kubectl |bin/)?(fairway [^`\n]+)`").FindAllStringSubmatch(p.text, -1) {
		out = append(out, commands(strings.ReplaceAll(m[1], `\|`, "|"))...)
	}
	return out
}

// token is a word of a shell, or what stands between commands.
var token = regexp.MustCompile(`'[^']*'|"[^"]*"|#.*|\|\||&&|\$\(|[|;&()<>\n]|(?:[^\s|;&()<>"'\\$]|\\.|\$[^(]|\$$)+|[ \t]+`)

// commands splits a text of shell into its commands, and these into words.
func commands(text string) (out [][]string) {
	var words []string
	word, glued := "", false
	end := func() {
		if glued {
			words = append(words, word)
		}
		word, glued = "", false
	}
	for _, s := range token.FindAllString(strings.ReplaceAll(text, "\\\n", " "), -1) {
		switch {
		case strings.TrimSpace(s) == "" && s != "\n":
			end()
		case strings.ContainsAny(s[:1], "|;&()<>\n") || s == "$(":
			end()
			out, words = append(out, words), nil
		case strings.HasPrefix(s, "#") && !glued:
		default:
			word, glued = word+strings.Trim(s, `'"`), true
		}
	}
	end()
	return slices.DeleteFunc(append(out, words), func(w []string) bool { return len(w) == 0 })
}

// understood parses the arguments of a fairway in a command, as the program would.
func understood(words []string) error {
	i := slices.IndexFunc(words, func(w string) bool { return w == "fairway" || strings.HasSuffix(w, "/fairway") })
	if i < 0 || i > 0 && words[i-1] != "--" && words[i-1] != "kubectl" && words[i-1] != "sudo" {
		return nil
	}
	root := newRootCommand("fairway")
	root.InitDefaultCompletionCmd()
	c, rest, err := root.Find(words[i+1:])
	if err != nil {
		return err
	}
	if c == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return fmt.Errorf("there is no command %s", rest[0])
	}
	if c.DisableFlagParsing {
		return nil
	}
	return c.ParseFlags(rest)
}

// missingFiles gives the words that name files of the repository which are not there.
func missingFiles(words []string) (out []string) {
	for _, w := range words {
		if !strings.HasPrefix(w, "docs/") && !strings.HasPrefix(w, "manifests/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(repository, w)); err != nil {
			out = append(out, w)
		}
	}
	return out
}

// TestChartFlagsInPagesAreFlagsOfRun: flags.NAME is a flag of fairway run.
func TestChartFlagsInPagesAreFlagsOfRun(t *testing.T) {
	run, _, err := newRootCommand("fairway").Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, m := range regexp.MustCompile(`\bflags\.([a-z][a-z-]*)`).FindAllStringSubmatch(p.text, -1) {
			if run.Flags().Lookup(m[1]) == nil {
				t.Errorf("%s: %s: fairway run has no --%s", p.path, m[0], m[1])
			}
		}
	}
}

// TestTablesOfKubectlHaveTheirColumns: what pages show of kubectl get begins with the
// columns of the CRD.
func TestTablesOfKubectlHaveTheirColumns(t *testing.T) {
	var known []string
	for _, plural := range []string{"bgppeers", "speakers"} {
		known = append(known, kubectlColumns(t, plural))
	}
	for _, p := range pages(t) {
		for _, f := range p.fences {
			for line := range strings.Lines(f.text) {
				if got := strings.Join(strings.Fields(line), " "); strings.HasPrefix(got, "NAME ") && !slices.Contains(known, got) {
					t.Errorf("%s: the columns are %q, and kubectl's one of %q", p.at(f), got, known)
				}
			}
		}
	}
}

// kubectlColumns is the first line of kubectl get, without -o wide.
func kubectlColumns(t *testing.T, plural string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "manifests", "crds", "fairway.dev_"+plural+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				AdditionalPrinterColumns []struct {
					Name     string
					Priority int
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	columns := "NAME"
	for _, c := range crd.Spec.Versions[0].AdditionalPrinterColumns {
		if c.Priority == 0 {
			columns += " " + strings.ToUpper(c.Name)
		}
	}
	return columns
}

// TestLinksLeadSomewhere follows the links between pages, down to the heading.
func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	changelog, err := os.ReadFile(filepath.Join(repository, "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, page{path: "CHANGELOG.md", text: string(changelog)})
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, p := range all {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			if err := p.follow(m[1]); err != nil && !strings.Contains(m[1], "://") {
				t.Errorf("%s: %s: %v", p.path, m[1], err)
			}
		}
	}
}

// follow goes where a link leads.
func (p page) follow(link string) error {
	file, heading, _ := strings.Cut(link, "#")
	path := filepath.Join(repository, filepath.Dir(p.path), file)
	if file == "" {
		path = filepath.Join(repository, p.path)
	}
	if heading == "" {
		_, err := os.Stat(path)
		return err
	}
	text, err := os.ReadFile(path)
	if err == nil && !slices.Contains(anchors(string(text)), heading) {
		return fmt.Errorf("no heading has the anchor %s", heading)
	}
	return err
}

// anchors are those that GitHub gives the headings of a page.
func anchors(text string) (out []string) {
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		a := strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if n := seen[a]; n > 0 {
			out = append(out, fmt.Sprintf("%s-%d", a, n))
		} else {
			out = append(out, a)
		}
		seen[a]++
	}
	return out
}

// TestTheIndexHasEveryPage: docs/README.md leads to each page below docs.
func TestTheIndexHasEveryPage(t *testing.T) {
	all := pages(t)
	i := slices.IndexFunc(all, func(p page) bool { return p.path == "docs/README.md" })
	if i < 0 {
		t.Fatal("there is no docs/README.md")
	}
	for _, p := range all {
		target, below := strings.CutPrefix(p.path, "docs/")
		if below && target != "README.md" && !strings.Contains(all[i].text, "]("+target) {
			t.Errorf("docs/README.md does not lead to %s", p.path)
		}
	}
}
