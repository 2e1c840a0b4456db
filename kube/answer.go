package kube

import (
	"context"
	"encoding/json"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// ask makes a request and gives the text of the answer. A refusal comes in the API
// server's own words: client-go's DoRaw makes its error of the HTTP status alone,
// and whoever may not do something would read "unknown".
func ask(ctx context.Context, request *rest.Request) ([]byte, error) {
	body, err := request.DoRaw(ctx)
	var refused *apierrors.StatusError
	if !errors.As(err, &refused) {
		return body, err
	}
	var said metav1.Status
	if json.Unmarshal(body, &said) != nil || said.Kind != "Status" || said.Message == "" {
		return nil, err
	}
	return nil, &apierrors.StatusError{ErrStatus: said}
}
