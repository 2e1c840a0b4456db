package kube

import (
	"context"

	"k8s.io/client-go/rest"
)

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
