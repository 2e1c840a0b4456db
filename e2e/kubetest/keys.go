package kubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// keys are the files that a server needs, and what its clients need.
type keys struct {
	serverCert, serverKey         string
	accountPublic, accountPrivate string
	authority                     []byte // PEM
	client                        *tls.Config
}

// writeKeys makes the server's certificate, valid for the names, and the key that
// signs the tokens of ServiceAccounts.
func writeKeys(folder string, names []string) (keys, error) {
	k := keys{
		serverCert: filepath.Join(folder, "server.crt"), serverKey: filepath.Join(folder, "server.key"),
		accountPublic: filepath.Join(folder, "accounts.pub"), accountPrivate: filepath.Join(folder, "accounts.key"),
	}
	cert, key, err := certificate(names)
	if err != nil {
		return k, fmt.Errorf("server certificate: %w", err)
	}
	// The certificate is its own authority.
	k.authority = cert
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	k.client = &tls.Config{RootCAs: pool}
	account, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return k, fmt.Errorf("key for ServiceAccounts: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&account.PublicKey)
	if err != nil {
		return k, fmt.Errorf("key for ServiceAccounts: %w", err)
	}
	for path, block := range map[string][]byte{
		k.serverCert: cert, k.serverKey: key,
		k.accountPublic:  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		k.accountPrivate: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(account)}),
	} {
		if err := os.WriteFile(path, block, 0o600); err != nil {
			return k, err
		}
	}
	return k, nil
}

// certificate makes a self-signed server certificate for a day.
func certificate(names []string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}
