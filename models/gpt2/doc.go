// Package gpt2 is the GPT-2 decoder of Radford et al. (2019) as a spago
// module over the operators of package ops.
//
// There is one forward pass. It takes ragged segments of tokens, so a training
// window, a chunk of a prompt and one decoding step are the same call, and
// training uses the very graph that serves:
//
//	m, err := gpt2.New(cfg)            // or package hf, from a folder
//	m.Init(seed)
//	r := gpt2.NewRunner(m, pool)
//
//	// training: one step's gradients
//	m.Trainable()
//	loss, err := r.LossAndGrad(segments, targets, weights, scale)
//
//	// serving: a prompt, then token by token
//	cache := m.NewCache()
//	err = r.Logits([]gpt2.Segment{{Tokens: prompt, Cache: cache}}, []int{len(prompt) - 1}, logits)
//	err = r.Logits([]gpt2.Segment{{Tokens: next, Cache: cache}}, []int{0}, logits)
//
// For serving, [NewFrozen] makes a model whose matrices are laid out as the
// kernels read them, in float32, bfloat16 or int8, and [Model.Freeze] turns a
// trained one into such.
//
// The logits of a token are bit-equal whether its sequence came in one call or
// in many, alone or beside others, with one thread or several.
package gpt2
