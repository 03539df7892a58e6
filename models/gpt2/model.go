package gpt2

import (
	"fmt"

	"github.com/nlpodyssey/spago/nn"

	"causerie/models/kernels"
	"causerie/models/ops"
)

// Model is GPT-2: embeddings, a stack of decoder blocks, a last layer norm and
// an LM head that is usually the token embedding again. It is a spago module,
// so nn.ForEachParam and the like see its parameters.
//
// A Model is read-only while it serves and may be shared by any number of
// [Runner]s; training changes it and belongs to one Runner.
type Model struct {
	nn.Module
	Config Config

	Tokens    *nn.Param // [vocab, width]
	Positions *nn.Param // [context, width]
	Blocks    []*Block
	Final     *Norm
	Head      *nn.Param // [vocab, width]; nil when it is Tokens

	// Adapter is what segments go through that name none; nil: the weights
	// alone.
	Adapter *Adapter

	params []Param
	frozen bool
}

// Block is one decoder block: attention and feed-forward, each behind a layer
// norm and around it a residual connection (pre-norm, Radford et al. 2019,
// section 2.3).
type Block struct {
	nn.Module
	AttentionNorm *Norm
	QKV           *Affine // width -> 3*width: queries, keys, values
	AttentionOut  *Affine // width -> width
	FeedNorm      *Norm
	FeedIn        *Affine // width -> inner
	FeedOut       *Affine // inner -> width
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

// New returns a model of the given shape whose weights are zero: call Init to
// train from scratch, or fill Params from a file.
func New(cfg Config) (*Model, error) { return build(cfg, &builder{}) }

// NewFrozen returns a model that is laid out for serving from the start, its
// linear layers' weights stored in the dtype: fill Params' Data and Packed from
// a file. It never takes more memory than that. See [Model.Freeze] for what
// the dtype means.
func NewFrozen(cfg Config, dtype kernels.DType) (*Model, error) {
	return build(cfg, &builder{frozen: true, dtype: dtype})
}

func build(cfg Config, b *builder) (*Model, error) {
	cfg.EnsureDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gpt2: %w", err)
	}
	m := &Model{Config: cfg, frozen: b.frozen}
	m.Tokens = b.matrix("wte.weight", cfg.VocabSize, cfg.Width, false)
	m.Positions = b.matrix("wpe.weight", cfg.Positions, cfg.Width, false)
	for i := range cfg.Layers {
		m.Blocks = append(m.Blocks, b.block(fmt.Sprintf("h.%d.", i), cfg))
	}
	m.Final = b.norm("ln_f", cfg.Width)
	if cfg.Untied {
		m.Head = b.matrix("lm_head.weight", cfg.VocabSize, cfg.Width, false)
	}
	m.params = b.params
	if m.frozen {
		m.chain()
	}
	return m, nil
}

// builder makes parameters and lists them in the order of the file format.
type builder struct {
	params []Param
	frozen bool          // linear layers are laid out for serving,
	dtype  kernels.DType // in this
}

func (b *builder) block(prefix string, cfg Config) *Block {
	return &Block{
		AttentionNorm: b.norm(prefix+"ln_1", cfg.Width),
		QKV:           b.affine(prefix+"attn.c_attn", cfg.Width, 3*cfg.Width),
		AttentionOut:  b.affine(prefix+"attn.c_proj", cfg.Width, cfg.Width),
		FeedNorm:      b.norm(prefix+"ln_2", cfg.Width),
		FeedIn:        b.affine(prefix+"mlp.c_fc", cfg.Width, cfg.Inner),
		FeedOut:       b.affine(prefix+"mlp.c_proj", cfg.Inner, cfg.Width),
	}
}

func (b *builder) norm(name string, width int) *Norm {
	return &Norm{Gamma: b.vector(name+".weight", width), Beta: b.vector(name+".bias", width)}
}

func (b *builder) affine(name string, in, out int) *Affine {
	return &Affine{
		Weight: b.matrix(name+".weight", out, in, true),
		Bias:   b.vector(name+".bias", out),
	}
}

func (b *builder) matrix(name string, rows, cols int, conv1D bool) *nn.Param {
	p := Param{Name: name, Shape: []int{rows, cols}, Decay: true, Conv1D: conv1D}
	var tensor *ops.Tensor
	if b.frozen && p.linear() {
		p.Packed = kernels.NewPacked(rows, cols, b.dtype)
		tensor = ops.NewFrozen(p.Packed)
	} else {
		p.Data = make([]float32, rows*cols)
		tensor = ops.NewParam(p.Data, rows, cols)
	}
	b.params = append(b.params, p)
	return &nn.Param{Matrix: tensor}
}

func (b *builder) vector(name string, size int) *nn.Param {
	p := Param{Name: name, Shape: []int{size}, Data: make([]float32, size)}
	b.params = append(b.params, p)
	return &nn.Param{Matrix: ops.NewParam(p.Data, size, 1)}
}

// Params lists the parameters in the order of the file format. Data and Grad
// are shared with the model. In a frozen model the linear layers' weights have
// Packed instead.
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

// Trainable gives every parameter a gradient buffer.
func (m *Model) Trainable() error {
	if m.frozen {
		return fmt.Errorf("gpt2: a model laid out for serving cannot be trained")
	}
	i := 0
	m.eachTensor(func(t *ops.Tensor) {
		t.Trainable()
		m.params[i].Grad = t.Gradient()
		i++
	})
	return nil
}

// ZeroGrad clears every gradient.
func (m *Model) ZeroGrad() {
	for _, p := range m.params {
		clear(p.Grad)
	}
}

// Freeze lays the weights out for serving: the weight of each linear layer and
// the token embedding once, in the order the kernels read it, rounded to the
// dtype. With kernels.Float32 logits stay bit-equal. Position embeddings, layer
// norms and biases, a hundredth of all, stay as they are. A frozen model cannot
// be trained or saved; freezing it again changes nothing.
func (m *Model) Freeze(pool *kernels.Pool, dtype kernels.DType) {
	if m.frozen {
		return
	}
	m.frozen = true
	i := 0
	m.eachTensor(func(t *ops.Tensor) {
		p := &m.params[i]
		if p.linear() {
			t.Freeze(pool, dtype)
			p.Data, p.Packed = nil, t.Packed()
		}
		p.Grad = nil
		i++
	})
	m.chain()
}

// chain tells each frozen matrix which one is read after it.
func (m *Model) chain() {
	last := m.head().(*nn.Param).Matrix.(*ops.Tensor)
	for _, b := range m.Blocks {
		for _, a := range []*Affine{b.QKV, b.AttentionOut, b.FeedIn, b.FeedOut} {
			next := a.Weight.Matrix.(*ops.Tensor)
			last.Precedes(next)
			last = next
		}
	}
	last.Precedes(m.head().(*nn.Param).Matrix.(*ops.Tensor))
}

// DType is what the linear layers' weights are stored in.
func (m *Model) DType() kernels.DType {
	if p := m.params[0].Packed; p != nil {
		return p.DType()
	}
	return kernels.Float32
}

// eachTensor visits the parameters in the order of Params.
func (m *Model) eachTensor(f func(*ops.Tensor)) {
	visit := func(params ...*nn.Param) {
		for _, p := range params {
			f(p.Matrix.(*ops.Tensor))
		}
	}
	visit(m.Tokens, m.Positions)
	for _, b := range m.Blocks {
		visit(b.AttentionNorm.Gamma, b.AttentionNorm.Beta)
		visit(b.QKV.Weight, b.QKV.Bias, b.AttentionOut.Weight, b.AttentionOut.Bias)
		visit(b.FeedNorm.Gamma, b.FeedNorm.Beta)
		visit(b.FeedIn.Weight, b.FeedIn.Bias, b.FeedOut.Weight, b.FeedOut.Bias)
	}
	visit(m.Final.Gamma, m.Final.Beta)
	if m.Head != nil {
		visit(m.Head)
	}
}
