// Package bert is the BERT encoder of Devlin et al. (2019) as a spago module
// over the operators of package ops: what most sentence encoders (all-MiniLM,
// bge, text2vec) are.
//
// It takes ragged segments of tokens, whole texts side by side without padding:
//
//	m, err := bert.New(cfg, kernels.Int8)  // or package hf, from a folder
//	r := bert.NewRunner(m, pool)
//	err = r.Hidden([]bert.Segment{{Tokens: ids}, {Tokens: others}}, nil, hidden)
//
// writes the last layer's state of every token. A token's state is bit-equal
// whatever other texts stand in the batch, with one thread or several.
//
// How the states of a text become one vector is package pipeline's.
//
// # What differs from GPT-2
//
// Every token sees its whole text, so there is no cache and a text is never
// cut; the layer norm stands behind each residual connection instead of before
// the branch; GELU is exact; tokens have a type (the first or the second of two
// texts), which has an embedding of its own.
package bert
