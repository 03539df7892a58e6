package api

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"causerie/finetune/jobs"
)

// dialogues is a file to learn from.
func dialogues(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"hello %d"},{"role":"assistant","content":"how are you today? %d"}]}`+"\n", i, i)
	}
	return b.String()
}

// TestSDKJobsThatWait are all that can be done to jobs that nobody works at.
func TestSDKJobsThatWait(t *testing.T) {
	f := withTuning(t, -1, func(*Options) {})
	client := f.sdk()
	file := sendFile(t, client, "chats.jsonl", dialogues(20))
	var made []string
	for i := range 5 {
		job, err := client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{
			Model: "tiny", TrainingFile: file.ID, Suffix: openai.String("mei"), Seed: openai.Int(int64(i)),
			Metadata: shared.Metadata{"even": fmt.Sprint(i%2 == 0)},
			Method: openai.FineTuningJobNewParamsMethod{Type: "supervised", Supervised: openai.SupervisedMethodParam{
				Hyperparameters: openai.SupervisedHyperparameters{
					NEpochs:   openai.SupervisedHyperparametersNEpochsUnion{OfInt: openai.Int(3)},
					BatchSize: openai.SupervisedHyperparametersBatchSizeUnion{},
				},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if job.Status != "validating_files" || job.Seed != int64(i) || job.Method.Supervised.Hyperparameters.NEpochs.OfInt != 3 ||
			string(job.Method.Supervised.Hyperparameters.BatchSize.OfAuto) != "auto" || job.FineTunedModel != "" || job.TrainingFile != file.ID {
			t.Errorf("the job is %s", job.RawJSON())
		}
		made = append(made, job.ID)
	}
	list := func(params openai.FineTuningJobListParams) (ids []string) {
		t.Helper()
		pager := client.FineTuning.Jobs.ListAutoPaging(t.Context(), params)
		for pager.Next() {
			ids = append(ids, pager.Current().ID)
		}
		if err := pager.Err(); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	slices.Reverse(made)
	if diff := cmp.Diff(made, list(openai.FineTuningJobListParams{Limit: openai.Int(2)})); diff != "" {
		t.Errorf("by twos, newest first: %s", diff)
	}
	if diff := cmp.Diff([]string{made[1], made[3]}, list(openai.FineTuningJobListParams{Metadata: map[string]string{"even": "false"}})); diff != "" {
		t.Errorf("odd ones: %s", diff)
	}
	job, err := client.FineTuning.Jobs.Cancel(t.Context(), made[0])
	if err != nil || job.Status != "cancelled" || job.FinishedAt == 0 {
		t.Errorf("%v: %+v", err, job)
	}
	_, err = client.FineTuning.Jobs.Resume(t.Context(), made[0])
	wantSDKError(t, err, http.StatusBadRequest, "invalid_job_status", "")
	_, err = client.FineTuning.Jobs.Pause(t.Context(), made[1])
	wantSDKError(t, err, http.StatusBadRequest, "invalid_job_status", "") // it is being validated
	events := client.FineTuning.Jobs.ListEventsAutoPaging(t.Context(), made[0], openai.FineTuningJobListEventsParams{Limit: openai.Int(1)})
	var messages []string
	for events.Next() {
		messages = append(messages, events.Current().Message)
	}
	if events.Err() != nil || len(messages) < 3 || !strings.Contains(messages[0], "cancelled") || !strings.Contains(messages[len(messages)-1], "Created") {
		t.Errorf("%v: %q", events.Err(), messages)
	}
	checkpoints, err := client.FineTuning.Jobs.Checkpoints.List(t.Context(), made[0], openai.FineTuningJobCheckpointListParams{})
	if err != nil || len(checkpoints.Data) != 0 {
		t.Errorf("%v: %+v", err, checkpoints)
	}
	if _, _, data := f.do(t, http.MethodGet, "/metrics", ""); !strings.Contains(string(data), `causerie_finetuning_jobs{status="validating_files"} 4`) ||
		!strings.Contains(string(data), `causerie_finetuning_jobs{status="cancelled"} 1`) || !strings.Contains(string(data), `causerie_finetuning_jobs{status="running"} 0`) {
		t.Errorf("the figures lack jobs: %s", data)
	}
	_, err = client.FineTuning.Jobs.Get(t.Context(), "ftjob-none")
	wantSDKError(t, err, http.StatusNotFound, "not_found", "")
	_, err = client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{Model: "tiny", TrainingFile: "file-none"})
	wantSDKError(t, err, http.StatusBadRequest, jobs.CodeFileNotFound, "training_file")
	_, err = client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{Model: "gpt-5", TrainingFile: file.ID})
	wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
}

// TestTuningOfOthers: files, jobs and what they hold are their owner's.
func TestTuningOfOthers(t *testing.T) {
	f := withTuning(t, -1, func(o *Options) { o.Auth = true })
	_, mine := f.newKey(t, "ann", ScopeFinetune)
	_, chat := f.newKey(t, "ann", ScopeChat, ScopeEmbed)
	_, other := f.newKey(t, "bob", ScopeAdmin)
	file := sendFile(t, f.sdk(option.WithAPIKey(mine)), "a.jsonl", dialogues(3)).ID
	create := `{"model":"tiny","training_file":"` + file + `"}`
	status, _, data := f.request(t, http.MethodPost, "/v1/fine_tuning/jobs", create, "Authorization", "Bearer "+mine)
	var job struct{ ID string }
	if err := json.Unmarshal(data, &job); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, data)
	}
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/files/" + file, ""},
		{http.MethodGet, "/v1/files/" + file + "/content", ""},
		{http.MethodGet, "/v1/fine_tuning/jobs/" + job.ID, ""},
		{http.MethodGet, "/v1/fine_tuning/jobs/" + job.ID + "/events", ""},
		{http.MethodGet, "/v1/fine_tuning/jobs/" + job.ID + "/checkpoints", ""},
		{http.MethodPost, "/v1/fine_tuning/jobs", create},
		{http.MethodPost, "/v1/fine_tuning/jobs/" + job.ID + "/cancel", ""},
		{http.MethodGet, "/v1/fine_tuning/jobs/" + job.ID + "/events?stream=true", ""}, // it has ended by now
		{http.MethodDelete, "/v1/files/" + file, ""},
	} {
		for _, k := range []struct {
			secret string
			good   bool
			status []int
		}{
			{other, false, []int{http.StatusNotFound, http.StatusBadRequest}}, // 400: the training file is not found
			{chat, false, []int{http.StatusForbidden}},
			{mine, true, []int{http.StatusOK}},
		} {
			status, _, data := f.request(t, c.method, c.path, c.body, "Authorization", "Bearer "+k.secret)
			if !slices.Contains(k.status, status) || !k.good && strings.Contains(string(data), "hello") {
				t.Errorf("%s %s: %d %.200s, want %d", c.method, c.path, status, data, k.status)
			}
		}
	}
	for _, path := range []string{"/v1/files", "/v1/fine_tuning/jobs"} {
		if _, _, data := f.request(t, http.MethodGet, path, "", "Authorization", "Bearer "+other); !strings.Contains(string(data), `"data":[]`) {
			t.Errorf("%s of another: %s", path, data)
		}
	}
}

// wait waits for the end of a job.
func wait(t *testing.T, client openai.Client, id string) *openai.FineTuningJob {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		job, err := client.FineTuning.Jobs.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch job.Status {
		case "succeeded", "failed", "cancelled":
			return job
		}
	}
	t.Fatalf("job %s does not end", id)
	return nil
}

// startJob uploads dialogues and makes a job of them.
func startJob(t *testing.T, client openai.Client, adapter map[string]any, options ...option.RequestOption) string {
	t.Helper()
	if adapter == nil {
		adapter = map[string]any{} // the default
	}
	file := sendFile(t, client, "chats.jsonl", dialogues(40))
	job, err := client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{
		Model: "tiny", TrainingFile: file.ID, ValidationFile: openai.String(sendFile(t, client, "valid.jsonl", dialogues(5)).ID),
		Seed: openai.Int(1), Suffix: openai.String("mei"),
	}, append([]option.RequestOption{
		option.WithJSONSet("method", map[string]any{"type": "supervised", "supervised": map[string]any{
			"adapter": adapter, "hyperparameters": map[string]any{"n_epochs": 2, "learning_rate_multiplier": 5},
		}}),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return job.ID
}

// TestSDKFineTuning is the whole way: upload, train, talk, look, delete, for an
// adapter and for all weights.
func TestSDKFineTuning(t *testing.T) {
	for _, kind := range []string{jobs.LoRA, jobs.Full} {
		t.Run(kind, func(t *testing.T) {
			client := withTuning(t, 1, func(*Options) {}).sdk()
			job := wait(t, client, startJob(t, client, map[string]any{"type": kind}))
			if job.Status != "succeeded" || job.TrainedTokens == 0 || job.FinishedAt == 0 || !strings.HasPrefix(job.FineTunedModel, "ft:tiny:causerie:mei:") {
				t.Fatalf("the job is %s", job.RawJSON())
			}
			ask := func(model string) string {
				t.Helper()
				reply, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
					Model: model, Messages: say("hello"), Temperature: openai.Float(0), MaxTokens: openai.Int(12),
				})
				if err != nil {
					t.Fatal(err)
				}
				return reply.Choices[0].Message.Content
			}
			if before, after := ask("tiny"), ask(job.FineTunedModel); before == after {
				t.Errorf("before and after the model says %q", after)
			}
			embedding, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
				Model: job.FineTunedModel, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")},
			})
			if err != nil || len(embedding.Data[0].Embedding) != 32 {
				t.Errorf("%v: %+v", err, embedding)
			}
			checkCheckpoints(t, client, job, ask)
			checkResults(t, client, job)
			models, err := client.Models.List(t.Context())
			if err != nil || !slices.ContainsFunc(models.Data, func(m openai.Model) bool { return m.ID == job.FineTunedModel }) {
				t.Errorf("%v: %+v", err, models)
			}
			if gone, err := client.Models.Delete(t.Context(), job.FineTunedModel); err != nil || !gone.Deleted {
				t.Errorf("%v: %+v", err, gone)
			}
			_, err = client.Models.Delete(t.Context(), job.FineTunedModel)
			wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
			_, err = client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: job.FineTunedModel, Messages: say("hi")})
			wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
			_, err = client.Models.Get(t.Context(), job.FineTunedModel)
			wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
		})
	}
}

// checkCheckpoints talks with the states of the model during a job.
func checkCheckpoints(t *testing.T, client openai.Client, job *openai.FineTuningJob, ask func(string) string) {
	t.Helper()
	pager := client.FineTuning.Jobs.Checkpoints.ListAutoPaging(t.Context(), job.ID, openai.FineTuningJobCheckpointListParams{Limit: openai.Int(1)})
	var steps []int64
	for pager.Next() {
		c := pager.Current()
		steps = append(steps, c.StepNumber)
		ask(c.FineTunedModelCheckpoint)
		if c.FineTuningJobID != job.ID || !strings.HasPrefix(c.FineTunedModelCheckpoint, job.FineTunedModel) {
			t.Errorf("the checkpoint is %s", c.RawJSON())
		}
	}
	if pager.Err() != nil || len(steps) == 0 || !slices.IsSortedFunc(steps, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("%v: checkpoints of the steps %d", pager.Err(), steps)
	}
}

// checkResults reads the table of losses that a job leaves.
func checkResults(t *testing.T, client openai.Client, job *openai.FineTuningJob) {
	t.Helper()
	if len(job.ResultFiles) != 1 {
		t.Fatalf("result files %q", job.ResultFiles)
	}
	file, err := client.Files.Get(t.Context(), job.ResultFiles[0])
	if err != nil || file.Purpose != "fine-tune-results" {
		t.Errorf("%v: %+v", err, file)
	}
	answer, err := client.Files.Content(t.Context(), job.ResultFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	rows, err := csv.NewReader(answer.Body).ReadAll()
	if err != nil || len(rows) < 3 || !slices.Contains(rows[0], "step") || !slices.Contains(rows[0], "train_loss") || !slices.Contains(rows[0], "valid_loss") {
		t.Errorf("%v: %q", err, rows)
	}
}

// TestModelDeletedWhileItReplies: the request goes on to its end, through an
// adapter and through a model with an engine of its own.
func TestModelDeletedWhileItReplies(t *testing.T) {
	for _, kind := range []string{jobs.LoRA, jobs.Full} {
		t.Run(kind, func(t *testing.T) {
			client := withTuning(t, 1, func(*Options) {}).sdk()
			job := wait(t, client, startJob(t, client, map[string]any{"type": kind}))
			params := openai.ChatCompletionNewParams{Model: job.FineTunedModel, Messages: say("hello"), Seed: openai.Int(3), MaxTokens: openai.Int(60)}
			params.SetExtraFields(map[string]any{"ignore_eos": true})
			whole, err := client.Chat.Completions.New(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			stream := client.Chat.Completions.NewStreaming(t.Context(), params)
			var all openai.ChatCompletionAccumulator
			for i := 0; stream.Next(); i++ {
				if i == 0 {
					if _, err := client.Models.Delete(t.Context(), job.FineTunedModel); err != nil {
						t.Fatal(err)
					}
				}
				all.AddChunk(stream.Current())
			}
			if err := stream.Err(); err != nil || all.Choices[0].Message.Content != whole.Choices[0].Message.Content {
				t.Errorf("%v: %q, want %q", err, all.Choices[0].Message.Content, whole.Choices[0].Message.Content)
			}
		})
	}
}

// followed reads a stream of events to its end.
func (f *fixture) followed(t *testing.T, path string, headers ...string) (list []eventObject, ids []string, done bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("%s: %d, %s", path, resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			ids = append(ids, id)
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if data == "[DONE]" {
			return list, ids, true
		}
		var e eventObject
		if ok && json.Unmarshal([]byte(data), &e) == nil {
			list = append(list, e)
		}
	}
	return list, ids, false
}

// TestFollowingAJob: the stream goes on with the job, and who comes again after
// an event gets what came behind it.
func TestFollowingAJob(t *testing.T) {
	f := withTuning(t, 1, func(o *Options) { o.Timeout = 300 * time.Millisecond }) // streams have none
	client := f.sdk()
	path := "/v1/fine_tuning/jobs/" + startJob(t, client, nil) + "/events"
	live, ids, done := f.followed(t, path, "Accept", "text/event-stream")
	if !done || len(live) < 4 {
		t.Fatalf("%d events, done %v", len(live), done)
	}
	steps := 0
	for i, e := range live {
		if e.ID != ids[i] {
			t.Errorf("event %d is called %q and %q", i, e.ID, ids[i])
		}
		if e.Type == jobs.TypeMetrics && e.Data["train_loss"] != nil {
			steps++
		}
	}
	if steps == 0 {
		t.Error("no step in the stream")
	}
	again, _, done := f.followed(t, path+"?stream=true")
	if diff := cmp.Diff(live, again); diff != "" || !done {
		t.Errorf("afterwards: %s", diff)
	}
	for _, got := range [][]eventObject{
		first(f.followed(t, path+"?stream=true&after="+ids[1])),
		first(f.followed(t, path+"?stream=true", "Last-Event-ID", ids[1])),
	} {
		if diff := cmp.Diff(live[2:], got); diff != "" {
			t.Errorf("after the second: %s", diff)
		}
	}
	if rest, _, done := f.followed(t, path+"?stream=true&after="+ids[len(ids)-1]); len(rest) != 0 || !done {
		t.Errorf("after the last: %v, %v", rest, done)
	}
	if status, _, data := f.do(t, http.MethodGet, path+"?stream=true&after=none", ""); status != http.StatusBadRequest {
		t.Errorf("after nothing: %d %s", status, data)
	}
}

func first(list []eventObject, _ []string, _ bool) []eventObject { return list }

// TestSDKPauseAndCancel stops jobs in the middle.
func TestSDKPauseAndCancel(t *testing.T) {
	f := withTuning(t, 1, func(*Options) {})
	client := f.sdk()
	long := option.WithJSONSet("method", map[string]any{"type": "supervised", "supervised": map[string]any{
		"hyperparameters": map[string]any{"n_epochs": 50, "batch_size": 1},
	}})
	id := startJob(t, client, nil, long)
	until := func(status openai.FineTuningJobStatus) {
		t.Helper()
		for range 1000 {
			job, err := client.FineTuning.Jobs.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if job.Status == status {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("the job is never %s", status)
	}
	until("running")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, _, data := f.do(t, http.MethodGet, "/metrics", ""); strings.Contains(string(data), `causerie_finetuning_loss{data="train",job="`+id+`"}`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the figures never have the loss")
		}
	}
	if job, err := client.FineTuning.Jobs.Pause(t.Context(), id); err != nil || job.Status != "paused" {
		t.Fatalf("%v: %+v", err, job)
	}
	if _, err := client.FineTuning.Jobs.Resume(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	until("running")
	if job, err := client.FineTuning.Jobs.Cancel(t.Context(), id); err != nil || job.Status != "cancelled" {
		t.Fatalf("%v: %+v", err, job)
	}
	_, err := client.FineTuning.Jobs.Cancel(t.Context(), id)
	wantSDKError(t, err, http.StatusBadRequest, "invalid_job_status", "")
	// The next one has its turn.
	if job := wait(t, client, startJob(t, client, nil)); job.Status != "succeeded" {
		t.Errorf("the job after it is %s", job.RawJSON())
	}
}

// TestSDKFailedJob: the job says what is wrong with its file.
func TestSDKFailedJob(t *testing.T) {
	client := withTuning(t, 1, func(*Options) {}).sdk()
	file := sendFile(t, client, "bad.jsonl", dialogues(3)+"{\"messages\": 5}\n")
	job, err := client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{Model: "tiny", TrainingFile: file.ID})
	if err != nil {
		t.Fatal(err)
	}
	job = wait(t, client, job.ID)
	if job.Status != "failed" || job.Error.Code != jobs.CodeTrainingFile || job.Error.Param != "training_file" || !strings.Contains(job.Error.Message, "4") {
		t.Errorf("the job is %s", job.RawJSON())
	}
	if _, err := client.FineTuning.Jobs.Cancel(t.Context(), job.ID); err == nil {
		t.Error("a failed job can be cancelled")
	} else if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != http.StatusBadRequest {
		t.Error(err)
	}
}
