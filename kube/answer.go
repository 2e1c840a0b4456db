package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// IsRefusal reports whether the API server has answered, and said that this may not be:
// to ask again is of no use before somebody changes a role.
func IsRefusal(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// ask makes a request and gives the text of the answer. A refusal comes in the API
// server's own words: Error reads them out of the answer, DoRaw would make its error
// of the HTTP status alone, and whoever may not do something would read "unknown".
func ask(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}
