// Package sampling turns a row of logits into the next token id.
//
// Every rule is a small pure function: penalties edit a row of logits in
// place, truncations shorten a list of candidates, [Draw] picks one of those
// that are left. [Sampler] runs them for one sequence in this order, which is
// the order of Hugging Face transformers where it has the rule:
//
//  0. a grammar's tokens [Keep] (by the caller, before the row is given)
//  1. logit bias                        [Bias]
//  2. repetition penalty                [RepetitionPenalty]
//  3. presence and frequency penalties  [CountPenalties] (OpenAI's and vLLM's; not in transformers)
//  4. no repeated n-grams               [NoRepeatNGrams]
//  5. banned tokens                     [Ban]
//  6. temperature                       [Temperature]; at 0 the best token is taken here, [Argmax]
//  7. top-k, then top-p, then min-p     [TopK], [TopP], [MinP]
//  8. the draw                          [Draw]
//
// Most of a vocabulary has no chance, and looking at 50,000 logits one by one
// would take longer than the rest of a small model's step. So the sampler first
// computes, with vector instructions, the best logit of each block of a row and
// the weight of it all; these give a floor below which no token can
// be picked, and steps 6 to 8 see only the few above. Nothing is sorted but the
// end of the nucleus, and without a truncation no token is looked at but those
// near the one that is drawn.
//
// None of them looks at a clock, a global random source or another sequence:
// the same logits, history, options and seed give the same token.
package sampling
