package api

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
)

// exercise sends a request to an operation that the seed chooses, and wants an
// answer that the document has and that is not the server's fault.
func exercise(t *testing.T, handler http.Handler, g *generator, seed uint64) (specified, int) {
	t.Helper()
	g.random = rand.New(rand.NewPCG(seed, 3))
	g.wrong = []float64{0, 0.02, 0.2}[g.random.IntN(3)]
	operations := g.operations()
	o := operations[g.random.IntN(len(operations))]
	r, w := g.request(o), httptest.NewRecorder()
	checked(t, handler).ServeHTTP(w, r)
	if w.Code >= 500 && w.Code != http.StatusInsufficientStorage {
		t.Errorf("seed %d: %s %s: %d %s", seed, r.Method, r.URL, w.Code, w.Body)
	}
	if w.Code >= 400 {
		errorOf(t, w.Body.Bytes())
	}
	var made struct{ ID string }
	if w.Code == http.StatusOK && json.Unmarshal(w.Body.Bytes(), &made) == nil && made.ID != "" {
		g.known = append(g.known, made.ID)
		g.known = g.known[max(0, len(g.known)-20):]
	}
	return o, w.Code
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
	handler := fuzzedServer(t)
	g := documentGenerator(t)
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
	never := map[string]bool{"DELETE /v1/models/{model}": true} // there is none that can be deleted
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
