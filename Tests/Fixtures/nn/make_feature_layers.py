"""Makes the fixture of the layers for feature columns beside this file, from PyTorch on the CPU.

    python make_feature_layers.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in the JSON file.

feature_layers.safetensors (float64 and, under `float32.`, float32): per case `<case>.<parameter>`, the inputs under their
names, `.y`, `.dy`, `.d<input>`, `.d.<parameter>`. feature_layers.json has shapes and settings per case. Indices and masks
are int32.

The embedding bags are PyTorch's own; the interactions are written here by their definitions (pairs one by one), not in the
form that is tested: a factorisation machine's pairs as a double sum, the cross network as in DCN-V2's formula, DLRM's
products by indexing with tril_indices, and the attention of DIN with a loop over the history.
"""

import torch
from torch import nn

from recording import Recording

generator = torch.Generator().manual_seed(20260918)


def normal(*shape):
    return torch.randn(*shape, generator=generator).float()


class Cross(nn.Module):
    def __init__(self, width, count, rank=None):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(rank or width, width) for _ in range(count))
        self.reductions = nn.ModuleList(nn.Linear(width, rank, bias=False) for _ in range(count if rank else 0))

    def forward(self, x):
        y = x
        for index, layer in enumerate(self.layers):
            y = x * layer(self.reductions[index](y) if len(self.reductions) else y) + y
        return y


class Network(nn.Module):
    """A perceptron with the names of ours."""

    def __init__(self, *widths, activation):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.activation = activation

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class TargetAttention(nn.Module):
    def __init__(self, width, hidden, activation, normalizes):
        super().__init__()
        self.network = Network(4 * width, *hidden, 1, activation=activation)
        self.normalizes = normalizes

    def forward(self, target, history, mask=None):
        rows = []
        for index in range(history.shape[0]):
            kept = [t for t in range(history.shape[1]) if mask is None or bool(mask[index, t])]
            if not kept:
                rows.append((history[index] * 0).sum(0))
                continue
            entries = history[index, kept]
            wanted = target[index].expand_as(entries)
            pairs = torch.cat([entries, wanted, entries - wanted, entries * wanted], -1)
            weights = self.network(pairs)[:, 0]
            if self.normalizes:
                weights = weights.softmax(0)
            rows.append((weights[:, None] * entries).sum(0))
        return torch.stack(rows)


class Plain(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def pairwise(x):
    fields = x.shape[1]
    return sum((x[:, i] * x[:, j]).sum(-1) for i in range(fields) for j in range(i))


def dots(diagonal):
    def run(x):
        rows, columns = torch.tril_indices(x.shape[1], x.shape[1], offset=0 if diagonal else -1)
        return torch.bmm(x, x.transpose(1, 2))[:, rows, columns]

    return run


recording = Recording(normal)
case = recording.case

# The second list and the last are empty; row 3 stands twice in one list.
indices = torch.tensor([3, 0, 3, 5, 1, 2, 3]).int()
offsets = torch.tensor([0, 3, 3, 4, 7]).int()
for mode in ("sum", "mean"):
    case(f"bag_{mode}", nn.EmbeddingBag(6, 4, mode=mode), dict(indices=indices, offsets=offsets), mode=mode)


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 4))

    def forward(self, indices, offsets, weights):
        return nn.functional.embedding_bag(
            indices, self.weight, offsets, mode="sum", per_sample_weights=weights.to(self.weight.dtype)
        )


case("bag_weighted", Weighted(), dict(indices=indices, offsets=offsets, weights=normal(7)), mode="sum")
case("factorization", Plain(pairwise), dict(x=normal(3, 5, 4)))
case("cross", Cross(5, 3), dict(x=normal(4, 5)), layers=3)
case("cross_low_rank", Cross(6, 2, 2), dict(x=normal(4, 6)), layers=2, rank=2)
case("dots", Plain(dots(False)), dict(x=normal(3, 4, 5)))
case("dots_diagonal", Plain(dots(True)), dict(x=normal(3, 4, 5)), diagonal=True)
mask = torch.tensor([[True] * 5, [True, False, True, False, False], [False] * 5]).int()
for name, activation, normalizes in (("sigmoid", torch.sigmoid, False), ("softmax", torch.tanh, True)):
    module = TargetAttention(4, [6, 3], activation, normalizes)
    case(f"attention_{name}", module, dict(target=normal(3, 4), history=normal(3, 5, 4), mask=mask), hidden=[6, 3])
case(
    "attention_unmasked",
    TargetAttention(4, [6], torch.sigmoid, False),
    dict(target=normal(2, 4), history=normal(2, 3, 4)),
    hidden=[6],
)

recording.write("feature_layers")
