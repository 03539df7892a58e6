"""Makes adamw.json: a few steps of PyTorch's AdamW with gradient clipping.

    python3 adamw.py > adamw.json

A matrix (with weight decay) and a vector (without) are given made-up
gradients; the file holds them, the weights after every step and the norms that
clip_grad_norm_ measured. All arithmetic is PyTorch's, in float32.
"""

import json
import sys

import torch

torch.manual_seed(1)
LIMIT, BETAS, EPS, DECAY = 1.0, (0.9, 0.99), 1e-8, 0.1
matrix = torch.nn.Parameter(torch.randn(3, 5))
vector = torch.nn.Parameter(torch.randn(4))
optimizer = torch.optim.AdamW(
    [{"params": [matrix], "weight_decay": DECAY}, {"params": [vector], "weight_decay": 0.0}],
    lr=1e-2, betas=BETAS, eps=EPS,
)
golden = {
    "torch": torch.__version__.split("+")[0], "clip": LIMIT, "beta1": BETAS[0], "beta2": BETAS[1],
    "eps": EPS, "weight_decay": DECAY,
    "matrix": matrix.flatten().tolist(), "vector": vector.tolist(), "steps": [],
}
for step in range(1, 7):
    lr = 1e-2 * step
    for group in optimizer.param_groups:
        group["lr"] = lr
    scale = 10.0 ** (3 - step)  # clipped at first, then not, then tiny
    matrix.grad = torch.randn(3, 5) * scale
    vector.grad = torch.randn(4) * scale
    grads = {"matrix_grad": matrix.grad.flatten().tolist(), "vector_grad": vector.grad.tolist()}
    norm = torch.nn.utils.clip_grad_norm_([matrix, vector], LIMIT)
    optimizer.step()
    golden["steps"].append(
        {"lr": lr, "norm": norm.item(), **grads,
         "matrix": matrix.detach().flatten().tolist(), "vector": vector.detach().tolist()}
    )
json.dump(golden, sys.stdout, indent=1)
print()
