"""Makes steps.json beside this file: five optimiser steps of matrix factorisation with BPR, in PyTorch.

    python make_steps.py

Made with Python 3.11 and PyTorch 2.15.0. The tables before and after, and after the second step; the batches; the losses. Float64,
Adam of learning rate 0.05, β .9 .999, ε 1e-8, the mean loss of a batch plus the penalty on its rows (half of their squared lengths,
divided by the batch's size, times 0.02). Every row is updated in every step: moments decay where a row is in no batch.
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent
USERS, ITEMS, WIDTH, BATCH, STEPS, PENALTY = 6, 9, 3, 4, 5, 0.02
generator = torch.Generator().manual_seed(20231107)


def draw(bound):
    return torch.randint(bound, (STEPS, BATCH), generator=generator)


def main():
    users = torch.randn(USERS, WIDTH, generator=generator, dtype=torch.float64).requires_grad_()
    items = torch.randn(ITEMS, WIDTH, generator=generator, dtype=torch.float64).requires_grad_()
    store = dict(torch=torch.__version__, users0=users.tolist(), items0=items.tolist(), losses=[])
    batches = [draw(USERS - 1), draw(ITEMS), draw(ITEMS)]  # The last user is in no batch.
    optimizer = torch.optim.Adam([users, items], lr=0.05, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    for step in range(STEPS):
        u, p, n = users[batches[0][step]], items[batches[1][step]], items[batches[2][step]]
        difference = (u * p).sum(1) - (u * n).sum(1)
        loss = torch.nn.functional.softplus(-difference).mean()
        loss = loss + PENALTY * (u.square().sum() + p.square().sum() + n.square().sum()) / 2 / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        store["losses"].append(loss.item())
        if step in (1, STEPS - 1):
            store[f"users{step + 1}"], store[f"items{step + 1}"] = users.tolist(), items.tolist()
    for name, values in zip(("users", "positives", "negatives"), batches):
        store[name] = values.tolist()
    (HERE / "steps.json").write_text(json.dumps(store, indent=1) + "\n")


main()
