"""Makes two_towers.safetensors and .json beside this file: the loss corrected for sampling, and one step of two towers with it.

    python make_two_towers.py

Made with Python 3.11, PyTorch 2.13.0, safetensors 0.8.0; the versions used are stored in two_towers.json. What the tensors are
called is said in ../step_cases.py. The corrected loss is computed pair by pair, by its formula.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from step_cases import case, normal, write

TEMPERATURE = 0.5
# Row 0 of a table stands for unknown categories.
AGES = torch.tensor([20.0, 30.0, 40.0, 50.0, 60.0])
GENRES = [[1, 2], [2], [], [3, 1], [3], [1, 2, 3]]
PAIRS = torch.tensor([[0, 0], [1, 2], [2, 2], [3, 5], [4, 1], [0, 3]])


def corrected(users, items, log_q):
    losses = []
    for i in range(len(users)):
        logits = torch.stack([(users[i] * items[j]).sum() / TEMPERATURE - log_q[j] for j in range(len(items))])
        losses.append(torch.logsumexp(logits, 0) - logits[i])
    return torch.stack(losses).mean()


case(
    "in_batch_loss",
    dict(users=normal(5, 4), items=normal(5, 4)),
    dict(log_q=torch.log(torch.tensor([0.4, 0.1, 0.05, 0.4, 0.05]))),
    lambda p, b: corrected(p["users"], p["items"], b["log_q"]),
    lambda p, b: p["users"] @ p["items"].T,
    "mean −log softmax of ⟨u, v⟩ / τ − log q over the batch's items",
    temperature=TEMPERATURE,
)


def tower(p, side, x):
    place = f"{side}.network.layers."
    hidden = F.relu(F.linear(x, p[place + "0.weight"], p[place + "0.bias"]))
    return F.normalize(F.linear(hidden, p[place + "1.weight"], p[place + "1.bias"]), dim=-1)


def rows(p):
    """The rows of all users and items: numbers first, then categories and means of lists."""
    ages = (AGES - AGES.mean()) / AGES.std(correction=0)
    dtype = p["userTower.vectors.numberRows"].dtype
    numbers = ages.to(dtype)[:, None] * p["userTower.vectors.numberRows"]
    users = tower(p, "userTower", torch.cat([numbers, p["userTower.vectors.tables.user.weight"][1:]], -1))
    table = p["itemTower.vectors.tables.genres.weight"]
    means = torch.stack([table[g].mean(0) if g else torch.zeros(table.shape[1], dtype=dtype) for g in GENRES])
    items = tower(p, "itemTower", torch.cat([p["itemTower.vectors.tables.item.weight"][1:], means], -1))
    return users, items


def loss(p, b):
    users, items = rows(p)
    return corrected(users[b["pairs"][:, 0]], items[b["pairs"][:, 1]], b["log_q"])


def parameters():
    result = {
        "userTower.vectors.numberRows": normal(1, 3),
        "userTower.vectors.tables.user.weight": normal(6, 3),
        "itemTower.vectors.tables.item.weight": normal(7, 3),
        "itemTower.vectors.tables.genres.weight": normal(4, 3),
    }
    for side in ("userTower", "itemTower"):
        for layer, (inputs, outputs) in enumerate([(6, 5), (5, 4)]):
            result[f"{side}.network.layers.{layer}.weight"] = normal(outputs, inputs)
            result[f"{side}.network.layers.{layer}.bias"] = normal(outputs, scale=0.1)
    return result


def scores(p, b):
    users, items = rows(p)
    return users @ items.T


counts = torch.bincount(PAIRS[:, 1], minlength=6)
case(
    "two_towers",
    parameters(),
    dict(pairs=PAIRS, log_q=torch.log(counts[PAIRS[:, 1]] / len(PAIRS))),
    loss,
    scores,
    "per side a perceptron of one hidden layer with ReLU on the columns' vectors, rows at unit length; the corrected loss",
    temperature=TEMPERATURE,
    ages=AGES.tolist(),
    genres=GENRES,
)
write(HERE, "two_towers")
