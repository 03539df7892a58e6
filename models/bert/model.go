package bert

import (
	"fmt"

	"github.com/nlpodyssey/spago/nn"

	"causerie/models/kernels"
	"causerie/models/ops"
)

// Model is a BERT encoder: three embeddings and a layer norm, and a stack of
// encoder blocks. It is read-only and may be shared by any number of [Runner]s.
type Model struct {
	nn.Module
	Config Config

	Tokens    *nn.Param // [vocab, width]
	Positions *nn.Param // [positions, width]
	Types     *nn.Param // [types, width]
	Norm      *Norm
	Blocks    []*Block

	params []Param
	dtype  kernels.DType
}

// Block is one encoder block: attention and feed-forward, each with a residual
// connection around it and a layer norm behind that (post-norm).
type Block struct {
	nn.Module
	QKV           *Affine // width -> 3*width: queries, keys, values
	AttentionOut  *Affine // width -> width
	AttentionNorm *Norm
	FeedIn        *Affine // width -> inner
	FeedOut       *Affine // inner -> width
	FeedNorm      *Norm
}

// Norm is the scale and shift of a layer norm.
type Norm struct {
	nn.Module
	Gamma, Beta *nn.Param // [width, 1]
}

// Affine is a linear layer with bias.
type Affine struct {
	nn.Module
	Weight *nn.Param // [out, in]
	Bias   *nn.Param // [out, 1]
}

// Param is one tensor of the model as a file format sees it.
type Param struct {
	// Names are those of Hugging Face's BertModel. There are several where the
	// model has one matrix for what a file has as several below each other:
	// queries, keys and values.
	Names []string
	Shape []int // of all of them together: [rows, columns] or [size]

	// Data is the row-major memory to fill. The weight of a linear layer has
	// Packed instead, which [kernels.Packed.Fill] fills.
	Data   []float32
	Packed *kernels.Packed
}

// Len is the number of values.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// New returns a model of the given shape whose linear layers' weights are laid
// out for serving in the dtype; all else is float32, the embeddings too: of
// them a text reads a few rows. Everything is zero: fill Params from a file.
func New(cfg Config, dtype kernels.DType) (*Model, error) {
	cfg.EnsureDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bert: %w", err)
	}
	m := &Model{Config: cfg, dtype: dtype}
	b := &builder{dtype: dtype}
	m.Tokens = b.matrix("embeddings.word_embeddings.weight", cfg.VocabSize, cfg.Width)
	m.Positions = b.matrix("embeddings.position_embeddings.weight", cfg.Positions, cfg.Width)
	m.Types = b.matrix("embeddings.token_type_embeddings.weight", cfg.Types, cfg.Width)
	m.Norm = b.norm("embeddings.LayerNorm", cfg.Width)
	for i := range cfg.Layers {
		m.Blocks = append(m.Blocks, b.block(fmt.Sprintf("encoder.layer.%d.", i), cfg))
	}
	m.params = b.params
	return m, nil
}

// builder makes parameters and lists them.
type builder struct {
	params []Param
	dtype  kernels.DType
}

func (b *builder) block(prefix string, cfg Config) *Block {
	self := prefix + "attention.self."
	return &Block{
		QKV:           b.affine(cfg.Width, 3*cfg.Width, self+"query", self+"key", self+"value"),
		AttentionOut:  b.affine(cfg.Width, cfg.Width, prefix+"attention.output.dense"),
		AttentionNorm: b.norm(prefix+"attention.output.LayerNorm", cfg.Width),
		FeedIn:        b.affine(cfg.Width, cfg.Inner, prefix+"intermediate.dense"),
		FeedOut:       b.affine(cfg.Inner, cfg.Width, prefix+"output.dense"),
		FeedNorm:      b.norm(prefix+"output.LayerNorm", cfg.Width),
	}
}

func (b *builder) norm(name string, width int) *Norm {
	return &Norm{Gamma: b.vector(width, name+".weight"), Beta: b.vector(width, name+".bias")}
}

func (b *builder) affine(in, out int, names ...string) *Affine {
	weights, biases := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		weights[i], biases[i] = name+".weight", name+".bias"
	}
	p := Param{Names: weights, Shape: []int{out, in}, Packed: kernels.NewPacked(out, in, b.dtype)}
	b.params = append(b.params, p)
	return &Affine{Weight: &nn.Param{Matrix: ops.NewFrozen(p.Packed)}, Bias: b.vector(out, biases...)}
}

func (b *builder) matrix(name string, rows, cols int) *nn.Param {
	p := Param{Names: []string{name}, Shape: []int{rows, cols}, Data: make([]float32, rows*cols)}
	b.params = append(b.params, p)
	return &nn.Param{Matrix: ops.NewParam(p.Data, rows, cols)}
}

func (b *builder) vector(size int, names ...string) *nn.Param {
	p := Param{Names: names, Shape: []int{size}, Data: make([]float32, size)}
	b.params = append(b.params, p)
	return &nn.Param{Matrix: ops.NewParam(p.Data, size, 1)}
}

// Params lists the parameters, whose memory is the model's.
func (m *Model) Params() []Param { return m.params }

// ParamCount is the number of trained values.
func (m *Model) ParamCount() int {
	n := 0
	for i := range m.params {
		n += m.params[i].Len()
	}
	return n
}

// WeightBytes is the memory that the weights take.
func (m *Model) WeightBytes() int64 {
	var n int64
	for _, p := range m.params {
		n += 4 * int64(len(p.Data))
		if p.Packed != nil {
			n += p.Packed.Bytes()
		}
	}
	return n
}

// DType is what the linear layers' weights are stored in.
func (m *Model) DType() kernels.DType { return m.dtype }
