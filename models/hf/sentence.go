package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The files in which sentence-transformers keeps what goes around a network.
const (
	modulesFile   = "modules.json"
	promptsFile   = "config_sentence_transformers.json"
	limitsFile    = "sentence_bert_config.json"
	tokenizerFile = "tokenizer_config.json"
)

// SentenceSettings say how an encoder makes a vector of a text.
type SentenceSettings struct {
	// Pooling names how the tokens' states become one vector: "cls", "mean",
	// "max", "mean_sqrt_len_tokens", "weightedmean" or "lasttoken".
	Pooling string
	// MaxTokens is how many tokens of a text count, [CLS] and [SEP] included.
	MaxTokens int
	// LowerCase says that texts are lower-cased before the tokenizer has them.
	LowerCase bool
	// Prompt is put before every text; mostly empty.
	Prompt string
}

// module is an entry of modules.json.
type module struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// kind is the module's class without its package.
func (m module) kind() string { return m.Type[strings.LastIndexByte(m.Type, '.')+1:] }

// readModules reads the chain of modules and its pooling, and returns the folder
// of the network. Without modules.json all is in one folder and the mean is
// taken, as sentence-transformers does.
func (e *Encoder) readModules(root fs.FS) (network string, err error) {
	e.Pooling = "mean"
	data, err := readFile(root, e.Name, modulesFile, maxJSON)
	if errors.Is(err, fs.ErrNotExist) {
		return ".", nil
	}
	if err != nil {
		return "", err
	}
	file := path.Join(e.Name, modulesFile)
	var modules []module
	if err := json.Unmarshal(data, &modules); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	for i, m := range modules {
		folder := path.Clean(m.Path)
		switch kind := m.kind(); {
		case !fs.ValidPath(folder):
			return "", fmt.Errorf("%s: %q is no folder in this one", file, m.Path)
		case i == 0 && kind == "Transformer":
			network = folder
		case i == 1 && kind == "Pooling":
			if err := e.readPooling(root, folder); err != nil {
				return "", err
			}
		case i > 1 && kind == "Normalize":
			// Vectors are normalised in any case.
		default:
			return "", fmt.Errorf("%s: module %d is %q; only a Transformer, Pooling and Normalize, in this order, are supported", file, i, m.Type)
		}
	}
	if len(modules) < 2 {
		return "", fmt.Errorf("%s: a Transformer and Pooling are needed, there are %d modules", file, len(modules))
	}
	return network, nil
}

// poolings are the ways to pool and their switches in 1_Pooling/config.json.
var poolings = []struct{ name, key string }{
	{"cls", "pooling_mode_cls_token"}, {"mean", "pooling_mode_mean_tokens"}, {"max", "pooling_mode_max_tokens"},
	{"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"}, {"weightedmean", "pooling_mode_weightedmean_tokens"},
	{"lasttoken", "pooling_mode_lasttoken"},
}

// readPooling reads the Pooling module's config.json: a switch for each way to
// pool, or its name.
func (e *Encoder) readPooling(root fs.FS, folder string) error {
	name := path.Join(e.Name, folder)
	data, err := readFile(root, name, path.Join(folder, configFile), maxJSON)
	if err != nil {
		return err
	}
	f, err := parseFields(data)
	if err != nil {
		return inFile(path.Join(name, configFile), err)
	}
	var chosen, known []string
	for _, p := range poolings {
		known = append(known, p.name)
		if f.flag(p.key, false) {
			chosen = append(chosen, p.name)
		}
	}
	if mode := f.text("pooling_mode", ""); mode != "" {
		chosen = []string{mode}
	}
	if len(chosen) != 1 || !slices.Contains(known, chosen[0]) {
		f.fail("pooling_mode", "one of %s is supported, not %q", strings.Join(known, ", "), strings.Join(chosen, "+"))
	} else {
		e.Pooling = chosen[0]
	}
	if len(f.errs) > 0 {
		return inFile(path.Join(name, configFile), errors.Join(f.errs...))
	}
	return nil
}

// readSettings reads the limits of a text, and the prompt.
func (e *Encoder) readSettings(root, network fs.FS, name string) error {
	e.MaxTokens = e.Model.Positions
	for _, s := range []struct{ file, key string }{{tokenizerFile, "model_max_length"}, {limitsFile, "max_seq_length"}} {
		f, err := optionalFields(network, name, s.file)
		if err != nil {
			return err
		}
		limit := 1e30 // what transformers writes for no limit
		if f.number(s.key, &limit); s.file == limitsFile {
			e.LowerCase = f.flag("do_lower_case", false)
		}
		if len(f.errs) > 0 {
			return inFile(path.Join(name, s.file), errors.Join(f.errs...))
		}
		switch {
		case limit < 3 || limit != limit:
			return fmt.Errorf("%s: %s: want at least 3, not %g", path.Join(name, s.file), s.key, limit)
		case s.file == limitsFile && limit < 1e9: // it counts, whatever the tokenizer says
			e.MaxTokens = min(int(limit), e.Model.Positions)
		case limit < float64(e.MaxTokens):
			e.MaxTokens = int(limit)
		}
	}
	return e.readPrompt(root)
}

// readPrompt reads the prompt that texts get when nobody asks for another.
func (e *Encoder) readPrompt(root fs.FS) error {
	f, err := optionalFields(root, e.Name, promptsFile)
	if err != nil {
		return err
	}
	name := f.text("default_prompt_name", "")
	if name != "" {
		var prompts map[string]string
		if err := json.Unmarshal(f.take("prompts"), &prompts); err != nil {
			f.fail("prompts", "want prompts by name: %w", err)
		}
		prompt, ok := prompts[name]
		if !ok {
			f.fail("default_prompt_name", "there is no prompt %q", name)
		}
		e.Prompt = prompt
	}
	if len(f.errs) > 0 {
		return inFile(path.Join(e.Name, promptsFile), errors.Join(f.errs...))
	}
	return nil
}

// optionalFields reads a JSON object that may be absent: then it has no keys.
func optionalFields(fsys fs.FS, name, file string) (*fields, error) {
	data, err := readFile(fsys, name, file, maxJSON)
	if errors.Is(err, fs.ErrNotExist) {
		return &fields{}, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := parseFields(data)
	if err != nil {
		return nil, inFile(path.Join(name, file), err)
	}
	return f, nil
}
