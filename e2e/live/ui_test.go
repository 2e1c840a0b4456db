package live

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/fairway-bgp/fairway/picture"
)

// uiShows runs `fairway ui` with a kubeconfig until its page says all of this, in the
// picture of the cluster as JSON.
func (w *world) uiShows(kubeconfig string, words ...string) {
	w.Helper()
	c := exec.Command(w.binary, "ui", "--listen", "127.0.0.1:0")
	c.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	defer func() {
		c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			w.Errorf("fairway ui ends with %v", err)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	if url == "" {
		w.Fatalf("fairway ui says %q, %v", line, err)
	}
	w.until(fmt.Sprintf("the page of the cluster says %q", words), func() string {
		answer, err := http.Get(url + "/picture.json")
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		var shown struct{ Picture picture.Picture }
		if err := json.NewDecoder(answer.Body).Decode(&shown); err != nil {
			return fmt.Sprintf("%s, %v", answer.Status, err)
		}
		text, _ := json.Marshal(shown.Picture) // it came as JSON
		for _, word := range words {
			if !strings.Contains(string(text), word) {
				return string(text)
			}
		}
		return ""
	})
}
