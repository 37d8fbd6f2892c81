"""Makes graph_models.safetensors and .json beside this file: steps of models with a loss on directions, in plain PyTorch.

    python make_graph_models.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in graph_models.json, with what each
case computes. What the tensors are called is said in ../step_cases.py. SGL after RecBole 1.2.1's definitions, SimGCL and DirectAU after
the papers' and their authors' code.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from step_cases import DENSE, ITEMS, USERS, WIDTH, adjacency, bpr, case, contrast, generator, propagated, tables, triples, write


def ranking(user, item, b):
    score = lambda items: (user[b["users"]] * item[items]).sum(-1)
    return bpr(score(b["positives"]), score(b["negatives"]))


def distinct(b):
    return torch.unique(b["users"]), torch.unique(b["positives"])


def sim_gcl():
    def loss(p, b):
        views = [propagated(p, 2, 1, b[f"noise{view}"], 0.3)[1] for view in (1, 2)]
        _, mean = propagated(p, 2, 1)
        users, items = distinct(b)
        contrastive = contrast(views[0][:USERS], views[1][:USERS], users, 0.2)
        contrastive = contrastive + contrast(views[0][USERS:], views[1][USERS:], items, 0.2)
        return ranking(mean[:USERS], mean[USERS:], b) + 0.4 * contrastive

    def scores(p, b):
        _, mean = propagated(p, 2, 1)
        return mean[:USERS] @ mean[USERS:].T

    noise = {f"noise{view}": torch.rand(2, USERS + ITEMS, WIDTH, generator=generator).float() for view in (1, 2)}
    case(
        "simgcl",
        tables(),
        dict(triples(), **noise),
        loss,
        scores,
        "Yu et al. 2022: BPR on the mean of two propagated states (not the tables) + 0.4 · InfoNCE (temperature 0.2) between two "
        "such means with noise of length 0.3 after each propagation, over the batch's distinct users and distinct positives.",
    )


def subgraph(keeps, dtype):
    dense = torch.zeros_like(DENSE)
    edges = DENSE.nonzero()[keeps.bool()]
    dense[edges[:, 0], edges[:, 1]] = True
    return adjacency(dtype, dense)


def sgl(name, layers, is_walk):
    def rows(p, graphs):
        states = [torch.cat([p["user_embedding.weight"], p["item_embedding.weight"]])]
        for graph in graphs:
            states.append(graph @ states[-1])
        return torch.stack(states).mean(0)

    def view(p, keeps):
        dtype = p["user_embedding.weight"].dtype
        return rows(p, [subgraph(keeps[layer if is_walk else 0], dtype) for layer in range(layers)])

    def whole(p):
        return rows(p, [adjacency(p["user_embedding.weight"].dtype)] * layers)

    def loss(p, b):
        first, second, mean = view(p, b["keeps1"]), view(p, b["keeps2"]), whole(p)
        users, items = distinct(b)
        contrastive = contrast(first[:USERS], second[:USERS], users, 0.3, second[:USERS])
        contrastive = contrastive + contrast(first[USERS:], second[USERS:], items, 0.3, second[USERS:])
        return ranking(mean[:USERS], mean[USERS:], b) + 0.2 * contrastive

    def scores(p, b):
        mean = whole(p)
        return mean[:USERS] @ mean[USERS:].T

    def keeps():
        edges = int(DENSE.sum())
        return (torch.rand(layers if is_walk else 1, edges, generator=generator) >= 0.25).long()

    case(
        name,
        tables(),
        dict(triples(), keeps1=keeps(), keeps2=keeps()),
        loss,
        scores,
        "Wu et al. 2021: BPR on the mean of the states from the tables on + 0.2 · InfoNCE (temperature 0.3) between such means on two "
        "graphs with the edges marked in keeps [graphs, edges], one graph a layer in the walk; the distinct users of the "
        "batch against all users, and its distinct positives against all items.",
        layers=layers,
    )


def direct_au():
    def uniformity(x):
        return torch.pdist(F.normalize(x, dim=-1)).pow(2).mul(-2).exp().mean().log()

    def loss(p, b):
        user, item = p["user_embedding.weight"][b["users"]], p["item_embedding.weight"][b["positives"]]
        alignment = (F.normalize(user, dim=-1) - F.normalize(item, dim=-1)).norm(dim=1).pow(2).mean()
        penalty = 0.05 / 2 * (user.pow(2).sum() + item.pow(2).sum()) / len(user)
        return alignment + 0.7 * (uniformity(user) + uniformity(item)) / 2 + penalty

    case(
        "directau",
        tables(),
        triples(),
        loss,
        lambda p, b: p["user_embedding.weight"] @ p["item_embedding.weight"].T,
        "Wang et al. 2022: alignment of the batch's pairs + 0.7 · the mean of users' and positives' uniformity (t = 2, all pairs "
        "of rows, equal ones too) + 0.05 · half the squared rows over the batch's size. Scores of the rows as they are.",
    )


sim_gcl()
sgl("sgl", 3, False)
sgl("sgl_walk", 2, True)
direct_au()
write(HERE, "graph_models")
