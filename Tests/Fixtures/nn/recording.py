"""What both scripts of layers record: a module's parameters, inputs, output and all gradients, in both precisions."""

import importlib.metadata
import json
import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
PRECISIONS = {"": torch.float64, "float32.": torch.float32}
torch.set_num_threads(1)


def write(name, store, description):
    save_file({key: value.detach().contiguous().clone() for key, value in store.items()}, HERE / f"{name}.safetensors")
    (HERE / f"{name}.safetensors").chmod(0o644)
    versions = dict(torch=torch.__version__, safetensors=importlib.metadata.version("safetensors"))
    lines = ",\n".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in description.items())
    (HERE / f"{name}.json").write_text('{"versions":' + json.dumps(versions) + ',"cases":{\n' + lines + "\n}}\n")
    print(name, len(description), "cases,", len(store), "tensors")


class Recording:
    """The cases of one file. `normal` draws float32 numbers of a given shape, first the parameters, then the upstream gradient."""

    def __init__(self, normal):
        self.normal = normal
        self.store, self.description = {}, {}

    def case(self, name, module, inputs, run=lambda module, *inputs: module(*inputs), **settings):
        values = {key: self.normal(*value.shape) * 0.5 for key, value in module.named_parameters()}
        upstream = None
        for prefix, dtype in PRECISIONS.items():
            module.to(dtype)
            with torch.no_grad():
                for key, parameter in module.named_parameters():
                    parameter.copy_(values[key])
            module.zero_grad()
            tracked = {
                key: value.to(dtype).clone().requires_grad_() if value.is_floating_point() else value
                for key, value in inputs.items()
            }
            y = run(module, *tracked.values())
            if upstream is None:
                upstream = self.normal(*y.shape)
            (y * upstream.to(dtype)).sum().backward()
            place = prefix + name
            self.store[place + ".y"], self.store[place + ".dy"] = y, upstream.to(dtype)
            for key, value in tracked.items():
                self.store[f"{place}.{key}"] = value
                if value.is_floating_point():
                    self.store[f"{place}.d{key}"] = value.grad
            for key, parameter in module.named_parameters():
                self.store[f"{place}.{key}"] = parameter
                self.store[f"{place}.d.{key}"] = parameter.grad.clone()
        shapes = {key: list(value.shape) for key, value in values.items()}
        self.description[name] = dict(parameters=shapes, inputs=list(inputs), **settings)

    def write(self, name):
        write(name, self.store, self.description)
