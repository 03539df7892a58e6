"""Writes golden.json: what Hugging Face transformers' logits processors make of
random logits. Run it in this directory, with torch and transformers installed:

    python3 golden.py

The Go test TestGoldenTransformers compares this package's functions with it.
"""
import json
import random

import torch
import transformers
from transformers.generation import logits_process as lp

VOCAB = 32


def row(scores):
    return [None if v == float("-inf") else v for v in scores[0].tolist()]


def case(name, args, processor, ids, scores):
    out = processor(torch.tensor([ids]), scores.clone())
    return {"rule": name, "args": args, "tokens": ids, "logits": row(scores), "want": row(out)}


def main():
    torch.manual_seed(2)
    random.seed(2)
    cases = []
    for spread in (0.5, 2.0, 8.0):
        scores = torch.randn(1, VOCAB) * spread
        ids = [random.randrange(VOCAB) for _ in range(12)]
        few = [random.randrange(3) for _ in range(12)]
        for p in (0.8, 1.0, 1.1, 1.7):
            cases.append(case("repetition", p, lp.RepetitionPenaltyLogitsProcessor(p), ids, scores))
        for n in (1, 2, 3, 12, 13):
            cases.append(case("no_repeat_ngram", n, lp.NoRepeatNGramLogitsProcessor(n), few, scores))
        for t in (0.1, 0.7, 1.0, 1.5):
            cases.append(case("temperature", t, lp.TemperatureLogitsWarper(t), ids, scores))
        for k in (1, 2, 5, 31, 32, 100):
            cases.append(case("top_k", k, lp.TopKLogitsWarper(k), ids, scores))
        for p in (0.0, 0.1, 0.5, 0.9, 0.99, 1.0):
            cases.append(case("top_p", p, lp.TopPLogitsWarper(p), ids, scores))
        for p in (0.01, 0.1, 0.5, 1.0):
            cases.append(case("min_p", p, lp.MinPLogitsWarper(p), ids, scores))
        bias = {(3,): 1.5, (7,): -2.25, (31,): -100.0}
        cases.append(case("bias", {str(k[0]): v for k, v in bias.items()}, lp.SequenceBiasLogitsProcessor(bias), ids, scores))
        cases.append(case("ban", [0, 5, 31], lp.SuppressTokensLogitsProcessor([0, 5, 31]), ids, scores))
        # The whole chain, in the order of transformers' generate().
        chain = lp.LogitsProcessorList([
            lp.SequenceBiasLogitsProcessor(bias),
            lp.RepetitionPenaltyLogitsProcessor(1.3),
            lp.NoRepeatNGramLogitsProcessor(2),
            lp.SuppressTokensLogitsProcessor([0, 5]),
            lp.TemperatureLogitsWarper(0.8),
            lp.TopKLogitsWarper(12),
            lp.TopPLogitsWarper(0.95),
            lp.MinPLogitsWarper(0.02),
        ])
        cases.append(case("chain", None, chain, few, scores))
    # Ties: top-k keeps everything that equals the k-th.
    tied = torch.tensor([[1.0, 3.0, 3.0, 0.0, 3.0, 2.0, 2.0, -1.0] * 4])
    cases.append(case("top_k", 2, lp.TopKLogitsWarper(2), [0], tied))
    cases.append(case("top_k", 14, lp.TopKLogitsWarper(14), [0], tied))
    with open("golden.json", "w") as f:
        f.write('{"transformers": "%s", "cases": [\n' % transformers.__version__)
        f.write(",\n".join(json.dumps(c) for c in cases))
        f.write("\n]}\n")


main()
