"""Makes a GPT-2 of 124 million random weights: speed does not depend on their values.

    pip install torch transformers
    python3 docs/peers/random_gpt2.py OUT_DIR VOCABULARY_DIR

VOCABULARY_DIR holds GPT-2's vocab.json and merges.txt (or any byte-level BPE of the same size). The folder that is made loads in
causerie, in transformers, and in llama.cpp's convert_hf_to_gguf.py.
"""

import json
import pathlib
import shutil
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel

out, vocabulary = map(pathlib.Path, sys.argv[1:])
torch.manual_seed(1)
GPT2LMHeadModel(GPT2Config()).save_pretrained(out)
for name in ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
    if (vocabulary / name).exists():
        shutil.copy(vocabulary / name, out)
config = json.loads((out / "config.json").read_text())
config["n_ctx"] = config["n_positions"]  # llama.cpp's converter reads the older name
(out / "config.json").write_text(json.dumps(config, indent=1))
