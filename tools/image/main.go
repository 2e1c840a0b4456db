// Command image makes the container image of Fairway without a container engine: it takes
// Debian's packages as they are, at pinned versions, puts them and the programs into layers,
// and writes an OCI archive and a bill of materials beside it. The same sources, packages
// and SOURCE_DATE_EPOCH make the same bytes.
//
// It is in the module of tools, because the daemon needs none of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

type options struct {
	root, out, pins, sources, arches string
	about                            about
	resolve                          bool
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", "..", "the module with cmd/fairway")
	flag.StringVar(&o.out, "out", "../dist", "folder to write to")
	flag.StringVar(&o.pins, "packages", "image/packages", "the Debian packages and their versions")
	flag.StringVar(&o.sources, "sources", "image/debian.sources", "where they come from, as apt has it")
	flag.StringVar(&o.arches, "arch", "amd64,arm64", "architectures")
	flag.StringVar(&o.about.version, "version", "devel", "version of the image, and of fairway")
	flag.StringVar(&o.about.revision, "revision", "", "commit that it is made of")
	flag.BoolVar(&o.resolve, "resolve", false, "write the newest versions into the file of packages, and make nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w: it is the time that everything in the image has", err)
	}
	o.about.name, o.about.created = "fairway", time.Unix(seconds, 0).UTC()
	scratch, err := os.MkdirTemp("", "fairway-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if o.resolve {
		return o.writeResolved(ctx, scratch)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	order, images := strings.Split(o.arches, ","), map[string]v1.Image{}
	for _, arch := range order {
		a := o.about
		a.arch = arch
		if images[arch], err = o.image(ctx, a, filepath.Join(scratch, arch)); err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
	}
	path := filepath.Join(o.out, "fairway-"+o.about.version+".oci.tar")
	if err := writeArchive(path, o.about, index(o.about, images, order)); err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

// writeResolved rewrites the file of packages. All architectures have the same versions.
func (o *options) writeResolved(ctx context.Context, scratch string) error {
	first, _, _ := strings.Cut(o.arches, ",")
	a, err := openArchive(ctx, scratch, o.sources, first)
	if err != nil {
		return err
	}
	pins, err := a.resolve(ctx)
	if err != nil {
		return err
	}
	return writePins(o.pins, pins)
}

// image makes that of an architecture, and writes its bill of materials.
func (o *options) image(ctx context.Context, a about, scratch string) (v1.Image, error) {
	pins, err := readPins(o.pins)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "image: %s: taking %d Debian packages\n", a.arch, len(pins))
	apt, err := openArchive(ctx, scratch, o.sources, a.arch)
	if err != nil {
		return nil, err
	}
	debs, err := apt.fetch(ctx, pins)
	if err != nil {
		return nil, err
	}
	debian, err := debianTree(ctx, debs)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "image: %s: building fairway and gobgp\n", a.arch)
	built := filepath.Join(scratch, "built")
	if err := o.build(ctx, a, built); err != nil {
		return nil, err
	}
	own, err := programs(built)
	if err != nil {
		return nil, err
	}
	parts, err := bill(a, debs, built)
	if err != nil {
		return nil, err
	}
	own.addFile("usr/local/share/sbom/fairway.cdx.json", 0o644, parts)
	if err := os.WriteFile(filepath.Join(o.out, fmt.Sprintf("fairway-%s-%s.cdx.json", a.version, a.arch)), parts, 0o644); err != nil {
		return nil, err
	}
	return image(a, debian, own)
}

// build compiles the programs, so that neither the folder nor the repository's state shows
// in them.
func (o *options) build(ctx context.Context, a about, into string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+a.version,
		"-o", into+"/", "./cmd/fairway", "github.com/osrg/gobgp/v4/cmd/gobgp")
	cmd.Dir, cmd.Stderr = o.root, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+a.arch, "GOFLAGS=", "GOWORK=off")
	return cmd.Run()
}
