package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// wanted are the packages that the host module runs. netbase has the names of protocols
// that nft prints rules with.
func wanted() []string { return []string{"ipset", "iproute2", "iptables", "netbase", "nftables"} }

// unneeded are packages that others depend on for their maintainer scripts alone; none is
// run here.
func unneeded() []string {
	return []string{"cdebconf", "debconf", "debianutils", "dpkg", "libdebian-installer4", "libtextwrap1", "perl-base", "tar"}
}

// pin is a package of the image, at the version that the tests ran with.
type pin struct{ name, version string }

// readPins reads lines of name and version; # begins a comment.
func readPins(path string) ([]pin, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var pins []pin
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		switch fields := strings.Fields(line); len(fields) {
		case 0:
		case 2:
			pins = append(pins, pin{fields[0], fields[1]})
		default:
			return nil, fmt.Errorf("%s: %q: not a package and its version", path, line)
		}
	}
	return pins, nil
}

const pinsNote = `# The Debian packages of the image, all of them, at the versions that the tests run with.
# make image-pins rewrites it; a test compares it with the machine that runs the tests.
`

func writePins(path string, pins []pin) error {
	var b strings.Builder
	b.WriteString(pinsNote)
	for _, p := range pins {
		fmt.Fprintf(&b, "%s %s\n", p.name, p.version)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// archive is apt for an architecture, with a state of its own: nothing of this machine is
// read or changed but the proxy that its configuration may name.
type archive struct{ folder, arch string }

// openArchive reads what the sources have.
func openArchive(ctx context.Context, folder, sources, arch string) (*archive, error) {
	a := &archive{folder: folder, arch: arch}
	for _, name := range []string{"lists/partial", "cache/archives/partial", "sources", "debs"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(sources)
	if err != nil {
		return nil, err
	}
	for name, b := range map[string][]byte{"sources/debian.sources": text, "status": nil} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
			return nil, err
		}
	}
	_, err = a.apt(ctx, "update")
	return a, err
}

// apt runs apt-get, and gives what it prints. No package counts as essential: what the
// wanted ones depend on is all there is.
func (a *archive) apt(ctx context.Context, args ...string) ([]byte, error) {
	f := a.folder
	options := []string{"-qq", "-o", "Dir::State::lists=" + f + "/lists", "-o", "Dir::State::status=" + f + "/status", "-o", "Dir::Cache=" + f + "/cache",
		"-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=" + f + "/sources", "-o", "Dir::Etc::preferencesparts=/dev/null",
		"-o", "APT::Architecture=" + a.arch, "-o", "APT::Architectures::=" + a.arch, "-o", "pkgCacheGen::Essential=none", "-o", "APT::Install-Recommends=false",
		"-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"}
	cmd := exec.CommandContext(ctx, "apt-get", append(options, args...)...)
	cmd.Dir = filepath.Join(f, "debs")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get %s for %s: %w\n%s", args[0], a.arch, err, said.String())
	}
	return out, nil
}

// resolve gives the newest versions of the wanted packages and of what they need.
func (a *archive) resolve(ctx context.Context) ([]pin, error) {
	out, err := a.apt(ctx, append([]string{"install", "--simulate"}, wanted()...)...)
	if err != nil {
		return nil, err
	}
	var pins []pin
	for line := range strings.Lines(string(out)) {
		// Inst nftables (1.0.6-2 Debian:12.11/stable [amd64])
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "Inst" || slices.Contains(unneeded(), fields[1]) {
			continue
		}
		pins = append(pins, pin{fields[1], strings.TrimPrefix(fields[2], "(")})
	}
	slices.SortFunc(pins, func(x, y pin) int { return cmp.Compare(x.name, y.name) })
	return pins, nil
}

// deb is a Debian package's file.
type deb struct {
	pin
	path string
	// control is its entry in dpkg's list.
	control []byte
}

// fetch downloads the packages at exactly these versions.
func (a *archive) fetch(ctx context.Context, pins []pin) ([]deb, error) {
	args := []string{"download"}
	for _, p := range pins {
		args = append(args, p.name+"="+p.version)
	}
	if _, err := a.apt(ctx, args...); err != nil {
		return nil, fmt.Errorf("%w(a version that the archive has no more: make image-pins, and run the tests with the new ones)", err)
	}
	files, err := filepath.Glob(filepath.Join(a.folder, "debs", "*.deb"))
	if err != nil || len(files) != len(pins) {
		return nil, errors.Join(err, fmt.Errorf("%d files for %d packages", len(files), len(pins)))
	}
	var debs []deb
	for _, path := range files {
		d, err := openDeb(ctx, path)
		if err != nil {
			return nil, err
		}
		debs = append(debs, d)
	}
	return debs, nil
}

func openDeb(ctx context.Context, path string) (deb, error) {
	control, err := exec.CommandContext(ctx, "dpkg-deb", "--field", path).Output()
	if err != nil {
		return deb{}, fmt.Errorf("read %s: %w", path, err)
	}
	d := deb{path: path, control: control}
	for line := range strings.Lines(string(control)) {
		switch name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": "); name {
		case "Package":
			d.name = value
		case "Version":
			d.version = value
		}
	}
	return d, nil
}

// files gives the package's files as a tar stream.
func (d deb) files(ctx context.Context) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", d.path).Output()
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", d.path, err)
	}
	return out, nil
}
