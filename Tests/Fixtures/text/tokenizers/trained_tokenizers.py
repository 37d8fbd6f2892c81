"""The families whose tokenizers are trained here, on the corpus of strings.py."""

import collections
import json

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from strings import corpus
from tokenizer_files import save, special, write

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def common_characters(texts, limit):
    """The texts without their rarer characters. (The trainers' own limit breaks ties differently in every run.)"""
    counts = collections.Counter("".join(texts))
    kept = set(sorted(counts, key=lambda character: (-counts[character], character))[:limit]) | {" "}
    return ["".join(character if character in kept else " " for character in text) for text in texts]


def trained_bpe(pre_tokenizer, normalizer, size, alphabet, limit=None, texts=None):
    """Vocabulary and merges of a BPE trained on the corpus, or on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    texts = texts or corpus()
    tokenizer.train_from_iterator(common_characters(texts, limit) if limit else texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def byte_level(family, split, specials, begin=None, normalizer=None, ignore_merges=False, note=""):
    """A byte-level BPE: GPT-2's own split if `split` is none, else the given pattern before the byte level."""
    if split is None:
        pre = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    else:
        pre = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(split), behavior="isolated", invert=False),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    vocabulary, merges = trained_bpe(pre, normalizer, 1400, pre_tokenizers.ByteLevel.alphabet())
    if ignore_merges:  # Whole words that no merge makes: found only by looking the piece up first.
        for word in ("\u0120recommender", "\u0120quack", "Trestle", "\u0120zzz"):
            vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([special(text) for text in specials])
    bytes_post = processors.ByteLevel(trim_offsets=False)
    if begin:
        template = processors.TemplateProcessing(
            single=f"{begin} $A",
            pair=f"{begin} $A {begin} $B:1",
            special_tokens=[(begin, tokenizer.token_to_id(begin))],
        )
        tokenizer.post_processor = processors.Sequence([bytes_post, template])
    else:
        tokenizer.post_processor = bytes_post
    write(family, save(family, tokenizer, merges_as_text=family == "gpt2"), note)


def sentencepiece_bpe():
    """LLaMA 1 and 2 as their tokenizer.json has it: spaces become U+2581, unknown characters become byte tokens."""
    found, merges = trained_bpe(
        pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always"), None, 1000, [], limit=110
    )
    runs = [
        ("\u2581" * 2, ("\u2581", "\u2581")),
        ("\u2581" * 4, ("\u2581" * 2, "\u2581" * 2)),
        ("\u2581" * 8, ("\u2581" * 4, "\u2581" * 4)),
        ("\u2581" * 3, ("\u2581" * 2, "\u2581")),
    ]
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [run for run, _ in runs] + sorted((token for token in found if len(token) > 1), key=found.get)
    tokens += sorted((token for token in found if len(token) == 1), key=found.get)
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=[merge for _, merge in runs] + [merge for merge in merges if merge not in dict(runs).values()],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([special(text) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    write("llama2", save("llama2", tokenizer), "SentencePiece-style BPE with byte fallback, as LLaMA 1 and 2.")
    # The same vocabulary in the newer spelling: a pre-tokeniser puts U+2581 before the first segment only.
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="first", split=False)
    content = json.loads(tokenizer.to_str())
    content["normalizer"] = None
    write(
        "llama2_metaspace",
        save("llama2_metaspace", Tokenizer.from_str(json.dumps(content))),
        "The same with a Metaspace pre-tokeniser, as Mistral and TinyLlama.",
    )


def word_piece():
    """BERT uncased."""
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True
    )
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    texts = common_characters([normalizer.normalize_str(text) for text in corpus()], 160)
    words = sorted({word for text in texts for word, _ in pre_tokenizer.pre_tokenize_str(text)})
    # The pieces that a BPE finds, in both spellings as far as words use them. (WordPieceTrainer's result differs from run to run.)
    pieces, _ = trained_bpe(pre_tokenizer, None, 900, [], 160, texts)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = sorted(pieces, key=pieces.get)
    names += [piece for piece in pieces if any(word.startswith(piece) for word in words)]
    names += ["##" + piece for piece in pieces if any(piece in word[1:] for word in words)]
    tokenizer = Tokenizer(
        models.WordPiece(
            vocab={name: index for index, name in enumerate(names)},
            unk_token="[UNK]",
            max_input_chars_per_word=100,
            continuing_subword_prefix="##",
        )
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.add_special_tokens([special(name) for name in names[:5]])
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))],
    )
    write("bert", save("bert", tokenizer), "BERT uncased WordPiece, trained here.")
