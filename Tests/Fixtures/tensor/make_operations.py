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
import pathlib

import torch
from safetensors.torch import save_file

from arrays import normalisations, reductions, rows, shapes
from elementwise import binary, fused, unary
from losses import losses
from products import attentions, products
from recording import cases, stores

HERE = pathlib.Path(__file__).parent

# The order matters: all draw their inputs from one stream.
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
