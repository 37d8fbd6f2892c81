"""Makes the fixtures of optimizers and layers beside this file, from PyTorch on the CPU.

    python make_layers.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in the JSON files.

optimizers.safetensors (float64 and, under `float32.`, float32): two parameters, `w` [3, 5] and `b` [5], and ten given
gradients each, the same for every case: `initial.w`, `gradient.<step>.w` (step 0–9); then per case
`<case>.<step>.w`, the parameter after that step. optimizers.json has the hyperparameters per case.
clipping.*: gradients before and after clipping by the global norm.

layers.safetensors (float64 and `float32.`): per case `<case>.<parameter>`, `.x`, `.y`, `.dy`, `.dx`, `.d.<parameter>`
with PyTorch's parameter names and layouts. layers.json has shapes and settings per case. Indices are int32.
"""

import torch
from torch import nn

from recording import PRECISIONS, Recording, write

generator = torch.Generator().manual_seed(20231107)


def normal(*shape, scale=1.0):
    return (torch.randn(*shape, generator=generator) * scale).float()


def optimizers():
    """Ten steps of each optimizer on given gradients."""
    initial = dict(w=normal(3, 5), b=normal(5))
    # Sizes differ from step to step, and some entries are zero, as sparse tables have them.
    gradients = [
        dict(w=normal(3, 5, scale=10.0 ** ((step % 4) - 2)) * (normal(3, 5) > -1), b=normal(5)) for step in range(10)
    ]
    adam = dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    cases = dict(
        sgd=(torch.optim.SGD, dict(lr=0.1)),
        sgd_weight_decay=(torch.optim.SGD, dict(lr=0.1, weight_decay=0.05)),
        sgd_momentum=(torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
        sgd_nesterov=(torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True)),
        adam=(torch.optim.Adam, adam),
        adam_weight_decay=(torch.optim.Adam, dict(adam, weight_decay=0.1)),
        adam_betas=(torch.optim.Adam, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-6)),
        adamw=(torch.optim.AdamW, dict(adam, weight_decay=0.1)),
        adamw_no_decay=(torch.optim.AdamW, dict(adam, weight_decay=0.0)),
    )
    store = {}
    for prefix, dtype in PRECISIONS.items():
        for key, value in initial.items():
            store[f"{prefix}initial.{key}"] = value.to(dtype)
        for step, gradient in enumerate(gradients):
            for key, value in gradient.items():
                store[f"{prefix}gradient.{step}.{key}"] = value.to(dtype)
        for name, (kind, settings) in cases.items():
            parameters = {key: nn.Parameter(value.to(dtype).clone()) for key, value in initial.items()}
            optimizer = kind(parameters.values(), foreach=False, **settings)
            for step, gradient in enumerate(gradients):
                for key, parameter in parameters.items():
                    parameter.grad = gradient[key].to(dtype).clone()
                optimizer.step()
                for key, parameter in parameters.items():
                    store[f"{prefix}{name}.{step}.{key}"] = parameter.detach().clone()
        for name, limit in (("clipping.active", 1.0), ("clipping.inactive", 1e3)):
            parameters = [nn.Parameter(value.to(dtype).clone()) for value in initial.values()]
            for parameter, value in zip(parameters, gradients[3].values()):
                parameter.grad = value.to(dtype).clone()
            store[f"{prefix}{name}.norm"] = torch.nn.utils.clip_grad_norm_(parameters, limit)
            for key, parameter in zip(initial, parameters):
                store[f"{prefix}{name}.{key}"] = parameter.grad
    description = {name: dict(optimizer=kind.__name__, **settings) for name, (kind, settings) in cases.items()}
    description["clipping.active"] = dict(
        max_norm=1.0, gradient="gradient.3", note="scale = max_norm / (norm + 1e-6), at most 1"
    )
    description["clipping.inactive"] = dict(max_norm=1000.0, gradient="gradient.3")
    write("optimizers", store, description)


class Perceptron(nn.Sequential):
    def __init__(self, *sizes):
        layers = []
        for width, following in zip(sizes, sizes[1:]):
            layers += [nn.Linear(width, following), nn.ReLU()]
        super().__init__(*layers[:-1])


def simple_layers(case):
    case("linear", nn.Linear(5, 7), dict(x=normal(2, 3, 5)), note="x wᵀ + b")
    case("linear_no_bias", nn.Linear(5, 7, bias=False), dict(x=normal(4, 5)))
    index = torch.tensor([[1, 4, 1], [0, 5, 4]]).int()
    case("embedding", nn.Embedding(6, 4), dict(x=index), lambda module, x: module(x.long()))
    case("layer_norm", nn.LayerNorm(9, eps=1e-5), dict(x=normal(2, 3, 9)), eps=1e-5)
    case("rms_norm", nn.RMSNorm(9, eps=1e-6), dict(x=normal(2, 3, 9)), eps=1e-6)
    case(
        "mlp",
        Perceptron(5, 8, 6, 1),
        dict(x=normal(4, 5)),
        sizes=[5, 8, 6, 1],
        activation="relu between the layers",
    )


def attend(causal, mask=None):
    def run(module, x):
        time = x.shape[1]
        future = torch.ones(time, time, dtype=torch.bool).triu(1) if causal else None
        return module(x, x, x, attn_mask=future, key_padding_mask=mask, need_weights=False)[0]

    return run


def attention_layers(case):
    packed = "in_proj_weight holds query, key, value one under the other; input [batch, time, channel]"
    case(
        "attention",
        nn.MultiheadAttention(8, 2, batch_first=True),
        dict(x=normal(2, 5, 8)),
        attend(False),
        heads=2,
        causal=False,
        note=packed,
    )
    case(
        "attention_causal",
        nn.MultiheadAttention(8, 2, batch_first=True),
        dict(x=normal(2, 5, 8)),
        attend(True),
        heads=2,
        causal=True,
        note=packed,
    )
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    case(
        "attention_padded",
        nn.MultiheadAttention(8, 2, batch_first=True),
        dict(x=normal(2, 5, 8)),
        attend(False, padding),
        heads=2,
        causal=False,
        lengths=[5, 3],
        note=packed + "; keys beyond a row's length are masked",
    )
    case(
        "attention_cross",
        nn.MultiheadAttention(8, 4, batch_first=True, bias=False),
        dict(query=normal(2, 3, 8), key=normal(2, 6, 8)),
        lambda module, query, key: module(query, key, key, need_weights=False)[0],
        heads=4,
        causal=False,
        note=packed + "; key is value too; no bias",
    )


def recurrent_layers(case):
    gates = "gates in the order reset, update, new; new = tanh(W x + b + r · (U h + c)); h = (1 − z) · new + z · h; input [batch, time, channel]"
    case(
        "gru",
        nn.GRU(5, 6, batch_first=True),
        dict(x=normal(3, 7, 5)),
        lambda module, x: module(x)[0],
        note=gates,
    )
    case(
        "gru_no_bias",
        nn.GRU(5, 6, batch_first=True, bias=False),
        dict(x=normal(3, 4, 5)),
        lambda module, x: module(x)[0],
        note=gates,
    )
    case(
        "gru_initial",
        nn.GRU(5, 6, batch_first=True),
        dict(x=normal(2, 4, 5), h=normal(2, 6)),
        lambda module, x, h: module(x, h[None])[0],
        note=gates + "; starts from h [batch, channel]",
    )


def transformer_layers(case):
    encoder = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation="gelu", batch_first=True, norm_first=False)
    encoder.train()
    case(
        "transformer_post_norm",
        encoder,
        dict(x=normal(2, 4, 8)),
        heads=2,
        feed_forward=12,
        activation="gelu",
        note="x = norm1(x + attention(x)); x = norm2(x + linear2(gelu(linear1(x)))), eps 1e-5",
    )


def layers():
    recording = Recording(normal)
    for family in (simple_layers, attention_layers, recurrent_layers, transformer_layers):
        family(recording.case)
    recording.write("layers")


optimizers()
layers()
