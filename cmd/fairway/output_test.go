package main

import (
	"bytes"
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
