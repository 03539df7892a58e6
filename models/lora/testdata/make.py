"""Makes the golden adapters of this directory.

    python3 make.py            # needs torch, transformers, peft, safetensors

Every folder is a random LoRA adapter written by Python's peft for the GPT-2
in ../../hf/testdata/tied, and beside it what peft computes with it in float64:
logits, the loss and the gradients of the factors. Seeds are fixed: a second
run with the same library versions writes the same numbers.
"""

import json
import pathlib
import shutil

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2LMHeadModel

HERE = pathlib.Path(__file__).parent
BASE = HERE / "../../hf/testdata/tied"

CASES = {
    # peft's defaults for GPT-2: r 8, alpha 8, c_attn
    "default": dict(),
    # every layer, rank-stabilized
    "all": dict(r=4, lora_alpha=6, target_modules="all-linear", use_rslora=True),
    # a choice of layers by a regular expression, with exceptions
    "pattern": dict(
        r=2, lora_alpha=16, target_modules=r".*\.(1\.attn\.c_proj|mlp\.c_fc)",
        rank_pattern={r"h\.0\.mlp\.c_fc": 5}, alpha_pattern={"c_proj": 3},
    ),
}


def round9(x):
    return float(f"{x:.9g}")


def make(name, settings, seed, segments):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    base = GPT2LMHeadModel.from_pretrained(BASE, dtype=torch.float32)
    config = LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=True, **settings)
    model = get_peft_model(base, config)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn(p.shape, generator=g) * 0.3)
    model.peft_config["default"].base_model_name_or_path = "tied"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # a model card of placeholders

    model = model.double().eval()
    total, out = torch.zeros((), dtype=torch.float64), []
    for s in segments:
        logits = model(torch.tensor([s["tokens"]])).logits[0]
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(s["targets"]), reduction="none")
        total = total + (nll * torch.tensor(s["weights"], dtype=torch.float64)).sum()
        out.append(dict(tokens=s["tokens"], targets=s["targets"], weights=s["weights"],
                        logits=[[round9(v) for v in row] for row in logits.tolist()]))
    total.backward()
    gradients = {}
    for n, p in model.named_parameters():
        if "lora_" in n:
            short = n.removeprefix("base_model.model.transformer.").replace(".default", "")
            gradients[short] = p.grad.float().contiguous()
    save_file(gradients, folder / "gradients.safetensors", metadata={"format": "pt"})
    golden = dict(
        made_by=f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, peft {peft.__version__}, float64",
        segments=out, loss_sum=round9(total.item()),
    )
    (folder / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)


def main():
    transformers.logging.set_verbosity_error()
    segments = json.loads((BASE / "golden.json").read_text())["segments"]
    for seed, (name, settings) in enumerate(CASES.items()):
        make(name, settings, seed, segments[1:])


if __name__ == "__main__":
    main()
