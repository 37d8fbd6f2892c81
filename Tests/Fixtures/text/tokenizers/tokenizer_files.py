"""How the ids of a tokenizer are written, and a tokenizer that was trained here."""

import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Tokenizer

from strings import COUNT, HARD, SEED, hash_of, random_strings

HERE = pathlib.Path(__file__).parent
TEMPLATE = ["", "Hello world", "  two  spaces\n", "caf\u00e9 \U0001f600 123", "'s"]


def special(text):
    return AddedToken(text, special=True, normalized=False)


def write(family, tokenizer, note, extra=None, versions=None):
    """Writes the ids of all strings under `tokenizer`."""

    def ids(text, template=False):
        return tokenizer.encode(text, add_special_tokens=template).ids

    tokenizer.encode_special_tokens = False
    parsed = [ids(text) for text in HARD]
    template = [dict(text=text, ids=ids(text, True)) for text in TEMPLATE]
    tokenizer.encode_special_tokens = True
    rows = []
    for text, with_special in zip(HARD, parsed):
        row = dict(text=text, ids=ids(text))
        if with_special != row["ids"]:
            row["parsed"] = with_special
        decoded = tokenizer.decode(row["ids"], skip_special_tokens=False)
        if decoded != text:
            row["decoded"] = decoded
        rows.append(row)
    texts = random_strings()
    lists = [ids(text) for text in texts]
    first = [dict(text=text, ids=row) for text, row in zip(texts[:8], lists)]
    fixture = dict(
        family=family,
        note=note,
        versions=dict(tokenizers=tokenizers.__version__, **(versions or {})),
        strings=rows,
        template=template,
        random=dict(seed=SEED, count=COUNT, hash=hash_of(lists), first=first),
        **(extra or {}),
    )
    text = json.dumps(fixture, separators=(",", ":")).replace('{"text"', '\n{"text"')
    (HERE / f"ids/{family}.json").write_text(text + "\n")
    print(
        family,
        tokenizer.get_vocab_size(),
        "tokens,",
        len(rows),
        "strings, hash",
        fixture["random"]["hash"],
        sum("parsed" in row for row in rows),
        "parsed,",
        sum("decoded" in row for row in rows),
        "not given back",
    )


def save(family, tokenizer, merges_as_text=False):
    """Writes the tokenizer as compact JSON and reads it back, so that the ids are those of the committed file.
    Merges are pairs, or, as files written before 2024 have them, two tokens in one string."""
    path = HERE / f"trained/{family}.tokenizer.json"
    content = json.loads(tokenizer.to_str())
    if merges_as_text:
        content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]
    path.write_text(json.dumps(content, separators=(",", ":"), ensure_ascii=True) + "\n")
    return Tokenizer.from_file(str(path))
