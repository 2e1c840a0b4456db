package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that every process of a lab carries, with
// the lab's prefix as its value. It is there from the process's first moment and
// goes with it, so it cannot name a stranger as a recorded pid could.
const marker = "FAIRWAY_LAB"

// process is one that this program started.
type process struct {
	name string
	cmd  *exec.Cmd
	// done is closed when the process has ended.
	done chan struct{}
}

// start runs argv in one of the lab's namespaces, or outside all where space is
// "", in a session of its own: it outlives this program and its terminal.
func (o Options) start(name, space string, argv ...string) (*process, error) {
	out, err := os.OpenFile(o.logFile(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := o.command(context.Background(), space, argv...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name, cmd, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// command is argv in a namespace, marked as part of the lab.
func (o Options) command(ctx context.Context, space string, argv ...string) *exec.Cmd {
	if space != "" {
		// `ip netns exec` becomes the command, with the same pid.
		argv = append([]string{"ip", "netns", "exec", o.Prefix + space}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = o.markedEnv()
	return cmd
}

// markedEnv is this program's environment with the lab's marker.
func (o Options) markedEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, marker+"=") })
	return append(env, marker+"="+o.Prefix)
}

// visitorEnv is that of a person's command in a station: this program is found
// by its name there, wherever it was built.
func (o Options) visitorEnv() []string {
	env := slices.DeleteFunc(o.markedEnv(), func(s string) bool { return strings.HasPrefix(s, "PATH=") })
	return append(env, "PATH="+filepath.Dir(o.Binary)+":"+os.Getenv("PATH"))
}

// stop ends the process and waits for that.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(unix.SIGTERM) // it may have ended
	select {
	case <-p.done:
		return
	case <-time.After(patience):
	}
	_ = p.cmd.Process.Kill() // likewise
	<-p.done
}

// patience is how long a process may take to end by itself.
const patience = 3 * time.Second

// endAll ends every process that carries the lab's marker, first kindly. It
// looks again until none is left, for a process may start others meanwhile.
func (o Options) endAll(ctx context.Context) error {
	deadline := time.Now().Add(patience)
	asked := map[int]bool{} // once: a second SIGTERM may mean haste
	for {
		left, err := o.marked()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline.Add(2 * patience)) {
			return fmt.Errorf("end the lab's processes: %d stay in spite of SIGKILL", len(left))
		}
		for _, p := range left {
			switch {
			case time.Now().After(deadline):
				_ = p.Signal(unix.SIGKILL) // it may have ended
			case !asked[p.Pid]:
				_ = p.Signal(unix.SIGTERM) // likewise
				asked[p.Pid] = true
			}
			_ = p.Release()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("end the lab's processes: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// marked finds the lab's processes. Each is held by a pidfd before its
// environment is read, so a signal never reaches a later user of its number.
func (o Options) marked() ([]*os.Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("find the lab's processes: %w", err)
	}
	var found []*os.Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		// A process that ended has an empty environment, or none.
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), marker+"="+o.Prefix) {
			found = append(found, p)
			continue
		}
		_ = p.Release()
	}
	return found, nil
}

// output runs a command to its end and gives what it printed. An exit status
// other than 0 is an error that shows it, and the output comes with it.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	text := strings.TrimRight(string(out), "\n")
	if err != nil {
		return text, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, text)
	}
	return text, nil
}

// exitCode is the status of a command that ran; -1 for one that did not.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}
