// Package sampling turns a row of logits into the next token id.
//
// Every rule is a small pure function: penalties edit a row of logits in
// place, truncations shorten a list of candidates, [Draw] picks one of those
// that are left. [Sampler] runs them for one sequence in this order, which is
// the order of Hugging Face transformers where it has the rule:
//
//  1. logit bias                        [Bias]
//  2. repetition penalty                [RepetitionPenalty]
//  3. presence and frequency penalties  [CountPenalties] (OpenAI's and vLLM's; not in transformers)
//  4. no repeated n-grams               [NoRepeatNGrams]
//  5. banned tokens                     [Ban]
//  6. temperature                       [Temperature]; at 0 the best token is taken here, [Argmax]
//  7. top-k, then top-p, then min-p     [TopK], [TopP], [MinP]
//  8. the draw                          [Draw]
//
// None of them looks at a clock, a global random source or another sequence:
// the same logits, history, options and seed give the same token.
package sampling
