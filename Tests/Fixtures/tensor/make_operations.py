"""Makes the fixtures of the tensor operations beside this file, forward and backward, from PyTorch on the CPU.

    python make_operations.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in cases.json.

Outputs: operations_float64.safetensors and operations_float32.safetensors with the same names, each computed in its own
precision from the same inputs (which float32 holds exactly), and cases.json.
Names: `<case>.<input>` as listed in cases.json, `<case>.y` the output, `<case>.dy` the gradient that comes in,
`<case>.d<input>` the gradients that go out. A case without `dy` has no gradient. Indices are int32.
"""

import importlib.metadata
import json
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(20231107)
cases, stores = {}, {torch.float32: {}, torch.float64: {}}


def normal(*shape, scale=1.0):
    return (torch.randn(*shape, generator=generator) * scale).float()


def positive(*shape):
    return (torch.rand(*shape, generator=generator) * 3 + 0.1).float()


def integers(high, *shape):
    return torch.randint(0, high, shape, generator=generator, dtype=torch.int64)


def case(name, f, inputs, note="", constants=None, gradient=True, **attributes):
    """Runs `f` on the inputs, then the constants, in both precisions; `constants` get no gradient."""
    assert name not in cases, name
    constants = constants or {}
    cases[name] = dict(
        inputs=list(inputs), constants=list(constants), note=note, attributes=attributes, gradient=gradient
    )
    upstream = None
    for dtype, store in stores.items():
        cast = lambda t: t.to(dtype) if t.is_floating_point() else t
        tracked = {key: cast(value).clone().requires_grad_(gradient) for key, value in inputs.items()}
        fixed = {key: cast(value) for key, value in constants.items()}
        y = f(*tracked.values(), *fixed.values())
        for key, value in {**tracked, **fixed}.items():
            store[f"{name}.{key}"] = value.detach()
        store[f"{name}.y"] = y.detach()
        if gradient:
            if upstream is None:
                upstream = normal(*y.shape) if y.dim() else torch.tensor(1.5)
            store[f"{name}.dy"] = upstream.to(dtype)
            for (key, _), value in zip(
                tracked.items(), torch.autograd.grad(y, list(tracked.values()), upstream.to(dtype))
            ):
                store[f"{name}.d{key}"] = value


def softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def unary():
    signed = dict(
        neg=torch.neg,
        abs=torch.abs,
        exp=torch.exp,
        square=torch.square,
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        relu=torch.relu,
        gelu=F.gelu,
        gelu_tanh=lambda x: F.gelu(x, approximate="tanh"),
        silu=F.silu,
        softplus=softplus,
        sin=torch.sin,
        cos=torch.cos,
    )
    unsigned = dict(log=torch.log, sqrt=torch.sqrt, rsqrt=torch.rsqrt, reciprocal=torch.reciprocal)
    for name, f in signed.items():
        case(name, f, dict(x=normal(5, 7, scale=2)))
    for name, f in unsigned.items():
        case(name, f, dict(x=positive(5, 7)))
    for name in ("exp", "tanh", "sigmoid", "relu", "gelu", "gelu_tanh", "silu", "softplus"):
        case(name + "_wide", signed[name], dict(x=torch.linspace(-30, 30, 67).float()), "a wide range")
    for name in ("sin", "cos"):
        case(
            name + "_wide",
            signed[name],
            dict(x=torch.linspace(-2000, 2000, 67).float()),
            "large angles, as rotary positions have",
        )
    for name in ("log", "sqrt", "rsqrt", "reciprocal"):
        case(
            name + "_wide",
            unsigned[name],
            dict(x=(10.0 ** torch.linspace(-30, 30, 61)).float()),
            "sixty orders of magnitude",
            gradient=name == "log",
        )
    case("clamp", lambda x: x.clamp(-1, 1.5), dict(x=normal(5, 7, scale=2)), low=-1, high=1.5)
    case("power", lambda x: x**2.5, dict(x=positive(3, 5)), exponent=2.5)


def binary():
    operations = dict(
        add=torch.add,
        subtract=torch.sub,
        multiply=torch.mul,
        divide=torch.div,
        maximum=torch.maximum,
        minimum=torch.minimum,
    )
    shapes = {
        "": ((3, 5), (3, 5)),
        "_row": ((3, 5), (5,)),
        "_column": ((3, 5), (3, 1)),
        "_outer": ((3, 1, 4), (2, 4)),
        "_scalar": ((2, 3), ()),
    }
    for name, f in operations.items():
        for suffix, (left, right) in shapes.items():
            b = normal(*right) if right else torch.tensor(0.75)
            if name == "divide":
                b = b.abs() + 0.5
            case(name + suffix, f, dict(a=normal(*left), b=b))
    case(
        "where",
        lambda a, b, mask: torch.where(mask > 0, a, b),
        dict(a=normal(4, 5), b=normal(4, 5)),
        constants=dict(mask=integers(2, 4, 5).int()),
        note="a where mask is 1, b where it is 0",
    )


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


def fused():
    case("swiglu", lambda gate, up: F.silu(gate) * up, dict(gate=normal(3, 7), up=normal(3, 7)), "silu(gate) · up")
    case("gelu_bias", lambda x, b: F.gelu(x + b), dict(x=normal(3, 7), b=normal(7)), "gelu(x + b), erf form")

    def rope(x, positions, base=10000.0):
        half = x.shape[-1] // 2
        frequency = base ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = (positions.double()[..., None] * frequency)[:, :, None, :]
        cosine, sine = torch.cos(angle).to(x.dtype), torch.sin(angle).to(x.dtype)
        left, right = x[..., :half], x[..., half:]
        return torch.cat([left * cosine - right * sine, right * cosine + left * sine], -1)

    note = "x [batch, time, head, dimension]; pairs (i, i + dimension/2); angle = position · base^(−2i/dimension)"
    case("rope", rope, dict(x=normal(2, 5, 3, 8)), note, dict(positions=torch.arange(5).repeat(2, 1).int()), base=10000)
    case(
        "rope_far",
        lambda x, positions: rope(x, positions, 100000.0),
        dict(x=normal(1, 4, 2, 6)),
        note,
        dict(positions=torch.tensor([[0, 7, 1000, 8191]]).int()),
        base=100000,
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


def losses():
    target = torch.tensor([2, -100, 0, 6, 3]).int()
    for reduction in ("mean", "sum", "none"):
        suffix = "" if reduction == "mean" else "_" + reduction
        case(
            "cross_entropy" + suffix,
            lambda logits, target: F.cross_entropy(logits, target.long(), reduction=reduction),
            dict(logits=normal(5, 7, scale=3)),
            "targets of −100 are ignored; the mean is over the others",
            dict(target=target),
            reduction=reduction,
            ignore=-100,
        )
    case(
        "cross_entropy_large",
        lambda logits, target: F.cross_entropy(logits, target.long()),
        dict(logits=normal(3, 67, scale=60)),
        "",
        dict(target=integers(67, 3).int()),
        reduction="mean",
    )
    case(
        "bpr_loss",
        lambda positive, negative: softplus(negative - positive).mean(),
        dict(positive=normal(9, scale=3), negative=normal(9, scale=3)),
        "mean of −log σ(positive − negative)",
    )

    def info_nce(a, b, temperature):
        logits = F.normalize(a, dim=-1, eps=1e-12) @ F.normalize(b, dim=-1, eps=1e-12).T / temperature
        return F.cross_entropy(logits, torch.arange(a.shape[0]))

    case(
        "info_nce",
        lambda a, b: info_nce(a, b, 0.2),
        dict(a=normal(5, 7), b=normal(5, 7)),
        "rows normalised; cross-entropy of a bᵀ / temperature with the diagonal as targets",
        temperature=0.2,
    )
    for temperature in (1.0, 2.5):

        def kl(student, teacher):
            log_p, log_q = torch.log_softmax(teacher / temperature, -1), torch.log_softmax(student / temperature, -1)
            return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()

        case(
            f"kl_divergence{'' if temperature == 1 else '_temperature'}",
            kl,
            dict(student=normal(4, 7, scale=2)),
            "temperature² · mean over rows of KL(softmax(teacher/T) ‖ softmax(student/T)); the teacher is fixed",
            dict(teacher=normal(4, 7, scale=2)),
            temperature=temperature,
        )
    case(
        "bce_with_logits",
        lambda x, target: F.binary_cross_entropy_with_logits(x, target),
        dict(x=normal(4, 5, scale=8)),
        "mean",
        dict(target=torch.rand(4, 5, generator=generator).round()),
    )
    case("mse", lambda a, b: F.mse_loss(a, b), dict(a=normal(4, 5), b=normal(4, 5)), "mean")
    case(
        "cosine_similarity",
        lambda a, b: F.cosine_similarity(a, b, dim=-1, eps=1e-8),
        dict(a=normal(4, 7), b=normal(4, 7)),
        "per row",
        eps=1e-8,
    )


for topic in (unary, binary, reductions, products, shapes, normalisations, fused, attentions, rows, losses):
    topic()
for dtype, store in stores.items():
    save_file(
        {key: value.contiguous().clone() for key, value in store.items()},
        HERE / f"operations_{str(dtype).split('.')[1]}.safetensors",
    )
versions = dict(torch=torch.__version__, safetensors=importlib.metadata.version("safetensors"))
lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in cases.items())
(HERE / "cases.json").write_text('{"versions":' + json.dumps(versions) + ',"cases":{\n' + lines + "\n}}\n")
print(len(cases), "cases")
