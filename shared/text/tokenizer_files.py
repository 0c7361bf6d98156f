"""What a model folder says about its tokens: tokenizer.json, or vocab.json and merges.txt.

Only reading and checking: the files become a `Vocabulary`, and whatever is damaged, or could not be
reproduced to the letter (another model than byte-level BPE, another normaliser or way of
splitting), is refused with a message that names the file and the entry.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from shared.files.json_files import is_whole, read_json, read_text, require, shortened
from shared.text.added_tokens import WHITE_SPACE, AddedToken
from shared.text.byte_pairs import BYTE_OF, GPT2_PATTERN, QWEN_PATTERN, unreachable_merge

MAX_ID = (1 << 22) - 1  # the largest vocabularies on the hub have about a million tokens
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
EXTRA = ("additional_special_tokens", "extra_special_tokens")
FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")

Merges = list[tuple[str, str]]


class Name(NamedTuple):
    """A special token that a file names, and by which entry."""

    path: Path
    entry: str
    text: str


class Vocabulary(NamedTuple):
    """What a folder says about its tokens. Those in `ids` and `merges` are in the byte alphabet."""

    ids: dict[str, int]  # of the 256 bytes and of every merge's result
    merges: Merges
    added: dict[str, AddedToken]
    names: dict[str, str]  # such as "eos_token" -> "<|im_end|>"
    pattern: str = QWEN_PATTERN
    nfc: bool = True


def read_vocabulary(folder: Path, config: dict[str, Any]) -> Vocabulary:
    """The vocabulary of a folder whose tokenizer_config.json holds `config`.

    tokenizer.json comes before vocab.json and merges.txt because it alone records the splitting
    pattern and whether text is normalised. Raises FileNotFoundError where they are missing, and
    ValueError for what is damaged or not supported.
    """
    path = folder / "tokenizer_config.json"
    prefix = config.get("add_prefix_space")
    require(not prefix, path, "add_prefix_space", prefix, "false, or no such entry")
    path = folder / "tokenizer.json"
    read = read_tokenizer_json(path) if path.exists() else read_vocabulary_and_merges(folder)
    path = path if path.exists() else folder / "merges.txt"
    named = read_names(folder, config)
    listed_in, listed = read_listed_tokens(folder, config, special={name.text for name in named})
    check_added_tokens(folder, read, listed, listed_in)
    added = read.added | listed
    made = {*BYTE_OF, *(left + right for left, right in read.merges)}
    stray = read.ids.keys() - made - added.keys()
    for name in named:  # GPT-2's <|endoftext|> is in its vocabulary, and named, but nowhere added
        known = name.text in added or name.text in stray
        require(known, name.path, name.entry, name.text, "an added token")
        if name.text in stray:
            stray.remove(name.text)
            added[name.text] = AddedToken(read.ids[name.text], special=True)
    entry = "the list of tokens that no merge makes"
    require(not stray, path, entry, sorted(stray), "an empty one, as each token needs its merge")
    ids = {token: read.ids[token] for token in made}
    names = {name.entry: name.text for name in named if name.entry in NAMED}
    return read._replace(ids=ids, added=added, names=names)


# --- The two layouts ------------------------------------------------------------------------------


def read_vocabulary_and_merges(folder: Path) -> Vocabulary:
    """The vocabulary in vocab.json and merges.txt: Qwen's splitting, normalised text."""
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).exists():
            raise FileNotFoundError(
                f"{folder} has no tokenizer.json and no {name}: a tokenizer needs tokenizer.json, "
                "or vocab.json with merges.txt. Download the whole model folder, or check the path."
            )
    ids = read_json(folder / "vocab.json")
    check_ids(folder / "vocab.json", "", ids)
    path = folder / "merges.txt"
    lines = read_text(path).split("\n")
    start = 1 if lines[0].startswith("#version") else 0
    entries = {f"line {n}": line for n, line in enumerate(lines, 1) if n > start and line}
    return Vocabulary(ids, read_merges(path, entries, ids), added={}, names={})


def read_tokenizer_json(path: Path) -> Vocabulary:
    """The vocabulary in a tokenizer.json. Raises ValueError for what is not byte-level BPE."""
    data = read_json(path)
    model = data.get("model")
    require(isinstance(model, dict), path, "model", model, "an object")
    kind = model.get("type", "BPE")  # old files name no type
    require(kind == "BPE", path, "model.type", kind, "BPE, the only kind that is supported")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        require(not model.get(name), path, f"model.{name}", model.get(name), "null")
    ids, merges = model.get("vocab"), model.get("merges")
    require(isinstance(ids, dict), path, "model.vocab", ids, "an object with the id of each token")
    require(isinstance(merges, list), path, "model.merges", merges, "a list of pairs of tokens")
    check_ids(path, "model.vocab.", ids)
    entries = {f"model.merges[{n}]": merge for n, merge in enumerate(merges)}
    return Vocabulary(
        ids,
        read_merges(path, entries, ids),
        read_added_tokens(path, data.get("added_tokens")),
        names={},
        pattern=read_pattern(path, data.get("pre_tokenizer")),
        nfc=read_nfc(path, data.get("normalizer")),
    )


def check_ids(path: Path, prefix: str, ids: dict[str, Any]) -> None:
    """Raise ValueError unless every token has an id of its own and each byte is a token."""
    bad = next((token for token, i in ids.items() if not is_whole(i, 0, MAX_ID)), None)
    expected = f"an id from 0 to {MAX_ID}"
    require(bad is None, path, f"{prefix}{shortened(bad)}", ids.get(bad), expected)
    owners = {token_id: token for token, token_id in ids.items()}
    bad = next((token for token, i in ids.items() if owners[i] != token), None)
    expected = "an id that no other token has"
    require(bad is None, path, f"{prefix}{shortened(bad)}", ids.get(bad), expected)
    missing = [byte for byte in BYTE_OF if byte not in ids]
    require(not missing, path, "the number of one-byte tokens", 256 - len(missing), "256")


def read_merges(path: Path, entries: dict[str, Any], ids: dict[str, int]) -> Merges:
    """Merges, best first, each "left right" or ["left", "right"]; `entries` says where each stands.

    Raises ValueError for a merge that the vocabulary does not have, or that cannot come about.
    """
    merges: Merges = []
    for entry, merge in entries.items():
        parts = merge.split(" ") if isinstance(merge, str) else merge
        is_pair = isinstance(parts, list) and len(parts) == 2
        require(is_pair, path, entry, merge, "two tokens with a space between")
        left, right = parts
        are_texts = isinstance(left, str) and isinstance(right, str) and left and right
        require(are_texts, path, entry, merge, "two tokens with a space between")
        known = left in ids and right in ids and left + right in ids
        require(known, path, entry, merge, "tokens of the vocabulary that join to another")
        merges.append((left, right))
    at_fault = unreachable_merge(merges)
    if at_fault is not None:
        entry = list(entries)[at_fault]
        expected = "a merge that its own result is encoded with, after those of its parts"
        require(False, path, entry, entries[entry], expected)
    return merges


def read_pattern(path: Path, pre_tokenizer: Any) -> str:
    """The regular expression that a pre_tokenizer splits by: Qwen's or GPT-2's.

    Raises ValueError for any other: one that `tiktoken` runs differently would go unnoticed.
    """
    *splits, last = steps_of(path, "pre_tokenizer", pre_tokenizer, "pretokenizers") or [{}]
    is_bytes = last.get("type") == "ByteLevel" and last.get("add_prefix_space") is False
    by_regex = last.get("use_regex", True)
    if is_bytes and not splits and by_regex is True:
        return GPT2_PATTERN
    qwen = {"type": "Split", "pattern": {"Regex": QWEN_PATTERN}, "behavior": "Isolated"}
    is_qwen = is_bytes and by_regex is False and splits == [qwen | {"invert": False}]
    expected = "Split by Qwen's pattern + ByteLevel, or ByteLevel alone, without a prefix space"
    require(is_qwen, path, "pre_tokenizer", pre_tokenizer, expected)
    return QWEN_PATTERN


def read_nfc(path: Path, normalizer: Any) -> bool:
    """Whether a tokenizer.json asks for NFC. Raises ValueError for any other normalizer."""
    kinds = [step.get("type") for step in steps_of(path, "normalizer", normalizer, "normalizers")]
    require(kinds in ([], ["NFC"]), path, "normalizer", normalizer, "NFC or null")
    return kinds == ["NFC"]


def steps_of(path: Path, entry: str, value: Any, name: str) -> list[dict[str, Any]]:
    """The steps of a pre_tokenizer or normalizer: [] for null, one, or those of a Sequence."""
    if value is None:
        return []
    require(isinstance(value, dict), path, entry, value, "an object or null")
    steps = value.get(name) if value.get("type") == "Sequence" else [value]
    fits = isinstance(steps, list) and all(isinstance(step, dict) for step in steps)
    require(fits, path, f"{entry}.{name}", steps, "a list of objects")
    return steps


# --- Added tokens ---------------------------------------------------------------------------------


def read_listed_tokens(
    folder: Path, config: dict[str, Any], special: set[str]
) -> tuple[str, dict[str, AddedToken]]:
    """The added tokens that tokenizer_config.json lists, or else added_tokens.json; and which."""
    path = folder / "tokenizer_config.json"
    if "added_tokens_decoder" in config:
        listed = config["added_tokens_decoder"]
        require(isinstance(listed, dict), path, "added_tokens_decoder", listed, "an object")
        return path.name, dict(
            read_added_token(path, f"added_tokens_decoder.{key[:20]}", token, as_id(key))
            for key, token in listed.items()
        )
    path = folder / "added_tokens.json"
    return path.name, dict(
        read_added_token(path, shortened(text), older_form(text, text in special), token_id)
        for text, token_id in read_json(path, optional=True).items()
    )


def older_form(text: str, special: bool) -> dict[str, Any]:
    """An added token of which a folder gives no flags, with those that transformers assumes."""
    return {"content": text, "special": special, "normalized": not special}


def read_added_tokens(path: Path, listed: Any) -> dict[str, AddedToken]:
    """The added tokens of a tokenizer.json."""
    if listed is None:
        return {}
    require(isinstance(listed, list), path, "added_tokens", listed, "a list of objects")
    added: dict[str, AddedToken] = {}
    for n, entry in enumerate(listed):
        token_id = entry.get("id") if isinstance(entry, dict) else None
        text, token = read_added_token(path, f"added_tokens[{n}]", entry, token_id)
        require(text not in added, path, f"added_tokens[{n}].content", text, "a text of its own")
        added[text] = token
    return added


def read_added_token(path: Path, entry: str, value: Any, token_id: Any) -> tuple[str, AddedToken]:
    """The text and the flags of an added token; a flag that is not given is false."""
    require(isinstance(value, dict), path, entry, value, "an object")
    text = value.get("content")
    require(isinstance(text, str) and text != "", path, f"{entry}.content", text, "a text")
    require(is_whole(token_id, 0, MAX_ID), path, f"{entry} id", token_id, f"0 to {MAX_ID}")
    flags = {name: value.get(name, False) for name in FLAGS}
    for name, flag in flags.items():
        require(isinstance(flag, bool), path, f"{entry}.{name}", flag, "true or false")
    strips = (flags["lstrip"] or flags["rstrip"]) and not text.strip(WHITE_SPACE)
    require(not strips, path, entry, text, "no lstrip or rstrip for a token of white space")
    return text, AddedToken(token_id, **flags)


def as_id(key: str) -> int | str:
    """The number that a key of a JSON object stands for; the key itself where it is none."""
    return int(key) if re.fullmatch("[0-9]{1,9}", key) else key


def check_added_tokens(
    folder: Path, read: Vocabulary, listed: dict[str, AddedToken], listed_in: str
) -> None:
    """Raise ValueError where two tokens share an id, or two files differ over a token's id."""
    ids = dict(read.ids)
    owners = {token_id: text for text, token_id in ids.items()}
    for tokens, name in ((read.added, "tokenizer.json"), (listed, listed_in)):
        for text, token in tokens.items():
            entry = f"the id of the added token {shortened(text)}"
            is_same = ids.setdefault(text, token.id) == token.id
            expected = f"{ids[text]}, its id elsewhere in the folder"
            require(is_same, folder / name, entry, token.id, expected)
            owner = owners.setdefault(token.id, text)
            expected = f"another id than that of {shortened(owner)}"
            require(owner == text, folder / name, entry, token.id, expected)


def read_names(folder: Path, config: dict[str, Any]) -> list[Name]:
    """The special tokens that the folder names, in tokenizer_config.json and in an older file."""
    names = names_in(folder / "tokenizer_config.json", config)
    if "added_tokens_decoder" not in config:  # as transformers wrote it before version 5
        path = folder / "special_tokens_map.json"
        names += names_in(path, read_json(path, optional=True))
    return names


def names_in(path: Path, config: dict[str, Any]) -> list[Name]:
    """The special tokens that one file names."""
    found = [(entry, config[entry]) for entry in NAMED if config.get(entry) is not None]
    for entry in EXTRA:
        tokens = config.get(entry) or []
        tokens = list(tokens.values()) if isinstance(tokens, dict) else tokens
        require(isinstance(tokens, list), path, entry, tokens, "a list of tokens")
        found += [(f"{entry}[{n}]", token) for n, token in enumerate(tokens)]
    names = []
    for entry, token in found:
        text = token.get("content") if isinstance(token, dict) else token  # older folders' form
        require(isinstance(text, str) and text != "", path, entry, token, "a token's text")
        names.append(Name(path, entry, text))
    return names
