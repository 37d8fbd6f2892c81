"""Makes ials.json beside this file: alternating least squares for implicit feedback, in plain NumPy.

    python make_ials.py

Made with Python 3.11 and NumPy 2.4.6; the versions used are in ials.json.

The pairs and, for the second case, a weight for each; the items' first rows; the rows after one and after three sweeps
(users first, then items), the objective after three, and the row of a new user. The normal equations are written out
row by row after Rendle et al. (2021), with prior rows in the third case.
"""

import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
USERS, ITEMS, WIDTH = 9, 12, 5
ALPHA, LAMBDA, NU = 0.3, 0.05, 0.7
generator = np.random.default_rng(20231107)


def solve(pairs, weights, others, count, prior):
    """The rows of one side; `pairs` maps a row to its columns."""
    rows = np.zeros((count, WIDTH)) if prior is None else prior.copy()
    gram = ALPHA * others.T @ others
    for row in range(count):
        chosen = pairs.get(row, [])
        if not chosen:
            continue
        h, c = others[chosen], np.array([weights[row, column] for column in chosen])
        penalty = LAMBDA * (len(chosen) + ALPHA * len(others)) ** NU
        a = gram + (h * c[:, None]).T @ h + penalty * np.eye(WIDTH)
        b = (h * c[:, None]).sum(0) + (0 if prior is None else penalty * prior[row])
        rows[row] = np.linalg.solve(a, b)
    return rows


def objective(dense, weights, users, items, a, b):
    scores = users @ items.T
    loss = (weights * dense * (scores - 1) ** 2).sum() + ALPHA * (scores**2).sum()
    for rows, prior, counts, others in ((users, a, dense.sum(1), ITEMS), (items, b, dense.sum(0), USERS)):
        distance = rows if prior is None else rows - prior
        loss += (LAMBDA * (counts + ALPHA * others) ** NU * (distance**2).sum(1)).sum()
    return loss


def case(dense, weights, prior):
    by_user = {u: np.flatnonzero(dense[u]).tolist() for u in range(USERS)}
    by_item = {i: np.flatnonzero(dense[:, i]).tolist() for i in range(ITEMS)}
    items = generator.normal(0, 0.3, (ITEMS, WIDTH))
    result = dict(first=items.tolist())
    for sweep in range(1, 4):
        users = solve(by_user, weights, items, USERS, None)
        items = solve(by_item, weights.T, users, ITEMS, prior)
        if sweep in (1, 3):
            result[f"users{sweep}"], result[f"items{sweep}"] = users.tolist(), items.tolist()
    result["objective"] = objective(dense, weights, users, items, None, prior)
    chosen = [1, 4, 7]
    new = np.where(np.isin(np.arange(ITEMS), chosen), 1.0, 0.0)[None]
    result["new_user"] = solve({0: chosen}, np.ones_like(new), items, 1, None)[0].tolist()
    return result


def main():
    dense = (generator.random((USERS, ITEMS)) < 0.35).astype(float)
    dense[:, ITEMS - 1] = dense[USERS - 1] = 0  # An item and a user without a pair.
    ones = np.ones_like(dense)
    weights = generator.integers(1, 6, dense.shape) / 2.0
    prior = generator.normal(0, 0.3, (ITEMS, WIDTH))
    users, items = np.nonzero(dense)
    store = dict(
        made_with=dict(numpy=np.__version__),
        users=users.tolist(),
        items=items.tolist(),
        weights=weights[users, items].tolist(),
        prior=prior.tolist(),
        settings=dict(unobserved_weight=ALPHA, regularization=LAMBDA, frequency_exponent=NU, new_user=[1, 4, 7]),
        plain=case(dense, ones, None),
        weighted=case(dense, weights, None),
        prior_case=case(dense, ones, prior),
    )
    (HERE / "ials.json").write_text(json.dumps(store, indent=1) + "\n")


main()
