package kubetest

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// ownSubnetCRD is a CRD for Kube-OVN's Subnet with what Fairway reads of it.
//
//go:embed crds/subnets.kubeovn.io.yaml
var ownSubnetCRD string

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

// SubnetCRDVariable is the environment variable that names a file with another CRD
// for Subnet, such as the one of the Kube-OVN release that a cluster runs. A path
// that is not absolute counts from the repository's root.
const SubnetCRDVariable = "FAIRWAY_TEST_SUBNET_CRD"

// InstallSubnetCRD installs the project's own CRD for Kube-OVN's Subnet, or the one
// that SubnetCRDVariable names.
func (s *Server) InstallSubnetCRD(ctx context.Context) error {
	text, err := s.subnetCRD()
	if err != nil {
		return fmt.Errorf("%s: %w", SubnetCRDVariable, err)
	}
	if err := s.Apply(ctx, text); err != nil {
		return fmt.Errorf("CRD of Subnet: %w", err)
	}
	return nil
}

func (s *Server) subnetCRD() ([]byte, error) {
	path := os.Getenv(SubnetCRDVariable)
	if path == "" {
		return []byte(ownSubnetCRD), nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.root, path)
	}
	return os.ReadFile(path)
}

// InstallVlanCRD installs the project's own CRD for Kube-OVN's Vlan.
func (s *Server) InstallVlanCRD(ctx context.Context) error {
	return s.Apply(ctx, []byte(vlanCRD))
}
