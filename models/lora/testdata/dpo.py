"""Makes the golden values of direct preference optimization, in dpo/.

    python3 dpo.py             # needs torch, transformers, peft, safetensors

Both models are in the repository: the GPT-2 in ../../hf/testdata/tied, and the
same with the adapter in all/. Once the adapter is trained and the GPT-2 is the
reference, once the GPT-2 is trained and the adapted model is the reference.
Logits, log probabilities, rewards, loss (Rafailov et al. 2023, equation 7) and
gradients are computed in float64, one sequence at a time.
"""

import json
import pathlib

import peft
import torch
import transformers
from peft import PeftModel
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

HERE = pathlib.Path(__file__).parent
BASE = HERE / "../../hf/testdata/tied"
OUT = HERE / "dpo"
BETA = 0.1
CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
# Tokens of the prompt and of both replies, pair by pair.
LENGTHS = ((5, 7, 3), (1, 4, 11), (12, 2, 2), (8, 20, 14))


def round9(x):
    return float(f"{x:.9g}")


def pairs(vocab):
    g = torch.Generator().manual_seed(11)
    draw = lambda n: torch.randint(vocab, (n,), generator=g).tolist()
    return [(draw(p), draw(a), draw(b)) for p, a, b in LENGTHS]


def log_prob(model, prompt, reply):
    """log π(reply | prompt) and the logits of all rows."""
    ids = torch.tensor([prompt + reply])
    logits = model(ids[:, :-1]).logits[0]
    each = torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None])[:, 0]
    return each[len(prompt) - 1:].sum(), logits


def run(data, policy, reference):
    """The loss of all pairs, and what it is made of."""
    total, out = 0.0, []
    for prompt, chosen, rejected in data:
        rewards, entry = [], dict(prompt=prompt, chosen=chosen, rejected=rejected)
        for name, reply in (("chosen", chosen), ("rejected", rejected)):
            with torch.no_grad():
                ref = reference(prompt, reply)
            logp, logits = policy(prompt, reply)
            rewards.append(BETA * (logp - ref))
            entry[name + "_log_prob"] = round9(logp.item())
            entry[name + "_reference"] = round9(ref.item())
            entry[name + "_reward"] = round9(rewards[-1].item())
            entry[name + "_logits"] = [[round9(v) for v in row] for row in logits.tolist()]
        loss = -torch.nn.functional.logsigmoid(rewards[0] - rewards[1])
        entry["loss"] = round9(loss.item())
        total = total + loss
        out.append(entry)
    total.backward()
    return dict(loss=round9(total.item()), pairs=out)


def main():
    transformers.logging.set_verbosity_error()
    OUT.mkdir(exist_ok=True)
    load = lambda: GPT2LMHeadModel.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")
    adapted = PeftModel.from_pretrained(load(), HERE / "all", is_trainable=True).double().eval()
    plain = load().double().eval()
    data = pairs(plain.config.vocab_size)

    def without(prompt, reply):
        with adapted.disable_adapter():
            return log_prob(adapted, prompt, reply)[0]

    adapter = run(data, lambda *a: log_prob(adapted, *a), without)
    gradients = {}
    for name, p in adapted.named_parameters():
        if "lora_" in name:
            short = name.removeprefix("base_model.model.transformer.").replace(".default", "")
            gradients[short] = p.grad.float().contiguous()
    save_file(gradients, OUT / "adapter.safetensors", metadata={"format": "pt"})

    model = run(data, lambda *a: log_prob(plain, *a), lambda *a: log_prob(adapted, *a)[0])
    gradients = {}
    for name, p in plain.named_parameters():
        name = name.removeprefix("transformer.")
        gradients[name] = (p.grad.T if name.endswith(CONV1D) else p.grad).float().contiguous()
    save_file(gradients, OUT / "model.safetensors", metadata={"format": "pt"})

    golden = dict(
        made_by=f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, peft {peft.__version__}, float64",
        beta=BETA, adapter=adapter, model=model,
    )
    text = json.dumps(golden, separators=(",", ":")).replace('{"prompt"', '\n{"prompt"').replace("[[", "[\n[").replace("],[", "],\n[")
    (OUT / "golden.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
