"""Times PyTorch's CPU kernels on the cases of kernel-benchmarks.

    python kernels_torch.py [--filter TEXT] [--threads N] [--json FILE]

Case names, shapes, units and the operation count behind each rate are the same in both. What a rate counts: a product,
2 m n k; a map, what it reads and writes once; gathering rows, read and write; adding rows, two reads and a write; a
sparse product, 2 per stored number and column; causal attention, half of 4 t² d per head. `tiny_op_*` is nanoseconds
per operation in a taped chain of 1000 additions, and `_forward_backward` includes the forward pass.
"""

import warnings

import torch
import torch.nn.functional as F

from measure import Report

warnings.filterwarnings("ignore")
report = Report("PyTorch " + torch.__version__, __doc__.splitlines()[0], repeats=9)
torch.set_num_threads(report.arguments.threads)
torch.manual_seed(0)


def products():
    shapes = [
        (1024, 1024, 1024),
        (2048, 2048, 2048),
        (512, 576, 576),
        (512, 1536, 576),
        (512, 576, 1536),
        (2048, 64, 64),
        (128, 64, 64),
        (16, 576, 576),
    ]
    if report.wants("matmul_f32_nt"):
        for m, n, k in shapes:
            a, b, operations = torch.randn(m, k), torch.randn(n, k), 2 * m * n * k
            report.run(
                "matmul_f32_nt",
                f"{m}x{n}x{k}",
                lambda: a @ b.t(),
                "GFLOP/s",
                operations / 1e9,
                loops=max(1, int(2e8 / operations)),
            )
    if report.wants("matmul_bf16_nt"):
        a, b = torch.randn(2048, 2048).bfloat16(), torch.randn(2048, 2048).bfloat16()
        report.run("matmul_bf16_nt", "2048x2048x2048", lambda: a @ b.t(), "GFLOP/s", 2 * 2048**3 / 1e9)
    if report.wants("matvec_f32"):
        vector, matrix = torch.randn(1, 576), torch.randn(49152, 576)
        report.run("matvec_f32", "49152x576", lambda: vector @ matrix.t(), "GB/s", matrix.numel() * 4 / 1e9)


def maps():
    x, w = torch.randn(4096, 1024), torch.randn(1024)
    gigabytes = x.numel() * 4 / 1e9
    for case, passes, work in (
        ("softmax", 2, lambda: torch.softmax(x, -1)),
        ("layer_norm", 2, lambda: F.layer_norm(x, (1024,), w, w)),
        ("gelu", 2, lambda: F.gelu(x)),
        ("silu", 2, lambda: F.silu(x)),
        ("exp", 2, lambda: torch.exp(x)),
        ("add", 3, lambda: x + x),
        ("sum_all", 1, lambda: x.sum()),
        ("sum_rows", 1, lambda: x.sum(0)),
    ):
        report.run(case, "4096x1024", work, "GB/s", passes * gigabytes)


def rows():
    if not report.wants("gather_rows", "index_add_rows"):
        return
    table, index = torch.randn(100000, 64), torch.randint(0, 100000, (65536,))
    update, target = torch.randn(65536, 64), torch.zeros(100000, 64)
    gigabytes = update.numel() * 4 / 1e9
    report.run("gather_rows", "100000x64[65536]", lambda: table[index], "GB/s", 2 * gigabytes)
    report.run("index_add_rows", "100000x64[65536]", lambda: target.index_add_(0, index, update), "GB/s", 3 * gigabytes)


def sparse():
    if not report.wants("spmm_coo", "spmm_csr"):
        return
    row, column = torch.randint(0, 20000, (1000000,)), torch.randint(0, 20000, (1000000,))
    matrix = torch.sparse_coo_tensor(torch.stack([row, column]), torch.randn(1000000), (20000, 20000)).coalesce()
    dense = torch.randn(20000, 64)
    shape, operations = "20000x20000 1M nnz x64", 2e6 * 64 / 1e9
    report.run("spmm_coo", shape, lambda: torch.sparse.mm(matrix, dense), "GFLOP/s", operations)
    compressed = matrix.to_sparse_csr()
    report.run("spmm_csr", shape, lambda: compressed @ dense, "GFLOP/s", operations)


def attention():
    q = torch.randn(4, 9, 256, 64)
    report.run(
        "attention_causal",
        "4x9x256x64",
        lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True),
        "GFLOP/s",
        4 * 9 * 256 * 256 * 64 * 2 / 1e9,
    )


def tiny_operations():
    x, count = torch.randn(8, 8, requires_grad=True), 1000

    def forward():
        y = x
        for _ in range(count):
            y = y + 1.0
        return y

    for case, work in (("tiny_op_forward", forward), ("tiny_op_forward_backward", lambda: forward().sum().backward())):
        if report.wants(case):
            report.add(case, "8x8 add, taped", [seconds / count for seconds in report.times(work, 2)], "ns")


def arrays():
    """The operations of array libraries; the cases of ArrayCases.swift."""
    x = torch.randn(4096, 1024)
    elements_and_orders(x)
    layouts(x)
    algebra()


def elements_and_orders(x):
    y, flat, half = torch.randn(4096, 1024).abs(), x.numel() * 4 / 1e9, x[:512].contiguous()
    whole, size = torch.randint(0, 1000, (262144,)), "4096x1024"
    for case, shape, unit, amount, work in (
        ("log1p", size, "GB/s", 2 * flat, lambda: torch.log1p(y)),
        ("expm1", size, "GB/s", 2 * flat, lambda: torch.expm1(x)),
        ("round", size, "GB/s", 2 * flat, lambda: torch.round(x)),
        ("sign", size, "GB/s", 2 * flat, lambda: torch.sign(x)),
        ("power_tensor", size, "GB/s", 3 * flat, lambda: torch.pow(y, x)),
        ("remainder", size, "GB/s", 3 * flat, lambda: torch.remainder(x, y)),
        ("compare", size, "GB/s", 3 * flat, lambda: x >= y),
        ("where", size, "GB/s", 4 * flat, lambda: torch.where(x != 0, x, y)),
        ("to_bool", size, "GB/s", 1.25 * flat, lambda: x.bool()),
        ("any_axis", size, "GB/s", flat, lambda: x.any(1)),
        ("cumsum_rows", size, "GB/s", 2 * flat, lambda: x.cumsum(1)),
        ("cumsum_columns", size, "GB/s", 2 * flat, lambda: x.cumsum(0)),
        ("argmax_rows", size, "GB/s", flat, lambda: x.argmax(1)),
        ("argmin_columns", size, "GB/s", flat, lambda: x.argmin(0)),
        ("topk_50", size, "GB/s", flat, lambda: x.topk(50, dim=1)),
        ("sort_rows", "512x1024", "GB/s", 2 * half.numel() * 4 / 1e9, lambda: half.sort(dim=1)),
        ("unique", "262144 of 1000", "GB/s", 262144 * 4 / 1e9, lambda: whole.int().unique(return_inverse=True)),
    ):
        report.run(case, shape, work, unit, amount)


def layouts(x):
    flat, rows, size = x.numel() * 4 / 1e9, torch.arange(4096) % 2 == 0, "4096x1024"
    chosen, labels = x.topk(64, dim=1), x.argmax(1)
    for case, shape, unit, amount, work in (
        ("transpose", size, "GB/s", 2 * flat, lambda: x.t().contiguous()),
        ("flip", size, "GB/s", 2 * flat, lambda: x.flip(0, 1)),
        ("roll", size, "GB/s", 2 * flat, lambda: x.roll(100, 1)),
        ("pad", size, "GB/s", 2 * flat, lambda: F.pad(x, (1, 1, 1, 1))),
        ("tile", size, "GB/s", 3 * flat, lambda: x.tile(2, 1)),
        ("stride", size, "GB/s", flat, lambda: x[::2].contiguous()),
        ("mask_rows", size, "GB/s", flat, lambda: x[rows]),
        ("gather_axis", "4096x1024[4096x64]", "GB/s", 2 * 4096 * 64 * 4 / 1e9, lambda: x.gather(1, chosen.indices)),
        (
            "scatter_axis",
            "4096x64 into 4096x1024",
            "GB/s",
            flat,
            lambda: torch.zeros(4096, 1024).scatter_add_(1, chosen.indices, chosen.values),
        ),
        ("one_hot", "4096 of 1024", "GB/s", flat, lambda: F.one_hot(labels, 1024).float()),
    ):
        report.run(case, shape, work, unit, amount)


def algebra():
    small, right = torch.randn(64, 64, 64), torch.randn(64, 64, 1)
    definite = small @ small.mT + torch.eye(64)
    image, kernel, packed = torch.randn(8, 64, 32, 32), torch.randn(64, 64, 3, 3), torch.randn(36, 256, 64)
    for case, shape, unit, amount, work in (
        (
            "einsum_bqd_bkd",
            "36x256x64",
            "GFLOP/s",
            2 * 36 * 256 * 256 * 64 / 1e9,
            lambda: torch.einsum("bqd,bkd->bqk", packed, packed),
        ),
        ("cholesky", "64x64x64", "GFLOP/s", 64**4 / 3e9, lambda: torch.linalg.cholesky(definite)),
        ("solve", "64x64x64", "GFLOP/s", 64**4 * 2 / 3e9, lambda: torch.linalg.solve(small, right)),
        (
            "conv2d_3x3",
            "8x64x32x32 to 64",
            "GFLOP/s",
            2 * 8 * 64 * 32 * 32 * 64 * 9 / 1e9,
            lambda: F.conv2d(image, kernel, padding=1),
        ),
        ("maxpool_2x2", "8x64x32x32", "GB/s", image.numel() * 4 / 1e9, lambda: F.max_pool2d(image, 2)),
    ):
        report.run(case, shape, work, unit, amount)


for topic in (products, maps, rows, sparse, attention, tiny_operations, arrays):
    topic()
report.finish()
