package kubetest

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// subnetCRD is a CRD for Kube-OVN's Subnet with what Fairway reads of it.
//
//go:embed crds/subnets.kubeovn.io.yaml
var subnetCRD string

// vlanCRD is the same for Kube-OVN's Vlan.
//
//go:embed crds/vlans.kubeovn.io.yaml
var vlanCRD string

// ownCRDs is where Fairway's CRDs are, relative to the repository's root.
const ownCRDs = "manifests/crds"

// InstallCRDs installs Fairway's CRDs, and Kube-OVN's Subnet and Vlan.
func (s *Server) InstallCRDs(ctx context.Context) error {
	if err := s.InstallOwnCRDs(ctx); err != nil {
		return err
	}
	if err := s.InstallSubnetCRD(ctx); err != nil {
		return err
	}
	return s.InstallVlanCRD(ctx)
}

// InstallOwnCRDs installs BGPPeer and Speaker from manifests/crds.
func (s *Server) InstallOwnCRDs(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(s.root, ownCRDs, "fairway.dev_*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no CRDs in %s", ownCRDs)
	}
	slices.Sort(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := s.Apply(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(f), err)
		}
	}
	return nil
}

// InstallSubnetCRD installs Kube-OVN's Subnet: as Kube-OVN ships it where a copy
// lies beside the repository (../shared/facts/subnets.yaml), else the project's
// own, which has the fields that Fairway reads.
func (s *Server) InstallSubnetCRD(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(s.root, "..", "shared", "facts", "subnets.yaml"))
	if err != nil {
		b = []byte(subnetCRD)
	}
	if err := s.Apply(ctx, b); err != nil {
		return fmt.Errorf("CRD of Subnet: %w", err)
	}
	return nil
}

// InstallMinimalSubnetCRD installs the project's own CRD for Subnet in any case.
func (s *Server) InstallMinimalSubnetCRD(ctx context.Context) error {
	return s.Apply(ctx, []byte(subnetCRD))
}

// InstallVlanCRD installs the project's own CRD for Kube-OVN's Vlan.
func (s *Server) InstallVlanCRD(ctx context.Context) error {
	return s.Apply(ctx, []byte(vlanCRD))
}
