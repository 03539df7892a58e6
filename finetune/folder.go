package finetune

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"causerie/internal/durable"
	"causerie/models"
	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/lora"
	"causerie/models/tokenizer"
)

// folder is a model with everything that its Hugging Face folder holds, or an
// adapter beside such a model.
type folder struct {
	model      *gpt2.Model
	config     hf.Config
	generation hf.Generation
	tokenizer  tokenizer.Tokenizer
	template   dialogue.Template
	files      tokenizerFiles

	adapter *lora.Adapter // what is trained instead of the model; or nil
	base    string        // then, or with preferences, a short name for exactly the weights to start from
}

// openFolder reads a model and its tokenizer.
func openFolder(fsys fs.FS, name string) (_ *folder, err error) {
	f, opened, err := describeFolder(fsys, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if f.model, err = gpt2.New(f.config.Model); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, opened.LoadInto(f.model.Params())
}

// describeFolder reads everything but the weights, which can be read from what
// it has opened. Close that.
func describeFolder(fsys fs.FS, name string) (_ *folder, opened *hf.Folder, err error) {
	if opened, err = hf.Open(fsys, name); err != nil {
		return nil, nil, err
	}
	f := &folder{config: opened.Config, generation: opened.Generation}
	if opened.Config.Int8 {
		err = fmt.Errorf("%s: its weights were rounded to int8, for serving; train from the folder that they were made from, "+
			"or, if that is lost, from what `causerie quantize %[1]s OUT --dtype f32` makes of them", name)
	} else if err = f.takeTokenizer(fsys, name); err == nil && f.tokenizer.VocabSize() > f.config.Model.VocabSize {
		err = fmt.Errorf("%s: the tokenizer has %d tokens, the model only %d", name, f.tokenizer.VocabSize(), f.config.Model.VocabSize)
	}
	if err != nil {
		return nil, nil, errors.Join(err, opened.Close())
	}
	return f, opened, nil
}

// openFolderDir is openFolder for a folder on disk.
func openFolderDir(dir string) (*folder, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s: a model is a folder, this is a file", dir)
	}
	return openFolder(os.DirFS(dir), filepath.ToSlash(dir))
}

// openModel opens the bundled model by its name, or a folder. That of an
// adapter stands for its base with the adapter merged in.
func openModel(name string) (*folder, error) {
	if name != models.Default {
		if lora.IsAdapter(os.DirFS(name)) {
			f, _, err := openMerged("", name)
			return f, err
		}
		return openFolderDir(name)
	}
	fsys, err := models.Bundled()
	if err != nil {
		return nil, err
	}
	return openFolder(fsys, name)
}

// takeTokenizer reads the tokenizer of a folder and chooses the template.
func (f *folder) takeTokenizer(fsys fs.FS, name string) (err error) {
	if f.tokenizer, err = tokenizer.Load(fsys); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.template = dialogue.ForTokenizer(f.tokenizer)
	if f.files, err = readTokenizerFiles(fsys); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// create makes a new model for the tokenizer, with random weights.
func (f *folder) create(cfg gpt2.Config, seed uint64) (err error) {
	cfg.EnsureDefaults()
	f.config = hf.Config{Model: cfg}
	end := f.template.Stops()
	if id, ok := f.tokenizer.SpecialID(dialogue.EndOfText); ok {
		f.config.BOS, f.config.PAD, f.config.EOS = &id, &id, []int32{id}
	} else if len(end) > 0 {
		f.config.EOS = end[:1]
	}
	f.generation = hf.Generation{BOS: f.config.BOS, PAD: f.config.PAD, EOS: end}
	if f.model, err = gpt2.New(cfg); err != nil {
		return err
	}
	f.model.Init(seed)
	return nil
}

// save writes the folder; the weights are rounded to the dtype. Of an adapter,
// that is the adapter alone, in its own precision.
func (f *folder) save(dir string, dtype DType) error {
	if f.adapter != nil {
		return f.adapter.Save(dir)
	}
	return f.saveModel(dir, dtype)
}

func (f *folder) saveModel(dir string, dtype DType) error {
	if err := f.files.write(dir); err != nil {
		return err
	}
	return hf.Save(dir, f.config, f.generation, f.model.Params(), dtype)
}

// loadWeights replaces the model's weights by those of another folder of the
// same shape.
func (f *folder) loadWeights(dir string) (err error) {
	if f.adapter != nil {
		return f.loadAdapter(dir)
	}
	opened, err := hf.OpenDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return opened.LoadInto(f.model.Params())
}

// tokenizerFiles are the files of a tokenizer, by name. They are carried along
// as they are, so that a model that is trained on keeps its tokenizer to the
// byte.
type tokenizerFiles map[string][]byte

// maxTokenizerFile is more than any tokenizer's file takes.
const maxTokenizerFile = 256 << 20

func readTokenizerFiles(fsys fs.FS) (tokenizerFiles, error) {
	files := tokenizerFiles{}
	for _, name := range tokenizer.FileNames() {
		info, err := fs.Stat(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Size() > maxTokenizerFile {
			err = fmt.Errorf("%s: %d bytes are too many for a tokenizer", name, info.Size())
		}
		if err != nil {
			return nil, err
		}
		if files[name], err = fs.ReadFile(fsys, name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (t tokenizerFiles) write(dir string) error {
	for name, data := range t {
		if err := durable.WriteBytes(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}
