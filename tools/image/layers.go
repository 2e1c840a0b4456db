package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// debianTree is the layer with the Debian packages. Their maintainer scripts are not run;
// what those would make is made here.
func debianTree(ctx context.Context, debs []deb) (tree, error) {
	t := tree{}
	for _, d := range debs {
		files, err := d.files(ctx)
		if err != nil {
			return nil, err
		}
		if err := t.addTar(files); err != nil {
			return nil, fmt.Errorf("package %s: %w", d.name, err)
		}
		// Where scanners of images look for what is installed.
		t.addFile("var/lib/dpkg/status.d/"+d.name, 0o644, append(d.control, '\n'))
	}
	for _, name := range merged() {
		if t.has("usr/" + name) {
			t.addLink(name, "usr/"+name)
		}
	}
	// What update-alternatives links: nf_tables, as on every Debian since 10.
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, what := range []string{"", "-save", "-restore"} {
			t.addLink("usr/sbin/"+family+what, family+"-nft"+what)
		}
	}
	t.addFile("etc/passwd", 0o644, []byte("root:x:0:0:root:/:/usr/sbin/nologin\nfairway:x:65532:65532:fairway:/:/usr/sbin/nologin\n"))
	t.addFile("etc/group", 0o644, []byte("root:x:0:\nfairway:x:65532:\n"))
	for folder, mode := range map[string]int64{"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777, "var/lib/fairway": 0o700} {
		t.addFolder(folder, mode)
	}
	return t, nil
}

// programs is the layer with Fairway, from a folder with what was built.
func programs(folder string) (tree, error) {
	t := tree{}
	for _, name := range []string{"fairway", "gobgp"} {
		body, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		t.addFile("usr/local/bin/"+name, 0o755, body)
	}
	t.addLink("usr/local/bin/kubectl-fairway", "fairway")
	return t, nil
}
