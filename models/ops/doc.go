// Package ops holds the operators GPT-2 and BERT are made of, as automatic
// differentiation functions for spago's graph.
//
// An operator here works on whole [rows, width] float32 matrices, one row a
// token, and is fused: a linear layer adds its bias, attention does scores,
// softmax and the weighted sum, the loss does the output projection, the
// softmax and the cross-entropy. GPT-2 needs eleven of them:
//
//	Embed      token + position embedding          ids       -> [rows, width]
//	Linear     y = x·Wᵀ + b                        [rows, k] -> [rows, n]
//	AdaptedLinear  the same with low-rank changes  [rows, k] -> [rows, n]
//	LayerNorm  y = (x-mean)/std·gamma + beta       [rows, w] -> [rows, w]
//	GELU       the tanh form GPT-2 uses            [rows, w] -> [rows, w]
//	Add        the residual connection             [rows, w] -> [rows, w]
//	Attention  causal, many heads, many sequences  [rows, 3w] -> [rows, w]
//	Gather     the rows whose result is asked for  [rows, w] -> [some, w]
//	Loss       LM head and cross-entropy           [rows, w] -> one number
//	PreferenceLoss  LM head and the loss of DPO    [rows, w] -> one number
//	Recompute  some of these, computed twice       [rows, w] -> [rows, w]
//
// and BERT, which shares Linear and Gather, four more:
//
//	EmbedTyped  token + type + position embedding  ids       -> [rows, width]
//	AddNorm     residual, then layer norm          [rows, w] -> [rows, w]
//	GELUErf     the exact form                     [rows, w] -> [rows, w]
//	BidirectionalAttention  every row sees its whole sequence
//	                                               [rows, 3w] -> [rows, w]
//
// Each is a struct with Forward, Backward and Operands, which is what
// ag.AutoGradFunction asks for, and a constructor function that runs it and
// returns the graph node. The sequences in a batch are ragged: a batch is a
// list of [Span], and rows of different spans never see each other. A span
// with a past reads and extends a [KV] cache, so that a training window, a
// chunk of a prompt and a single decoding step are the same call.
//
// Three rules keep results exact and the graph fast:
//
//   - Order. Every number is reduced in one fixed order that does not depend
//     on the other rows, on threads or on blocking (see package kernels), so a
//     row's result is bit-equal in any batch, and gradients are too.
//   - Memory. Activations and gradients live in a [Workspace], which keeps its
//     memory from step to step. A [Tensor] adopts the first gradient it is
//     given instead of copying it; parameters own one gradient buffer into
//     which operators add.
//   - No errors. spago ends the process when an operator fails, so operators
//     do not: whoever builds a graph (package gpt2) checks ids, lengths and
//     shapes first.
//
// Training may round the operands of the linear layers' and the loss's products
// to bfloat16: [Workspace.SetPrecision].
//
// Backward runs each operator in a goroutine of its own as soon as its
// gradient is complete. Because GPT-2's graph is a chain of residual blocks,
// that is one operator at a time, provided that an operator passes gradients
// on as the very last thing it does; all of them do.
package ops
