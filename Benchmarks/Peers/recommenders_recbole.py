"""Trains RecBole's models on MovieLens-100K under its usual protocol: seconds per epoch, and what they reach.

    python recommenders_recbole.py [--assets DIR] [--model NAME]… [--epochs N] [--converge] [--json FILE]

Cases: epoch_<model>, the median training time of an epoch in seconds (evaluation not counted): embeddings of 64, batch
2048, a random 80 % of each user's interactions. Without --converge five epochs are run for the time alone; with it up
to --epochs, validated on NDCG@10 every epoch with a patience of ten, and the row holds the test metrics (full ranking,
training and validation items masked, every rating an interaction) and the best validation epoch.
`--split leave-one-out` takes each user's last two interactions instead, by time. There RecBole lets its sequential
models rank what the user has already had, while it masks that for its other models: the row's `test` is RecBole's own
figure, `test_masked` that of the same trained model with the history masked. `--minutes N` stops the training then, which
the row tells by `stopped: time`; the model is left at its best, as after early stopping. `--folder DIR` keeps RecBole's
checkpoints and logs there, and goes on from the newest checkpoint of the model if there is one: that is the best epoch
so far, with its optimizer, but batches and dropout are drawn anew from the seed (`resumed_from` counts its epochs).
`--write-order FILE` trains nothing: it writes the interactions in the order in which RecBole's sequential models see each user's,
with the place in that order as the time, so that others can hold out the same ones.
"""

import glob
import logging
import os
import re
import sys
import tempfile
import time
import warnings

import torch

from measure import Report
from recbole_support import METRICS, bridge_versions

MODELS = ["LightGCN", "BPR"]
SEQUENTIAL = ["SASRec", "GRU4Rec"]
report = Report(
    "RecBole 1.2.1",
    __doc__.splitlines()[0],
    repeats=1,
    assets=True,
    options=[
        ("--model", dict(action="append", help=f"may be given again; default {' '.join(MODELS)}")),
        ("--epochs", dict(type=int)),
        ("--converge", dict(action="store_true")),
        ("--seed", dict(type=int, default=2020)),
        ("--split", dict(choices=["ratio", "leave-one-out"], default="ratio")),
        ("--minutes", dict(type=float, help="stop a training after this long")),
        ("--folder", dict(help="keep the checkpoints here, and go on from them")),
        ("--batch", dict(type=int, default=2048, help="examples a batch; 2048 is RecBole's default")),
        ("--learning-rate", dict(type=float, default=1e-3)),
        ("--write-order", dict(metavar="FILE", help="write each user's interactions in RecBole's order, and end")),
        ("--regularization", dict(type=float, help="RecBole's reg_weight, where the model has one")),
    ],
)
arguments = report.arguments
data = os.path.abspath(arguments.assets) + "/recbole/recbole/dataset_example"
output = os.path.abspath(arguments.json) if arguments.json else None
arguments.json = output
order_file = os.path.abspath(arguments.write_order) if arguments.write_order else None
if order_file:
    arguments.split = "leave-one-out"
sys.argv = sys.argv[:1]  # RecBole reads the command line too.
warnings.filterwarnings("ignore")


class TimeLimit:
    """RecBole's early stopping, which also stops once the time is over."""

    def __init__(self, minutes):
        from recbole.trainer import trainer

        self.end = time.time() + minutes * 60 if minutes else float("inf")
        self.early_stopping, self.has_stopped = trainer.early_stopping, False
        trainer.early_stopping = self

    def __call__(self, *values, **settings):
        best, step, stop, update = self.early_stopping(*values, **settings)
        self.has_stopped = not stop and time.time() > self.end
        return best, step, stop or self.has_stopped, update

    def restore(self):
        from recbole.trainer import trainer

        trainer.early_stopping = self.early_stopping


def evaluate_masked(checkpoint):
    """The test metrics of a saved sequential model with each user's history masked, as for RecBole's other models."""
    from recbole.quick_start import load_data_and_model
    from recbole.utils import get_trainer

    config, model, _, training, validation, test = load_data_and_model(checkpoint)
    history = {}
    for part in (training._dataset, validation._dataset):
        for user, target, items in zip(*(part.inter_feat[name].numpy() for name in ("user_id", "item_id", "item_id_list"))):
            history.setdefault(int(user), {0}).update([int(target), *map(int, items)])
    unmasked = test.collate_fn

    def collate(index):
        interaction, _, rows, targets = unmasked(index)
        seen = [(row, item) for row, user in enumerate(interaction["user_id"].tolist()) for item in history[user]]
        return interaction, tuple(torch.tensor(seen).T), rows, targets

    test.collate_fn = collate
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return {key: float(value) for key, value in trainer.evaluate(test, load_best_model=False).items()}


def resuming(checkpoint):
    """Lets RecBole's trainer go on from a checkpoint; returns the number of epochs that it holds."""
    from recbole.trainer import Trainer

    fit = Trainer.fit

    def resume(trainer, *values, **settings):
        Trainer.fit = fit
        trainer.resume_checkpoint(checkpoint)
        return fit(trainer, *values, **settings)

    Trainer.fit = resume
    return torch.load(checkpoint, map_location="cpu")["epoch"] + 1


class EpochTimes(logging.Handler):
    """Reads from RecBole's log how long each training epoch took, and which validation was the best."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def emit(self, record):
        text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())
        found = re.search(r"training\S* \[\S*time\S*: ([0-9.]+)s", text)
        if found:
            self.seconds.append(float(found[1]))


def settings_of(model):
    ratio = arguments.split == "ratio"
    settings = dict(
        epochs=arguments.epochs or (500 if arguments.converge else 5),
        eval_step=1 if arguments.converge else 0,
        stopping_step=10,
        use_gpu=False,
        show_progress=False,
        train_batch_size=arguments.batch,
        eval_batch_size=409600,
        data_path=data,
        embedding_size=64,
        learning_rate=arguments.learning_rate,
        eval_args=dict(
            split=dict(RS=[0.8, 0.1, 0.1]) if ratio else dict(LS="valid_and_test"),
            order="RO" if ratio else "TO",
            group_by="user",
            mode="full",
        ),
        topk=[10, 20],
        metrics=METRICS,
        valid_metric="NDCG@10",
        checkpoint_dir="saved",
        reproducibility=True,
        seed=arguments.seed,
    )
    if arguments.regularization is not None:
        settings["reg_weight"] = arguments.regularization
    if model in SEQUENTIAL:  # Cross-entropy over all items needs no negatives.
        settings["train_neg_sample_args"] = None
    return settings


def train(model):
    from recbole.quick_start import run_recbole

    torch.set_num_threads(arguments.threads)
    times, root = EpochTimes(), logging.getLogger()
    root.addHandler(times)
    root.setLevel(logging.INFO)
    limit = TimeLimit(arguments.minutes)
    kept = sorted(glob.glob(f"saved/{model}-*.pth"), key=os.path.getmtime)
    resumed = resuming(kept[-1]) if kept else 0
    start = time.time()
    result = run_recbole(model=model, dataset="ml-100k", config_dict=settings_of(model))
    limit.restore()
    root.removeHandler(times)
    more = dict(
        epochs=len(times.seconds), total_s=round(time.time() - start, 1), seed=arguments.seed, split=arguments.split
    )
    if resumed:
        more["resumed_from"] = resumed
    if arguments.converge:
        more |= dict(
            test={key: float(value) for key, value in result["test_result"].items()},
            validation={key: float(value) for key, value in result["best_valid_result"].items()},
            stopped="time" if limit.has_stopped else "early",
        )
        if model in SEQUENTIAL:
            more["test_masked"] = evaluate_masked(max(glob.glob("saved/*.pth"), key=os.path.getmtime))
    report.add(
        f"epoch_{model}",
        f"ML-100K {'80%' if arguments.split == 'ratio' else 'leave-one-out'} d64 batch {arguments.batch}",
        times.seconds,
        "s",
        **more,
    )


def write_order(file):
    """RecBole rounds times to float32, so that more are equal than in the file, and orders equal ones as its sort does."""
    from recbole.config import Config
    from recbole.data import create_dataset

    dataset = create_dataset(Config(model="GRU4Rec", dataset="ml-100k", config_dict=settings_of("GRU4Rec")))
    sequences = {}
    for part in dataset.build():  # Each target after those before it: training, validation, test.
        for user, target, items in zip(*(part.inter_feat[name].tolist() for name in ("user_id", "item_id", "item_id_list"))):
            sequences.setdefault(user, [items[0]]).append(target)
    with open(file, "w") as rows:
        rows.write("user_id\titem_id\ttimestamp\n")
        for user, items in sequences.items():
            name = dataset.id2token("user_id", user)
            for place, item in enumerate(items):
                rows.write(f"{name}\t{dataset.id2token('item_id', item)}\t{place}\n")


bridge_versions()
with tempfile.TemporaryDirectory() as folder:  # RecBole writes logs and checkpoints where it stands.
    here = os.getcwd()
    if arguments.folder:
        os.makedirs(arguments.folder, exist_ok=True)
    os.chdir(arguments.folder or folder)
    if order_file:
        write_order(order_file)
        sys.exit()
    for model in arguments.model or MODELS:
        if report.wants(f"epoch_{model}"):
            train(model)
    os.chdir(here)
report.finish()
