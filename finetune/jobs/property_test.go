package jobs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestTransitions reads the table of statuses as a whole.
func TestTransitions(t *testing.T) {
	all := []Status{Validating, Queued, Running, Paused, Succeeded, Failed, Cancelled}
	reached := map[Status]bool{Validating: true} // where every job begins
	for from, to := range transitions {
		if !slices.Contains(all, from) {
			t.Errorf("%q is no status", from)
		}
		if from.Final() != (len(to) == 0) {
			t.Errorf("%s goes on to %v", from, to)
		}
		for _, next := range to {
			reached[next] = true
			if !slices.Contains(next.before(), from) {
				t.Errorf("%s comes from %v, not from %s", next, next.before(), from)
			}
		}
		if !from.Final() && !from.Can(Cancelled) {
			t.Errorf("a job that is %s cannot be cancelled", from)
		}
	}
	for _, s := range all {
		if _, ok := transitions[s]; !ok || !reached[s] {
			t.Errorf("%s is not in the table, or is never reached", s)
		}
	}
}

// TestAnySequence makes random requests about several jobs while the process
// that works at them is started, told to end and killed at random. Every change
// of status, of whatever process, is written down by a trigger in the database
// and must be legal; in the end all jobs come to their end.
func TestAnySequence(t *testing.T) {
	rounds, calls := 1, 80
	if os.Getenv("CAUSERIE_LONG") != "" {
		rounds, calls = 6, 150
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { anySequence(t, uint64(seed), calls) })
	}
}

func anySequence(t *testing.T, seed uint64, calls int) {
	r := rand.New(rand.NewPCG(seed, 2))
	s := open(t, tinyBase(t, Options{Workers: -1}))
	_, err := s.db.ExecContext(t.Context(), `CREATE TABLE history (job TEXT, old TEXT, new TEXT);
		CREATE TRIGGER note AFTER UPDATE OF status ON jobs BEGIN INSERT INTO history VALUES (old.id, old.status, new.status); END`)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := upload(t, s, "", chats(20, 3)), upload(t, s, "", "{}\n")
	w := &world{t: t, s: s, r: r, files: []string{good, good, good, bad}}
	defer w.stop(syscall.SIGKILL)
	for range calls {
		w.act()
	}
	w.stop(syscall.SIGTERM)
	w.finish()
	w.check()
}

// world is what a random sequence of acts is about.
type world struct {
	t     *testing.T
	s     *Service
	r     *rand.Rand
	files []string
	jobs  []string
	child *exec.Cmd
}

func (w *world) act() {
	ctx := w.t.Context()
	time.Sleep(time.Duration(w.r.IntN(80)) * time.Millisecond)
	control := func(do func(string) (Job, error)) {
		open, err := w.s.texts(ctx, `SELECT id FROM jobs WHERE finished = 0 ORDER BY seq`)
		if err != nil {
			w.t.Fatal(err)
		}
		list := w.jobs
		if len(open) > 0 && w.r.IntN(10) > 0 { // else one that may be over
			list = open
		}
		if len(list) == 0 {
			return
		}
		_, err = do(list[w.r.IntN(len(list))])
		if _, refused := errors.AsType[*StatusError](err); err != nil && !refused {
			w.t.Fatal(err)
		}
	}
	switch n := w.r.IntN(20); {
	case n < 3 && len(w.jobs) < 6:
		j, err := w.s.Create(ctx, "", Request{
			Model: "tiny", TrainingFile: w.files[w.r.IntN(len(w.files))],
			Method: Method{Hyperparameters: Hyperparameters{Epochs: 1 + w.r.IntN(50), BatchSize: 2}},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.jobs = append(w.jobs, j.ID)
	case n == 3 && w.r.IntN(4) == 0:
		control(func(id string) (Job, error) { return w.s.Cancel(ctx, "", id) })
	case n < 10:
		control(func(id string) (Job, error) { return w.s.Pause(ctx, "", id) })
	case n < 15:
		control(func(id string) (Job, error) { return w.s.Resume(ctx, "", id) })
	case w.child == nil:
		w.child = startChild(w.t, w.s.folder)
	case n == 17:
		w.stop(syscall.SIGKILL)
	case n == 18:
		w.stop(syscall.SIGTERM)
	}
}

func (w *world) stop(signal syscall.Signal) {
	if w.child == nil {
		return
	}
	if err := w.child.Process.Signal(signal); err != nil {
		w.t.Error(err)
	}
	// One that had not begun to listen for the signal dies of it, as of a kill.
	if err := w.child.Wait(); err != nil && w.child.ProcessState.Exited() {
		w.t.Errorf("the worker ended with %v", err)
	}
	w.child = nil
}

// finish lets all jobs come to their end.
func (w *world) finish() {
	w.child = startChild(w.t, w.s.folder)
	for _, id := range w.jobs {
		if _, err := w.s.Resume(w.t.Context(), "", id); err != nil {
			if _, refused := errors.AsType[*StatusError](err); !refused {
				w.t.Fatal(err)
			}
		}
	}
	for _, id := range w.jobs {
		await(w.t, w.s, "", id, "over", func(j Job) bool { return j.Status.Final() })
	}
	w.stop(syscall.SIGTERM)
}

// check holds what has happened, and what is left of it, to the rules.
func (w *world) check() {
	ctx := w.t.Context()
	rows, err := w.s.db.QueryContext(ctx, `SELECT job, old, new FROM history`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	changes := 0
	for rows.Next() {
		var job string
		var from, to Status
		if err := rows.Scan(&job, &from, &to); err != nil {
			w.t.Fatal(err)
		}
		if changes++; !from.Can(to) {
			w.t.Errorf("job %s went from %s to %s", job, from, to)
		}
	}
	outcomes := map[Status]int{}
	for _, id := range w.jobs {
		j, err := w.s.Job(ctx, "", id)
		if err != nil {
			w.t.Fatal(err)
		}
		outcomes[j.Status]++
		_, modelErr := w.s.Model(ctx, "", j.FineTunedModel)
		if (j.Status == Succeeded) != (modelErr == nil) {
			w.t.Errorf("the job is %s, its model: %v", j.Status, modelErr)
		}
		if j.Status == Succeeded {
			if _, err := w.s.o.Files.Get(ctx, "", j.ResultFiles[0]); err != nil {
				w.t.Errorf("the result file: %v", err)
			}
		}
		if (j.Status == Failed) != (j.Error != nil) || j.Finished.IsZero() {
			w.t.Errorf("the job is %+v", j)
		}
	}
	w.t.Logf("%d changes of status; %v", changes, outcomes)
	awaitTidy(w.t, w.s)
}
