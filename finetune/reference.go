package finetune

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"causerie/corpora"
	"causerie/models/gpt2"
)

// referenceFile of a checkpoint holds the references.
const referenceFile = "reference.json"

// references are the log probabilities of replies by the model that a run
// starts from: for each dataset, by its fingerprint, one for each example. The
// training changes that model's weights, or puts an adapter beside them, so
// they are found once, before the first step, and kept in every checkpoint.
type references map[string][]float64

func (r references) write(path string) error {
	data, err := json.Marshal(r) // exactly: what is read again has the same bits
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func readReferences(dir string) (references, error) {
	path := filepath.Join(dir, referenceFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	var r references
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// preferences makes the objective of a run that learns from preferences.
func (s *setup) preferences(ctx context.Context, net *gpt2.Runner, valid []heldOut) (objective, error) {
	p := &preferences{network: net, adapter: s.folder.net(), beta: s.o.DPO.Beta, train: s.data, references: references{}}
	known := references{}
	if s.resumed != nil {
		var err error
		if known, err = readReferences(s.checkpoints.path(s.resumed.Step)); err != nil {
			return nil, err
		}
	}
	var missing []*corpora.Dataset
	for _, d := range append([]*corpora.Dataset{s.data}, datasetsOf(valid)...) {
		if list, ok := known[d.Fingerprint()]; ok && len(list) == d.Total().Examples {
			p.references[d.Fingerprint()] = list
			continue
		}
		missing = append(missing, d)
	}
	if len(missing) == 0 {
		return p, nil
	}
	if err := s.stage("measuring the replies with the model to start from"); err != nil {
		return nil, err
	}
	start, err := s.startingPoint(net)
	if err != nil {
		return nil, err
	}
	for _, d := range missing {
		if p.references[d.Fingerprint()], err = logProbs(ctx, start, d, s.o.Rows); err != nil {
			return nil, fmt.Errorf("measuring the replies with the model to start from: %w", err)
		}
	}
	return p, nil
}

// rememberStart names the weights that replies are compared by. An adapter's
// base has a name already.
func (s *setup) rememberStart() {
	switch {
	case s.folder.adapter != nil:
	case s.resumed != nil:
		s.folder.base = s.resumed.Identity.Base
	default:
		s.folder.base = weightsName(s.folder.model.Params())
	}
}

// startingPoint is the model that the run began with: an adapter's base, or
// the model as it was before the first step. A run that has changed all
// weights opens it anew, which is only needed for other validation data.
func (s *setup) startingPoint(net *gpt2.Runner) (preferenceNetwork, error) {
	if s.folder.adapter != nil || s.resumed == nil {
		return net, nil
	}
	f, err := openModel(s.o.Model)
	if err != nil {
		return nil, err
	}
	if weightsName(f.model.Params()) != s.resumed.Identity.Base {
		return nil, fmt.Errorf("%s has changed since the run began, so it cannot say how probable other replies were then: "+
			"resume with the validation data of before", s.o.Model)
	}
	return gpt2.NewRunner(f.model, s.pool), nil
}

// logProbs are the log probabilities of the replies of all examples, by the
// model without an adapter.
func logProbs(ctx context.Context, net preferenceNetwork, d *corpora.Dataset, rows int) ([]float64, error) {
	list := make([]float64, 0, d.Total().Examples)
	for b := range d.Batches(rows) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		logs := make([]float64, len(b.Examples))
		pairs := gpt2.Preferences{Segments: segmentsOf(nil, b, nil), Targets: b.Targets, Weights: b.Weights, Beta: 1}
		if _, err := net.PreferenceLoss(pairs, logs); err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(logs, func(v float64) bool { return !finite(v) }); i >= 0 {
			return nil, fmt.Errorf("the log probability of a reply is %v: the model's weights are no use", logs[i])
		}
		list = append(list, logs...)
	}
	return list, nil
}

func datasetsOf(valid []heldOut) (list []*corpora.Dataset) {
	for _, h := range valid {
		list = append(list, h.data)
	}
	return list
}
