"""Makes and checks int8 folders with numpy and safetensors alone.

    python3 int8.py                        # makes the folder int8 from untied; needs torch and transformers for the answers
    python3 int8.py FOLDER FLOAT-FOLDER    # checks an int8 folder that this project made from FLOAT-FOLDER

Written from the description of the format in ../doc.go, not from its code:
for each output of a matrix scale = max|w| / 127, the integers are
w * (127 / max|w|) rounded to the nearest, ties to even, all in float32. A
check also has transformers load the folder: it must refuse.
"""

import json
import pathlib
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).parent
CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
QUANTIZATION = {"format": "causerie-int8", "version": 1}


def quantized(name):
    return name.endswith(CONV1D) or name.endswith("wte.weight") or name == "lm_head.weight"


def outputs(name):
    """The axis along which a matrix's outputs lie, and that of its inputs."""
    return (1, 0) if name.endswith(CONV1D) else (0, 1)


def quantize(tensors):
    """Float tensors to int8 ones with scales."""
    result = {}
    for name, w in tensors.items():
        w = w.astype(np.float32)
        if not quantized(name):
            result[name] = w
            continue
        axis, inputs = outputs(name)
        largest = np.abs(w).max(axis=inputs, keepdims=True)
        result[name] = np.rint(w * (np.float32(127) / largest)).astype(np.int8)
        result[name + "_scale"] = (largest / np.float32(127)).reshape(w.shape[axis])
    return result


def dequantize(tensors):
    """And back."""
    result = {}
    for name, w in tensors.items():
        if name.endswith("_scale"):
            continue
        if w.dtype == np.int8:
            scale = tensors[name + "_scale"]
            w = w.astype(np.float32) * (scale[None, :] if outputs(name)[0] == 1 else scale[:, None])
        result[name] = np.ascontiguousarray(w)
    return result


def make():
    import shutil
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    from make import write_golden

    folder, source = HERE / "int8", HERE / "untied"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tensors = quantize(load_file(source / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "causerie-int8", "version": "1"})
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = QUANTIZATION
    config["dtype"] = "int8"
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    shutil.copy(source / "generation_config.json", folder)

    cfg = GPT2Config.from_pretrained(source)
    model = GPT2LMHeadModel(cfg)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in dequantize(tensors).items()})
    write_golden(folder, cfg, model.eval(), 8, gradients=False)


def refused(folder):
    """Whether transformers refuses the folder, whatever dtype is asked for."""
    import torch
    import transformers

    for options in {}, {"dtype": torch.float32}:
        for loader in transformers.AutoModelForCausalLM, transformers.GPT2LMHeadModel:
            try:
                loader.from_pretrained(folder, **options)
            except ValueError as err:
                print(f"{loader.__name__} {options}: {err}")
                continue
            return False
    return True


def check(folder, source):
    want = quantize(load_file(pathlib.Path(source) / "model.safetensors"))
    with safe_open(pathlib.Path(folder) / "model.safetensors", "np") as f:
        got = {name: f.get_tensor(name) for name in f.keys()}
        print(f.metadata())
    if got.keys() != want.keys():
        raise SystemExit(f"{folder}: tensors {sorted(got.keys() ^ want.keys())} differ")
    for name, w in want.items():
        g = got[name]
        if g.dtype != w.dtype or g.shape != w.shape or not np.array_equal(g, w):
            raise SystemExit(f"{folder}: tensor {name} differs")
    if not refused(folder):
        raise SystemExit(f"{folder}: transformers takes the integers for weights")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        make()
    elif len(sys.argv) == 3:
        check(*sys.argv[1:])
    else:
        raise SystemExit(__doc__)
