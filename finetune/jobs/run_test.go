package jobs

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"causerie/finetune/files"
	"causerie/models"
)

// TestJobSucceeds follows a job from its request to a model that can be opened.
func TestJobSucceeds(t *testing.T) {
	for _, kind := range []string{LoRA, Full} {
		t.Run(kind, func(t *testing.T) {
			s := open(t, tinyBase(t, Options{}))
			j, err := s.Create(t.Context(), "", Request{
				Model: "tiny", TrainingFile: upload(t, s, "", chats(30, 3)), ValidationFile: upload(t, s, "", chats(5, 5)),
				Method: Method{Adapter: Adapter{Kind: kind}, Hyperparameters: Hyperparameters{Epochs: 4, BatchSize: 8}},
				Suffix: "mine", Seed: seeded(3),
			})
			if err != nil {
				t.Fatal(err)
			}
			var events []Event
			if err := s.Follow(t.Context(), "", j.ID, "", func(e Event) error { events = append(events, e); return nil }); err != nil {
				t.Fatal(err)
			}
			j = awaitStatus(t, s, j.ID, Succeeded)
			if !strings.HasPrefix(j.FineTunedModel, "ft:tiny:causerie:mine:") || j.TrainedTokens == 0 || j.Step != j.Steps || j.Finished.IsZero() {
				t.Errorf("the job is %+v", j)
			}
			m, err := s.Model(t.Context(), "", j.FineTunedModel)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := models.Open(t.Context(), m.Folder, models.Options{Frozen: true}); err != nil {
				t.Errorf("the result cannot be opened: %v", err)
			}
			checkCheckpoints(t, s, j)
			checkEvents(t, s, j, events)
			checkCSV(t, s, j)
			if err := s.DeleteModel(t.Context(), "", m.ID); err != nil {
				t.Error(err)
			}
			if _, err := s.Model(t.Context(), "", m.ID); err != ErrNotFound {
				t.Errorf("the deleted model: %v", err)
			}
		})
	}
}

// TestStopWork stops the work at a job while the service still answers, and has
// the next service go on.
func TestStopWork(t *testing.T) {
	o := tinyBase(t, Options{Folder: t.TempDir()})
	s, done := openUntil(t, o)
	j, err := s.Create(t.Context(), "", Request{
		Model: "tiny", TrainingFile: upload(t, s, "", chats(30, 3)),
		Method: Method{Adapter: Adapter{Kind: LoRA}, Hyperparameters: Hyperparameters{Epochs: 40, BatchSize: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, "", j.ID, "its first step", func(j Job) bool { return j.Step > 0 })
	for range 2 { // the second time there is nothing to do
		if err := s.StopWork(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if j, err = s.Job(t.Context(), "", j.ID); err != nil || j.Status != Queued || j.Step == 0 {
		t.Fatalf("%+v, %v", j, err)
	}
	done()
	s = open(t, o)
	awaitStatus(t, s, j.ID, Succeeded)
}

func checkCheckpoints(t *testing.T, s *Service, j Job) {
	t.Helper()
	list, _, err := s.Checkpoints(t.Context(), "", j.ID, Page{Limit: 10})
	if err != nil || len(list) != keptCheckpoints {
		t.Fatalf("checkpoints %+v, %v", list, err)
	}
	for _, c := range list {
		m, err := s.Model(t.Context(), "", c.Model)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := models.Open(t.Context(), m.Folder, models.Options{Frozen: true}); err != nil {
			t.Errorf("checkpoint %s cannot be opened: %v", c.Model, err)
		}
		if c.Metrics.TrainLoss == nil || c.Metrics.ValidLoss == nil {
			t.Errorf("checkpoint %s has no metrics: %+v", c.Model, c.Metrics)
		}
	}
	if last := list[len(list)-1]; last.Step != j.Steps {
		t.Errorf("the last checkpoint is of step %d of %d", last.Step, j.Steps)
	}
}

func checkEvents(t *testing.T, s *Service, j Job, followed []Event) {
	t.Helper()
	all, more, err := s.Events(t.Context(), "", j.ID, Page{Limit: 1000})
	if err != nil || more {
		t.Fatal(err, more)
	}
	ids := func(list []Event) (ids []string) {
		for _, e := range list {
			ids = append(ids, e.ID)
		}
		return ids
	}
	if !slices.Equal(ids(all), ids(followed)) {
		t.Errorf("followed %d events of %d", len(followed), len(all))
	}
	if got := all[len(all)-1].Message; got != "The job has successfully completed" {
		t.Errorf("the last event is %q", got)
	}
	metrics := 0
	for _, e := range all {
		if e.Type == TypeMetrics && e.Data["train_loss"] != nil {
			metrics++
		}
	}
	if metrics != j.Steps {
		t.Errorf("%d steps were told of %d", metrics, j.Steps)
	}
}

func checkCSV(t *testing.T, s *Service, j Job) {
	t.Helper()
	r, f, err := s.o.Files.Open(t.Context(), "", j.ResultFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if f.Purpose != files.FineTuneResults || lines[0] != "step,train_loss,train_accuracy,valid_loss" || len(lines) != j.Steps+2 { // a validation before the first step
		t.Errorf("%+v has %d lines for %d steps, the first %q", f, len(lines), j.Steps, lines[0])
	}
}

// TestPauseAndResume interrupts a job by pauses and restarts, and compares its
// weights with those of a job that nobody disturbed.
func TestPauseAndResume(t *testing.T) {
	folder := t.TempDir()
	o := tinyBase(t, Options{Folder: folder})
	s, done := openUntil(t, o)
	defer func() { done() }()
	r := Request{
		Model: "tiny", TrainingFile: upload(t, s, "", chats(40, 3)), Seed: seeded(5),
		Method: Method{Hyperparameters: Hyperparameters{Epochs: 50, BatchSize: 2}},
	}
	calm, err := s.Create(t.Context(), "", r)
	if err != nil {
		t.Fatal(err)
	}
	calm = awaitStatus(t, s, calm.ID, Succeeded)
	j, err := s.Create(t.Context(), "", r)
	if err != nil {
		t.Fatal(err)
	}
	await(t, s, "", j.ID, "at step 5", func(j Job) bool { return j.Step >= 5 })
	if j, err = s.Pause(t.Context(), "", j.ID); err != nil || j.Status != Paused {
		t.Fatal(j.Status, err)
	}
	if err := s.o.Files.Delete(t.Context(), "", r.TrainingFile); err != nil { // the job has its own copy
		t.Fatal(err)
	}
	if j, err = s.Resume(t.Context(), "", j.ID); err != nil || j.Status != Queued {
		t.Fatal(j.Status, err)
	}
	at := j.Step
	await(t, s, "", j.ID, "further", func(j Job) bool { return j.Status == Running && j.Step > at })
	done()
	s, done = openUntil(t, o)
	j = awaitStatus(t, s, j.ID, Succeeded)
	sameModels(t, s, calm, j)
}

// sameModels compares the results of two jobs bit for bit.
func sameModels(t testing.TB, s *Service, a, b Job) {
	t.Helper()
	var folders []map[string]string
	for _, j := range []Job{a, b} {
		m, err := s.Model(t.Context(), "", j.FineTunedModel)
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, contents(t, m.Folder))
	}
	if len(folders[0]) < 2 || !maps.Equal(folders[0], folders[1]) {
		t.Errorf("the results differ: %v, %v", slices.Sorted(maps.Keys(folders[0])), slices.Sorted(maps.Keys(folders[1])))
	}
}

// TestJobFails makes jobs that cannot succeed, and reads what they say.
func TestJobFails(t *testing.T) {
	s := open(t, tinyBase(t, Options{}))
	good := upload(t, s, "", chats(5, 0))
	for _, c := range []struct {
		name, code, says string
		r                Request
		before           func(Request)
	}{
		{name: "bad lines", code: CodeTrainingFile, says: "Line 2: ",
			r: Request{TrainingFile: upload(t, s, "", oneChat+"{\"messages\": []}\n")}},
		{name: "bad validation lines", code: CodeValidationFile, says: "Line 1: ",
			r: Request{TrainingFile: good, ValidationFile: upload(t, s, "", "nonsense {\n{}\n")}},
		{name: "empty file", code: CodeTrainingFile, says: "", r: Request{TrainingFile: upload(t, s, "", "")}},
		{name: "nothing counts", code: CodeTrainingFile, says: "nothing to learn",
			r: Request{TrainingFile: upload(t, s, "", strings.ReplaceAll(oneChat, `"assistant",`, `"assistant", "weight": 0,`))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.Model = "tiny"
			j, err := s.Create(t.Context(), "", c.r)
			if err != nil {
				t.Fatal(err)
			}
			j = awaitStatus(t, s, j.ID, Failed)
			if j.Error == nil || j.Error.Code != c.code || !strings.Contains(j.Error.Message, c.says) || strings.Contains(j.Error.Message, s.folder) {
				t.Errorf("the error is %+v", j.Error)
			}
		})
	}
}

// TestPreferences learns which of two replies is better.
func TestPreferences(t *testing.T) {
	s := open(t, tinyBase(t, Options{}))
	var pairs strings.Builder
	for i := range 12 {
		fmt.Fprintf(&pairs, `{"input":{"messages":[{"role":"user","content":"tea? (%d)"}]},`+
			`"preferred_output":[{"role":"assistant","content":"yes, please."}],"non_preferred_output":[{"role":"assistant","content":"no."}]}`+"\n", i)
	}
	method := Method{Type: DPO, Hyperparameters: Hyperparameters{Epochs: 6, LearningRateMultiplier: 20}}
	j, err := s.Create(t.Context(), "", Request{Model: "tiny", TrainingFile: upload(t, s, "", pairs.String()), Method: method, Seed: seeded(1)})
	if err != nil {
		t.Fatal(err)
	}
	j = awaitStatus(t, s, j.ID, Succeeded)
	list, _, err := s.Checkpoints(t.Context(), "", j.ID, Page{Limit: 1, Descending: true})
	if err != nil || list[0].Metrics.TrainAccuracy == nil || *list[0].Metrics.TrainAccuracy < 0.9 {
		t.Errorf("the last checkpoint is %+v, %v", list, err)
	}
	if j.Method.Hyperparameters.Beta != usualBeta {
		t.Errorf("the method became %+v", j.Method)
	}
	j, err = s.Create(t.Context(), "", Request{Model: "tiny", TrainingFile: upload(t, s, "", oneChat), Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if j = awaitStatus(t, s, j.ID, Failed); j.Error.Code != CodeTrainingFile || !strings.Contains(j.Error.Message, "Line 1") {
		t.Errorf("dialogues instead of preferences: %+v", j.Error)
	}
}
