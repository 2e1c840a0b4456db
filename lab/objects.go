package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// cluster is what the lab's agents read of the folder, sorted by name.
type cluster struct {
	subnets []subnet
	pods    []pod
	nodes   []node
}

type subnet struct {
	// file is where the object stands.
	file        string
	name        string
	cidrs       []netip.Prefix
	nat         bool
	centralized bool
	ecmp        bool
	// gateways are names in the order of preference.
	gateways []string
	// active is status.activateGateway, "" where no controller wrote it.
	active string
	// selectors pick gateways by label where gateways is empty.
	selectors []metav1.LabelSelector
}

type pod struct {
	file, name, node, subnet string
	addrs                    []netip.Addr
}

type node struct {
	file, name string
	labels     map[string]string
	ready      bool
}

// object is the union of the fields that the lab reads of Subnet
// (pkg/apis/kubeovn/v1/subnet.go), Pod and Node.
type object struct {
	file     string
	Kind     string            `json:"kind"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		CIDRBlock            string                 `json:"cidrBlock"`
		VPC                  string                 `json:"vpc"`
		VLAN                 string                 `json:"vlan"`
		NATOutgoing          bool                   `json:"natOutgoing"`
		GatewayType          string                 `json:"gatewayType"`
		GatewayNode          string                 `json:"gatewayNode"`
		GatewayNodeSelectors []metav1.LabelSelector `json:"gatewayNodeSelectors"`
		EnableECMP           bool                   `json:"enableEcmp"`
		NodeName             string                 `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		ActivateGateway string `json:"activateGateway"`
		Conditions      []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
	Items []json.RawMessage `json:"items"`
}

// readCluster reads the YAML files of a folder, not its subfolders, without
// hidden files. One bad object does not stop the others; problems say what is
// wrong, by file. What such a file does not say now is not known to be gone.
func readCluster(dir string) (c cluster, problems map[string]error, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return cluster{}, nil, fmt.Errorf("read the cluster: %w", err)
	}
	problems = map[string]error{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" && ext != ".json" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil && len(bytes.TrimSpace(text)) == 0 {
			err = errors.New("empty, an editor is probably at work")
		}
		if err == nil {
			err = c.addDocuments(e.Name(), text)
		}
		if err != nil {
			problems[e.Name()] = err
		}
	}
	c.sort()
	return c, problems, nil
}

// addDocuments adds the objects of one file.
func (c *cluster) addDocuments(file string, text []byte) error {
	var errs []error
	documents := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := documents.Read()
		if err == io.EOF {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, c.addDocument(file, doc))
	}
}

func (c *cluster) addDocument(file string, doc []byte) error {
	var o object
	if err := yaml.Unmarshal(doc, &o); err != nil {
		return err
	}
	if o.Kind == "" && len(withoutComments(string(doc))) > 0 {
		return errors.New("an object without a kind: half a file, an editor is probably at work")
	}
	o.file = file
	var errs []error
	for _, item := range o.Items {
		errs = append(errs, c.addDocument(file, item))
	}
	if err := c.addObject(o); err != nil {
		errs = append(errs, fmt.Errorf("%s %s: %w", o.Kind, o.Metadata.Name, err))
	}
	return errors.Join(errs...)
}

func (c *cluster) addObject(o object) error {
	switch o.Kind {
	case "Subnet":
		return c.addSubnet(o)
	case "Pod":
		return c.addPod(o)
	case "Node":
		c.nodes = append(c.nodes, node{o.file, o.Metadata.Name, o.Metadata.Labels, o.ready()})
	case "", "List", "BGPPeer", "Secret", "Vlan", "Speaker", "Namespace", "ConfigMap": // nothing for an agent
	default:
		return errors.New("no kind that a lab has; a typo is no deletion")
	}
	return nil
}

// ready is true for a Node whose conditions do not say otherwise.
func (o object) ready() bool {
	for _, c := range o.Status.Conditions {
		if c.Type == "Ready" && c.Status != "True" || c.Type == "NetworkUnavailable" && c.Status == "True" {
			return false
		}
	}
	return true
}

// addSubnet takes overlay Subnets of the default VPC; others have nothing to do
// with ovn0.
func (c *cluster) addSubnet(o object) error {
	if o.Spec.VLAN != "" || o.Spec.VPC != "" && o.Spec.VPC != "ovn-cluster" || o.Metadata.Name == "join" {
		return nil
	}
	s := subnet{
		file:        o.file,
		name:        o.Metadata.Name,
		nat:         o.Spec.NATOutgoing,
		centralized: o.Spec.GatewayType == "centralized",
		ecmp:        o.Spec.EnableECMP,
		gateways:    gatewayNames(o.Spec.GatewayNode),
		active:      o.Status.ActivateGateway,
		selectors:   o.Spec.GatewayNodeSelectors,
	}
	for _, text := range strings.Split(o.Spec.CIDRBlock, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("spec.cidrBlock: %w", err)
		}
		s.cidrs = append(s.cidrs, p.Masked())
	}
	c.subnets = append(c.subnets, s)
	return nil
}

// gatewayNames reads "n1,n2" and "n1:ip,n2:ip"; the ip may be IPv6, so only the
// first colon counts (pkg/util/validator.go).
func gatewayNames(list string) []string {
	var names []string
	for _, item := range strings.Split(list, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(item), ":")
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// addPod takes a Pod's first interface, from the annotations that Kube-OVN's
// IPAM sets.
func (c *cluster) addPod(o object) error {
	const ip, logicalSwitch = "ovn.kubernetes.io/ip_address", "ovn.kubernetes.io/logical_switch"
	p := pod{file: o.file, name: o.Metadata.Name, node: o.Spec.NodeName, subnet: o.Metadata.Annotations[logicalSwitch]}
	if p.subnet == "" || o.Metadata.Annotations[ip] == "" {
		return fmt.Errorf("without the annotations %s and %s it has no place in the lab", logicalSwitch, ip)
	}
	for _, text := range strings.Split(o.Metadata.Annotations[ip], ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("%s: %w", ip, err)
		}
		p.addrs = append(p.addrs, a)
	}
	c.pods = append(c.pods, p)
	return nil
}

// sort orders by name and keeps the first of each name.
func (c *cluster) sort() {
	slices.SortStableFunc(c.subnets, func(a, b subnet) int { return strings.Compare(a.name, b.name) })
	c.subnets = slices.CompactFunc(c.subnets, func(a, b subnet) bool { return a.name == b.name })
	slices.SortStableFunc(c.pods, func(a, b pod) int { return strings.Compare(a.name, b.name) })
	c.pods = slices.CompactFunc(c.pods, func(a, b pod) bool { return a.name == b.name })
	slices.SortStableFunc(c.nodes, func(a, b node) int { return strings.Compare(a.name, b.name) })
	c.nodes = slices.CompactFunc(c.nodes, func(a, b node) bool { return a.name == b.name })
}

// matches reports whether any of the selectors picks the node.
func (n node) matches(selectors []metav1.LabelSelector) bool {
	for _, s := range selectors {
		sel, err := metav1.LabelSelectorAsSelector(&s)
		if err == nil && sel.Matches(labels.Set(n.labels)) {
			return true
		}
	}
	return false
}
