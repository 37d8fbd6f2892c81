"""Makes the folder recbole-split beside this file: a small split in RecBole's files, and what RecBole reaches on it.

    python make_recbole_split.py

Made with Python 3.11, RecBole 1.2.1, PyTorch 2.15.0, NumPy 2.4.6, pandas 3.1.1. The rows are drawn; item i has 4 + i training
rows, so that no two items are equally popular. metrics.json is what Benchmarks/Peers/closed_forms_recbole.py prints.
"""

import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
USERS, ITEMS = 90, 50
generator = np.random.default_rng(20231107)


def main():
    folder = HERE / "recbole-split"
    folder.mkdir(exist_ok=True)
    taste = generator.normal(size=(USERS, 3)) @ generator.normal(size=(3, ITEMS))
    noisy = taste + generator.gumbel(size=taste.shape)
    rows = []
    for item in range(ITEMS):
        rows += [(int(user), item) for user in np.argsort(-noisy[:, item])[: 4 + item]]
    taken = set(rows)
    for user in range(USERS):
        rest = [item for item in np.argsort(-noisy[user]) if (user, int(item)) not in taken]
        rows += [(user, int(item)) for item in generator.permutation(rest[:8])[:4]]
    count = sum(4 + item for item in range(ITEMS))
    parts = dict(train=rows[:count], valid=rows[count::2], test=rows[count + 1 :: 2])
    for name, part in parts.items():
        order = generator.permutation(len(part))
        lines = "".join(f"u{part[row][0]}\ti{part[row][1]}\n" for row in order)
        (folder / f"recbole-split.{name}.inter").write_text("user_id:token\titem_id:token\n" + lines)
    script = HERE.parents[2] / "Benchmarks/Peers/closed_forms_recbole.py"
    found = subprocess.run([sys.executable, script, folder], check=True, stdout=subprocess.PIPE, text=True).stdout
    (folder / "metrics.json").write_text(found)


main()
