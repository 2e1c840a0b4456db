package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	strictjson "sigs.k8s.io/json"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/parallel"
)

// Kinds that Fairway reads.
const (
	KindSubnet  = "Subnet"
	KindVlan    = "Vlan"
	KindNode    = "Node"
	KindPod     = "Pod"
	KindSecret  = "Secret"
	KindBGPPeer = "BGPPeer"
)

// IsRead reports whether Fairway reads objects of a kind.
func IsRead(kind string) bool {
	switch kind {
	case KindSubnet, KindVlan, KindNode, KindPod, KindSecret, KindBGPPeer:
		return true
	}
	return false
}

// Key is what makes an object that one and no other.
type Key struct{ Kind, Namespace, Name string }

// String gives "BGPPeer tor-a" or "Pod default/web".
func (k Key) String() string {
	if k.Namespace != "" {
		return k.Kind + " " + k.Namespace + "/" + k.Name
	}
	return k.Kind + " " + k.Name
}

// Object is one object of the input and what became of it.
type Object struct {
	Key
	Where string
	// Value is a *Subnet, Vlan, Node, []routes.Pod, Secret or Peer; nil where the
	// object does not convert. Nobody changes what it leads to.
	Value    any
	Problems []Problem
	// Ignored is "kind (apiVersion)" of an object that Fairway does not read; its key
	// has no kind.
	Ignored string
	// Broken marks a part of the input that is no whole object: what it was is not
	// known.
	Broken bool
	// Kept marks an object of an earlier version of the file.
	Kept bool
}

// header is what every object has, and a List's items.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// Parse gives the objects of a YAML stream or JSON document, those of Lists one
// by one.
func Parse(name string, stream []byte) []Object {
	parts := slices.Collect(slices.Chunk(split(stream), mostTogether))
	parsed := make([][]Object, len(parts))
	parallel.Each(len(parts), func(i int) { parsed[i] = parseAll(name, parts[i]) })
	return slices.Concat(parsed...)
}

// parse gives the objects of one document.
func parse(name string, d document) []Object {
	text, repeated, err := d.toJSON()
	if err != nil {
		return []Object{brokenObject(d.where(name), err.Error())}
	}
	return decodeDocument(d.where(name), text, repeated)
}

// where says to a user which document of a file it is.
func (d document) where(file string) string { return fmt.Sprintf("%s document %d", file, d.number) }

// decodeDocument gives the objects of one document; repeated is nil where no key
// of it is there twice.
func decodeDocument(where string, text []byte, repeated *repeatedKeys) []Object {
	var h header
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(text, &h); err != nil {
		return []Object{brokenObject(where, notAnObject(err))}
	}
	if strings.HasSuffix(h.Kind, "List") && h.Items != nil {
		return decodeList(where, h, repeated)
	}
	if h.APIVersion == "" || h.Kind == "" {
		return []Object{brokenObject(where, "apiVersion or kind is missing: not a Kubernetes object, or only a part of one")}
	}
	return []Object{decodeObject(where, h, text, repeated)}
}

// Read converts an object of the API server; it has no place in a file.
func Read(text []byte) Object {
	var h header
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(text, &h); err != nil {
		return brokenObject("", notAnObject(err))
	}
	return decodeObject("", h, text, nil)
}

// decodeList takes a List apart. The items of a typed list ("SubnetList"), as
// the API server sends it, have no kind of their own.
func decodeList(where string, list header, repeated *repeatedKeys) []Object {
	decoded := make([][]Object, len(list.Items))
	parallel.Each(len(list.Items), func(i int) {
		item := list.Items[i]
		var of struct{ APIVersion, Kind string }
		if err := json.Unmarshal(item, &of); err == nil && of.Kind == "" && list.Kind != "List" {
			item = withKind(item, list.APIVersion, strings.TrimSuffix(list.Kind, "List"))
		}
		decoded[i] = decodeDocument(fmt.Sprintf("%s item %d", where, i+1), item, repeated)
	})
	return slices.Concat(decoded...)
}

func withKind(item json.RawMessage, apiVersion, kind string) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(item, &fields) != nil || fields == nil {
		return item
	}
	fields["apiVersion"], _ = json.Marshal(apiVersion)
	fields["kind"], _ = json.Marshal(kind)
	out, err := json.Marshal(fields)
	if err != nil {
		return item
	}
	return out
}

// decodeObject gives one object, converted as far as that takes no other one.
func decodeObject(where string, h header, text []byte, repeated *repeatedKeys) Object {
	o := Object{Key: Key{h.Kind, h.Metadata.Namespace, h.Metadata.Name}, Where: where}
	decode, ignored, problem := decoderOf(h.APIVersion, h.Kind)
	if problem != "" {
		r := report{object: o.Key.String()}
		r.wrong("apiVersion", h.APIVersion, "%s", problem)
		o.Problems = r.problems
		return o.placed()
	}
	if ignored != "" && repeated != nil && repeated.header {
		return brokenObject(where, repeated.String())
	}
	if ignored != "" {
		return Object{Key: Key{"", h.Metadata.Namespace, h.Metadata.Name}, Where: where, Ignored: ignored}
	}
	if h.Metadata.Name == "" {
		return brokenObject(where, h.Kind+" without metadata.name: every object needs one")
	}
	if h.Kind != KindPod && h.Kind != KindSecret {
		o.Namespace = ""
	}
	r := &report{object: o.Key.String(), inFile: where != ""}
	if repeated != nil {
		r.wrong("", nil, "%v", repeated)
		o.Broken = repeated.header
	}
	value, whole := decode(text, r)
	if !whole {
		o.Broken = true
	}
	if r.usable() {
		o.Value = value
	}
	o.Problems = r.problems
	return o.placed()
}

// decoder turns an object's JSON into a value. whole is false if the object
// looks like the first half of one.
type decoder func(text []byte, r *report) (value any, whole bool)

// decoderOf says how a kind is read, or that it is ignored, or why an object of
// our own group cannot be read.
func decoderOf(apiVersion, kind string) (d decoder, ignored, problem string) {
	group, _, _ := strings.Cut(apiVersion, "/")
	switch apiVersion + " " + kind {
	case "kubeovn.io/v1 " + KindSubnet:
		return decodeSubnet, "", ""
	case "kubeovn.io/v1 " + KindVlan:
		return decodeVlan, "", ""
	case "v1 " + KindNode:
		return decodeNode, "", ""
	case "v1 " + KindPod:
		return decodePod, "", ""
	case "v1 " + KindSecret:
		return decodeSecret, "", ""
	case v1alpha1.GroupVersion().String() + " " + KindBGPPeer:
		return decodePeer, "", ""
	}
	if group == v1alpha1.Group && kind != "Speaker" {
		return nil, "", fmt.Sprintf("this version knows BGPPeer and Speaker of %s", v1alpha1.GroupVersion())
	}
	return nil, kind + " (" + apiVersion + ")", ""
}

// placed puts where the object is into its problems.
func (o Object) placed() Object {
	for i := range o.Problems {
		o.Problems[i].Where = o.Where
	}
	return o
}

func brokenObject(where, message string) Object {
	o := Object{Where: where, Broken: true}
	o.Problems = []Problem{{Severity: Wrong, Message: message}}
	return o.placed()
}

// notAnObject says what a document is that has no header of an object.
func notAnObject(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return wrongType.Field + " " + expectation(wrongType.Field, err)
	}
	return "not a Kubernetes object: a map with apiVersion, kind and metadata is needed"
}
