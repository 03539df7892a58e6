package api

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/finetune/jobs"
)

// tuning has the fine-tuning jobs, or says why there are none.
func (s *Server) tuning() (*jobs.Service, error) {
	if s.options.Jobs == nil {
		return nil, noDataFolder()
	}
	return s.options.Jobs, nil
}

// jobObject is OpenAI's description of a fine-tuning job. Progress is this
// server's own.
type jobObject struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	CreatedAt       int64             `json:"created_at"`
	FinishedAt      *int64            `json:"finished_at"`
	EstimatedFinish *int64            `json:"estimated_finish"`
	Model           string            `json:"model"`
	FineTunedModel  *string           `json:"fine_tuned_model"`
	OrganizationID  string            `json:"organization_id"`
	Status          jobs.Status       `json:"status"`
	Error           *jobProblem       `json:"error"`
	TrainingFile    string            `json:"training_file"`
	ValidationFile  *string           `json:"validation_file"`
	ResultFiles     []string          `json:"result_files"`
	TrainedTokens   *int64            `json:"trained_tokens"`
	Hyperparameters hyperparameters   `json:"hyperparameters"`
	Method          jobMethod         `json:"method"`
	Seed            int64             `json:"seed"`
	Metadata        map[string]string `json:"metadata"`
	Integrations    []struct{}        `json:"integrations"`
	Progress        jobProgress       `json:"progress"`
}

type jobProblem struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

type jobProgress struct {
	Step  int `json:"step"`
	Steps int `json:"total_steps"` // 0: not known yet
}

// hyperparameters are numbers, or "auto" as long as nobody has chosen any.
type hyperparameters struct {
	Epochs     any `json:"n_epochs"`
	BatchSize  any `json:"batch_size"`
	Multiplier any `json:"learning_rate_multiplier"`
	Beta       any `json:"beta,omitempty"`
}

// jobMethod has the settings under the method's own name.
type jobMethod struct {
	Type       string          `json:"type"`
	Supervised *methodSettings `json:"supervised,omitempty"`
	DPO        *methodSettings `json:"dpo,omitempty"`
}

type methodSettings struct {
	Hyperparameters hyperparameters `json:"hyperparameters"`
	Adapter         jobAdapter      `json:"adapter"`
}

// jobAdapter is this server's own.
type jobAdapter struct {
	Type    string   `json:"type"`
	Rank    int      `json:"rank,omitempty"`
	Alpha   float64  `json:"alpha,omitempty"`
	Dropout float64  `json:"dropout,omitempty"`
	Targets []string `json:"target_modules,omitempty"`
}

func jobOf(j jobs.Job) jobObject {
	h := j.Method.Hyperparameters
	shown := hyperparameters{Epochs: orAuto(h.Epochs), BatchSize: orAuto(h.BatchSize), Multiplier: orAuto(h.LearningRateMultiplier)}
	o := jobObject{
		ID: j.ID, Object: "fine_tuning.job", CreatedAt: j.Created.Unix(), FinishedAt: unixOf(j.Finished), EstimatedFinish: unixOf(j.EstimatedFinish),
		Model: j.Model, FineTunedModel: optional(j.FineTunedModel), OrganizationID: "causerie", Status: j.Status,
		TrainingFile: j.TrainingFile, ValidationFile: optional(j.ValidationFile), ResultFiles: j.ResultFiles,
		Hyperparameters: shown, Seed: j.Seed, Metadata: j.Metadata, Integrations: []struct{}{}, Progress: jobProgress{j.Step, j.Steps},
	}
	if o.ResultFiles == nil {
		o.ResultFiles = []string{}
	}
	if j.TrainedTokens > 0 {
		o.TrainedTokens = &j.TrainedTokens
	}
	if p := j.Error; p != nil {
		o.Error = &jobProblem{Code: p.Code, Message: p.Message, Param: optional(p.Param)}
	}
	a := j.Method.Adapter
	settings := &methodSettings{shown, jobAdapter{a.Kind, a.Rank, a.Alpha, a.Dropout, a.Targets}}
	o.Method.Type = j.Method.Type
	if o.Method.Type == jobs.DPO {
		settings.Hyperparameters.Beta = orAuto(h.Beta)
		o.Method.DPO = settings
	} else {
		o.Method.Supervised = settings
	}
	return o
}

func orAuto[T comparable](v T) any {
	if v == *new(T) {
		return "auto"
	}
	return v
}

// unixOf is nil for no time.
func unixOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.Unix())
}

// createJob answers POST /v1/fine_tuning/jobs.
func (s *Server) createJob(w http.ResponseWriter, r *http.Request) error {
	service, err := s.tuning()
	if err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	request, err := parseJob(body)
	if err != nil {
		return err
	}
	job, err := service.Create(r.Context(), owner(r), request.Request)
	if err != nil {
		return request.place(err)
	}
	writeJSON(w, http.StatusOK, jobOf(job))
	return nil
}

// listJobs answers GET /v1/fine_tuning/jobs.
func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) error {
	page, query, err := readPage(r, true, "metadata")
	if err != nil {
		return err
	}
	metadata, err := metadataQuery(query)
	if err != nil {
		return err
	}
	service, err := s.tuning()
	if err != nil {
		return err
	}
	found, more, err := service.Jobs(r.Context(), owner(r), metadata, page)
	if err != nil {
		return err
	}
	data := make([]jobObject, len(found))
	for i, j := range found {
		data[i] = jobOf(j)
	}
	writeJSON(w, http.StatusOK, newList(data, func(j jobObject) string { return j.ID }, more))
	return nil
}

// getJob answers GET /v1/fine_tuning/jobs/{job_id}.
func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	service, err := s.tuning()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "job_id")
	job, err := service.Job(r.Context(), owner(r), id)
	if err != nil {
		return missing(err, "fine-tuning job", id)
	}
	writeJSON(w, http.StatusOK, jobOf(job))
	return nil
}

// jobAction answers POST /v1/fine_tuning/jobs/{job_id}/cancel, pause and resume.
// They take no body; clients send an empty one, or an empty object.
func (s *Server) jobAction(action string) http.HandlerFunc {
	return handle(func(w http.ResponseWriter, r *http.Request) error {
		service, err := s.tuning()
		if err != nil {
			return err
		}
		act := map[string]func() (jobs.Job, error){
			"cancel": func() (jobs.Job, error) { return service.Cancel(r.Context(), owner(r), chi.URLParam(r, "job_id")) },
			"pause":  func() (jobs.Job, error) { return service.Pause(r.Context(), owner(r), chi.URLParam(r, "job_id")) },
			"resume": func() (jobs.Job, error) { return service.Resume(r.Context(), owner(r), chi.URLParam(r, "job_id")) },
		}[action]
		job, err := act()
		if err != nil {
			return missing(err, "fine-tuning job", chi.URLParam(r, "job_id"))
		}
		writeJSON(w, http.StatusOK, jobOf(job))
		return nil
	})
}

// checkpointObject is OpenAI's description of a checkpoint.
type checkpointObject struct {
	ID        string       `json:"id"`
	Object    string       `json:"object"`
	CreatedAt int64        `json:"created_at"`
	Job       string       `json:"fine_tuning_job_id"`
	Model     string       `json:"fine_tuned_model_checkpoint"`
	Step      int          `json:"step_number"`
	Metrics   jobs.Metrics `json:"metrics"`
}

// Limits of a page of checkpoints; OpenAI's usual number is smaller here.
var checkpointPages = pages{usual: 10, most: 100}

// listCheckpoints answers GET /v1/fine_tuning/jobs/{job_id}/checkpoints.
func (s *Server) listCheckpoints(w http.ResponseWriter, r *http.Request) error {
	page, _, err := checkpointPages.read(r, true)
	if err != nil {
		return err
	}
	service, err := s.tuning()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "job_id")
	found, more, err := service.Checkpoints(r.Context(), owner(r), id, page)
	if err != nil {
		return missing(err, "fine-tuning job", id)
	}
	data := make([]checkpointObject, len(found))
	for i, c := range found {
		data[i] = checkpointObject{
			ID: c.ID, Object: "fine_tuning.job.checkpoint", CreatedAt: c.Created.Unix(), Job: c.Job, Model: c.Model, Step: c.Step, Metrics: c.Metrics,
		}
	}
	writeJSON(w, http.StatusOK, newList(data, func(c checkpointObject) string { return c.ID }, more))
	return nil
}
