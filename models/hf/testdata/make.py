"""Makes the golden GPT-2 folders of this directory.

    python3 make.py            # needs torch, transformers, safetensors

Every folder is a tiny random GPT-2 written by Hugging Face transformers, and
beside it the answers that transformers itself computes from the stored
weights in float64. README.md says what each file holds. Seeds are fixed: a
second run with the same library versions writes the same files.
"""

import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, GPT2Model

HERE = pathlib.Path(__file__).parent
CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def config(**changes):
    """A small configuration; every case changes what it is about."""
    values = dict(
        vocab_size=61, n_positions=32, n_embd=32, n_head=2, n_layer=2,
        bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )
    values.update(changes)
    return GPT2Config(**values)


def random_model(cfg, seed):
    """A GPT-2 whose weights are large enough that logits and attention are far from flat."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(cfg)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.normal_(0.0, 0.25)
            elif "ln_" in name and name.endswith("weight"):
                p.normal_(1.0, 0.2)
            else:
                p.normal_(0.0, 0.1)
    return model.eval()


def float64_twin(cfg, model):
    """The same weights, computing in float64 with the plainest attention."""
    twin = GPT2LMHeadModel._from_config(cfg, attn_implementation="eager", dtype=torch.float64)
    twin.load_state_dict(model.state_dict())
    if cfg.tie_word_embeddings:
        twin.tie_weights()
    return twin.double().eval()


def segments(cfg, lengths, seed):
    """Random token rows; targets are the following ids, weights 1, 0.5 or 0 (not learnt)."""
    g = torch.Generator().manual_seed(seed)
    out = []
    for n in lengths:
        ids = torch.randint(cfg.vocab_size, (n + 1,), generator=g).tolist()
        weights = [(0.0, 0.5, 1.0, 1.0)[i] for i in torch.randint(4, (n,), generator=g).tolist()]
        weights[-1] = 1.0
        out.append(dict(tokens=ids[:-1], targets=ids[1:], weights=weights))
    return out


def greedy(model, prompt, n):
    """n greedy tokens after the prompt, and the smallest lead of a winner over the runner-up."""
    ids, margin = list(prompt), float("inf")
    with torch.no_grad():
        for _ in range(n):
            top = model(torch.tensor([ids])).logits[0, -1].topk(2)
            margin = min(margin, (top.values[0] - top.values[1]).item())
            ids.append(top.indices[0].item())
    return ids[len(prompt):], margin


def round9(x):
    return float(f"{x:.9g}")


def write_golden(folder, cfg, model, seed, gradients):
    """golden.json and, when asked for, gradients.safetensors."""
    twin = float64_twin(cfg, model)
    segs = segments(cfg, (cfg.n_positions, 11, 1, 6), seed)
    total, weight_sum = torch.zeros((), dtype=torch.float64), 0.0
    for s in segs:
        logits = twin(torch.tensor([s["tokens"]])).logits[0]
        nll = torch.nn.functional.cross_entropy(logits, torch.tensor(s["targets"]), reduction="none")
        total = total + (nll * torch.tensor(s["weights"], dtype=torch.float64)).sum()
        weight_sum += sum(s["weights"])
        s["logits"] = [[round9(v) for v in row] for row in logits.tolist()]

    if gradients:
        total.backward()
        named = {}
        for name, p in twin.named_parameters():
            name = name.removeprefix("transformer.")
            grad = p.grad.T if name.endswith(CONV1D) else p.grad
            named[name] = grad.float().contiguous()
        save_file(named, folder / "gradients.safetensors", metadata={"format": "pt"})

    # A greedy continuation must not hang on rounding: take the first prompt whose winners are clear.
    for s in segments(cfg, [5] * 100, seed + 100):
        prompt = s["tokens"]
        tokens, margin = greedy(twin, prompt, 10)
        if margin > 5e-2:
            break
    else:
        raise SystemExit(f"{folder.name}: two tokens always nearly tie; take another seed")
    golden = dict(
        made_by=f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, float64",
        segments=segs,
        loss_sum=round9(total.item()),
        weight_sum=weight_sum,
        loss=round9(total.item() / weight_sum),
        greedy=dict(prompt=prompt, tokens=tokens, margin=round9(margin)),
    )
    text = json.dumps(golden, indent=None, separators=(",", ":"))
    text = text.replace('{"tokens"', '\n{"tokens"').replace('"loss_sum"', '\n"loss_sum"').replace("[[", "[\n[").replace("],[", "],\n[")
    (folder / "golden.json").write_text(text + "\n")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def simple_case(name, cfg, seed, dtype=torch.float32, gradients=False, **save):
    """A folder exactly as save_pretrained writes it."""
    folder = fresh(name)
    model = random_model(cfg, seed).to(dtype)
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=0)
    model.save_pretrained(folder, **save)
    write_golden(folder, cfg, model.float(), seed, gradients)


def bare_case(name, cfg, seed):
    """GPT2Model: tensor names without prefix, no LM head, and the mask buffers of old releases."""
    folder = fresh(name)
    model = random_model(cfg, seed)
    bare = GPT2Model(cfg)
    bare.load_state_dict(model.transformer.state_dict())
    bare.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    n = cfg.n_positions
    for i in range(cfg.n_layer):
        tensors[f"h.{i}.attn.bias"] = torch.tril(torch.ones(n, n, dtype=torch.bool)).view(1, 1, n, n)
        tensors[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_golden(folder, cfg, model, seed, gradients=False)


def legacy_case(name, cfg, seed):
    """What years-old folders look like: n_ctx only, no model_type, the tied head stored a second time."""
    folder = fresh(name)
    model = random_model(cfg, seed)
    tensors = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    n = cfg.n_positions
    for i in range(cfg.n_layer):
        tensors[f"transformer.h.{i}.attn.bias"] = torch.tril(torch.ones(n, n)).view(1, 1, n, n)
        tensors[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    assert "lm_head.weight" in tensors
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    old = dict(
        initializer_range=0.02, layer_norm_epsilon=cfg.layer_norm_epsilon, n_ctx=n,
        n_embd=cfg.n_embd, n_head=cfg.n_head, n_layer=cfg.n_layer, vocab_size=cfg.vocab_size,
    )
    (folder / "config.json").write_text(json.dumps(old, indent=2) + "\n")
    write_golden(folder, cfg, model, seed, gradients=False)


def main():
    transformers.logging.set_verbosity_error()
    simple_case("tied", config(), 1, gradients=True)
    simple_case("untied", config(tie_word_embeddings=False, vocab_size=67, n_head=4, n_inner=72, layer_norm_epsilon=1e-3), 2, gradients=True)
    simple_case("f16", config(vocab_size=59), 3, dtype=torch.float16)
    simple_case("bf16", config(vocab_size=53, n_head=4, tie_word_embeddings=False), 4, dtype=torch.bfloat16)
    simple_case("sharded", config(n_embd=16, vocab_size=71), 5, max_shard_size="12KB")
    bare_case("bare", config(n_embd=16, vocab_size=47, n_positions=16), 6)
    legacy_case("legacy", config(n_embd=16, vocab_size=43, n_positions=16, bos_token_id=None, eos_token_id=None), 7)


if __name__ == "__main__":
    main()
