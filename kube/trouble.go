package kube

import (
	"crypto/x509"
	"errors"
	"net"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
)

// Trouble is what kind of thing stands between a person and a cluster: what to do depends
// on that, and not on the words.
type Trouble string

// The troubles. None is "".
const (
	// NoConfig: there is no kubeconfig, it cannot be read, or has no such context.
	NoConfig Trouble = "no kubeconfig"
	// Unreachable: nobody answers at the API server's address.
	Unreachable Trouble = "unreachable"
	// Untrusted: who answers there has another certificate.
	Untrusted Trouble = "untrusted"
	// Unknown: the API server does not know who asks.
	Unknown Trouble = "unauthenticated"
	// NotAllowed: it knows, and does not let them.
	NotAllowed Trouble = "not allowed"
	// NoSuchKind: it has no such kind of object.
	NoSuchKind Trouble = "no such kind"
)

// TroubleOf tells the trouble that an error of this package is about, "" for another.
func TroubleOf(err error) Trouble {
	var known troubled
	var certificate x509.UnknownAuthorityError
	var name x509.HostnameError
	var expired x509.CertificateInvalidError
	var request *url.Error
	var network *net.OpError
	switch {
	case errors.As(err, &known):
		return known.trouble
	case apierrors.IsUnauthorized(err):
		return Unknown
	case apierrors.IsForbidden(err):
		return NotAllowed
	case apierrors.IsNotFound(err) && namesNothing(err):
		return NoSuchKind
	case errors.As(err, &certificate), errors.As(err, &name), errors.As(err, &expired):
		return Untrusted
	case clientcmd.IsEmptyConfig(err), clientcmd.IsConfigurationInvalid(err), clientcmd.IsContextNotFound(err):
		return NoConfig
	case errors.As(err, &request), errors.As(err, &network):
		return Unreachable
	}
	return ""
}

// namesNothing tells an answer about a kind from one about an object of it.
func namesNothing(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && (answer.Status().Details == nil || answer.Status().Details.Name == "")
}

// troubled is an error whose kind is known, though its words alone do not tell.
type troubled struct {
	error
	trouble Trouble
}

// Unwrap gives the error without its kind.
func (t troubled) Unwrap() error { return t.error }
