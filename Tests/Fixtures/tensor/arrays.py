"""The cases of operations on axes and rows: reductions, layouts, normalisations, gathering and scattering."""

import torch
import torch.nn.functional as F

from recording import case, integers, normal


def reductions():
    for suffix, axes in (("_all", None), ("_axis0", 0), ("_axis1", 1), ("_last", -1), ("_axes02", (0, 2))):
        extra = dict(axes="all" if axes is None else axes)
        case(
            "sum" + suffix,
            (lambda x: x.sum()) if axes is None else lambda x: x.sum(axes),
            dict(x=normal(3, 4, 5)),
            **extra,
        )
        case(
            "mean" + suffix,
            (lambda x: x.mean()) if axes is None else lambda x: x.mean(axes),
            dict(x=normal(3, 4, 5)),
            **extra,
        )
    case("sum_keep", lambda x: x.sum(1, keepdim=True), dict(x=normal(3, 4, 5)), axes=1)
    for axis, suffix in ((0, "_axis0"), (-1, "_last")):
        case("max" + suffix, lambda x: x.amax(axis), dict(x=normal(3, 4, 5)), axes=axis)
        case("min" + suffix, lambda x: x.amin(axis), dict(x=normal(3, 4, 5)), axes=axis)
        case("argmax" + suffix, lambda x: x.argmax(axis).int(), dict(x=normal(3, 4, 5)), gradient=False, axes=axis)
    case(
        "variance_last",
        lambda x: x.var(-1, unbiased=False),
        dict(x=normal(3, 4, 5)),
        axes=-1,
        note="divided by the count",
    )
    case("log_sum_exp", lambda x: torch.logsumexp(x, -1), dict(x=normal(3, 7, scale=20)), axes=-1)


def shapes():
    case("transpose", lambda x: x.transpose(0, 2).contiguous(), dict(x=normal(2, 3, 4)), axes=(0, 2))
    case("permute", lambda x: x.permute(2, 0, 3, 1).contiguous(), dict(x=normal(2, 3, 4, 5)), order=(2, 0, 3, 1))
    case("slice", lambda x: x[1:4, ::1, 2:5].contiguous(), dict(x=normal(5, 2, 7)), note="x[1..<4, all, 2..<5]")
    case("concatenate", lambda a, b: torch.cat([a, b], 1), dict(a=normal(2, 3, 2), b=normal(2, 4, 2)), axis=1)
    case("stack", lambda a, b: torch.stack([a, b], 1), dict(a=normal(2, 3), b=normal(2, 3)), axis=1)
    case("expand", lambda x: x.expand(4, 3, 5).contiguous(), dict(x=normal(3, 1)), shape=(4, 3, 5))


def normalisations():
    for suffix, shape, axis in (("", (4, 9), -1), ("_axis1", (2, 5, 3), 1), ("_large", (3, 65), -1)):
        scale = 50 if suffix == "_large" else 1
        case("softmax" + suffix, lambda x: torch.softmax(x, axis), dict(x=normal(*shape, scale=scale)), axis=axis)
        case(
            "log_softmax" + suffix, lambda x: torch.log_softmax(x, axis), dict(x=normal(*shape, scale=scale)), axis=axis
        )
    for suffix, shape, eps in (("", (3, 7), 1e-5), ("_3d", (2, 3, 33), 1e-12), ("_offset", (3, 19), 1e-5)):
        x = normal(*shape) + (100 if suffix == "_offset" else 0)
        w, b = normal(shape[-1]), normal(shape[-1])
        case(
            "layer_norm" + suffix,
            lambda x, w, b: F.layer_norm(x, (shape[-1],), w, b, eps),
            dict(x=x, w=w, b=b),
            eps=eps,
        )
        case(
            "rms_norm" + suffix,
            lambda x, w: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * w,
            dict(x=x, w=w),
            eps=eps,
        )
    case("l2_normalize", lambda x: F.normalize(x, dim=-1, eps=1e-12), dict(x=normal(4, 7)), axis=-1, eps=1e-12)


def rows():
    index = torch.tensor([3, 0, 3, 5, 1, 3]).int()
    case(
        "gather_rows",
        lambda table, index: table[index.long()],
        dict(table=normal(6, 5)),
        "repeated rows",
        dict(index=index),
    )
    case(
        "gather_rows_2d",
        lambda table, index: table[index.long()],
        dict(table=normal(7, 3)),
        "",
        dict(index=integers(7, 2, 4).int()),
    )
    case(
        "index_add",
        lambda base, update, index: base.index_add(0, index.long(), update),
        dict(base=normal(6, 5), update=normal(6, 5)),
        "base with update's rows added at index",
        dict(index=index),
    )
    case(
        "take_along_last",
        lambda x, index: x.gather(-1, index.long()),
        dict(x=normal(4, 6)),
        "",
        dict(index=integers(6, 4, 3).int()),
    )
