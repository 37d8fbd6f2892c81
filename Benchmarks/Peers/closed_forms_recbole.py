"""Fits RecBole's models without randomness (EASE, ItemKNN, Pop) on a given split, and prints their test metrics as JSON.

    python closed_forms_recbole.py FOLDER [--name NAME]

FOLDER holds NAME.train.inter, NAME.valid.inter and NAME.test.inter (`NamedSplit.writeRecBole`); NAME is by default the
folder's. Full ranking, training and validation items masked, RecBole's default settings (EASE: λ = 250; ItemKNN: 100
neighbours, no shrinkage; `ItemKNN (all neighbours)` keeps all, because which of equally similar neighbours are kept is left to
NumPy's partition). Pop counts an item that a batch holds several times once, and drawn negatives too: it is fitted
with batches of one row and without negatives. Items of equal score are ranked as torch.topk happens to; `Pop (ties in
expectation)` is NDCG@10 of the counts averaged over all orders of equal ones.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import warnings

import numpy as np

from recbole_support import bridge_versions, settings_of_given_split

warnings.filterwarnings("ignore")


def expected_ndcg(scores, relevant, k=10):
    """NDCG@k with the mean over all orders of items of equal score; `scores` without what is masked."""
    order = np.argsort(-scores, kind="stable")
    gain, start = 0.0, 0
    while start < min(k, len(order)):
        value = scores[order[start]]
        end = start
        while end < len(order) and scores[order[end]] == value:
            end += 1
        chance = sum(1 for item in order[start:end] if item in relevant) / (end - start)
        gain += chance * sum(1 / math.log2(place + 2) for place in range(start, min(end, k)))
        start = end
    return gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))


def popularity(parts):
    """The same from the rows alone: counts of distinct users in the training part."""
    train, valid, test = parts
    items = {item for part in parts for _, item in part}
    index = {item: place for place, item in enumerate(sorted(items))}
    counts = np.zeros(len(items))
    for _, item in train:
        counts[index[item]] += 1
    seen, wanted = {}, {}
    for user, item in train + valid:
        seen.setdefault(user, set()).add(index[item])
    for user, item in test:
        wanted.setdefault(user, set()).add(index[item])
    values = []
    for user, relevant in wanted.items():
        relevant -= seen.get(user, set())
        if not relevant:
            continue
        scores = counts.copy()
        scores[list(seen.get(user, set()))] = -1
        values.append(expected_ndcg(scores, relevant))
    return float(np.mean(values))


def metrics(folder, name):
    from recbole.quick_start import run_recbole

    result = {}
    for case in ["EASE", "ItemKNN", "ItemKNN (all neighbours)", "Pop"]:
        model = case.split(" ")[0]
        settings = settings_of_given_split(folder)
        if model == "Pop":
            settings |= dict(train_batch_size=1, train_neg_sample_args=None)
        if case.endswith("neighbours)"):
            settings["k"] = 10**6
        found = run_recbole(model=model, dataset=name, config_dict=settings, saved=False)
        result[case] = {key: float(value) for key, value in found["test_result"].items()}
    parts = []
    for suffix in ["train", "valid", "test"]:
        with open(f"{folder}/{name}.{suffix}.inter") as file:
            parts.append([tuple(line.rstrip("\n").split("\t")[:2]) for line in file][1:])
    result["Pop (ties in expectation)"] = {"ndcg@10": popularity(parts)}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--name")
    arguments = parser.parse_args()
    folder = os.path.abspath(arguments.folder)
    name = arguments.name or os.path.basename(folder)
    sys.argv = sys.argv[:1]  # RecBole reads the command line too.
    bridge_versions()
    output = os.dup(1)
    os.dup2(2, 1)  # RecBole prints its log.
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        if os.path.basename(folder) != name:
            os.symlink(folder, name)
            folder = os.path.join(scratch, name)
        found = metrics(folder, name)
    os.write(output, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
