"""Damaged tokenizer files: each is refused with its file and entry, or does no harm."""

import copy
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from chat_templates import CHATML, QWEN3
from vocabularies import SNIPPETS, copy_with, train, write_folder

from shared.byte_pairs import QWEN_PATTERN
from shared.tokenizer import Tokenizer

NAMES_A_FILE = re.compile(r"(tokenizer|tokenizer_config|vocab|merges|added_tokens|config|chat_template|special_tokens_map)\.(json|txt|jinja)")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A sound folder in each of the two layouts, and one of an older version."""
    base = tmp_path_factory.mktemp("sound")
    made = {name: write_folder(base / name, CHATML, name) for name in ("vocab", "tokenizer")}
    older = write_folder(base / "older")
    config = json.loads((older / "tokenizer_config.json").read_text(encoding="utf-8"))
    listed = config.pop("added_tokens_decoder")
    added = {token["content"]: int(i) for i, token in listed.items()}
    named = {"eos_token": config.pop("eos_token"), "pad_token": config.pop("pad_token")}
    named["additional_special_tokens"] = ["<|im_start|>", "<|a spare one|>"]
    for name, content in {
        "tokenizer_config": config,
        "added_tokens": added,
        "special_tokens_map": named,
    }.items():
        (older / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    made["older"] = older
    for folder in made.values():
        (folder / "config.json").write_text('{"vocab_size": 700}', encoding="utf-8")
    return made


# --- Every entry with every kind of wrong value ---------------------------------------------------

WRONG = [None, True, -1, 0, 1.5, 3_000_000_000, 10**30, "", "x", "\ud800", [], {}, [[]], ["x"]]
WRONG += [{"a": {}}, [None], float("inf"), float("nan"), "x" * 100_000]

ENTRIES = [
    *(("tokenizer", "tokenizer.json", path) for path in (
        [], ["added_tokens"], ["added_tokens", 0], ["added_tokens", 0, "id"],
        ["added_tokens", 0, "content"], ["added_tokens", 0, "special"],
        ["added_tokens", 4, "normalized"], ["added_tokens", 4, "lstrip"],
        ["normalizer"], ["normalizer", "type"], ["pre_tokenizer"], ["pre_tokenizer", "type"],
        ["pre_tokenizer", "pretokenizers"], ["pre_tokenizer", "pretokenizers", 0],
        ["pre_tokenizer", "pretokenizers", 0, "pattern"],
        ["pre_tokenizer", "pretokenizers", 0, "pattern", "Regex"],
        ["pre_tokenizer", "pretokenizers", 0, "behavior"],
        ["pre_tokenizer", "pretokenizers", 0, "invert"],
        ["pre_tokenizer", "pretokenizers", 1, "type"],
        ["pre_tokenizer", "pretokenizers", 1, "use_regex"],
        ["model"], ["model", "type"], ["model", "dropout"], ["model", "vocab"],
        ["model", "vocab", "a"], ["model", "merges"], ["model", "merges", 0],
        ["model", "merges", 0, 0],
    )),
    *(("vocab", "vocab.json", path) for path in ([], ["a"], ["!"])),
    *(("vocab", "tokenizer_config.json", path) for path in (
        [], ["added_tokens_decoder"], ["added_tokens_decoder", "600"],
        ["added_tokens_decoder", "600", "content"], ["added_tokens_decoder", "600", "special"],
        ["eos_token"], ["pad_token"], ["additional_special_tokens"], ["chat_template"],
    )),
    *(("older", "added_tokens.json", path) for path in ([], ["<think>"], ["<|im_end|>"])),
    *(("older", "special_tokens_map.json", path) for path in (
        [], ["eos_token"], ["additional_special_tokens"], ["additional_special_tokens", 0],
    )),
    ("vocab", "config.json", []),
    ("vocab", "config.json", ["vocab_size"]),
]  # fmt: skip


def replaced(content: Any, path: list, value: Any) -> Any:
    """A copy of a JSON value in which the entry at `path` is `value`."""
    if not path:
        return value
    content = copy.deepcopy(content)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return content


SAMPLES = [*SNIPPETS, "<|im_end|><think>a</think>"]


def outcome(folder: Path) -> str | list[list[int]]:
    """The message with which a folder is refused, or the ids of the samples."""
    start = time.monotonic()
    try:
        ours = Tokenizer.from_folder(folder)
    except (ValueError, OSError) as error:
        return str(error)
    finally:
        assert time.monotonic() - start < 3  # on a busy machine; alone it is a fifth of a second
    ids = [ours.encode(sample) for sample in SAMPLES]
    assert all(ours.decode(i) for i in ids)
    return [*ids, ours.encode_chat([{"role": "user", "content": "a"}])]


# Entries that may be missing or null: the value means what it says, and other ids follow from it.
MEANT = {
    ("tokenizer.json", "normalizer", "None"),
    ("tokenizer.json", "added_tokens", "None"),
}


@pytest.mark.parametrize(("layout", "file", "path"), ENTRIES, ids=lambda value: str(value))
def test_a_wrong_value_is_refused_with_file_and_entry_or_does_no_harm(
    folders, tmp_path, layout, file, path
):
    content = json.loads((folders[layout] / file).read_text(encoding="utf-8"))
    sound = outcome(folders[layout])
    folder = copy_with(folders[layout], tmp_path)
    refused = 0
    for value in WRONG:
        damaged = json.dumps(replaced(content, path, value))
        (folder / file).write_text(damaged, encoding="utf-8")
        result = outcome(folder)
        if isinstance(result, str):
            refused += 1
            assert NAMES_A_FILE.search(result), result
            assert " is " in result and ", expected " in result, result
            assert len(result) < 700
        else:
            assert result == sound, (value, "other ids, and nothing said")
    assert refused >= 5
