"""Times PyTorch on the work of causerie's benchmarks: GPT-2 124M with random weights, float32, two threads.

    pip install torch transformers
    python3 docs/peers/pytorch.py train     # training steps of 4 x 64 tokens with AdamW and clipping, tokens/s
    python3 docs/peers/pytorch.py decode    # one stream, 3 tokens in, 64 out, greedy, tokens/s

Prints the median and the extremes of five rounds.
"""

import statistics
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def rounds(work, tokens, n=5):
    work()  # the first one makes the memory
    speeds = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        speeds.append(tokens / (time.perf_counter() - start))
    print(f"torch {torch.__version__}: {statistics.median(speeds):.1f} tokens/s ({min(speeds):.1f} to {max(speeds):.1f})")


def train(model):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.99), weight_decay=0.1)
    ids = torch.randint(0, 50257, (4, 64))

    def steps(n=4):
        for _ in range(n):
            model(ids, labels=ids).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)

    rounds(steps, 4 * ids.numel())


def decode(model):
    model.eval()
    ids = torch.randint(0, 50257, (1, 3))
    with torch.inference_mode():
        rounds(lambda: model.generate(ids, attention_mask=torch.ones_like(ids), min_new_tokens=64, max_new_tokens=64,
                                      do_sample=False, pad_token_id=0), 64)


torch.manual_seed(1)
torch.set_num_threads(2)
network = GPT2LMHeadModel(GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))
{"train": train, "decode": decode}[sys.argv[1]](network)
