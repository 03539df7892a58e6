package gpt2

import (
	"fmt"

	"causerie/models/ops"
)

// A Layer is one of the linear layers that an [Adapter] can change.
type Layer struct {
	Name    string // as Param.Name without ".weight": "h.0.attn.c_attn"
	In, Out int
}

// layersPerBlock is how many linear layers a decoder block has.
const layersPerBlock = 4

// AdaptableLayers lists the linear layers of the decoder blocks in the order in which
// they are computed.
func (c Config) AdaptableLayers() []Layer {
	c.EnsureDefaults()
	list := make([]Layer, 0, layersPerBlock*c.Layers)
	for i := range c.Layers {
		prefix := fmt.Sprintf("h.%d.", i)
		list = append(list,
			Layer{prefix + "attn.c_attn", c.Width, 3 * c.Width},
			Layer{prefix + "attn.c_proj", c.Width, c.Width},
			Layer{prefix + "mlp.c_fc", c.Width, c.Inner},
			Layer{prefix + "mlp.c_proj", c.Inner, c.Width})
	}
	return list
}

// Adapter is a set of low-rank changes of a model's linear layers. The model
// stays as it is: each [Segment] of a batch says through which adapter its
// tokens go, if any, so that one model in memory serves any number of them.
//
// An Adapter is read-only while it serves and may be shared by any number of
// [Runner]s; training changes it and belongs to one.
type Adapter struct {
	// Dropout is applied to what the changes read while LossAndGrad runs.
	// Whoever trains gives it another Key for every batch.
	Dropout ops.Dropout

	shape   adapterShape
	changes []*ops.LowRank // one for each of Config.AdaptableLayers; nil: no change
}

// NewAdapter makes an adapter of changes, one for each of cfg.AdaptableLayers;
// nil leaves a layer as it is.
func NewAdapter(cfg Config, changes []*ops.LowRank) (*Adapter, error) {
	layers := cfg.AdaptableLayers()
	if len(changes) != len(layers) {
		return nil, fmt.Errorf("gpt2: an adapter with changes of %d layers, the model has %d", len(changes), len(layers))
	}
	for i, c := range changes {
		if c == nil {
			continue
		}
		a, b, layer := c.A.Shape(), c.B.Shape(), layers[i]
		if a[0] != b[0] || a[1] != layer.In || b[1] != layer.Out {
			return nil, fmt.Errorf("gpt2: an adapter with factors of shapes %d and %d for %s, which maps %d to %d",
				a, b, layer.Name, layer.In, layer.Out)
		}
	}
	cfg.EnsureDefaults()
	return &Adapter{shape: adapterShape{cfg.Layers, cfg.Width, cfg.Inner}, changes: changes}, nil
}

// Changes lists the changes, one for each of Config.AdaptableLayers.
func (a *Adapter) Changes() []*ops.LowRank { return a.changes }

// trainable reports whether LossAndGrad has anything to do for the adapter.
func (a *Adapter) trainable() bool {
	for _, c := range a.changes {
		if c != nil && c.A.Gradient() != nil {
			return true
		}
	}
	return false
}

// through is the adapter that a segment goes through, or nil.
func (m *Model) through(s Segment) *Adapter {
	if s.Adapter != nil {
		return s.Adapter
	}
	return m.Adapter
}

// checkAdapter finds adapters that do not fit the model or the cache.
func (m *Model) checkAdapter(s Segment) error {
	a := m.through(s)
	if a != nil && !a.Fits(m.Config) {
		return fmt.Errorf("its adapter was made for a model of another shape")
	}
	if c := s.Cache; c != nil && c.len > 0 && c.adapter() != a {
		return fmt.Errorf("its cache was filled through another adapter")
	}
	return nil
}

// hasGradients checks that there is something to train.
func (m *Model) hasGradients(segments []Segment) error {
	if m.frozen {
		return fmt.Errorf("gpt2: a model laid out for serving has no gradients")
	}
	if m.params[0].Grad != nil {
		return nil
	}
	for _, s := range segments {
		if a := m.through(s); a != nil && a.trainable() {
			return nil
		}
	}
	return fmt.Errorf("gpt2: the model has no gradients: call Trainable first")
}

// Fits reports whether the adapter was made for a model of this shape.
func (a *Adapter) Fits(cfg Config) bool {
	return a.shape == adapterShape{cfg.Layers, cfg.Width, cfg.Inner}
}

// adapterShape is what a model and its adapters must have in common.
type adapterShape struct{ layers, width, inner int }

// run is consecutive rows of a batch that go through the same adapter.
type run struct {
	first, rows int
	adapter     *Adapter
}

// adapt notes that a segment's rows, which follow those before, go through an
// adapter.
func (b *batch) adapt(first, rows int, a *Adapter) {
	if a == nil {
		return
	}
	if n := len(b.runs); n > 0 {
		last := &b.runs[n-1]
		if last.adapter == a && last.first+last.rows == first {
			last.rows += rows
			return
		}
	}
	b.runs = append(b.runs, run{first, rows, a})
}

// groups are the rows that see a change of the layer of that number. They are
// the operator's to keep.
func (b *batch) groups(layer int) []ops.Adapted {
	var groups []ops.Adapted
	for _, r := range b.runs {
		change := r.adapter.changes[layer]
		if change == nil {
			continue
		}
		g := ops.Adapted{First: r.first, Rows: r.rows, Change: change}
		if b.training {
			g.Dropout = r.adapter.Dropout.With(uint64(layer))
		}
		groups = append(groups, g)
	}
	return groups
}
