package kubetest

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// MakeNode creates a Node, Ready, with the InternalIPs, unless it is there already.
func (s *Server) MakeNode(ctx context.Context, name string, internalIPs ...string) (*corev1.Node, error) {
	client, err := kubernetes.NewForConfig(s.Config())
	if err != nil {
		return nil, err
	}
	node, err := client.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			// A label's value is shorter than a name may be.
			Name: name, Labels: map[string]string{corev1.LabelHostname: name[:min(len(name), 63)]},
			// As kube-ovn-controller leaves it (pkg/util/const.go: AllocatedAnnotation).
			Annotations: map[string]string{"ovn.kubernetes.io/allocated": "true"},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("create Node %s: %w", name, err)
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}
	for _, ip := range internalIPs {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	if node, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("status of Node %s: %w", name, err)
	}
	return node, nil
}

// PodToken gives a token as the kubelet of the node hands it to a Pod of the
// ServiceAccount: bound to that Pod, so that it carries the node's name
// (authentication.kubernetes.io/node-name). The Pod is created if need be, with
// the name ACCOUNT-NODE.
func (s *Server) PodToken(ctx context.Context, namespace, account, node string) (string, error) {
	client, err := kubernetes.NewForConfig(s.Config())
	if err != nil {
		return "", err
	}
	pod, err := client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: account + "-" + node, Namespace: namespace},
		Spec: corev1.PodSpec{
			NodeName: node, ServiceAccountName: account,
			Containers: []corev1.Container{{Name: "none", Image: "none"}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		pod, err = client.CoreV1().Pods(namespace).Get(ctx, account+"-"+node, metav1.GetOptions{})
	}
	if err != nil {
		return "", fmt.Errorf("make a Pod for a token: %w", err)
	}
	return s.BoundToken(ctx, pod)
}

// BoundToken gives a token of a Pod's ServiceAccount that is bound to the Pod.
func (s *Server) BoundToken(ctx context.Context, pod *corev1.Pod) (string, error) {
	client, err := kubernetes.NewForConfig(s.Config())
	if err != nil {
		return "", err
	}
	hour := int64(3600)
	account := pod.Spec.ServiceAccountName
	review, err := client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: &hour,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of ServiceAccount %s/%s: %w", pod.Namespace, account, err)
	}
	return review.Status.Token, nil
}

// Whoami gives what the API server knows about the holder of the configuration's
// token beyond name and groups.
func Whoami(ctx context.Context, c *rest.Config) (map[string]authenticationv1.ExtraValue, error) {
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return nil, err
	}
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask who a token belongs to: %w", err)
	}
	return review.Status.UserInfo.Extra, nil
}
