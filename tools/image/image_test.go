package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// tinyDeb makes a real package of a few files.
func tinyDeb(t *testing.T, name string, files map[string]string) deb {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), name)
	all := maps.Clone(files)
	all["DEBIAN/control"] = "Package: " + name + "\nVersion: 1.0-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n"
	for path, text := range all {
		path = filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if to, link := strings.CutPrefix(text, "-> "); link {
			if err := os.Symlink(to, path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "--build", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d, err := openDeb(t.Context(), folder+".deb")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestLayerOfPackages: what programs read is there, where Debian has it now; pages for
// people are not; and the same packages make the same bytes, whenever and in whatever order.
func TestLayerOfPackages(t *testing.T) {
	debs := []deb{
		tinyDeb(t, "iptables", map[string]string{
			"sbin/iptables-nft": "-> xtables-nft-multi", "usr/sbin/xtables-nft-multi": "program", "usr/share/man/man8/iptables.8": "page",
			"usr/share/doc/iptables/copyright": "GPL-2+", "usr/share/doc/iptables/changelog": "long",
		}),
		tinyDeb(t, "libc6", map[string]string{"lib/x86_64-linux-gnu/libc.so.6": "library", "usr/lib/x86_64-linux-gnu/gconv": "more", "lib64/ld-linux-x86-64.so.2": "-> /lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"}),
	}
	var layers [][]byte
	for range 3 {
		rand.Shuffle(len(debs), func(i, j int) { debs[i], debs[j] = debs[j], debs[i] })
		files, err := debianTree(t.Context(), debs)
		if err != nil {
			t.Fatal(err)
		}
		layer, err := files.tar(time.Unix(1700000000, 0))
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, layer)
	}
	if !bytes.Equal(layers[0], layers[1]) || !bytes.Equal(layers[0], layers[2]) {
		t.Error("the same packages make other bytes")
	}
	got := listed(t, layers[0])
	for path, want := range map[string]string{
		"usr/sbin/iptables-nft": "-> xtables-nft-multi", "usr/sbin/xtables-nft-multi": "program", "usr/sbin/iptables": "-> iptables-nft", "usr/sbin/ip6tables-save": "-> ip6tables-nft-save",
		"usr/lib/x86_64-linux-gnu/libc.so.6": "library", "usr/lib/x86_64-linux-gnu/gconv": "more", "lib": "-> usr/lib", "lib64": "-> usr/lib64", "sbin": "-> usr/sbin",
		"usr/share/doc/iptables/copyright": "GPL-2+", "tmp/": "", "usr/lib/": "", "usr/share/man/man8/iptables.8": "none", "usr/share/doc/iptables/changelog": "none", "bin": "none",
	} {
		text, there := got[path]
		if want == "none" && there || want != "none" && (!there || text != want) {
			t.Errorf("%s: %q, there: %v; want %q", path, text, there, want)
		}
	}
	if !strings.Contains(got["var/lib/dpkg/status.d/libc6"], "Version: 1.0-1") {
		t.Error("a scanner does not see libc6")
	}
}

// listed gives the files of a tar stream, in which a folder stands before what is in it.
func listed(t *testing.T, stream []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if up := filepath.Dir(strings.TrimSuffix(h.Name, "/")); up != "." {
			if _, before := out[up+"/"]; !before {
				t.Errorf("%s stands before its folder", h.Name)
			}
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1700000000 {
			t.Errorf("%s is of user %d and of %s", h.Name, h.Uid, h.ModTime)
		}
		out[h.Name] = string(body)
		if h.Typeflag == tar.TypeSymlink {
			out[h.Name] = "-> " + h.Linkname
		}
	}
}

// TestArchive: the archive is an OCI layout with an image for each architecture, and the
// same bytes each time.
func TestArchive(t *testing.T) {
	a := about{name: "fairway", version: "1.2.3", revision: "abc", created: time.Unix(1700000000, 0)}
	order := []string{"amd64", "arm64"}
	var archives [][]byte
	for range 2 {
		images := map[string]v1.Image{}
		for _, arch := range order {
			files, of := tree{}, a
			files.addFile("usr/local/bin/fairway", 0o755, []byte("program for "+arch))
			of.arch = arch
			var err error
			if images[arch], err = image(of, files); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := writeArchive(path, a, index(a, images, order)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, text)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same image makes other bytes")
	}
	folder := t.TempDir()
	cmd := exec.Command("tar", "-xC", folder)
	cmd.Stdin = bytes.NewReader(archives[0])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	readLayout(t, folder, order)
}

// readLayout reads it as whoever gets it.
func readLayout(t *testing.T, folder string, order []string) {
	t.Helper()
	top, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	names, err := top.IndexManifest()
	if err != nil || len(names.Manifests) != 1 || names.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" {
		t.Fatalf("%v: index %+v", err, names)
	}
	idx, err := top.ImageIndex(names.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var arches []string
	for _, m := range manifest.Manifests {
		img, err := idx.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		arches = append(arches, config.Architecture)
		if m.Platform.Architecture != config.Architecture || config.Config.Labels["org.opencontainers.image.revision"] != "abc" || !slices.Equal(config.Config.Entrypoint, []string{"/usr/local/bin/fairway"}) {
			t.Errorf("%+v: %+v", m.Platform, config.Config)
		}
	}
	if !slices.Equal(arches, order) {
		t.Errorf("architectures %s", arches)
	}
}

// TestPins refuses what is no package and version.
func TestPins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "packages")
	want := []pin{{"iptables", "1.8.9-2"}, {"libbpf1", "1:1.1.2-0+deb12u1"}}
	if err := writePins(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := readPins(path); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("iptables\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readPins(path); err == nil {
		t.Error("a package without a version is taken")
	}
}
