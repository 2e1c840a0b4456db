package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// Router names the BGP implementation that plays the top-of-rack router.
type Router string

// The routers. Embedded is GoBGP inside this binary, which writes the kernel's
// routes itself; FRR and BIRD are the real programs, from their packages.
const (
	Embedded Router = "embedded"
	FRR      Router = "frr"
	BIRD     Router = "bird"
)

// Options say which lab is meant. The zero value is the default lab.
type Options struct {
	// Prefix begins the names of the lab's namespaces. It is one lower-case word
	// and a dash; default "fw-". Labs with different prefixes do not meet.
	Prefix string
	// State is the folder for YAML, sockets and logs, made by Start and removed
	// by Down. Default /run/fairway-lab/PREFIX without the dash.
	State string
	// Binary is the fairway to run; default: the program that is running.
	Binary string
	// Router is the implementation to use; default Embedded.
	Router Router
	// RouterConfig is the whole configuration of FRR's bgpd or of BIRD; default: one
	// that takes what the nodes send.
	RouterConfig string
	// DaemonFlags are given to every node's daemon.
	DaemonFlags []string
	// Gobgp is the gobgp CLI for the last step of the demo; default: the one on
	// PATH.
	Gobgp string
	// Progress gets a line for each step of the building; default: nowhere.
	Progress io.Writer
	// Log gets what the lab's own processes do; default: nowhere.
	Log *logrus.Entry
}

// prefixForm keeps one prefix from being the beginning of another's names.
const prefixForm = `^[a-z][a-z0-9]{0,11}-$`

// usualPrefix is that of a lab that is given none.
const usualPrefix = "fw-"

// withDefaults fills in what was left out and refuses what cannot work.
func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = usualPrefix
	}
	if !regexp.MustCompile(prefixForm).MatchString(o.Prefix) {
		return o, fmt.Errorf("lab prefix %q: one lower-case word of up to 12 letters and a dash is needed, like %q", o.Prefix, usualPrefix)
	}
	if o.State == "" {
		o.State = o.usualState()
	}
	if !filepath.IsAbs(o.State) {
		return o, fmt.Errorf("lab state folder %q: an absolute path is needed", o.State)
	}
	if o.Router == "" {
		o.Router = Embedded
	}
	if o.Router != Embedded && o.Router != FRR && o.Router != BIRD {
		return o, fmt.Errorf("lab router %q: there are %s, %s and %s", o.Router, Embedded, FRR, BIRD)
	}
	if o.Gobgp == "" {
		o.Gobgp = "gobgp"
	}
	if o.Binary == "" {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find the fairway binary: %w", err)
		}
		o.Binary = self
	}
	if o.Log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Log = logrus.NewEntry(silent)
	}
	return o, nil
}

// ErrLeftover says that a lab of this prefix exists, whole or in parts.
var ErrLeftover = errors.New("a lab of this name is there already")

// leftover is ErrLeftover with what was found and what to do.
func (o Options) leftover(found ...string) error {
	const most = 3
	if more := len(found) - most; more > 0 {
		found = append(slices.Clone(found[:most]), fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w (%s):\n`%s lab down%s` removes it", ErrLeftover, strings.Join(found, ", "), o.typed(), o.label())
}

// usualState is the state folder of a lab that is given none.
func (o Options) usualState() string {
	return filepath.Join("/run/fairway-lab", strings.TrimSuffix(o.Prefix, "-"))
}

// ClusterDir is the folder of YAML that plays the API server.
func (o Options) ClusterDir() string { return filepath.Join(o.State, "cluster") }

// logFile is where the output of one of the lab's processes goes.
func (o Options) logFile(name string) string { return filepath.Join(o.State, "log", name+".log") }

// grpcSocket is where a node's daemon serves the gobgp CLI.
func (o Options) grpcSocket(node string) string { return filepath.Join(o.State, node+".sock") }

// label is what tells this lab from others, as arguments for a command that is
// to be typed in; empty for the default lab.
func (o Options) label() string {
	label := ""
	if o.Prefix != usualPrefix {
		label += " --prefix " + o.Prefix
	}
	if o.State != o.usualState() {
		label += " --state " + o.State
	}
	return label
}

// typed is what a person here types to run this program: its name where it is
// found by that, else its path from here.
func (o Options) typed() string {
	if found, err := exec.LookPath(name); err == nil && sameFile(found, o.Binary) {
		return name
	}
	here, err := os.Getwd()
	if err != nil {
		return o.Binary
	}
	path, err := filepath.Rel(here, o.Binary)
	if err != nil || strings.HasPrefix(path, "..") {
		return o.Binary
	}
	if !strings.Contains(path, "/") {
		path = "./" + path
	}
	return path
}

// name is the program's own.
const name = "fairway"

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
