package kubetest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// CacheVariable is the environment variable that names the folder in which
// built API servers are kept; without it that is fairway/kube-apiserver in the
// user's cache folder.
const CacheVariable = "FAIRWAY_KUBE_APISERVER_CACHE"

// binaryName is the built server's file name in its cache folder.
const binaryName = "kube-apiserver"

// progressEvery is how often a person who waits is told.
const progressEvery = 5 * time.Second

// sources are the files that, with the version of Go, decide what is built.
func sources() []string { return []string{"go.mod", "go.sum", "main.go"} }

// Build gives the path of a kube-apiserver, built from the nested module apiserver
// of the module that the working directory is in. What has been built before is
// taken from the cache; two processes do not build at once. Progress goes to w,
// because the first time takes minutes.
func Build(ctx context.Context, w io.Writer) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "e2e", "kubetest", "apiserver")
	folder, err := cacheFolder(module)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(folder, binaryName)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("cache of kube-apiserver: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(folder, "lock"), w)
	if err != nil {
		return "", err
	}
	defer unlock()
	// Another process may have built it while this one waited.
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := compile(ctx, module, binary, w); err != nil {
		return "", fmt.Errorf("build kube-apiserver in %s: %w", module, err)
	}
	return binary, nil
}

// Root is the folder of the module that the working directory is in.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("ask go for the module's folder: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("the working directory is in no Go module")
	}
	return filepath.Dir(file), nil
}

// cacheFolder is the folder for what these sources and this Go build.
func cacheFolder(module string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range sources() {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("key of the cache: %w", err)
		}
		fmt.Fprintln(h, name, len(b))
		h.Write(b)
	}
	base := os.Getenv(CacheVariable)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder, set %s: %w", CacheVariable, err)
		}
		base = filepath.Join(user, "fairway", "kube-apiserver")
	}
	return filepath.Join(base, hex.EncodeToString(h.Sum(nil))[:16]), nil
}

// lock waits until this process alone may build. The kernel takes the lock away
// from a process that ends, so none is left behind.
func lock(ctx context.Context, path string, w io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the build: %w", err)
	}
	began := time.Now()
	said := time.Time{}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if time.Since(said) >= progressEvery {
			said = time.Now()
			fmt.Fprintf(w, "kubetest: another process builds kube-apiserver; waiting, %s so far\n", time.Since(began).Round(time.Second))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another build: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// compile builds module into binary, which appears whole or not at all.
func compile(ctx context.Context, module, binary string, w io.Writer) error {
	version, err := kubernetesVersion(ctx, module)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "kubetest: building kube-apiserver %s into %s; the first time takes about 8 minutes on 2 cores\n", version, filepath.Dir(binary))
	began := time.Now()
	unfinished := binary + ".unfinished"
	cmd := politely(ctx, "go", "build", "-v", "-trimpath", "-ldflags", linkerFlags(version), "-o", unfinished, ".")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := follow(stderr, func(packages int64) {
		fmt.Fprintf(w, "kubetest: … %s, %d packages compiled\n", time.Since(began).Round(time.Second), packages)
	})
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	if err := os.Rename(unfinished, binary); err != nil {
		return err
	}
	fmt.Fprintf(w, "kubetest: kube-apiserver %s built in %s\n", version, time.Since(began).Round(time.Second))
	return nil
}

// follow counts the lines of `go build -v`, one per package, tells the count from
// time to time, and gives the last lines once there are no more.
func follow(r io.Reader, tell func(packages int64)) string {
	var packages atomic.Int64
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				tell(packages.Load())
			}
		}
	}()
	var last []string
	for lines := bufio.NewScanner(r); lines.Scan(); packages.Add(1) {
		last = append(last, lines.Text())
		last = last[max(0, len(last)-20):]
	}
	return strings.Join(last, "\n")
}

// politely runs a command at low priority where nice is installed: whoever waits
// for the build may want to work meanwhile.
func politely(ctx context.Context, name string, args ...string) *exec.Cmd {
	if _, err := exec.LookPath("nice"); err != nil {
		return exec.CommandContext(ctx, name, args...)
	}
	return exec.CommandContext(ctx, "nice", append([]string{"-n", "10", name}, args...)...)
}

func kubernetesVersion(ctx context.Context, module string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version of k8s.io/kubernetes: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// linkerFlags give the server its version, without which clients cannot parse
// what it says about itself. Fixed commit and date keep the binary reproducible.
func linkerFlags(version string) string {
	numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := "-s -w"
	for _, f := range [][2]string{
		{"gitVersion", version}, {"gitMajor", numbers[0]}, {"gitMinor", numbers[1]}, {"gitTreeState", "clean"},
		{"gitCommit", strings.Repeat("0", 40)}, {"buildDate", "1970-01-01T00:00:00Z"},
	} {
		flags += fmt.Sprintf(" -X k8s.io/component-base/version.%s=%s", f[0], f[1])
	}
	return flags
}
