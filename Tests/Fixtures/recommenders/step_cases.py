"""What the scripts of models, autoencoders and sequential share: the graph, one training step of a case, and how cases are written.

Per case a safetensors file has, in float64 and (under `float32.`) in float32, indices int32,
  <case>.<parameter>, <case>.gradient.<parameter>, <case>.after.<parameter> (one Adam step, lr 0.01, β .9 .999, ε 1e-8),
  <case>.loss, <case>.scores (of the parameters before the step; users × items, or sequences × items),
and the batch under the names that the case gives it. Users and items count from zero and there is no padding row.
"""

import importlib.metadata
import json

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(20231107)
PRECISIONS = {"": torch.float64, "float32.": torch.float32}
USERS, ITEMS, WIDTH = 7, 11, 6
ADAM = dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8)
store, description = {}, {}


def normal(*shape, scale=0.5):
    return (torch.randn(*shape, generator=generator) * scale).float()


def interactions():
    """Every user has at least two items; item 10 has none."""
    dense = torch.rand(USERS, ITEMS, generator=generator) < 0.3
    for user in range(USERS):
        dense[user, user] = dense[user, (user + 3) % 10] = True
    dense[:, 10] = False
    return dense


DENSE = interactions()


def case(name, parameters, batch, loss, scores, note, **settings):
    """Takes one step: `loss(parameters, batch)` and `scores(parameters, batch)` are functions of dictionaries."""
    for prefix, dtype in PRECISIONS.items():
        p = {key: value.to(dtype).clone().requires_grad_() for key, value in parameters.items()}
        b = {key: value.to(dtype) if value.is_floating_point() else value for key, value in batch.items()}
        optimizer = torch.optim.Adam(p.values(), foreach=False, **ADAM)
        with torch.no_grad():
            store[f"{prefix}{name}.scores"] = scores(p, b)
        for key, value in p.items():
            store[f"{prefix}{name}.{key}"] = value.detach().clone()
        for key, value in b.items():
            store[f"{prefix}{name}.{key}"] = value
        value = loss(p, b)
        value.backward()
        optimizer.step()
        store[f"{prefix}{name}.loss"] = value.detach()
        for key, parameter in p.items():
            if parameter.grad is not None:
                store[f"{prefix}{name}.gradient.{key}"] = parameter.grad
            store[f"{prefix}{name}.after.{key}"] = parameter.detach()
    description[name] = dict(
        parameters={key: list(value.shape) for key, value in parameters.items()},
        batch=list(batch),
        note=note,
        **settings,
    )


def bpr(positive, negative):
    return torch.logaddexp(negative - positive, torch.zeros_like(positive)).mean()


def triples(count=8):
    """Users with an item of theirs and one that is not; a user and an item come twice."""
    users = torch.tensor([0, 1, 2, 3, 4, 5, 6, 0])[:count]
    positives = torch.tensor([int(DENSE[u].nonzero()[int(u) % 2 - 1]) for u in users])
    negatives = torch.tensor([int((~DENSE[u]).nonzero()[(3 * i) % 4]) for i, u in enumerate(users)])
    return dict(users=users, positives=positives, negatives=negatives)


def adjacency(dtype, dense=DENSE):
    """D^(−1/2) A D^(−1/2) over users, then items; a node without edges keeps zeros."""
    a = torch.zeros(USERS + ITEMS, USERS + ITEMS, dtype=torch.float64)
    a[:USERS, USERS:] = dense.double()
    a[USERS:, :USERS] = dense.double().T
    degree = a.sum(1)
    scale = torch.where(degree > 0, degree, torch.ones_like(degree)).rsqrt()
    return (scale[:, None] * a * scale[None, :]).to(dtype)


def tables():
    return {"user_embedding.weight": normal(USERS, WIDTH), "item_embedding.weight": normal(ITEMS, WIDTH)}


def propagated(p, layers, mean_from=0, noise=None, epsilon=0.0):
    """The states after 0…layers propagations and the mean of those from `mean_from`."""
    state = torch.cat([p["user_embedding.weight"], p["item_embedding.weight"]])
    graph, states = adjacency(state.dtype), [state]
    for layer in range(layers):
        state = graph @ state
        if noise is not None:
            state = state + torch.sign(state) * F.normalize(noise[layer], dim=-1) * epsilon
        states.append(state)
    return states, torch.stack(states[mean_from:]).mean(0)


def sequences():
    lengths = torch.tensor([5, 3, 1, 4])
    rows = torch.randint(0, ITEMS, (4, 5), generator=generator)
    for row, length in enumerate(lengths):
        rows[row, length:] = -1
    return dict(sequences=rows, lengths=lengths, targets=torch.randint(0, ITEMS, (4,), generator=generator))


def ranked(states):
    """Loss and scores of a sequence model: cross-entropy of state · item table over all items."""
    logits = lambda p, b: states(p, b) @ p["item_embedding.weight"].T
    return lambda p, b: F.cross_entropy(logits(p, b), b["targets"]), logits


def contrast(a, b, rows, temperature, candidates=None):
    """InfoNCE of rows of `a` with the same rows of `b`, among these rows or among all of `candidates`."""
    a, among = F.normalize(a[rows], dim=-1), b[rows] if candidates is None else candidates
    labels = torch.arange(len(rows)) if candidates is None else rows
    return F.cross_entropy(a @ F.normalize(among, dim=-1).T / temperature, labels)


def write(folder, name):
    """Writes the cases to `name`.safetensors in `folder`, and what they compute to `name`.json."""
    store["interactions"] = DENSE.nonzero()
    final = {
        key: (value.int() if value.dtype == torch.int64 else value).detach().contiguous().clone()
        for key, value in store.items()
    }
    save_file(final, folder / f"{name}.safetensors")
    (folder / f"{name}.safetensors").chmod(0o644)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "safetensors", "numpy")}
    lines = ",\n".join(f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False)}" for key, value in description.items())
    (folder / f"{name}.json").write_text(
        json.dumps(dict(versions=versions, users=USERS, items=ITEMS, adam=ADAM))[:-1] + ',"cases":{\n' + lines + "\n}}\n"
    )
    losses = {k: round(float(v), 5) for k, v in final.items() if k.endswith(".loss")}
    print(len(description), "cases,", len(final), "tensors", losses)
