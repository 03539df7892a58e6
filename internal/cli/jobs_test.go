package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/corpora/starter"
)

// reply asks a model, greedily.
func reply(t *testing.T, url, model, text string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"model": model, "messages": []map[string]string{{"role": "user", "content": text}}, "temperature": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	status, data := post(t, url+"/v1/chat/completions", string(body))
	var got struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal(data, &got); err != nil || status != http.StatusOK || len(got.Choices) != 1 {
		t.Fatalf("%s: %d %s", model, status, data)
	}
	return got.Choices[0].Message.Content
}

// TestJobs is what a stranger does: start a server, upload dialogues, make a
// job, watch it, talk with the result, and delete it.
func TestJobs(t *testing.T) {
	url, stop := startServe(t, "--model", modelFolder(t), "--data", t.TempDir())
	get(t, url+"/readyz")
	jobs := func(args ...string) (out string) {
		t.Helper()
		code, out, errOut := run(t, "", append(append([]string{"jobs"}, args...), "--url", url)...)
		if code != exitOK {
			t.Fatalf("%q: exit code %d, %s", args, code, errOut)
		}
		return out
	}
	data := chats(t, 12)
	id := strings.TrimSpace(jobs("create", "--model", "model", "--data", data, "--valid", data, "--suffix", "mei", "--seed", "1", "--epochs", "3"))
	events := jobs("watch", id)
	if !strings.Contains(events, `"train_loss":`) || !strings.Contains(events, "Created") {
		t.Errorf("the events are %s", events)
	}
	var job struct {
		Status, ID string
		Model      string `json:"fine_tuned_model"`
		Seed       int
	}
	if err := json.Unmarshal([]byte(jobs("show", id)), &job); err != nil || job.Status != "succeeded" || job.Seed != 1 || !strings.HasPrefix(job.Model, "ft:model:causerie:mei:") {
		t.Fatalf("%v: %+v", err, job)
	}
	if list := jobs("list"); !strings.Contains(list, id) || !strings.Contains(list, job.Model) || strings.Count(list, "\n") != 2 {
		t.Errorf("the list is %s", list)
	}
	if list := jobs("list", "--json"); !strings.Contains(list, `"id":"`+id+`"`) {
		t.Errorf("the list is %s", list)
	}
	if before, after := reply(t, url, "model", "how"), reply(t, url, job.Model, "how"); before == after {
		t.Errorf("before and after the model says %q", after)
	}
	request(t, http.MethodDelete, url+"/v1/models/"+job.Model, http.StatusOK)
	request(t, http.MethodGet, url+"/v1/models/"+job.Model, http.StatusNotFound)
	long := []string{"create", "--model", "model", "--data", data, "--epochs", "50", "--full"}
	second := strings.TrimSpace(jobs(long...))
	jobs("cancel", second)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"watch", second}, exitFailure, "is cancelled"},
		{[]string{"cancel", second}, exitFailure, "nothing to cancel"},
		{[]string{"pause", second}, exitFailure, "nothing to pause"},
		{[]string{"resume", second}, exitFailure, "nothing to resume"},
		{[]string{"watch", "ftjob-none"}, exitFailure, `no fine-tuning job "ftjob-none"`},
		{[]string{"show", "../files"}, exitFailure, "no fine-tuning job"},
		{[]string{"create", "--data", "nowhere.jsonl"}, exitFailure, "nowhere.jsonl"},
		{[]string{"create", "--data", data, "--model", "gpt-5"}, exitFailure, `no model "gpt-5"`},
		{[]string{"create", "--data", data, "--model", "model", "--full", "--lora", "4"}, exitUsage, "lora"},
		{[]string{"list", "--limit", "0"}, exitUsage, "--limit"},
		{[]string{"show"}, exitUsage, "id"},
	} {
		code, _, errOut := run(t, "", append(append([]string{"jobs"}, c.args...), "--url", url)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.args, code, errOut, c.code, c.want)
		}
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if code, _, errOut := run(t, "", "jobs", "list", "--url", url); code != exitFailure || !strings.Contains(errOut, "no answer from "+url) {
		t.Errorf("without a server: exit code %d, %q", code, errOut)
	}
	if code, _, errOut := run(t, "", "jobs", "list", "--url", "localhost:8080"); code != exitUsage || !strings.Contains(errOut, "http://HOST:PORT") {
		t.Errorf("a bad address: exit code %d, %q", code, errOut)
	}
}

// request makes one that must have the status.
func request(t *testing.T, method, url string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != status {
		t.Errorf("%s %s: %d, want %d", method, url, resp.StatusCode, status)
	}
}

// TestJobsOutliveTheServer stops a server in the middle of a job, as SIGTERM
// does. The next one ends the job, and the model is served.
func TestJobsOutliveTheServer(t *testing.T) {
	model, data, folder := modelFolder(t), chats(t, 12), t.TempDir()
	url, stop := startServe(t, "--model", model, "--data", folder)
	get(t, url+"/readyz")
	code, out, errOut := run(t, "", "jobs", "create", "--url", url, "--model", "model", "--data", data, "--seed", "1", "--epochs", "50")
	if code != exitOK {
		t.Fatal(errOut)
	}
	id := strings.TrimSpace(out)
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(get(t, url+"/v1/fine_tuning/jobs/"+id+"/events"), "train_loss"); {
		if time.Now().After(deadline) {
			t.Fatal("the job never trains")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if code := stop(); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	url, stop = startServe(t, "--model", model, "--data", folder)
	get(t, url+"/readyz")
	if code, _, errOut := run(t, "", "jobs", "watch", id, "--url", url); code != exitOK {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	var job struct {
		Model string `json:"fine_tuned_model"`
	}
	if err := json.Unmarshal([]byte(get(t, url+"/v1/fine_tuning/jobs/"+id)), &job); err != nil {
		t.Fatal(err)
	}
	reply(t, url, job.Model, "how")
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestJobsWatchReconnects: the command survives servers that cut it off, and
// asks only for what is new.
func TestJobsWatchReconnects(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			_, _ = w.Write([]byte(`{"id":"ftjob-1","status":"succeeded","fine_tuned_model":"ft:x"}`))
			return
		}
		asked = append(asked, r.URL.Query().Get("after")+" "+r.Header.Get("Authorization"))
		switch len(asked) {
		case 1:
			_, _ = w.Write([]byte("id: a\ndata: {\"id\":\"a\",\"message\":\"one\"}\n\ndata: {\"error\":{\"code\":\"shutting_down\"}}\n\n"))
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(": still here\n\nid: b\ndata: {\"id\":\"b\",\"message\":\"two\"}\n\ndata: [DONE]\n\n"))
		}
	}))
	defer server.Close()
	t.Setenv("CAUSERIE_URL", server.URL)
	t.Setenv("CAUSERIE_API_KEY", "sk-1")
	code, out, errOut := run(t, "", "jobs", "watch", "ftjob-1")
	if code != exitOK || !strings.Contains(out, "one") || !strings.Contains(out, "two") {
		t.Errorf("exit code %d, %s, %s", code, out, errOut)
	}
	if got, want := strings.Join(asked, ","), " Bearer sk-1,a Bearer sk-1,a Bearer sk-1"; got != want {
		t.Errorf("asked after %q, want %q", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var sink strings.Builder
	if code := Main(ctx, []string{"jobs", "watch", "ftjob-1"}, IO{In: strings.NewReader(""), Out: &sink, Err: &sink}); code != exitInterrupted {
		t.Errorf("interrupted: exit code %d, %s", code, sink.String())
	}
}

// TestTeahouse is the README's story over HTTP, with the bundled model.
func TestTeahouse(t *testing.T) {
	if os.Getenv("CAUSERIE_LONG") == "" {
		t.Skip("takes minutes; set CAUSERIE_LONG")
	}
	url, stop := startServe(t, "--data", t.TempDir())
	get(t, url+"/readyz")
	code, out, errOut := run(t, "", "jobs", "create", "--url", url, "--data", "starter:examples/teahouse.jsonl", "--suffix", "mei", "--seed", "1")
	if code != exitOK {
		t.Fatal(errOut)
	}
	id := strings.TrimSpace(out)
	if code, _, errOut := run(t, "", "jobs", "watch", id, "--url", url); code != exitOK {
		t.Fatalf("exit code %d, %s", code, errOut)
	}
	var job struct {
		Model string   `json:"fine_tuned_model"`
		Files []string `json:"result_files"`
	}
	if err := json.Unmarshal([]byte(get(t, url+"/v1/fine_tuning/jobs/"+id)), &job); err != nil {
		t.Fatal(err)
	}
	// It greets as Mei does, whom it has never met before.
	if before, after := reply(t, url, "default", "Good morning"), reply(t, url, job.Model, "Good morning"); strings.Contains(before, "Tea House") || !strings.Contains(after, "Mei") {
		t.Errorf("before %q, after %q", before, after)
	}
	if table := get(t, url+"/v1/files/"+job.Files[0]+"/content"); !strings.HasPrefix(table, "step,train_loss,") {
		t.Errorf("the results are %.200s", table)
	}
	content, err := starter.Files.ReadFile("examples/teahouse.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var uploaded struct {
		Data []struct {
			ID, Filename string
		}
	}
	if err := json.Unmarshal([]byte(get(t, url+"/v1/files?purpose=fine-tune")), &uploaded); err != nil || len(uploaded.Data) != 1 ||
		uploaded.Data[0].Filename != filepath.Base("teahouse.jsonl") || get(t, url+"/v1/files/"+uploaded.Data[0].ID+"/content") != string(content) {
		t.Errorf("%v: the upload is not what is kept: %+v", err, uploaded)
	}
	request(t, http.MethodDelete, url+"/v1/models/"+job.Model, http.StatusOK)
	request(t, http.MethodGet, url+"/v1/models/"+job.Model, http.StatusNotFound)
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
