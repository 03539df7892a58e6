package api

import (
	"encoding/json"
	"errors"
	"strings"

	"causerie/finetune/jobs"
)

// jobRequest is the body of POST /v1/fine_tuning/jobs, checked for form.
type jobRequest struct {
	jobs.Request
	at string // where the hyperparameters stand, when not in their method
}

var jobFields = fields{
	served: []string{"model", "training_file", "validation_file", "suffix", "seed", "metadata", "method", "hyperparameters"},
	idle:   []string{"user"},
	refused: map[string][]string{
		"integrations": {"[]"},
	},
}

func parseJob(o object) (*jobRequest, error) {
	if err := jobFields.check(o); err != nil {
		return nil, err
	}
	r := &jobRequest{}
	for _, f := range []struct {
		name string
		dst  any
	}{{"model", &r.Model}, {"training_file", &r.TrainingFile}, {"validation_file", &r.ValidationFile}, {"suffix", &r.Suffix}} {
		if err := o.read(f.name, f.name, f.dst); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"model", "training_file"} {
		if !o.has(name) {
			return nil, invalid(name, "%s is missing", name)
		}
	}
	if o.has("seed") {
		r.Seed = new(int64)
		if err := o.read("seed", "seed", r.Seed); err != nil {
			return nil, err
		}
	}
	var err error
	if r.Metadata, err = parseMetadata(o); err != nil {
		return nil, err
	}
	if err := r.parseMethod(o); err != nil {
		return nil, err
	}
	return r, r.parseOldPlace(o)
}

var (
	methodFields     = fields{served: []string{"type", "supervised", "dpo"}, refused: map[string][]string{"reinforcement": nil}}
	settingsFields   = fields{served: []string{"hyperparameters", "adapter"}}
	supervisedFields = fields{served: []string{"n_epochs", "batch_size", "learning_rate_multiplier"}}
	dpoFields        = fields{served: append([]string{"beta"}, supervisedFields.served...)}
	adapterFields    = fields{served: []string{"type", "rank", "alpha", "dropout", "target_modules"}}
)

func (r *jobRequest) parseMethod(o object) error {
	r.Method.Type = jobs.Supervised
	if !o.has("method") {
		return nil
	}
	var method object
	if err := o.read("method", "method", &method); err != nil {
		return err
	}
	if err := methodFields.checkAt("method.", method); err != nil {
		return err
	}
	if err := method.read("method.type", "type", &r.Method.Type); err != nil {
		return err
	}
	for _, name := range []string{jobs.Supervised, jobs.DPO} {
		if !method.has(name) {
			continue
		}
		if name != r.Method.Type {
			return invalid("method."+name, "method.%s does not go with the type %q", name, r.Method.Type)
		}
		var settings object
		if err := method.read("method."+name, name, &settings); err != nil {
			return err
		}
		if err := r.parseSettings("method."+name+".", settings); err != nil {
			return err
		}
	}
	return nil
}

func (r *jobRequest) parseSettings(path string, settings object) error {
	if err := settingsFields.checkAt(path, settings); err != nil {
		return err
	}
	if settings.has("hyperparameters") {
		if err := r.parseHyperparameters(path+"hyperparameters", settings["hyperparameters"]); err != nil {
			return err
		}
	}
	if !settings.has("adapter") {
		return nil
	}
	return r.parseAdapter(path+"adapter", settings["adapter"])
}

// parseOldPlace reads the hyperparameters where they stood before there were
// methods.
func (r *jobRequest) parseOldPlace(o object) error {
	if !o.has("hyperparameters") {
		return nil
	}
	if r.Method.Hyperparameters != (jobs.Hyperparameters{}) {
		return invalid("hyperparameters", "hyperparameters are given twice, here and in method")
	}
	r.at = "hyperparameters."
	return r.parseHyperparameters("hyperparameters", o["hyperparameters"])
}

func (r *jobRequest) parseHyperparameters(path string, value json.RawMessage) error {
	var given object
	if err := decode(path, value, &given); err != nil {
		return err
	}
	known := &supervisedFields
	if r.Method.Type == jobs.DPO {
		known = &dpoFields
	}
	if err := known.checkAt(path+".", given); err != nil {
		return err
	}
	h := &r.Method.Hyperparameters
	for _, f := range []struct {
		name string
		dst  any
	}{{"n_epochs", &h.Epochs}, {"batch_size", &h.BatchSize}, {"learning_rate_multiplier", &h.LearningRateMultiplier}, {"beta", &h.Beta}} {
		if !given.has(f.name) || string(given[f.name]) == `"auto"` {
			continue
		}
		at := path + "." + f.name
		if err := decode(at, given[f.name], f.dst); err != nil {
			return invalid(at, "%s must be %s or \"auto\", not %s", at, numberKind(f.dst), kind(given[f.name]))
		}
		if isZero(f.dst) {
			return invalid(at, "%s must be above 0, or \"auto\"", at)
		}
	}
	return nil
}

func numberKind(dst any) string {
	if _, ok := dst.(*int); ok {
		return "an integer"
	}
	return "a number"
}

func isZero(dst any) bool {
	switch v := dst.(type) {
	case *int:
		return *v == 0
	case *float64:
		return *v == 0
	}
	return false
}

func (r *jobRequest) parseAdapter(path string, value json.RawMessage) error {
	var given object
	if err := decode(path, value, &given); err != nil {
		return err
	}
	if err := adapterFields.checkAt(path+".", given); err != nil {
		return err
	}
	a := &r.Method.Adapter
	for _, f := range []struct {
		name string
		dst  any
	}{{"type", &a.Kind}, {"rank", &a.Rank}, {"alpha", &a.Alpha}, {"dropout", &a.Dropout}} {
		if err := given.read(path+"."+f.name, f.name, f.dst); err != nil {
			return err
		}
	}
	if !given.has("target_modules") {
		return nil
	}
	var one string // PEFT takes "all-linear" without brackets
	if json.Unmarshal(given["target_modules"], &one) == nil {
		a.Targets = []string{one}
		return nil
	}
	return given.read(path+".target_modules", "target_modules", &a.Targets)
}

// place names the field at fault as the request had it.
func (r *jobRequest) place(err error) error {
	bad, ok := errors.AsType[*jobs.RequestError](err)
	if !ok {
		return err
	}
	moved := *bad
	if _, rest, ok := strings.Cut(bad.Param, ".hyperparameters."); ok && r.at != "" {
		moved.Param = r.at + rest
	}
	return &moved
}
