"""What a model folder says about its tokens: tokenizer.json, or vocab.json and merges.txt.

Only reading and checking: every file becomes a `Vocabulary`, and whatever `Tokenizer` could not
reproduce to the letter (another model than byte-level BPE, another normaliser or way of splitting)
is refused, naming the file.
"""

from pathlib import Path
from typing import Any, NamedTuple

from shared.json_files import read_json

QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2_PATTERN = (  # what the hub's ByteLevel step splits by when it has no Split step before it
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)


class Vocabulary(NamedTuple):
    """What a folder says about its tokens. Token texts are in the hub's byte alphabet."""

    ids: dict[str, int]
    merges: list[tuple[str, str]]
    added: dict[str, tuple[int, bool]]  # plain text -> (id, is it special?)
    pattern: str = QWEN_PATTERN
    nfc: bool = True


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary files of a folder. Raises FileNotFoundError where they are missing."""
    if (folder / "tokenizer.json").exists():
        return read_tokenizer_json(folder / "tokenizer.json")
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).exists():
            raise FileNotFoundError(
                f"{folder} has no tokenizer.json and no {name}: a tokenizer needs tokenizer.json, "
                "or vocab.json with merges.txt. Download the whole model folder, or check the path."
            )
    ids = read_json(folder / "vocab.json")
    return Vocabulary(ids, read_merges(folder / "merges.txt"), added={})


def read_merges(path: Path) -> list[tuple[str, str]]:
    """The merges of a merges.txt, best first: one "left right" a line, under a version line."""
    lines = path.read_text(encoding="utf-8").split("\n")
    start = 1 if lines[0].startswith("#version") else 0
    return [as_pair(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if n > start and line]


def as_pair(merge: str | list[str], where: str) -> tuple[str, str]:
    """A merge, written as "left right" or ["left", "right"]. Raises ValueError saying `where`."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"{where}: a merge is two tokens with a space between, not {merge!r}")
    return parts[0], parts[1]


def read_tokenizer_json(path: Path) -> Vocabulary:
    """Everything from a tokenizer.json. Raises ValueError for what is not byte-level BPE."""
    data = read_json(path)
    model = data.get("model", {})
    if model.get("type", "BPE") != "BPE" or "merges" not in model:  # old files name no type
        raise ValueError(f"{path}: the model is {model.get('type')}, only BPE is supported")
    merges = [as_pair(m, f"{path}, merge {n}") for n, m in enumerate(model["merges"])]
    added = {t["content"]: (t["id"], t["special"]) for t in data.get("added_tokens", [])}
    pattern = read_pattern(data.get("pre_tokenizer"), path)
    return Vocabulary(model["vocab"], merges, added, pattern, read_nfc(data, path))


def read_pattern(pre_tokenizer: dict[str, Any] | None, path: Path) -> str:
    """The regular expression that a pre_tokenizer splits by. ValueError for an unknown kind."""
    pre_tokenizer = pre_tokenizer or {"type": "none"}
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    *splits, last = steps
    byte_level = last["type"] == "ByteLevel" and not last.get("add_prefix_space")
    if byte_level and not splits and last.get("use_regex", True):
        return GPT2_PATTERN
    if byte_level and len(splits) == 1 and not last.get("use_regex", True):
        split = splits[0]
        isolated = split.get("behavior") == "Isolated" and not split.get("invert")
        if split["type"] == "Split" and isolated and "Regex" in split["pattern"]:
            return split["pattern"]["Regex"]
    kinds = " + ".join(step["type"] for step in steps)
    raise ValueError(
        f"{path}: the pre_tokenizer {kinds} is not supported, only Split (by an isolating regular "
        "expression) + ByteLevel, or ByteLevel alone, without a prefix space"
    )


def read_nfc(data: dict[str, Any], path: Path) -> bool:
    """Whether a tokenizer.json asks for NFC. Raises ValueError for any other normalizer."""
    kind = (data.get("normalizer") or {"type": None})["type"]
    if kind not in (None, "NFC"):
        raise ValueError(f"{path}: the normalizer {kind} is not supported, only NFC")
    return kind == "NFC"


def added_tokens_of(config: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """The added tokens that a tokenizer_config.json lists: text -> (id, is it special?)."""
    listed = config.get("added_tokens_decoder", {})
    return {t["content"]: (int(i), t.get("special", False)) for i, t in listed.items()}
