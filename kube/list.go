package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/objects"
)

// readList gives the objects of a list, converted. The text of the whole is never held:
// 10,000 Subnets are 15 MB, and their values 10.
func (f *feed) readList(ctx context.Context, o metav1.ListOptions) (*rawList, error) {
	ctx, cancel := context.WithTimeout(ctx, listBound)
	defer cancel()
	body, err := f.request(o).Timeout(listBound).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var list rawList
	texts, converted := make(chan []byte, mostAhead), make(chan *rawObject, mostAhead)
	var converting sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		converting.Go(func() {
			for text := range texts {
				converted <- f.fromText(text)
			}
		})
	}
	read := make(chan error, 1)
	go func() {
		read <- eachItem(body, &list.ListMeta, func(text []byte) { texts <- text })
		close(texts)
		converting.Wait()
		close(converted)
	}()
	for p := range converted {
		list.Items = append(list.Items, *p)
	}
	if err := <-read; err != nil {
		return nil, fmt.Errorf("read the list of %s: %w", f.resource, err)
	}
	return &list, nil
}

// mostAhead is how many objects may wait between those who read, convert and collect.
const mostAhead = 64

// fromText converts an object of a list. What has no name is of no use to anybody.
func (f *feed) fromText(text []byte) *rawObject {
	if f.kind == kindSpeaker {
		var p rawObject
		_ = json.Unmarshal(text, &p) // its text was read as JSON
		return f.converted(&p)
	}
	t := objects.Take(f.version.String(), f.kind, text)
	return &rawObject{stored: newStored(t), rawMeta: rawMeta{
		Name: t.Name, Namespace: t.Namespace, UID: types.UID(t.UID), ResourceVersion: t.ResourceVersion, Generation: t.Generation,
	}}
}

// eachItem reads the JSON of a list item by item, and its metadata.
func eachItem(r io.Reader, meta *metav1.ListMeta, item func(text []byte)) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return cmp.Or(err, fmt.Errorf("no object, but %v", t))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "metadata":
			err = d.Decode(meta)
		case "items":
			err = items(d, item)
		default:
			var other json.RawMessage
			err = d.Decode(&other)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.Token() // the end, without which the list is cut off
	return err
}

// items reads an array item by item; null has none.
func items(d *json.Decoder, item func(text []byte)) error {
	if t, err := d.Token(); err != nil || t == nil {
		return err
	} else if t != json.Delim('[') {
		return fmt.Errorf("items are no array, but %v", t)
	}
	for d.More() {
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return err
		}
		item(text)
	}
	_, err := d.Token()
	return err
}
