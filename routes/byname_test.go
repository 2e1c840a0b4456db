package routes_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/fairway-bgp/fairway/routes"
)

func TestByNameIsAnObjectInJSON(t *testing.T) {
	list := routes.ByNameOf(map[string]int{"b": 2, "a": 1})
	text, err := json.Marshal(list)
	var back routes.ByName[int]
	if err := errors.Join(err, json.Unmarshal(text, &back)); err != nil || string(text) != `{"a":1,"b":2}` || !reflect.DeepEqual(back, list) {
		t.Errorf("%s, read back as %v: %v", text, back, err)
	}
	if v, there := list.Of("b"); !there || v != 2 {
		t.Errorf("b is %d, %t", v, there)
	}
	if _, there := list.Of("c"); there || list.Entry("c") != nil {
		t.Error("there is a c")
	}
	same := func(a, b int) bool { return a == b }
	if !list.EqualFunc(back, same) || list.EqualFunc(routes.ByNameOf(map[string]int{"a": 1, "c": 2}), same) || list.EqualFunc(list[:1], same) {
		t.Error("equal where it is not, or the other way")
	}
}
