"""Makes bert4rec.safetensors and .json beside this file: one step of BERT4Rec, in plain PyTorch after RecBole 1.2.1's definitions.

    python make_bert4rec.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in bert4rec.json. What the tensors
are called is said in ../step_cases.py. Item 11 is the mask; `places` are those of the masks in the sequences one after the other,
without padding, and scores are the logits there.
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from step_cases import ITEMS, case, normal, write

HEADS, WIDTH, INNER, LAYERS, WINDOW = 2, 8, 12, 2, 5


def parameters():
    result = {
        "item_embedding.weight": normal(ITEMS + 1, WIDTH),
        "position_embedding.weight": normal(WINDOW, WIDTH),
        "output_bias": normal(ITEMS, scale=0.1),
        "transform.weight": normal(WIDTH, WIDTH),
        "transform.bias": normal(WIDTH, scale=0.1),
    }
    norms = ["norm", "transform_norm"]
    for layer in range(LAYERS):
        for name in ("query", "key", "value", "output", "inner", "outer"):
            rows, columns = INNER if name == "inner" else WIDTH, INNER if name == "outer" else WIDTH
            result[f"layers.{layer}.{name}.weight"] = normal(rows, columns)
            result[f"layers.{layer}.{name}.bias"] = normal(rows, scale=0.1)
        norms += [f"layers.{layer}.attention_norm", f"layers.{layer}.norm"]
    for name in norms:
        result |= {f"{name}.weight": 1 + normal(WIDTH, scale=0.2), f"{name}.bias": normal(WIDTH, scale=0.1)}
    return result


def logits(p, b):
    linear = lambda x, name: F.linear(x, p[name + ".weight"], p[name + ".bias"])
    norm = lambda x, name: F.layer_norm(x, (WIDTH,), p[name + ".weight"], p[name + ".bias"], 1e-12)
    count, time = b["sequences"].shape
    read = torch.arange(time) < b["lengths"][:, None]
    x = norm(p["item_embedding.weight"][b["sequences"].clamp(min=0)] + p["position_embedding.weight"], "norm")
    for layer in range(LAYERS):
        place = f"layers.{layer}."
        split = lambda t: t.reshape(count, time, HEADS, WIDTH // HEADS).transpose(1, 2)
        q, k, v = (split(linear(x, place + name)) for name in ("query", "key", "value"))
        weights = (q @ k.mT / math.sqrt(WIDTH // HEADS)).masked_fill(~read[:, None, None, :], -math.inf).softmax(-1)
        attended = (weights @ v).transpose(1, 2).reshape(count, time, WIDTH)
        x = norm(x + linear(attended, place + "output"), place + "attention_norm")
        x = norm(x + linear(F.gelu(linear(x, place + "inner")), place + "outer"), place + "norm")
    states = norm(F.gelu(linear(x[read][b["places"]], "transform")), "transform_norm")
    return states @ p["item_embedding.weight"][:ITEMS].T + p["output_bias"]


lengths = torch.tensor([5, 3, 1, 4])
rows = torch.tensor([[3, ITEMS, 7, 0, ITEMS], [ITEMS, 2, 9, -1, -1], [ITEMS, -1, -1, -1, -1], [5, 5, 1, ITEMS, -1]])
places, targets = torch.tensor([1, 4, 5, 8, 12]), torch.tensor([4, 8, 10, 6, 3])
case(
    "bert4rec",
    parameters(),
    dict(sequences=rows, lengths=lengths, places=places, targets=targets),
    lambda p, b: F.cross_entropy(logits(p, b), b["targets"]),
    logits,
    "norm(item + position), two layers as SASRec's without a causal mask, norm(gelu(transform)) at the masks, inner products with the "
    "items' rows + output_bias; mean cross-entropy. Layer norms with ε 1e-12.",
)
write(HERE, "bert4rec")
