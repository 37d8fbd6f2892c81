"""Makes the files of this folder with the formats' reference libraries.

    python make_fixtures.py

Made with gguf 0.19.0, safetensors 0.8.0, torch 2.15.0 and numpy 2.4.6.

reference.safetensors      a tensor of each element type, a scalar, an empty one, and metadata
reference.gguf             metadata of each type, and tensors of the unquantised types
quantised.gguf             a tensor of each block-quantised type that can be computed with, [4, 512]
dequantised.safetensors    the same tensors as float32, dequantised by the reference library; Q8_K, which it lacks, by
                           its definition
"""

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.torch import save_file

Q = gguf.GGMLQuantizationType
generator = np.random.default_rng(7)


def make_safetensors():
    tensors = {
        "f64": torch.tensor([1.5, -2.25], dtype=torch.float64),
        "f32": torch.tensor(
            [[0.1, -0.2, 0.3], [1e-30, 3e38, -0.0]], dtype=torch.float32
        ),
        "f16": torch.tensor([1.0, 65504.0, 6e-8], dtype=torch.float16),
        "bf16": torch.tensor([[1.0], [3.140625]], dtype=torch.bfloat16),
        "i64": torch.tensor([2**62, -1], dtype=torch.int64),
        "i32": torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32),
        "i16": torch.tensor([-300], dtype=torch.int16),
        "i8": torch.tensor([-128, 127, 0], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "f8": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
        "scalar": torch.tensor(42.0),
        "empty": torch.zeros(0, 3),
        'weiß.\n"0"': torch.tensor([7], dtype=torch.int32),
    }
    save_file(
        tensors, "reference.safetensors", metadata={"format": "pt", "größe": "1\n2"}
    )


def make_gguf():
    writer = gguf.GGUFWriter("reference.gguf", "llama")
    writer.add_uint8("u8", 200)
    writer.add_int8("i8", -100)
    writer.add_uint16("u16", 60_000)
    writer.add_int16("i16", -30_000)
    writer.add_uint32("u32", 2**32 - 1)
    writer.add_int32("i32", -(2**31))
    writer.add_uint64("u64", 2**62)
    writer.add_int64("i64", -(2**63))
    writer.add_float32("f32", 1.5)
    writer.add_float64("f64", 0.1)
    writer.add_bool("yes", True)
    writer.add_string("text", "é😀")
    writer.add_array("words", ["a", "b c", "é😀"])
    writer.add_array("ints", [1, -2, 3])
    writer.add_array("floats", [0.5, -2.0])
    writer.add_array("flags", [True, False])
    writer.add_tensor("w", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("h", np.arange(5, dtype=np.float16))
    writer.add_tensor("d", np.arange(3, dtype=np.float64).reshape(1, 3, 1))
    writer.add_tensor("i", np.array([[1, -1]], dtype=np.int32))
    write(writer)


# Where blocks that the library does not quantise keep their half-precision scales.
SCALES = {
    Q.Q4_K: [0, 2],
    Q.Q5_K: [0, 2],
    Q.Q6_K: [208],
    Q.Q2_K: [80, 82],
    Q.Q3_K: [108],
    Q.Q8_K: [],
    Q.IQ4_NL: [0],
    Q.IQ4_XS: [0],
    Q.MXFP4: [],
}


def numbers(data, kind):
    if kind != Q.Q8_K:
        return dequantize(data, kind).astype(np.float32)
    blocks = data.reshape(-1, 292)
    scales = blocks[:, :4].copy().view(np.float32)
    return (scales * blocks[:, 4:260].view(np.int8).astype(np.float32)).reshape(4, 512)


def make_quantised():
    types = [Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, *SCALES]
    writer = gguf.GGUFWriter("quantised.gguf", "llama")
    expected = {}
    for kind in types:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if kind not in SCALES:
            data = quantize(
                generator.standard_normal((4, 512)).astype(np.float32), kind
            )
        else:
            # The library does not quantise these types: any bytes are valid blocks once the scales are sane.
            data = generator.integers(0, 256, (4, 512 // block, size), dtype=np.uint8)
            scales = (
                generator.uniform(0.001, 0.1, (4, 512 // block, 2))
                .astype(np.float16)
                .view(np.uint8)
            )
            for index, offset in enumerate(SCALES[kind]):
                data[:, :, offset : offset + 2] = scales[:, :, 2 * index : 2 * index + 2]
            if kind == Q.MXFP4:
                data[:, :, 0] = 110 + data[:, :, 0] % 20
                data[0, :3, 0] = [0, 1, 255]
            elif kind == Q.Q8_K:
                single = generator.uniform(-0.1, 0.1, (4, 512 // block, 1))
                data[:, :, :4] = single.astype(np.float32).view(np.uint8)
            data = data.reshape(4, -1)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        expected[kind.name] = torch.from_numpy(numbers(data, kind))
    write(writer)
    save_file(expected, "dequantised.safetensors")


def write(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


make_safetensors()
make_gguf()
make_quantised()
