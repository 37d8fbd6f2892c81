"""Makes hstu.safetensors and .json beside this file: one step of HSTU, in plain PyTorch, sequence by sequence and head by head.

    python make_hstu.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in hstu.json. What the tensors are
called is said in ../step_cases.py. `hstu_block` has one layer, `hstu` two.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from step_cases import ITEMS, case, normal, ranked, sequences, write

HEADS, WIDTH, WINDOW, EPSILON = 2, 8, 7, 1e-6


def parameters(layers):
    result = {"item_embedding.weight": normal(ITEMS, WIDTH), "position_embedding.weight": normal(WINDOW, WIDTH)}
    norms = ["norm"]
    for layer in range(layers):
        place = f"layers.{layer}."
        for name, rows in (("input", 4 * WIDTH), ("output", WIDTH)):
            result[f"{place}{name}.weight"] = normal(rows, WIDTH)
            result[f"{place}{name}.bias"] = normal(rows, scale=0.1)
        result[f"{place}distance_bias"] = normal(WINDOW, HEADS)
        norms += [f"{place}input_norm", f"{place}attention_norm"]
    for name in norms:
        result |= {f"{name}.weight": 1 + normal(WIDTH, scale=0.2), f"{name}.bias": normal(WIDTH, scale=0.1)}
    return result


def unit(x, p, place):
    """One layer on one sequence [time, width], by the formulas: a loop over heads and queries."""
    norm = lambda x, name: F.layer_norm(x, (WIDTH,), p[place + name + ".weight"], p[place + name + ".bias"], EPSILON)
    u, v, q, k = F.silu(F.linear(norm(x, "input_norm"), p[place + "input.weight"], p[place + "input.bias"])).split(WIDTH, -1)
    rows = []
    for i in range(len(x)):
        parts = []
        for head in range(HEADS):
            own = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            distances = i - torch.arange(i + 1)
            weights = F.silu(k[: i + 1, own] @ q[i, own] + p[place + "distance_bias"][distances, head]) / WINDOW
            parts.append(weights @ v[: i + 1, own])
        rows.append(torch.cat(parts))
    gated = norm(torch.stack(rows), "attention_norm") * u
    return x + F.linear(gated, p[place + "output.weight"], p[place + "output.bias"])


def states(layers):
    def run(p, b):
        last = []
        for items, length in zip(b["sequences"], b["lengths"]):
            x = p["item_embedding.weight"][items[:length]] + p["position_embedding.weight"][:length]
            for layer in range(layers):
                x = unit(x, p, f"layers.{layer}.")
            last.append(F.layer_norm(x[-1], (WIDTH,), p["norm.weight"], p["norm.bias"], EPSILON))
        return torch.stack(last)

    return run


for name, layers in (("hstu_block", 1), ("hstu", 2)):
    case(
        name,
        parameters(layers),
        sequences(),
        *ranked(states(layers)),
        "x = item + position; per layer U, V, Q, K = silu(input(input_norm(x))), A = silu(Q Kᵀ + distance_bias) / window, causal, "
        "x = x + output(attention_norm(A V) ⊙ U); norm(x) at the last item; cross-entropy over all items. Layer norms with ε 1e-6.",
        heads=HEADS,
        width=WIDTH,
        window=WINDOW,
        layers=layers,
    )
write(HERE, "hstu")
