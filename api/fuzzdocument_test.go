package api

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
)

// exercise sends a request to an operation that the seed chooses, and wants an
// answer that the document has and that is not the server's fault.
func exercise(t *testing.T, handler http.Handler, g *generator, seed uint64) (specified, int) {
	t.Helper()
	g.random = rand.New(rand.NewPCG(seed, 3))
	g.wrong = []float64{0, 0.02, 0.2}[g.random.IntN(3)]
	supply(t, handler, g)
	operations := g.operations()
	o := operations[g.random.IntN(len(operations))]
	r, w := g.request(o), httptest.NewRecorder()
	checked(t, handler).ServeHTTP(w, r)
	if w.Code >= 500 && w.Code != http.StatusInsufficientStorage && w.Code != http.StatusNotImplemented {
		t.Errorf("seed %d: %s %s: %d %s", seed, r.Method, r.URL, w.Code, w.Body)
	}
	if w.Code >= 400 {
		errorOf(t, w.Body.Bytes())
	}
	return o, w.Code
}

// supply stores something to be found, changed and deleted.
func supply(t *testing.T, handler http.Handler, g *generator) {
	t.Helper()
	ask := func(method, path, body string) string {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		var made struct {
			ID      string
			FirstID string `json:"first_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusOK && w.Code != http.StatusInsufficientStorage {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return made.ID + made.FirstID
	}
	completion := ask(http.MethodPost, "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"store":true}`)
	conversation := ask(http.MethodPost, "/v1/conversations", `{"items":[{"role":"user","content":"hi"}]}`)
	if completion == "" || conversation == "" {
		return // the store is full
	}
	if g.known == nil {
		g.known = map[string][]string{"model": {"tiny"}}
	}
	g.known["completion_id"], g.known["conversation_id"] = []string{completion}, []string{conversation}
	g.known["item_id"] = []string{ask(http.MethodGet, "/v1/conversations/"+conversation+"/items", "")}
	if g.tuning != nil && g.random.IntN(20) == 0 {
		g.known["file_id"], g.known["job_id"] = g.tuning()
	}
}

func documentGenerator(t testing.TB) *generator {
	t.Helper()
	data, err := openapiJSON()
	if err != nil {
		t.Fatal(err)
	}
	g := &generator{}
	if err := json.Unmarshal(data, &g.document); err != nil {
		t.Fatal(err)
	}
	return g
}

// FuzzDocument sends requests that are generated from the document's schemas to
// every operation.
func FuzzDocument(f *testing.F) {
	handler := fuzzedServer(f)
	g := documentGenerator(f)
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { exercise(t, handler, g, seed) })
}

// TestDocumentIsExercised: the generated requests are good and bad ones of
// every operation, or the fuzzing would be of nothing.
func TestDocumentIsExercised(t *testing.T) {
	f := withTuning(t, -1, func(*Options) {})
	handler, client := f.Handler(), f.sdk()
	g := documentGenerator(t)
	g.tuning = func() (files, jobs []string) {
		file := sendFile(t, client, "chats.jsonl", exampleFile)
		job, err := client.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{Model: "tiny", TrainingFile: file.ID})
		if err != nil {
			t.Fatal(err)
		}
		return []string{file.ID}, []string{job.ID}
	}
	good, bad := map[string]int{}, map[string]int{}
	for seed := range uint64(3000) {
		o, status := exercise(t, handler, g, seed)
		if status < 300 {
			good[o.method+" "+o.path]++
		} else {
			bad[o.method+" "+o.path]++
		}
		if t.Failed() {
			return
		}
	}
	never := map[string]bool{
		"DELETE /v1/models/{model}":                 true, // there is none that can be deleted
		"POST /v1/fine_tuning/jobs":                 true, // the file must be good, which no schema says
		"POST /v1/fine_tuning/jobs/{job_id}/pause":  true, // nobody works on the jobs
		"POST /v1/fine_tuning/jobs/{job_id}/resume": true,
	}
	for _, o := range g.operations() {
		name := o.method + " " + o.path
		if good[name] == 0 && !never[name] {
			t.Errorf("%s: none of %d requests succeeded", name, bad[name])
		}
		if bad[name] == 0 && o.body != nil {
			t.Errorf("%s: all of %d requests succeeded", name, good[name])
		}
	}
}
