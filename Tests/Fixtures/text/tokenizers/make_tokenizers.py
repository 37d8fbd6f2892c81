"""Makes the tokenizer fixtures: per family `ids/<family>.json` and, where the family's own files cannot be had,
`trained/<family>.tokenizer.json`, a small tokenizer trained here under the family's exact normaliser, pre-tokeniser,
post-processor and decoder.

    python make_tokenizers.py --assets .assets

Made with Python 3.11, tokenizers 0.23.3, gguf 0.19.0, sentencepiece 0.2.3; the versions used are stored in every fixture.

`ids/<family>.json` holds
  strings   text, its `ids` as plain text (special tokens spelled in the text stay text, no template);
            `parsed` if ids differ when special tokens are recognised in the text; `decoded` if decoding `ids`
            does not give the text back;
  template  texts with the ids that `encode` gives with its special tokens added;
  random    FNV-1a hash of the ids of the seeded random strings (see strings.py), and the first eight with their ids.
"""

import argparse
import pathlib

from tokenizers import normalizers

from asset_tokenizers import gemma3, mini_lm, qwen25, smol_lm2
from strings import HARD
from trained_tokenizers import LLAMA3, QWEN2, byte_level, sentencepiece_bpe, word_piece


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--assets", type=pathlib.Path, required=True)
    arguments.add_argument("--only", help="the one family to make, of those that need larger assets")
    arguments = arguments.parse_args()
    assets = arguments.assets
    if arguments.only:
        return dict(gemma3=gemma3, qwen25=qwen25)[arguments.only](assets)
    assert len(HARD) >= 220 and len(set(HARD)) == len(HARD), (len(HARD), [t for t in HARD if HARD.count(t) > 1])
    smol_lm2(assets)
    byte_level("gpt2", None, ["<|endoftext|>"], note="GPT-2 byte-level BPE.")
    byte_level(
        "llama3",
        LLAMA3,
        ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"],
        begin="<|begin_of_text|>",
        ignore_merges=True,
        note="Llama 3: its split, whole pieces looked up before merging.",
    )
    byte_level(
        "qwen2",
        QWEN2,
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        normalizer=normalizers.NFC(),
        note="Qwen 2: NFC and its split.",
    )
    sentencepiece_bpe()
    word_piece()
    mini_lm(assets)
    gemma3(assets)
    qwen25(assets)


if __name__ == "__main__":
    main()
