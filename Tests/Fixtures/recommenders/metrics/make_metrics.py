"""Makes the fixtures of the ranking metrics beside this file, with RecBole's own metric classes on random scores.

    python make_metrics.py

Made with Python 3.11, RecBole 1.2.1, PyTorch 2.15.0, NumPy 2.4.6, safetensors 0.8.0; the versions used are in metrics.json.

metrics.safetensors: `scores` [users, items] float32 without ties, `ties.scores` with many equal scores;
`<metric>` [users, 10] float64, the value per user for K = 1…10 (recall, hit, ndcg, mrr, map, precision).
metrics.json: per user the held-out `positives` and the `masked` training items (never ranked, never positive);
`mean` over users at K = 1, 5, 10; `gauc` over the unmasked items, weighted by each user's number of positives, and
`ties_gauc` of the tied scores (equal scores share their mean rank); item coverage, Gini index, Shannon entropy,
average popularity and tail percentage of the recommended lists, from the training counts of the items; and `values`, labels with
predictions for AUC, MAE, RMSE and log loss.
"""

import importlib.metadata
import json
import pathlib
import types
import warnings

import numpy as np
import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
for name, kind in (("float", float), ("bool", bool), ("int", int)):  # RecBole 1.2.1 uses names that NumPy has dropped.
    if name not in np.__dict__:
        setattr(np, name, kind)
from recbole.evaluator import metrics
from recbole.evaluator.collector import Collector

HERE = pathlib.Path(__file__).parent
USERS, ITEMS, CUTOFFS = 13, 37, [1, 5, 10]
CONFIG = dict(metric_decimal_place=12, topk=CUTOFFS, tail_ratio=0.2)


class Data(dict):
    """What RecBole's metrics read their inputs from."""


def ranks(scores, positive):
    """Sum of the positives' ranks, number of ranked items, number of positives: as RecBole's collector finds them."""
    ordered, index = torch.sort(scores, dim=-1, descending=True)
    hits = torch.gather(positive.float(), 1, index)
    mean = Collector._average_rank(types.SimpleNamespace(device="cpu"), ordered)
    total = torch.where(hits == 1, mean, torch.zeros_like(mean)).sum(-1, keepdim=True)
    return torch.cat([total, ordered.argmin(1, keepdim=True), positive.sum(1, keepdim=True).float()], 1)


def write(store, result):
    save_file({key: value.contiguous() for key, value in store.items()}, HERE / "metrics.safetensors")
    (HERE / "metrics.safetensors").chmod(0o644)
    versions = {name: importlib.metadata.version(name) for name in ("recbole", "torch", "numpy", "safetensors")}
    lines = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in dict(versions=versions, **result).items()]
    (HERE / "metrics.json").write_text("{" + ",\n".join(lines) + "}\n")


def metrics_of_values(generator):
    """Labels with predictions, three of them equal, and what is measured of them."""
    predictions = torch.rand(40, generator=generator).double()
    predictions[5] = predictions[6] = predictions[7]
    labels = (torch.rand(40, generator=generator) < predictions).double()
    data = Data({"rec.score": predictions[:, None], "data.label": labels[:, None]})
    values = dict(predictions=predictions.tolist(), labels=[int(label) for label in labels])
    for kind in (metrics.AUC, metrics.MAE, metrics.RMSE, metrics.LogLoss):
        values |= {key: float(value) for key, value in kind(CONFIG).calculate_metric(data).items()}
    return values


def main():
    generator = torch.Generator().manual_seed(20231107)
    scores = torch.randn(USERS, ITEMS, generator=generator)
    tied = (scores * 2).round() / 2
    order = torch.argsort(torch.rand(USERS, ITEMS, generator=generator), 1)
    counts = [1, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 1, 2]
    positives = [sorted(order[user, :count].tolist()) for user, count in enumerate(counts)]
    masked = [sorted(order[user, count : count + 3 + user].tolist()) for user, count in enumerate(counts)]
    scores[0, positives[0][0]] += 9  # One user whose item comes first, one whose item comes last.
    scores[1, positives[1][0]] -= 9
    seen, positive = torch.zeros(USERS, ITEMS, dtype=torch.bool), torch.zeros(USERS, ITEMS, dtype=torch.bool)
    for user in range(USERS):
        seen[user, masked[user]] = True
        positive[user, positives[user]] = True
    ranked = scores.masked_fill(seen, -torch.inf)
    top = torch.topk(ranked, max(CUTOFFS), dim=-1).indices
    data = Data(
        {
            "rec.topk": torch.cat([torch.gather(positive.int(), 1, top), positive.sum(1, keepdim=True).int()], 1),
            "rec.items": top,
            "data.num_items": ITEMS,
            "data.count_items": {item: int(count) for item, count in enumerate(seen.sum(0).tolist()) if count},
            "rec.meanrank": ranks(ranked, positive),
        }
    )
    means, store = {}, dict(scores=scores, **{"ties.scores": tied})
    for kind in (metrics.Recall, metrics.Hit, metrics.NDCG, metrics.MRR, metrics.MAP, metrics.Precision):
        metric = kind(CONFIG)
        means |= {key: float(value) for key, value in metric.calculate_metric(data).items()}
        hits, lengths = metric.used_info(data)
        try:
            rows = metric.metric_info(hits, lengths)
        except TypeError:
            rows = metric.metric_info(hits)
        store[kind.__name__.lower()] = torch.tensor(np.asarray(rows, dtype=np.float64))
    others = (
        metrics.GAUC,
        metrics.ItemCoverage,
        metrics.GiniIndex,
        metrics.ShannonEntropy,
        metrics.AveragePopularity,
        metrics.TailPercentage,
    )
    for kind in others:
        means |= {key: float(value) for key, value in kind(CONFIG).calculate_metric(data).items()}
    tied_data = Data({"rec.meanrank": ranks(tied.masked_fill(seen, -torch.inf), positive)})
    means["ties_gauc"] = float(metrics.GAUC(CONFIG).calculate_metric(tied_data)["gauc"])
    result = dict(
        users=USERS,
        items=ITEMS,
        positives=positives,
        masked=masked,
        tail_ratio=0.2,
        mean=means,
        values=metrics_of_values(generator),
    )
    write(store, result)
    print(means)


main()
