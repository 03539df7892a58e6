"""Checks with Hugging Face transformers a GPT-2 folder that this project wrote.

    python3 check.py FOLDER [GOLDEN.json]

With a golden file (README.md describes it): prints the largest difference of
any logit, of the mean loss, and whether the greedy tokens are the same, as one
line of JSON, and fails when a logit is off by more than 1e-4 or a token
differs. Without: prints the last logits and 10 greedy tokens after the ids
0 1 2 3. The weights are read as stored and computed with in float32.
"""

import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig


def greedy(model, prompt, n):
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            ids.append(model(torch.tensor([ids])).logits[0, -1].argmax().item())
    return ids[len(prompt):]


def load(folder):
    """The model in float32; a missing, unexpected or ill-shaped tensor is an error."""
    model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    bad = {k: v for k, v in report.items() if v}
    if bad:
        raise SystemExit(f"{folder}: transformers complains: {bad}")
    return model.eval()


def main():
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    folder = sys.argv[1]
    model = load(folder)
    GenerationConfig.from_pretrained(folder)
    if len(sys.argv) < 3:
        with torch.no_grad():
            logits = model(torch.tensor([[0, 1, 2, 3]])).logits[0, -1]
        print(json.dumps(dict(folder=folder, logits=logits.tolist(), greedy=greedy(model, [0, 1, 2, 3], 10))))
        return

    with open(sys.argv[2]) as f:
        golden = json.load(f)
    worst, loss = 0.0, 0.0
    for s in golden["segments"]:
        with torch.no_grad():
            logits = model(torch.tensor([s["tokens"]])).logits[0]
        worst = max(worst, (logits.double() - torch.tensor(s["logits"], dtype=torch.float64)).abs().max().item())
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(s["targets"]), reduction="none")
        loss += (nll * torch.tensor(s["weights"])).sum().item()
    g = golden["greedy"]
    same = greedy(model, g["prompt"], len(g["tokens"])) == g["tokens"]
    print(json.dumps(dict(
        folder=folder, max_logit_difference=worst,
        loss_difference=abs(loss / golden["weight_sum"] - golden["loss"]), same_greedy_tokens=same,
    )))
    if worst > 1e-4 or not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
