"""Checks with Python's peft adapters that this project wrote.

    python3 check.py BASE ADAPTER ANSWERS.json [ADAPTER ANSWERS.json ...]

Loads each adapter onto the base with PeftModel.from_pretrained and compares
its logits with the answers, in the form of golden.json, and those of the base
with the adapter merged in. It fails when one is off by more than 1e-4, or peft
misses a tensor or finds one too many.
"""

import json
import sys
import warnings

import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM


def worst(model, segments):
    off = 0.0
    for s in segments:
        with torch.no_grad():
            logits = model(torch.tensor([s["tokens"]])).logits[0]
        off = max(off, (logits.double() - torch.tensor(s["logits"], dtype=torch.float64)).abs().max().item())
    return off


def check(base, adapter, answers):
    with open(answers) as f:
        segments = json.load(f)["segments"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # peft warns about tensors that are missing
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
    off, merged = worst(model, segments), worst(model.merge_and_unload(), segments)
    print(json.dumps(dict(adapter=adapter, max_logit_difference=float(f"{off:.3g}"), merged=float(f"{merged:.3g}"))))
    return max(off, merged) <= 1e-4


def main():
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    args = sys.argv[1:]
    if len(args) < 3 or len(args) % 2 == 0:
        raise SystemExit(__doc__)
    good = [check(args[0], args[i], args[i + 1]) for i in range(1, len(args), 2)]
    if not all(good):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
