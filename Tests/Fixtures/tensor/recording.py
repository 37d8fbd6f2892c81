"""How a case is recorded: inputs drawn from one stream, results and gradients in both precisions.

What the names in the files mean is said in make_operations.py, which writes them.
"""

import torch

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
