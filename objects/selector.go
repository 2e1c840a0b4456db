package objects

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/routes"
)

// selectorOf converts a label selector; what is wrong with it is reported below
// path.
func selectorOf(s *metav1.LabelSelector, path string, r *report) routes.Selector {
	var out routes.Selector
	if s == nil {
		return out
	}
	if len(s.MatchLabels) > 0 {
		out.MatchLabels = maps.Clone(s.MatchLabels)
	}
	for _, k := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		at := joinPath(path+".matchLabels", k)
		checkLabelKey(k, at, r)
		checkLabelValue(s.MatchLabels[k], at, r)
	}
	for i, e := range s.MatchExpressions {
		at := fmt.Sprintf("%s.matchExpressions[%d]", path, i)
		checkLabelKey(e.Key, at+".key", r)
		checkOperator(e, at, r)
		for j, v := range e.Values {
			checkLabelValue(v, fmt.Sprintf("%s.values[%d]", at, j), r)
		}
		out.MatchExpressions = append(out.MatchExpressions, routes.Requirement{
			Key: e.Key, Operator: string(e.Operator), Values: append([]string(nil), e.Values...),
		})
	}
	return out
}

// labelSelector gives a BGPPeer's selector as Kubernetes' own, which it is but for
// the bounds.
func labelSelector(s *v1alpha1.NodeSelector) *metav1.LabelSelector {
	if s == nil {
		return nil
	}
	out := &metav1.LabelSelector{}
	for k, v := range s.MatchLabels {
		metav1.AddLabelToSelector(out, k, string(v))
	}
	for _, e := range s.MatchExpressions {
		requirement := metav1.LabelSelectorRequirement{Key: e.Key, Operator: e.Operator}
		for _, v := range e.Values {
			requirement.Values = append(requirement.Values, string(v))
		}
		out.MatchExpressions = append(out.MatchExpressions, requirement)
	}
	return out
}

// checkOperator: In and NotIn need values, Exists and DoesNotExist take none
// (metav1.LabelSelectorRequirement).
func checkOperator(e metav1.LabelSelectorRequirement, at string, r *report) {
	switch e.Operator {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if len(e.Values) == 0 {
			r.wrong(at+".values", missing, "operator %s needs at least one value", e.Operator)
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if len(e.Values) > 0 {
			r.wrong(at+".values", e.Values, "operator %s takes no values: remove them", e.Operator)
		}
	case "":
		r.wrong(at+".operator", missing, "give In, NotIn, Exists or DoesNotExist")
	default:
		r.wrong(at+".operator", e.Operator, "is not one of In, NotIn, Exists, DoesNotExist")
	}
}

func checkLabelKey(k, at string, r *report) {
	if k == "" {
		r.wrong(at, missing, "give the key of a label")
	} else if why := validation.IsQualifiedName(k); len(why) > 0 {
		r.wrong(at, k, "is not a label's key: %s", why[0])
	}
}

func checkLabelValue(v, at string, r *report) {
	if why := validation.IsValidLabelValue(v); len(why) > 0 {
		r.wrong(at, v, "is not a label's value: %s", why[0])
	}
}

// sameSelector compares what two selectors say, whatever the order.
func sameSelector(a, b routes.Selector) bool {
	normal := func(s routes.Selector) []string {
		var out []string
		for _, q := range s.MatchExpressions {
			out = append(out, fmt.Sprintf("%q %q %q", q.Key, q.Operator, slices.Sorted(slices.Values(q.Values))))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return maps.Equal(a.MatchLabels, b.MatchLabels) && slices.Equal(normal(a), normal(b))
}
