package gpt2

import "causerie/models/kernels"

// Param is one named tensor of the model as the outside sees it: file formats
// read and write Data, the optimizer reads Grad and updates Data in place.
//
// Matrices of linear layers are stored [out, in], whatever the file says; a
// Conv1D tensor of a Hugging Face file is [in, out] and package hf transposes
// it on the way in and out.
type Param struct {
	Name   string    // without prefix: "wte.weight", "h.0.attn.c_attn.weight", "ln_f.bias", "lm_head.weight"
	Shape  []int     // [rows, columns] or [size]
	Data   []float32 // row-major, shared with the model
	Grad   []float32 // same layout; nil until the model is made trainable
	Decay  bool      // matrices decay, vectors (biases, layer norms) do not
	Conv1D bool      // stored [in, out] in Hugging Face files

	Packed *kernels.Packed // instead of Data, when the weight is laid out for serving
}

// Len is the number of values.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// linear says whether the parameter is the weight of a linear layer, which the
// token embedding is too when it is the LM head again: what serving lays out in
// a dtype of its choice.
func (p *Param) linear() bool { return len(p.Shape) == 2 && p.Name != "wpe.weight" }
