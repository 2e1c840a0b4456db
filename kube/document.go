package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	strictjson "sigs.k8s.io/json"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// Kinds that Fairway reads.
const (
	kindSubnet  = "Subnet"
	kindVlan    = "Vlan"
	kindNode    = "Node"
	kindPod     = "Pod"
	kindSecret  = "Secret"
	kindBGPPeer = "BGPPeer"
)

// isRead reports whether Fairway reads objects of a kind.
func isRead(kind string) bool {
	switch kind {
	case kindSubnet, kindVlan, kindNode, kindPod, kindSecret, kindBGPPeer:
		return true
	}
	return false
}

// key is what makes an object that one and no other.
type key struct{ kind, namespace, name string }

// String gives "BGPPeer tor-a" or "Pod default/web".
func (k key) String() string {
	if k.namespace != "" {
		return k.kind + " " + k.namespace + "/" + k.name
	}
	return k.kind + " " + k.name
}

// object is one object of the input and what became of it.
type object struct {
	key
	where string
	// value is a subnetDraft, vlan, nodeDraft, []routes.Pod, secret or
	// *v1alpha1.BGPPeer; nil where the object does not convert.
	value    any
	problems []Problem
	// ignored is "kind (apiVersion)" of an object that Fairway does not read; its key
	// has no kind.
	ignored string
	// torn marks a piece that is no whole object: what it was is not known.
	torn bool
	// kept marks an object of the file's last good version.
	kept bool
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

// parse gives the objects of a YAML stream or JSON document, those of Lists one
// by one.
func parse(name string, stream []byte) []object {
	var objects []object
	for _, d := range split(stream) {
		where := fmt.Sprintf("%s document %d", name, d.number)
		text, repeated, err := d.toJSON()
		if err != nil {
			objects = append(objects, tornObject(where, err.Error()))
			continue
		}
		objects = append(objects, decodeDocument(where, text, repeated)...)
	}
	return objects
}

// decodeDocument gives the objects of one document; repeated is nil where no key
// of it is there twice.
func decodeDocument(where string, text []byte, repeated *repeatedKeys) []object {
	var h header
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(text, &h); err != nil {
		return []object{tornObject(where, notAnObject(err))}
	}
	if strings.HasSuffix(h.Kind, "List") && h.Items != nil {
		return decodeList(where, h, repeated)
	}
	if h.APIVersion == "" || h.Kind == "" {
		return []object{tornObject(where, "apiVersion or kind is missing: not a Kubernetes object, or only a part of one")}
	}
	return []object{decodeObject(where, h, text, repeated)}
}

// decodeList takes a List apart. The items of a typed list ("SubnetList"), as
// the API server sends it, have no kind of their own.
func decodeList(where string, list header, repeated *repeatedKeys) []object {
	var objects []object
	for i, item := range list.Items {
		var of struct{ APIVersion, Kind string }
		if err := json.Unmarshal(item, &of); err == nil && of.Kind == "" && list.Kind != "List" {
			item = withKind(item, list.APIVersion, strings.TrimSuffix(list.Kind, "List"))
		}
		objects = append(objects, decodeDocument(fmt.Sprintf("%s item %d", where, i+1), item, repeated)...)
	}
	return objects
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
func decodeObject(where string, h header, text []byte, repeated *repeatedKeys) object {
	o := object{key: key{h.Kind, h.Metadata.Namespace, h.Metadata.Name}, where: where}
	decode, ignored, problem := decoderOf(h.APIVersion, h.Kind)
	if problem != "" {
		r := report{object: o.key.String()}
		r.wrong("apiVersion", h.APIVersion, "%s", problem)
		o.problems = r.problems
		return o.placed()
	}
	if ignored != "" && repeated != nil && repeated.header {
		return tornObject(where, repeated.String())
	}
	if ignored != "" {
		return object{key: key{"", h.Metadata.Namespace, h.Metadata.Name}, where: where, ignored: ignored}
	}
	if h.Metadata.Name == "" {
		return tornObject(where, h.Kind+" without metadata.name: every object needs one")
	}
	if h.Kind != kindPod && h.Kind != kindSecret {
		o.namespace = ""
	}
	r := &report{object: o.key.String()}
	if repeated != nil {
		r.wrong("", nil, "%v", repeated)
		o.torn = repeated.header
	}
	value, whole := decode(text, r)
	if !whole {
		o.torn = true
	}
	if r.usable() {
		o.value = value
	}
	o.problems = r.problems
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
	case "kubeovn.io/v1 " + kindSubnet:
		return decodeSubnet, "", ""
	case "kubeovn.io/v1 " + kindVlan:
		return decodeVlan, "", ""
	case "v1 " + kindNode:
		return decodeNode, "", ""
	case "v1 " + kindPod:
		return decodePod, "", ""
	case "v1 " + kindSecret:
		return decodeSecret, "", ""
	case v1alpha1.GroupVersion().String() + " " + kindBGPPeer:
		return decodePeer, "", ""
	}
	if group == v1alpha1.Group && kind != "Speaker" {
		return nil, "", fmt.Sprintf("this version knows BGPPeer and Speaker of %s", v1alpha1.GroupVersion())
	}
	return nil, kind + " (" + apiVersion + ")", ""
}

// placed puts where the object is into its problems.
func (o object) placed() object {
	for i := range o.problems {
		o.problems[i].Where = o.where
	}
	return o
}

func tornObject(where, message string) object {
	o := object{where: where, torn: true}
	o.problems = []Problem{{Severity: Wrong, Message: message}}
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
