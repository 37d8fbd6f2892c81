"""Searches the settings of RecBole's models on a given split, and measures the best ones on its test part once.

    python search_recbole.py SPLIT --trials N --json FILE [--model NAME]… [--seed N] [--epochs N] [--minutes N]

SPLIT is a folder as `trestle compare --write-split` writes it. Each model has N trials: RecBole's default settings first, then
settings drawn from the ranges below, by the seed; a trained model is validated after every epoch and stops after ten without
improvement. Trials are compared by NDCG@10 on the validation part; the test measures of the best trial alone are written, then
what was tried. That is kept in FILE's `.tried.jsonl` beside it as it is there, and not tried again; so a search that
`--minutes` ends, after the trial that is running, goes on. The test measures of a search that has not ended are those of
its best trial so far, with the number of trials.
"""

import argparse
import json
import logging
import math
import os
import random
import sys
import tempfile
import time
import warnings

import torch

from recbole_support import bridge_versions, settings_of_given_split

warnings.filterwarnings("ignore")

WIDTHS = [32, 64, 128]
NEIGHBORS = [20, 50, 100, 200, 400, 800]
RATES = ("log", 3e-4, 1e-2)
# Our model's name, RecBole's, and what is drawn: ("log", low, high), ("uniform", low, high), or a list.
SPACES = {
    "ItemKNN": ("ItemKNN", dict(k=NEIGHBORS, shrink=[0.0, 1.0, 3.0, 10.0, 30.0, 100.0])),
    "UserKNN": ("ItemKNN", dict(k=NEIGHBORS, shrink=[0.0, 1.0, 3.0, 10.0, 30.0, 100.0])),
    "EASE": ("EASE", dict(reg_weight=("log", 1.0, 1e4))),
    "SLIM": ("SLIMElastic", dict(alpha=("log", 1e-3, 1.0), l1_ratio=("log", 1e-3, 0.5))),
    "MF-BPR": ("BPR", dict(embedding_size=WIDTHS, learning_rate=RATES)),
    "LightGCN": (
        "LightGCN",
        dict(embedding_size=WIDTHS, n_layers=[1, 2, 3, 4], reg_weight=("log", 1e-6, 1e-2), learning_rate=RATES),
    ),
    "MultVAE": (
        "MultiVAE",
        dict(
            latent_dimension=[32, 64, 128, 200],
            dropout_prob=("uniform", 0.2, 0.8),
            anneal_cap=("uniform", 0.0, 1.0),
            learning_rate=RATES,
        ),
    ),
}
FIXED = {"UserKNN": dict(knn_method="user")}


def draw(space, seed, model, trial):
    """The settings of a trial: none, RecBole's own, in the first."""
    if trial == 0:
        return {}
    generator = random.Random(f"{seed} {model} {trial}")
    drawn = {}
    for name, domain in space.items():
        if isinstance(domain, list):
            drawn[name] = generator.choice(domain)
        elif domain[0] == "log":
            drawn[name] = math.exp(generator.uniform(math.log(domain[1]), math.log(domain[2])))
        else:
            drawn[name] = generator.uniform(domain[1], domain[2])
    return drawn


def read_lines(file):
    if not os.path.exists(file):
        return []
    with open(file) as lines:
        return [json.loads(line) for line in lines if line.endswith("\n")]


def write_recbole(split, folder):
    """The split's parts as RecBole reads them."""
    name = os.path.basename(folder)
    os.makedirs(folder)
    for part, suffix in [("train", "train"), ("validation", "valid"), ("test", "test")]:
        with open(f"{split}/{part}.tsv") as rows, open(f"{folder}/{name}.{suffix}.inter", "w") as written:
            written.write("user_id:token\titem_id:token\n")
            next(rows)
            for row in rows:
                written.write("\t".join(row.rstrip("\n").split("\t")[:2]) + "\n")


def run(folder, model, settings, arguments, is_test):
    """Trains once. The test part is ranked only if asked for; returns the measures of the part that counts."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    dataset = os.path.basename(folder)
    values = dict(
        settings_of_given_split(folder),
        epochs=arguments.epochs,
        eval_step=1,
        stopping_step=10,
        seed=arguments.seed,
        reproducibility=True,
        **FIXED.get(model, {}),
        **settings,
    )
    config = Config(model=SPACES[model][0], dataset=dataset, config_dict=values)
    init_seed(config["seed"], config["reproducibility"])
    logging.disable(logging.CRITICAL)
    prepared = create_dataset(config)
    training, validation, test = data_preparation(config, prepared)
    init_seed(config["seed"], config["reproducibility"])
    network = get_model(config["model"])(config, training._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    _, best = trainer.fit(training, validation, saved=is_test, show_progress=False)
    if not is_test:
        return {key: float(value) for key, value in best.items()}
    found = trainer.evaluate(test, load_best_model=True, show_progress=False)
    return {key: float(value) for key, value in found.items()}


NAMES = dict(recall="Recall", ndcg="NDCG", mrr="MRR", hit="Hit", precision="Precision")


def trial_line(arguments, line):
    """What was tried, as `trestle compare` writes it."""
    return dict(
        dataset=arguments.dataset,
        program="RecBole 1.2.1",
        seed=arguments.seed,
        slice="validation",
        metric="NDCG@10",
        **{name: line[name] for name in ("model", "trial", "settings", "value", "seconds")},
    )


def search(model, folder, arguments, tried_file, known, deadline):
    """The lines of a model's best settings: those that are `known` if they are of as many trials; none if no trial has ended."""
    space = SPACES[model][1]
    # What a trial gives depends on these.
    stamp = dict(model=model, split=arguments.hash, seed=arguments.seed, epochs=arguments.epochs)
    tried = {line["trial"]: line for line in read_lines(tried_file) if stamp.items() <= line.items()}
    for trial in range(arguments.trials):
        if trial in tried:
            continue
        if time.time() > deadline:
            break
        settings, start = draw(space, arguments.seed, model, trial), time.time()
        measured = run(folder, model, settings, arguments, is_test=False)
        line = dict(
            stamp,
            trial=trial,
            settings=settings,
            value=measured["ndcg@10"],
            seconds=round(time.time() - start, 1),
        )
        tried[trial] = line
        with open(tried_file, "a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), file=sys.stderr, flush=True)
    if not tried or any(line.get("trials") == len(tried) for line in known):
        return known
    best = max(tried.values(), key=lambda line: (line["value"], -line["trial"]))
    measured = run(folder, model, best["settings"], arguments, is_test=True)
    common = dict(
        dataset=arguments.dataset,
        model=model,
        program="RecBole 1.2.1",
        seed=arguments.seed,
        slice="all",
        settings=best["settings"],
        trials=len(tried),
        search_seconds=round(sum(line["seconds"] for line in tried.values()), 1),
    )
    lines = []
    for key, value in measured.items():
        name, cutoff = key.split("@")
        lines.append(dict(common, metric=f"{NAMES[name]}@{cutoff}", value=value))
    return lines + [trial_line(arguments, line) for line in tried.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("split")
    parser.add_argument("--dataset", help="the data set's name in the results; by default the folder's")
    parser.add_argument("--model", action="append", choices=list(SPACES), help="may be given again; all if absent")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=500, help="the most epochs of a trial")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no trial begins after this long")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", required=True, help="the results, a line a measure")
    arguments = parser.parse_args()
    split, output = os.path.abspath(arguments.split), os.path.abspath(arguments.json)
    arguments.dataset = arguments.dataset or os.path.basename(split)
    with open(f"{split}/split.json") as file:
        arguments.hash = json.load(file)["hash"]
    sys.argv = sys.argv[:1]  # RecBole reads the command line too.
    bridge_versions()
    torch.set_num_threads(arguments.threads)
    tried_file = os.path.splitext(output)[0] + ".tried.jsonl"
    deadline = time.time() + arguments.minutes * 60
    with tempfile.TemporaryDirectory() as scratch:  # RecBole writes logs and checkpoints where it stands.
        folder = os.path.join(scratch, "split")
        write_recbole(split, folder)
        os.chdir(scratch)
        for model in arguments.model or list(SPACES):
            own, kept = [], []
            for line in read_lines(output):
                (own if (line["model"], line["seed"]) == (model, arguments.seed) else kept).append(line)
            lines = search(model, folder, arguments, tried_file, own, deadline)
            with open(output + ".new", "w") as file:
                file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in kept + lines)
            os.replace(output + ".new", output)


if __name__ == "__main__":
    main()
