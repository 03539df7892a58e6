"""Checks with Hugging Face transformers GPT-2 folders that this project wrote.

    python3 check.py FOLDER ANSWERS.json [FOLDER ANSWERS.json ...]
    python3 check.py FOLDER

With answers, in the form of golden.json (README.md): prints for each folder,
as one line of JSON, the largest difference of any logit, the difference of the
mean loss, and whether the greedy tokens are the same; it fails when a logit is
off by more than 1e-4, a token differs, or transformers misses a tensor or finds
one too many. Without answers: prints the logits after the ids 0 1 2 3 and the
10 greedy tokens that follow. Weights are read as stored and computed with in
float32.
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
    GenerationConfig.from_pretrained(folder)
    return model.eval()


def show(folder):
    model = load(folder)
    with torch.no_grad():
        logits = model(torch.tensor([[0, 1, 2, 3]])).logits[0, -1]
    print(json.dumps(dict(folder=folder, logits=logits.tolist(), greedy=greedy(model, [0, 1, 2, 3], 10))))


def compare(folder, answers):
    """Prints the differences and says whether they are small enough."""
    model = load(folder)
    with open(answers) as f:
        want = json.load(f)
    worst, loss = 0.0, 0.0
    for s in want["segments"]:
        with torch.no_grad():
            logits = model(torch.tensor([s["tokens"]])).logits[0]
        worst = max(worst, (logits.double() - torch.tensor(s["logits"], dtype=torch.float64)).abs().max().item())
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(s["targets"]), reduction="none")
        loss += (nll * torch.tensor(s["weights"])).sum().item()
    loss_off = abs(loss / want["weight_sum"] - want["loss"])
    g = want["greedy"]
    same = greedy(model, g["prompt"], len(g["tokens"])) == g["tokens"]
    print(json.dumps(dict(
        folder=folder, max_logit_difference=float(f"{worst:.3g}"),
        loss_difference=float(f"{loss_off:.3g}"), same_greedy_tokens=same,
    )))
    return worst <= 1e-4 and loss_off <= 1e-4 and same


def main():
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    args = sys.argv[1:]
    if len(args) == 1:
        show(args[0])
        return
    if not args or len(args) % 2:
        raise SystemExit(__doc__)
    good = [compare(args[i], args[i + 1]) for i in range(0, len(args), 2)]
    if not all(good):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
