package main

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// about is what an image says of itself.
type about struct {
	name, version, revision, arch string
	created                       time.Time
}

// labels are those of OCI's annotations that have a value (image-spec annotations.md).
func (a about) labels() map[string]string {
	out := map[string]string{
		"org.opencontainers.image.title":       "fairway",
		"org.opencontainers.image.description": "Announces Kube-OVN Subnets over BGP",
		"org.opencontainers.image.source":      "https://github.com/fairway-bgp/fairway",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     a.version,
		"org.opencontainers.image.created":     a.created.UTC().Format(time.RFC3339),
	}
	if a.revision != "" {
		out["org.opencontainers.image.revision"] = a.revision
	}
	return out
}

// image puts layers together, the one that changes least first.
func image(a about, layers ...tree) (v1.Image, error) {
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	for _, t := range layers {
		text, err := t.tar(a.created)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: a.created}, CreatedBy: "make image"}}); err != nil {
			return nil, err
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Created = a.arch, "linux", v1.Time{Time: a.created}
	file.Config = v1.Config{
		// Without arguments it says what it can do; the DaemonSet says `run`.
		Entrypoint: []string{"/usr/local/bin/fairway"},
		Env:        []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		WorkingDir: "/", Labels: a.labels(),
	}
	return mutate.ConfigFile(img, file)
}

// index joins the images of several architectures.
func index(a about, images map[string]v1.Image, order []string) v1.ImageIndex {
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range order {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: images[arch], Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return mutate.Annotations(idx, a.labels()).(v1.ImageIndex)
}

// writeArchive writes an OCI layout as one tar file, as skopeo and containerd read it.
func writeArchive(path string, a about, idx v1.ImageIndex) error {
	folder, err := os.MkdirTemp("", "fairway-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	written, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := written.AppendIndex(idx, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": a.version})); err != nil {
		return err
	}
	text, err := folderTar(folder, a.created)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// folderTar gives a folder's files, in order.
func folderTar(folder string, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: at, Format: tar.FormatPAX}); err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}
