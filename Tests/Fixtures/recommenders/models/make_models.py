"""Makes one training step of each recommender beside this file, in plain PyTorch after RecBole 1.2.1's definitions.

    python make_models.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0, NumPy 2.4.6; the versions used are stored in models.json.

models.safetensors, written as ../step_cases.py says: float64 and (under `float32.`) float32, indices int32. Per case
  <case>.<parameter>, <case>.gradient.<parameter>, <case>.after.<parameter> (one Adam step, lr 0.01, β .9 .999, ε 1e-8),
  <case>.loss, <case>.scores (of the parameters before the step; users × items, or sequences × items),
  and the batch: <case>.users, .positives, .negatives, .labels, .sequences, .lengths, .targets as the case has them.
Users and items count from zero and there is no padding row; sequences are padded at the end with −1, which no result
depends on. (RecBole's sequential models keep a padding item in row 0 and in the softmax; these do not.) No dropout.
models.json says per case what is computed. `interactions` [n, 2] is the graph that LightGCN and the others share.
"""

import math
import pathlib
import sys

import numpy
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from step_cases import (
    DENSE,
    ITEMS,
    USERS,
    bpr,
    case,
    contrast,
    description,
    generator,
    normal,
    propagated,
    ranked,
    sequences,
    store,
    tables,
    triples,
    write,
    WIDTH,
)


def factorisation():
    def loss(p, b):
        u, i = p["user_embedding.weight"], p["item_embedding.weight"]
        score = lambda items: (u[b["users"]] * i[items]).sum(-1)
        return bpr(score(b["positives"]), score(b["negatives"]))

    case(
        "bpr",
        tables(),
        triples(),
        loss,
        lambda p, b: p["user_embedding.weight"] @ p["item_embedding.weight"].T,
        "Matrix factorisation: mean −log σ(positive − negative), no regularisation.",
    )


def light_gcn():
    def loss(squared):
        def run(p, b):
            _, state = propagated(p, 2)
            user, item = state[:USERS], state[USERS:]
            score = lambda items: (user[b["users"]] * item[items]).sum(-1)
            rows = [
                p["user_embedding.weight"][b["users"]],
                p["item_embedding.weight"][b["positives"]],
                p["item_embedding.weight"][b["negatives"]],
            ]
            if squared:
                penalty = sum(row.square().sum() for row in rows) / 2
            else:
                penalty = sum(row.square().sum().sqrt() for row in rows)
            return bpr(score(b["positives"]), score(b["negatives"])) + 0.05 * penalty / len(b["users"])

        return run

    def scores(p, b):
        _, state = propagated(p, 2)
        return state[:USERS] @ state[USERS:].T

    note = "Two propagations with D^(−1/2) A D^(−1/2), mean of the three states, BPR loss + 0.05 / batch · "
    parameters = tables()
    case(
        "lightgcn",
        parameters,
        triples(),
        loss(False),
        scores,
        note + "Σ of the Frobenius norms of the batch's three sets of rows before propagation",
        layers=2,
        weight=0.05,
    )
    case(
        "lightgcn_squared",
        parameters,
        triples(),
        loss(True),
        scores,
        note + "½ Σ of their squares",
        layers=2,
        weight=0.05,
    )


def xsim_gcl():
    def loss(p, b):
        states, mean = propagated(p, 3, 1, b["noise"], 0.2)
        user, item = mean[:USERS], mean[USERS:]
        score = lambda items: (user[b["users"]] * item[items]).sum(-1)
        users, items = torch.unique(b["users"]), torch.unique(b["positives"])
        contrastive = contrast(user, states[1][:USERS], users, 0.2) + contrast(item, states[1][USERS:], items, 0.2)
        return bpr(score(b["positives"]), score(b["negatives"])) + 0.3 * contrastive

    def scores(p, b):
        _, mean = propagated(p, 3, 1)
        return mean[:USERS] @ mean[USERS:].T

    batch = dict(triples(), noise=torch.rand(3, USERS + ITEMS, WIDTH, generator=generator).float())
    case(
        "xsimgcl",
        tables(),
        batch,
        loss,
        scores,
        "Yu et al. 2023: three propagations; after each, sign(state) · noise / ‖noise‖ · 0.2 is added (noise [layer, users then items, width]); "
        "mean of the states after each (not the first); BPR + 0.3 · InfoNCE (temperature 0.2) between the mean and the state after the first, "
        "over the batch's distinct users and distinct positive items. Scores without noise.",
        layers=3,
        epsilon=0.2,
        temperature=0.2,
        weight=0.3,
    )


def neu_mf():
    parameters = {
        f"{side}_{part}_embedding.weight": normal(count, 4)
        for part in ("mf", "mlp")
        for side, count in (("user", USERS), ("item", ITEMS))
    }
    parameters |= {
        "mlp.0.weight": normal(6, 8),
        "mlp.0.bias": normal(6),
        "mlp.1.weight": normal(3, 6),
        "mlp.1.bias": normal(3),
        "predict.weight": normal(1, 7),
        "predict.bias": normal(1),
    }

    def logits(p, users, items):
        x = torch.cat([p["user_mlp_embedding.weight"][users], p["item_mlp_embedding.weight"][items]], -1)
        for layer in ("mlp.0", "mlp.1"):
            x = torch.relu(F.linear(x, p[layer + ".weight"], p[layer + ".bias"]))
        product = p["user_mf_embedding.weight"][users] * p["item_mf_embedding.weight"][items]
        return F.linear(torch.cat([product, x], -1), p["predict.weight"], p["predict.bias"]).squeeze(-1)

    pairs = triples()
    batch = dict(
        users=torch.cat([pairs["users"]] * 2),
        items=torch.cat([pairs["positives"], pairs["negatives"]]),
        labels=torch.cat([torch.ones(8), torch.zeros(8)]),
    )
    grid = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS))
    case(
        "neumf",
        parameters,
        batch,
        lambda p, b: F.binary_cross_entropy_with_logits(logits(p, b["users"], b["items"]), b["labels"]),
        lambda p, b: logits(p, grid[:, 0], grid[:, 1]).reshape(USERS, ITEMS),
        "predict([user ⊙ item ; mlp([user ; item])]), ReLU after both layers of the MLP; mean binary cross-entropy. Scores are logits.",
    )


def sas_rec():
    heads, width, inner, layers = 2, 8, 12, 2
    parameters = {
        "item_embedding.weight": normal(ITEMS, width),
        "position_embedding.weight": normal(5, width),
        "norm.weight": 1 + normal(width, scale=0.2),
        "norm.bias": normal(width, scale=0.1),
    }
    for layer in range(layers):
        for name, rows, columns in (
            ("query", width, width),
            ("key", width, width),
            ("value", width, width),
            ("output", width, width),
            ("inner", inner, width),
            ("outer", width, inner),
        ):
            parameters |= {
                f"layers.{layer}.{name}.weight": normal(rows, columns),
                f"layers.{layer}.{name}.bias": normal(rows, scale=0.1),
            }
        for name in ("attention_norm", "norm"):
            parameters |= {
                f"layers.{layer}.{name}.weight": 1 + normal(width, scale=0.2),
                f"layers.{layer}.{name}.bias": normal(width, scale=0.1),
            }

    def states(p, b):
        linear = lambda x, name: F.linear(x, p[name + ".weight"], p[name + ".bias"])
        norm = lambda x, name: F.layer_norm(x, (width,), p[name + ".weight"], p[name + ".bias"], 1e-12)
        count, time = b["sequences"].shape
        x = norm(p["item_embedding.weight"][b["sequences"].clamp(min=0)] + p["position_embedding.weight"], "norm")
        mask = (
            torch.ones(time, time, dtype=torch.bool).tril() & (torch.arange(time) < b["lengths"][:, None])[:, None, :]
        )
        for layer in range(layers):
            place = f"layers.{layer}."
            split = lambda t: t.reshape(count, time, heads, width // heads).transpose(1, 2)
            q, k, v = (split(linear(x, place + name)) for name in ("query", "key", "value"))
            weights = torch.softmax((q @ k.mT / math.sqrt(width // heads)).masked_fill(~mask[:, None], -1e4), -1)
            attended = (weights @ v).transpose(1, 2).reshape(count, time, width)
            x = norm(x + linear(attended, place + "output"), place + "attention_norm")
            x = norm(x + linear(F.gelu(linear(x, place + "inner")), place + "outer"), place + "norm")
        return x[torch.arange(count), b["lengths"] - 1]

    case(
        "sasrec",
        parameters,
        sequences(),
        *ranked(states),
        "norm(item + position), then per layer x = attention_norm(x + output(attention(x))), x = norm(x + outer(gelu(inner(x)))), causal; the state at the "
        "last item of each sequence; cross-entropy over all items. Layer norms with ε 1e-12.",
        heads=heads,
        width=width,
        inner=inner,
        layers=layers,
    )


def gru4_rec():
    width, hidden = 6, 8
    parameters = {
        "item_embedding.weight": normal(ITEMS, width),
        "gru.weight_ih_l0": normal(3 * hidden, width),
        "gru.weight_hh_l0": normal(3 * hidden, hidden),
        "dense.weight": normal(width, hidden),
        "dense.bias": normal(width, scale=0.1),
    }

    def states(p, b):
        x = p["item_embedding.weight"][b["sequences"].clamp(min=0)]
        h, outputs = x.new_zeros(len(x), hidden), []
        for time in range(x.shape[1]):
            xr, xz, xn = (x[:, time] @ p["gru.weight_ih_l0"].T).chunk(3, -1)
            hr, hz, hn = (h @ p["gru.weight_hh_l0"].T).chunk(3, -1)
            reset, update = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
            h = (1 - update) * torch.tanh(xn + reset * hn) + update * h
            outputs.append(h)
        last = torch.stack(outputs, 1)[torch.arange(len(x)), b["lengths"] - 1]
        return F.linear(last, p["dense.weight"], p["dense.bias"])

    case(
        "gru4rec",
        parameters,
        sequences(),
        *ranked(states),
        "One GRU layer without biases (gates reset, update, new), dense to the items' width, the state at the last item; cross-entropy over all items.",
        width=width,
        hidden=hidden,
    )


def closed_forms():
    x = DENSE.double().numpy()
    gram = x.T @ x + 2.0 * numpy.eye(ITEMS)
    inverse = numpy.linalg.inv(gram)
    weights = inverse / -numpy.diag(inverse)
    numpy.fill_diagonal(weights, 0)
    store["ease.weights"], store["ease.scores"] = torch.tensor(weights), torch.tensor(x @ weights)
    description["ease"] = dict(
        note="P = (XᵀX + 2 I)⁻¹; weights[i, j] = −P[i, j] / P[j, j], zero diagonal; scores X · weights",
        regularisation=2.0,
    )

    norms = numpy.sqrt((x * x).sum(0))
    similarity = (x.T @ x) / (norms[:, None] * norms[None, :] + 0.5 + 1e-6)
    numpy.fill_diagonal(similarity, 0)
    kept = numpy.zeros_like(similarity)
    for column in range(ITEMS):  # Equal similarities at the border go to the smaller index.
        order = numpy.argsort(-similarity[:, column], kind="stable")[:4]
        kept[order, column] = similarity[order, column]
    store["itemknn.weights"], store["itemknn.scores"] = torch.tensor(kept), torch.tensor(x @ kept)
    description["itemknn"] = dict(
        note="cosine with shrinkage: dot / (norm · norm + 0.5 + 1e-6), zero diagonal, the 4 nearest kept per column "
        "(ties to the smaller index); scores X · weights",
        neighbours=4,
        shrink=0.5,
    )
    store["popularity.scores"] = torch.tensor(x.sum(0))


for make in (factorisation, light_gcn, xsim_gcl, neu_mf, sas_rec, gru4_rec, closed_forms):
    make()
write(HERE, "models")
