package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOutputIsRefusedBeforeAnythingIsRead gives no input at all: it is not missed.
func TestOutputIsRefusedBeforeAnythingIsRead(t *testing.T) {
	for command, want := range map[string]string{
		"plan":        "fairway: -o cisco: not a format; use one of text, json, iproute",
		"why routed":  "fairway: -o cisco: not a format; use text or json\n",
		"check":       "fairway: -o cisco: not a format; use text or json\n",
		"status":      "fairway: -o cisco: not a format; use text or json\n",
		"plan --node": "fairway: flag needs an argument: --node\n",
	} {
		var out, errs bytes.Buffer
		args := strings.Fields(command)
		if command != "plan --node" {
			args = append(args, "-o", "cisco")
		}
		code := run(append([]string{"fairway"}, args...), strings.NewReader(""), &out, &errs)
		if code != exitUsage || !strings.HasPrefix(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%s: exit status %d, %q, %q, want %q", command, code, &out, &errs, want)
		}
	}
}

func TestOutputIsCompleted(t *testing.T) {
	for command, want := range map[string]string{"plan": "text\njson\niproute\n", "why": "text\njson\n:4\n", "check": "text\njson\n:4\n", "status": "text\njson\n:4\n"} {
		var out, errs bytes.Buffer
		if code := run([]string{"fairway", "__complete", command, "-o", ""}, strings.NewReader(""), &out, &errs); code != exitGood || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: exit status %d, %q, want %q", command, code, &out, want)
		}
	}
}

// TestNothingSteersTheTerminal: what the arguments and files have comes back in errors.
func TestNothingSteersTheTerminal(t *testing.T) {
	hostile := "a\x1b]0;gone\a\x1b[2J"
	file := filepath.Join(t.TempDir(), "x.yaml")
	text := "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: \"a\\e[2J;touch P\", annotations: {fairway.dev/advertise: 'true'}}\nspec: {cidrBlock: \"10.1.0.0/16\\e[2J\"}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"plan", "-f", hostile}, {"plan", "-f", file}, {"why", hostile, "-f", file}, {"why", "a\x1b[2J;touch P", "-f", file}, {hostile}, {"plan", "-o", hostile}, {"--" + hostile},
		{"plan", "-f", file, "--node", hostile}, {"plan", "-f", file, "-o", "frr", "--peer", hostile}, {"check", "-f", file, "--node", hostile},
		{"status", "--address", hostile}, {"run", "-f", file, "--node", "n1", "--listen", hostile}, {"run", "--log-level", hostile}, {"probe", hostile},
		{"drain", hostile, "--kubeconfig", hostile}, {"plan", "-f", file, "--without", hostile}, {"lab", "up", "--router", hostile},
	} {
		if out, _ := try(args...); strings.ContainsAny(out, "\x1b\a") {
			t.Errorf("%q: %q", args, out)
		}
	}
}
