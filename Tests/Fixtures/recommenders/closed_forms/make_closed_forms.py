"""Makes closed_forms.json beside this file: neighbours, random walks and elastic nets on a small graph.

    python make_closed_forms.py

Made with Python 3.11, NumPy, SciPy and scikit-learn; the versions used are in closed_forms.json.

`users` and `items` are the pairs. Matrices are lists of rows.
  userknn  scores [users, items] of the 4 nearest users, cosine with shrinkage 0.5: dot / (norm · norm + 0.5 + 1e-6), oneself
           left out, ties to the lower user; `new_user` those of someone with the items of `new`
  rp3beta  weights [from item, to item] (Dᵢ⁻¹ Xᵀ)^α (Dᵤ⁻¹ X)^α / popularity^β without diagonal, the 5 largest of each row kept;
           scores X · weights
  slim     weights [from item, to item]: scikit-learn's ElasticNet per column with that item's own column set to 0, without intercept,
           with and without the bound at 0; scores X · weights with it
"""

import json
import pathlib

import numpy as np
import scipy
import scipy.sparse as sp
import sklearn
from sklearn.linear_model import ElasticNet

HERE = pathlib.Path(__file__).parent
USERS, ITEMS = 20, 14
ALPHA, BETA = 0.8, 0.4
PENALTY, L1_RATIO = 0.05, 0.3


def largest(row, count):
    """The places of the largest values above 0, ties to the lower place; compared as float32, as the package does."""
    order = np.argsort(-row.astype(np.float32), kind="stable")[:count]
    return [place for place in order if row[place] > 0]


def user_scores(x, profile, oneself=None):
    norms = np.sqrt(x.sum(1))
    similarity = x @ profile / (np.sqrt(profile.sum()) * norms + 0.5 + 1e-6)
    if oneself is not None:
        similarity[oneself] = 0
    return sum((similarity[v] * x[v] for v in largest(similarity, 4)), np.zeros(ITEMS))


def random_walk(x):
    leaving = sp.csr_matrix(x / np.maximum(x.sum(1, keepdims=True), 1)).power(ALPHA)
    returning = sp.csr_matrix(x.T / np.maximum(x.T.sum(1, keepdims=True), 1)).power(ALPHA)
    weights = (returning @ leaving).toarray() / np.maximum(x.sum(0), 1) ** BETA
    np.fill_diagonal(weights, 0)
    kept = np.zeros_like(weights)
    for item in range(ITEMS):
        chosen = largest(weights[item], 5)
        kept[item, chosen] = weights[item, chosen]
    return kept


def elastic_nets(x, positive):
    weights = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        others = x.copy()
        others[:, item] = 0
        net = ElasticNet(
            alpha=PENALTY, l1_ratio=L1_RATIO, positive=positive, fit_intercept=False, tol=1e-14, max_iter=100_000
        )
        weights[:, item] = net.fit(others, x[:, item]).coef_
    return weights


def main():
    generator = np.random.default_rng(20231107)
    x = (generator.random((USERS, ITEMS)) < 0.3).astype(float)
    x[:, ITEMS - 1] = x[USERS - 1] = 0  # An item and a user without a pair.
    new = [2, 5, 9]
    profile = np.isin(np.arange(ITEMS), new).astype(float)
    walk, bounded, free = random_walk(x), elastic_nets(x, True), elastic_nets(x, False)
    users, items = np.nonzero(x)
    store = dict(
        made_with=dict(numpy=np.__version__, scipy=scipy.__version__, sklearn=sklearn.__version__),
        users=users.tolist(),
        items=items.tolist(),
        new=new,
        userknn=dict(
            scores=[user_scores(x, x[user], user).tolist() for user in range(USERS)],
            new_user=user_scores(x, profile).tolist(),
        ),
        rp3beta=dict(alpha=ALPHA, beta=BETA, weights=walk.tolist(), scores=(x @ walk).tolist()),
        slim=dict(
            regularization=PENALTY,
            l1_ratio=L1_RATIO,
            weights=bounded.tolist(),
            scores=(x @ bounded).tolist(),
            free=free.tolist(),
        ),
    )
    (HERE / "closed_forms.json").write_text(json.dumps(store) + "\n")
    print(f"{int((bounded > 0).sum())} and {int((free != 0).sum())} weights of SLIM, {int((walk > 0).sum())} of the walk")


main()
