"""What the scripts about RecBole share: RecBole 1.2.1 with later libraries, and a split that is given."""

import os

import numpy as np
import scipy.sparse as sp
import torch

METRICS = ["Recall", "NDCG", "MRR", "Hit", "Precision"]


def bridge_versions():
    """RecBole 1.2.1 uses names that later NumPy, SciPy and PyTorch have dropped or changed."""
    for name, kind in dict(
        float=float,
        int=int,
        bool=bool,
        float_=np.float64,
        complex_=np.complex128,
        unicode_=np.str_,
        bool8=np.bool_,
        long=np.int64,
    ).items():
        if name not in np.__dict__:
            setattr(np, name, kind)
    load = torch.load
    torch.load = lambda *values, **settings: load(*values, **dict(settings, weights_only=False))
    sp.dok_matrix._update = lambda self, entries: self._dict.update(entries)


def settings_of_given_split(folder):
    """RecBole's settings for a split in `folder`, which is called like the data set: full ranking, what was trained and validated on
    masked at test, measures at 10 and 20."""
    return dict(
        data_path=os.path.dirname(os.path.abspath(folder)),
        benchmark_filename=["train", "valid", "test"],
        load_col=dict(inter=["user_id", "item_id"]),
        eval_args=dict(split=dict(RS=[0.8, 0.1, 0.1]), order="RO", group_by="user", mode="full"),
        topk=[10, 20],
        metrics=METRICS,
        valid_metric="NDCG@10",
        metric_decimal_place=10,
        use_gpu=False,
        show_progress=False,
        checkpoint_dir="saved",
        eval_batch_size=409600,
        train_batch_size=2048,
    )
