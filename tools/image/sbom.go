package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill gives what the image is made of, as CycloneDX JSON: the Debian packages, and the Go
// modules that the programs themselves name.
func bill(about about, debs []deb, folder string) ([]byte, error) {
	var parts []cdx.Component
	for _, d := range debs {
		parts = append(parts, cdx.Component{
			Type: cdx.ComponentTypeLibrary, Name: d.name, Version: d.version, BOMRef: "deb/" + d.name,
			PackageURL: fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&distro=bookworm", d.name, strings.ReplaceAll(d.version, "+", "%2B"), about.arch),
		})
	}
	modules, err := goModules(folder)
	if err != nil {
		return nil, err
	}
	parts = append(parts, modules...)
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{
		Timestamp: about.created.UTC().Format(time.RFC3339),
		Component: &cdx.Component{Type: cdx.ComponentTypeContainer, Name: about.name, Version: about.version, BOMRef: about.name},
	}
	b.Components = &parts
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// goModules are those that the programs were built of, each once, and Go itself.
func goModules(folder string) ([]cdx.Component, error) {
	found := map[string]cdx.Component{}
	add := func(name, version string) {
		ref := "go/" + name + "@" + version
		found[ref] = cdx.Component{Type: cdx.ComponentTypeLibrary, Name: name, Version: version, BOMRef: ref, PackageURL: "pkg:golang/" + name + "@" + version}
	}
	for _, program := range []string{"fairway", "gobgp"} {
		info, err := buildinfo.ReadFile(filepath.Join(folder, program))
		if err != nil {
			return nil, err
		}
		add("stdlib", info.GoVersion)
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			add(m.Path, m.Version)
		}
	}
	out := make([]cdx.Component, 0, len(found))
	for _, c := range found {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	return out, nil
}
