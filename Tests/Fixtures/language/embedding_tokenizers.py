"""The tokenizers of the tiny embedding models: their families' components around a few pieces made of the texts."""

import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LONG = (
    "A cowboy doll is jealous when a new spaceman toy becomes the favourite of the boy whose room they share, and "
    "both are lost on the way to a new house; to get home they have to become friends."
)
TEXTS = [
    "Toy Story (1995)",
    "A film about toys that come alive when nobody looks.",
    "",
    "Ünïcode, émojis 😀 and 漢字!",
    LONG,
    "GoldenEye",
    " ".join([LONG, "Then a second film follows,", LONG.lower(), "and a third.", LONG]),
    "Q?",
]
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def special(text):
    return AddedToken(text, special=True, normalized=False)


def merges(pre_tokenizer, size, alphabet):
    """The vocabulary and the merges of a byte-pair encoding of the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def word_piece():
    """BERT uncased."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    names += [*letters, *("##" + letter for letter in letters), *"(),;:.!?"]
    names += ["toy", "film", "the", "##s", "##ing", "to", "and", "become", "new", "query", "passage"]
    names = list(dict.fromkeys(names))
    tokenizer = Tokenizer(
        models.WordPiece(
            vocab={name: index for index, name in enumerate(names)},
            unk_token="[UNK]",
            max_input_chars_per_word=100,
            continuing_subword_prefix="##",
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.add_special_tokens([special(name) for name in names[:5]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = dict(
        tokenizer_class="BertTokenizer",
        do_lower_case=True,
        model_max_length=512,
        cls_token="[CLS]",
        mask_token="[MASK]",
        pad_token="[PAD]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )
    return tokenizer, config


def byte_level():
    """Qwen3's, with the end of the text after every text."""
    pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    vocabulary, pairs = merges(pre_tokenizer, 300, sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.add_special_tokens([special(text) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    end = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
            processors.TemplateProcessing(
                single="$A <|endoftext|>", pair="$A <|endoftext|> $B:1 <|endoftext|>:1",
                special_tokens=[("<|endoftext|>", end)],
            ),
        ]
    )
    config = dict(
        tokenizer_class="Qwen2Tokenizer",
        add_prefix_space=False,
        bos_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        padding_side="left",
        model_max_length=131072,
        split_special_tokens=False,
    )
    return tokenizer, config


def sentence_piece():
    """Gemma 3's, with a beginning and an end around every text."""
    found, pairs = merges(pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never"), 90, [])
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    # Characters of no text but ASCII: the others are spelled in bytes.
    names += sorted({character for text in found for character in text if character.isascii()} | set("▁|:"))
    names += sorted((text for text in found if len(text) > 1), key=found.get)
    names = list(dict.fromkeys(names))
    known = set(names)
    pairs = [pair for pair in pairs if known.issuperset((*pair, "".join(pair)))]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={name: index for index, name in enumerate(names)},
            merges=pairs,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous", invert=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([special(name) for name in names[:5]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> <bos>:1 $B:1 <eos>:1", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    config = dict(
        tokenizer_class="GemmaTokenizer",
        add_bos_token=True,
        add_eos_token=True,
        bos_token="<bos>",
        eos_token="<eos>",
        mask_token="<mask>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=2048,
        padding_side="right",
    )
    return tokenizer, config
