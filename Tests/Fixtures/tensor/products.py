"""The cases of products: of matrices, dense and sparse, and attention."""

import math

import torch
import torch.nn.functional as F

from recording import case, integers, normal


def products():
    for suffix, left, right, f in (
        ("", (5, 7), (7, 3), lambda a, b: a @ b),
        ("_ta", (7, 5), (7, 3), lambda a, b: a.T @ b),
        ("_tb", (5, 7), (3, 7), lambda a, b: a @ b.T),
        ("_ta_tb", (7, 5), (3, 7), lambda a, b: a.T @ b.T),
        ("_batched", (2, 3, 5, 7), (2, 3, 7, 4), torch.matmul),
        ("_batched_tb", (2, 3, 5, 7), (2, 3, 4, 7), lambda a, b: a @ b.mT),
        ("_broadcast", (2, 1, 5, 7), (3, 7, 4), torch.matmul),
        ("_shared_right", (2, 5, 7), (7, 4), torch.matmul),
        ("_row", (1, 17), (17, 19), torch.matmul),
        ("_odd", (17, 33), (33, 13), torch.matmul),
    ):
        case(
            "matmul" + suffix,
            f,
            dict(a=normal(*left), b=normal(*right)),
            "ta, tb: the operand is stored transposed" if "t" in suffix else "",
        )
    case("linear", lambda x, w, b: F.linear(x, w, b), dict(x=normal(2, 3, 5), w=normal(7, 5), b=normal(7)), "x wᵀ + b")
    rows, columns = integers(6, 14), integers(5, 14)
    order = torch.argsort(rows * 5 + columns)
    rows, columns = rows[order], columns[order]
    offsets = torch.tensor([int((rows < r).sum()) for r in range(7)])

    def sparse(values, x, columns, offsets):
        return torch.zeros(6, x.shape[1], dtype=x.dtype).index_add(0, rows, values[:, None] * x[columns.long()])

    case(
        "sparse_product",
        sparse,
        dict(values=normal(14), x=normal(5, 3)),
        "CSR [6, 5] times dense [5, 3]; repeated entries add up",
        constants=dict(columns=columns.int(), offsets=offsets.int()),
    )


def attention(q, k, v, causal, window=None, groups=1):
    """Rows of q [batch, head, time, dimension] are the last ones of k's times; `window` keys at most, itself included."""
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    score = q @ k.mT / math.sqrt(q.shape[-1])
    rows = torch.arange(q.shape[2])[:, None] + (k.shape[2] - q.shape[2] if causal else 0)
    columns = torch.arange(k.shape[2])[None, :]
    if causal:
        score = score.masked_fill(columns > rows, -math.inf)
    if window:
        score = score.masked_fill(columns <= rows - window, -math.inf)
    return torch.softmax(score, -1) @ v


def attentions():
    note = "[batch, head, time, dimension]; each key head serves heads/keyHeads query heads in a row; scale 1/√dimension; queries are the last times"
    for name, b, h, kh, tq, tk, d, causal, window in (
        ("attention", 2, 2, 2, 5, 5, 4, False, None),
        ("attention_causal", 2, 2, 2, 7, 7, 4, True, None),
        ("attention_grouped", 1, 4, 2, 5, 5, 6, True, None),
        ("attention_grouped_full", 2, 6, 2, 3, 3, 4, False, None),
        ("attention_cross", 1, 2, 1, 3, 8, 4, False, None),
        ("attention_cached", 2, 3, 1, 2, 7, 4, True, None),
        ("attention_window", 1, 2, 2, 9, 9, 4, True, 3),
        ("attention_long", 1, 2, 1, 67, 67, 8, True, None),
    ):
        case(
            name,
            lambda q, k, v: attention(q, k, v, causal, window, h // kh),
            dict(q=normal(b, h, tq, d), k=normal(b, kh, tk, d), v=normal(b, kh, tk, d)),
            note,
            causal=causal,
            window=window,
            heads=h,
            key_heads=kh,
        )

    def packed(q, k, v, offsets):
        parts = []
        for start, end in zip(offsets.tolist()[:-1], offsets.tolist()[1:]):
            part = [t[start:end].transpose(0, 1)[None] for t in (q, k, v)]
            parts.append(attention(*part, True, None, 2)[0].transpose(0, 1))
        return torch.cat(parts)

    case(
        "attention_packed",
        packed,
        dict(q=normal(11, 4, 6), k=normal(11, 2, 6), v=normal(11, 2, 6)),
        "[time, head, dimension]; sequences lie one after the other, offsets are their starts and the end; causal inside each",
        dict(offsets=torch.tensor([0, 3, 4, 11]).int()),
    )
