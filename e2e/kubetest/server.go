package kubetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// Options say where a Server shall be reachable.
type Options struct {
	// Folder for data, keys and logs; it must exist.
	Folder string
	// Address that the API server listens on. Empty: a loopback address that no
	// other test process uses. "0.0.0.0" is reachable from network namespaces too.
	Address string
	// Names are further addresses or host names that the server's certificate holds
	// for, such as the address by which a network namespace reaches it.
	Names []string
	// Flags are further flags of kube-apiserver, such as those of its audit log.
	Flags []string
	// Progress is told about a build that takes long. nil: stderr.
	Progress io.Writer
}

// Server is a running API server with its etcd.
type Server struct {
	// API is the kube-apiserver process.
	API *Process
	// Etcd is its store. Killed and started again it has what it had.
	Etcd *Process

	root, folder string
	host, port   string
	adminToken   string
	authority    []byte
}

// StartForTest starts a Server that ends with the test. Without etcd the test is
// skipped, or fails where CI is set. The first time on a machine takes minutes,
// longer than go test's usual -timeout on a slow one: `go run
// ./e2e/kubetest/build` builds the server beforehand and shows progress.
func StartForTest(t testing.TB) *Server {
	t.Helper()
	return StartForTestWith(t, Options{})
}

// StartForTestWith is StartForTest with options; an empty Folder is made.
func StartForTestWith(t testing.TB, o Options) *Server {
	t.Helper()
	needs.Programs(t, "etcd") // Debian: etcd-server
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start builds the API server if need be, and starts etcd and it. Stop ends both;
// if this process ends without, the kernel kills them.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	root, err := Root(ctx)
	if err != nil {
		return nil, err
	}
	binary, err := Build(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	s := &Server{root: root, folder: o.Folder, adminToken: randomToken()}
	if err := s.prepare(binary, o); err != nil {
		return nil, fmt.Errorf("prepare the API server: %w", err)
	}
	if err := s.Etcd.Start(ctx); err != nil {
		return nil, err
	}
	if err := s.API.Start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends both processes. There is nothing to be saved, so they are killed.
func (s *Server) Stop() {
	s.API.Kill()
	s.Etcd.Kill()
}

// EmptyEtcd replaces the store by an empty one and starts the API server anew:
// every object is gone at once, as after a restore of the wrong backup.
func (s *Server) EmptyEtcd(ctx context.Context) error {
	s.Stop()
	if err := os.RemoveAll(s.etcdFolder()); err != nil {
		return fmt.Errorf("empty etcd: %w", err)
	}
	if err := s.Etcd.Start(ctx); err != nil {
		return err
	}
	return s.API.Start(ctx)
}

func (s *Server) etcdFolder() string { return filepath.Join(s.folder, "etcd") }

// prepare writes keys and tokens, picks ports and puts the command lines together.
func (s *Server) prepare(binary string, o Options) error {
	own := ownLoopback()
	if s.host = o.Address; s.host == "" || s.host == "0.0.0.0" {
		s.host = own
	}
	ports, err := freePorts(own, 3)
	if err != nil {
		return err
	}
	s.port = ports[0]
	keys, err := writeKeys(s.folder, append([]string{"localhost", "127.0.0.1", own, s.host}, o.Names...))
	if err != nil {
		return err
	}
	s.authority = keys.authority
	tokens := filepath.Join(s.folder, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(s.adminToken+`,admin,admin-uid,"system:masters"`+"\n"), 0o600); err != nil {
		return err
	}
	client, peer := "http://"+net.JoinHostPort(own, ports[1]), "http://"+net.JoinHostPort(own, ports[2])
	s.Etcd = &Process{name: "etcd", path: "etcd", log: filepath.Join(s.folder, "etcd.log"), args: etcdArgs(s.etcdFolder(), client, peer), ready: get(http.DefaultClient, client+"/health", "")}
	bind := o.Address
	if bind == "" {
		bind = own
	}
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: keys.client, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	s.API = &Process{name: "kube-apiserver", path: binary, log: filepath.Join(s.folder, "kube-apiserver.log"), ready: get(https, s.URL()+"/readyz", s.adminToken), args: append([]string{
		"--etcd-servers=" + client, "--bind-address=" + bind, "--advertise-address=" + own, "--secure-port=" + s.port,
		"--tls-cert-file=" + keys.serverCert, "--tls-private-key-file=" + keys.serverKey, "--cert-dir=" + s.folder,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + keys.accountPublic,
		"--service-account-signing-key-file=" + keys.accountPrivate, "--token-auth-file=" + tokens,
		"--service-cluster-ip-range=10.96.0.0/12", "--authorization-mode=RBAC",
		// Nothing here creates the default ServiceAccounts that the plugin asks for.
		"--disable-admission-plugins=ServiceAccount",
		"--endpoint-reconciler-type=none", "--profiling=false", "--v=1",
	}, o.Flags...)}
	return nil
}

func etcdArgs(folder, client, peer string) []string {
	return []string{
		"--data-dir=" + folder, "--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
		// The data need not survive a power cut of the machine.
		"--unsafe-no-fsync", "--log-level=warn",
	}
}

// get asks a URL once; any answer but 200 is an error.
func get(client *http.Client, url, token string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<12))
		if answer.StatusCode != http.StatusOK {
			return errors.Join(err, fmt.Errorf("GET %s: %s: %s", url, answer.Status, body))
		}
		return err
	}
}

// ownLoopback is an address in 127.0.0.0/8 of this process' own (process ids stay
// below 2^22), so that no other process takes a port between its choice and its
// use, or after the server was killed.
func ownLoopback() string {
	pid := os.Getpid()
	return net.IPv4(127, 64|byte(pid>>16&0x3f), byte(pid>>8), byte(pid)).String()
}

// freePorts gives n different free TCP ports of the address.
func freePorts(address string, n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // at the end, so that no port is given twice
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func randomToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
