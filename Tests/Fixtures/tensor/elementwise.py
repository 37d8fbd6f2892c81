"""The cases of operations on elements: functions of one and of two tensors, and the fused ones."""

import torch
import torch.nn.functional as F

from recording import case, integers, normal, positive, softplus


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
