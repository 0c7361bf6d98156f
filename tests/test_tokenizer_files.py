"""Damaged tokenizer files: each is refused with its file and entry, or does no harm."""

import copy
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from chat_templates import CHATML
from vocabularies import SNIPPETS, copy_with, train, write_folder

from shared.text.byte_pairs import QWEN_PATTERN
from shared.text.tokenizer import Tokenizer

NAMES_A_FILE = re.compile(
    r"(tokenizer|tokenizer_config|vocab|merges|added_tokens|config|chat_template|special_tokens_map)\.(json|txt|jinja)"
)


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
    ids = [ours.encode(sample, allow_special=True) for sample in SAMPLES]
    assert all(ours.decode(i) for i in ids)
    return [*ids, ours.encode_chat([{"role": "user", "content": "a"}])]


# Values that are sound and mean something else, so that other ids follow from them.
MEANT = [
    ("tokenizer.json", ["normalizer"], None),
    ("tokenizer_config.json", [], {}),
    ("tokenizer_config.json", [], {"a": {}}),
    ("tokenizer_config.json", ["chat_template"], []),
]


@pytest.mark.parametrize(("layout", "file", "path"), ENTRIES, ids=lambda value: str(value))
def test_a_wrong_value_is_refused_with_file_and_entry_or_does_no_harm(
    folders, tmp_path, layout, file, path
):
    content = json.loads((folders[layout] / file).read_text(encoding="utf-8"))
    sound = outcome(folders[layout])
    folder = copy_with(folders[layout], tmp_path)
    refused = 0
    for value in WRONG:
        if (file, path, value) in MEANT:
            continue
        damaged = json.dumps(replaced(content, path, value))
        (folder / file).write_text(damaged, encoding="utf-8")
        result = outcome(folder)
        if isinstance(result, str):
            refused += 1
            assert str(folder / "") in result and NAMES_A_FILE.search(result), result
            assert " is " in result and ", expected " in result, result
            assert len(result) < 700
        else:
            assert result == sound, (value, "other ids, and nothing said")
    assert refused >= 5


# --- Files that are none --------------------------------------------------------------------------

FILES = [
    ("tokenizer", "tokenizer.json"),
    ("tokenizer", "tokenizer_config.json"),
    ("vocab", "vocab.json"),
    ("vocab", "merges.txt"),
    ("vocab", "tokenizer_config.json"),
    ("vocab", "config.json"),
    ("older", "added_tokens.json"),
    ("older", "special_tokens_map.json"),
]
CONTENTS = {
    "empty": b"",
    "white space": b" \n",
    "not UTF-8": b"\xff\xfe\x00{",
    "zeros": bytes(1000),
    "a page of HTML": b"<!DOCTYPE html><html><body>Access denied</body></html>",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7031645\n",
    "deeply nested": b"[" * 100_000,
    "a huge number": b'{"vocab_size": ' + b"9" * 10_000 + b"}",
    "a list": b"[]",
    "a text": b'"text"',
}


@pytest.mark.parametrize(("layout", "file"), FILES)
@pytest.mark.parametrize("damage", [*CONTENTS, "half", "almost all", "a byte order mark"])
def test_a_file_with_other_contents_is_refused(folders, tmp_path, layout, file, damage):
    folder = copy_with(folders[layout], tmp_path)
    sound = (folder / file).read_bytes()
    pieces = {"half": sound[: len(sound) // 2], "almost all": sound[:-2]}
    pieces["a byte order mark"] = b"\xef\xbb\xbf" + sound
    (folder / file).write_bytes(CONTENTS.get(damage, b"") or pieces.get(damage, b""))
    result = outcome(folder)
    assert isinstance(result, str) and str(folder / file) in result, result


@pytest.mark.parametrize(("layout", "file"), [*FILES, ("vocab", "chat_template.jinja")])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_refused_and_never_read(folders, tmp_path, layout, file, kind):
    folder = copy_with(folders[layout], tmp_path)
    (folder / file).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / file)
    elif kind == "device":
        (folder / file).symlink_to("/dev/zero")
    else:
        (folder / file).mkdir()
    assert outcome(folder) == f"{folder / file} is not a regular file"


@pytest.mark.parametrize("content", [b"\xff\xfe{", CHATML.encode() + b" " * (1 << 20)])
def test_a_template_file_that_is_no_text_or_too_long_is_refused(folders, tmp_path, content):
    folder = copy_with(folders["vocab"], tmp_path)
    (folder / "chat_template.jinja").write_bytes(content)
    result = outcome(folder)
    assert re.search("chat_template.jinja(: the chat template's length is| is not UTF-8)", result)


def test_missing_files_are_named(folders, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no tokenizer.json and no vocab.json.*Download"):
        Tokenizer.from_folder(tmp_path)
    folder = copy_with(folders["vocab"], tmp_path / "half")
    (folder / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"no merges.txt"):
        Tokenizer.from_folder(folder)


# --- Merges and vocabularies ----------------------------------------------------------------------


def changed_merges(damage: str, lines: list[str]) -> list[str]:
    """The lines of a merges.txt, damaged."""
    middle = len(lines) // 2
    return {
        "none": lines[:1],
        "half": lines[:middle],
        "without the last": lines[:-1],
        "without the first": lines[:1] + lines[2:],
        "without one": lines[:middle] + lines[middle + 1 :],
        "twice": lines + lines[1:],
        "one twice": lines + lines[5:6],
        "backwards": lines[:1] + lines[:0:-1],
        "sorted": lines[:1] + sorted(lines[1:]),
        "three tokens": lines + ["t h e"],
        "one token": lines + ["the"],
        "two spaces": lines + ["t  h"],
        "a tab": lines + ["t\th"],
        "a space in front": lines + [" t h"],
        "unknown parts": lines + ["Q\u00e9 X\u00e9"],
        "an unknown result": lines + ["Q Q"],
        "not in the byte alphabet": lines + ["\u4e2d \u6587"],
        "a comment in the middle": lines[:middle] + ["# a comment"] + lines[middle:],
    }[damage]


MERGES = ["none", "half", "without the last", "without the first", "without one", "twice"]
MERGES += ["one twice", "backwards", "sorted", "three tokens", "one token"]
MERGES += ["two spaces", "a tab", "a space in front", "unknown parts", "an unknown result"]
MERGES += ["not in the byte alphabet", "a comment in the middle"]


@pytest.mark.parametrize("damage", MERGES)
@pytest.mark.parametrize("layout", ["vocab", "tokenizer"])
def test_damaged_merges_are_refused(folders, tmp_path, damage, layout):
    lines = (folders["vocab"] / "merges.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    lines = changed_merges(damage, lines)
    if layout == "vocab":
        folder = copy_with(folders["vocab"], tmp_path, merges="\n".join(lines) + "\n")
    else:
        data = json.loads((folders["tokenizer"] / "tokenizer.json").read_text(encoding="utf-8"))
        data["model"]["merges"] = lines[1:]
        folder = copy_with(folders["tokenizer"], tmp_path, tokenizer=json.dumps(data))
    result = outcome(folder)
    name = "merges.txt: (line [0-9]+" if layout == "vocab" else "tokenizer.json: (model.merges"
    name += "|the list of tokens that no merge makes is)"
    assert isinstance(result, str) and re.search(name, result), result


@pytest.mark.parametrize("layout", ["vocab", "tokenizer"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"a": 5}, "5, expected an id that no other token has"),
        ({"a": -1}, "'a' is -1, expected an id from 0"),
        ({"a": 3_000_000_000}, "'a' is 3000000000, expected an id from 0"),
        ({"a": None}, "number of one-byte tokens is 255, expected 256"),
        ({"\u0120": None, "\u010a": None}, "number of one-byte tokens is 254, expected 256"),
        ({"\u0120t": None}, "expected tokens of the vocabulary that join to another"),
        ({"xqxq": 650}, "that no merge makes is ['xqxq'], expected"),
        ({"\u4e2d": 650}, "that no merge makes is ["),
        ({"": 650}, "that no merge makes is [''], expected"),
        ({"a b": 650}, "that no merge makes is ["),
        ({"xqxq": 602}, "the id of the added token '<|im_end|>' is 602, expected another id"),
        ({"<|im_end|>": 650}, "the id of the added token '<|im_end|>' is 602, expected 650"),
    ],
)
def test_damaged_vocabularies_are_refused(folders, tmp_path, layout, changes, expected):
    file = "vocab.json" if layout == "vocab" else "tokenizer.json"
    folder = copy_with(folders[layout], tmp_path)
    data = json.loads((folder / file).read_text(encoding="utf-8"))
    ids = data if layout == "vocab" else data["model"]["vocab"]
    for token, token_id in changes.items():
        ids.pop(token, None)
        if token_id is not None:
            ids[token] = token_id
    (folder / file).write_text(json.dumps(data), encoding="utf-8")
    result = outcome(folder)
    assert isinstance(result, str) and expected in result and str(folder) in result, result


def test_gaps_between_ids_do_no_harm(folders, tmp_path):
    ids = json.loads((folders["vocab"] / "vocab.json").read_text(encoding="utf-8"))
    moved = {token: i * 3 + 1000 for token, i in ids.items()}
    folder = copy_with(folders["vocab"], tmp_path, vocab=json.dumps(moved))
    sound, ours = Tokenizer.from_folder(folders["vocab"]), Tokenizer.from_folder(folder)
    for sample in SAMPLES:
        ids = [i * 3 + 1000 if i < 600 else i for i in sound.encode(sample)]
        assert ours.encode(sample) == ids and ours.decode(ids) == sound.decode(sound.encode(sample))
    assert ours.decode([0, 1001]) == "" and ours.vocab_size == 599 * 3 + 1001


# --- Added tokens ---------------------------------------------------------------------------------


def with_added(folders: dict[str, Path], target: Path, *tokens: dict) -> Path:
    """The folder with a tokenizer.json that has these tokens beside its own."""
    data = json.loads((folders["tokenizer"] / "tokenizer.json").read_text(encoding="utf-8"))
    data["added_tokens"] += tokens
    return copy_with(folders["tokenizer"], target, tokenizer=json.dumps(data))


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ({"id": 602, "content": "<x>"}, "added token '<x>' is 602, expected another id than that"),
        ({"id": 7, "content": "<x>"}, "added token '<x>' is 7, expected another id than that of"),
        ({"id": 650, "content": "<think>"}, "added_tokens[8].content is '<think>', expected"),
        ({"id": 650, "content": "a"}, "the added token 'a' is 650, expected 64, its id elsewhere"),
        ({"id": 650, "content": " ", "rstrip": True}, "no lstrip or rstrip for a token of white"),
        ({"id": "650", "content": "<x>"}, "added_tokens[8] id is '650', expected 0 to"),
        ({"id": 3 * 10**9, "content": "<x>"}, "added_tokens[8] id is 3000000000, expected 0 to"),
        ({"id": 650, "content": "<x>", "lstrip": "yes"}, "added_tokens[8].lstrip is 'yes', expec"),
    ],
)
def test_added_tokens_that_cannot_be_are_refused(folders, tmp_path, token, message):
    with pytest.raises(ValueError, match=re.escape("tokenizer.json: ")) as caught:
        Tokenizer.from_folder(with_added(folders, tmp_path, token))
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["-1", "x", "3000000000", "1.5", "", " 5", "9" * 5000, "\u0665"])
def test_keys_of_the_decoder_are_numbers(folders, tmp_path, key):
    config = json.loads((folders["vocab"] / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["added_tokens_decoder"][key] = {"content": "<x>", "special": True}
    folder = copy_with(folders["vocab"], tmp_path, tokenizer_config=json.dumps(config))
    result = outcome(folder)
    assert isinstance(result, str) and "tokenizer_config.json: added_tokens_decoder." in result
    assert len(result) < 700


def test_two_files_that_differ_over_an_id_are_refused(folders, tmp_path):
    config = json.loads((folders["tokenizer"] / "tokenizer_config.json").read_text("utf-8"))
    decoder = config["added_tokens_decoder"]
    decoder["650"] = decoder.pop("602")
    folder = copy_with(folders["tokenizer"], tmp_path, tokenizer_config=json.dumps(config))
    with pytest.raises(
        ValueError, match=r"config.json: the id of .*im_end\|>' is 650, expected 602"
    ):
        Tokenizer.from_folder(folder)


@pytest.mark.parametrize("name", ["eos_token", "bos_token", "additional_special_tokens"])
def test_named_tokens_are_in_the_vocabulary(folders, tmp_path, name):
    config = json.loads((folders["vocab"] / "tokenizer_config.json").read_text(encoding="utf-8"))
    config[name] = ["</s>"] if name.endswith("s") else "</s>"
    folder = copy_with(folders["vocab"], tmp_path, tokenizer_config=json.dumps(config))
    with pytest.raises(
        ValueError, match=rf"config.json: {name}.* is '</s>', expected an added token"
    ):
        Tokenizer.from_folder(folder)


# --- Other kinds of tokenizer ---------------------------------------------------------------------

SPLIT = {"type": "Split", "pattern": {"Regex": QWEN_PATTERN}, "behavior": "Isolated"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}


def sequence(*steps: dict) -> dict:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split_by(pattern: str) -> dict:
    return {"pre_tokenizer": sequence({**SPLIT, "pattern": {"Regex": pattern}}, BYTES)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pre_tokenizer": {"type": "Metaspace"}}, "pre_tokenizer is .*Metaspace"),
        ({"pre_tokenizer": sequence({"type": "Digits"}, BYTES)}, "pre_tokenizer is .*Digits"),
        ({"pre_tokenizer": sequence({**SPLIT, "behavior": "Removed"}, BYTES)}, "pre_tokenizer is"),
        ({"pre_tokenizer": sequence({**SPLIT, "invert": True}, BYTES)}, "pre_tokenizer is"),
        ({"pre_tokenizer": sequence(SPLIT, SPLIT, BYTES)}, "pre_tokenizer is"),
        ({"pre_tokenizer": sequence(SPLIT, {"type": "ByteLevel"})}, "pre_tokenizer is"),
        ({"pre_tokenizer": {**BYTES, "use_regex": True, "add_prefix_space": True}}, "pre_token"),
        ({"pre_tokenizer": BYTES}, "pre_tokenizer is .*ByteLevel"),
        ({"pre_tokenizer": None}, "pre_tokenizer is None"),
        (split_by(r"\d"), "pre_tokenizer is"),
        (split_by("("), "pre_tokenizer is"),
        (split_by("(a+)+$|."), "pre_tokenizer is"),
        (split_by("(?:" * 10_000), "pre_tokenizer is"),
        ({"normalizer": {"type": "NFKC"}}, "normalizer is .*NFKC.*, expected NFC or null"),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}}, "normal"),
        ({"model": {"type": "Unigram"}}, "model.type is 'Unigram', expected BPE"),
        ({"model": {"type": "BPE", "dropout": 0.1}}, "model.dropout is 0.1, expected null"),
        (
            {"model": {"type": "BPE", "end_of_word_suffix": "</w>"}},
            "model.end_of_word_suffix is '</w>', expected",
        ),
    ],
)
def test_other_kinds_of_tokenizer_are_refused_by_name(tmp_path, changes, message):
    data = json.loads(train().to_str()) | changes
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"tokenizer.json: {message}"):
        Tokenizer.from_folder(tmp_path)


def test_a_space_that_transformers_would_put_in_front_is_refused(folders, tmp_path):
    config = json.loads((folders["vocab"] / "tokenizer_config.json").read_text(encoding="utf-8"))
    text = json.dumps(config | {"add_prefix_space": True})
    with pytest.raises(ValueError, match=r"config.json: add_prefix_space is True, expected false"):
        Tokenizer.from_folder(copy_with(folders["vocab"], tmp_path, tokenizer_config=text))


def test_a_sequence_of_one_normaliser_is_that_normaliser(tmp_path):
    data = json.loads(train().to_str())
    data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    assert Tokenizer.from_folder(tmp_path).encode("e\u0301") == train().encode("e\u0301").ids


def test_prompts_of_a_sound_folder_work_in_every_layout(folders):
    """The cases above damage folders that are sound to begin with."""
    results = [outcome(folder) for folder in folders.values()]
    assert all(isinstance(result, list) for result in results)
    assert results[0] == results[1] == results[2]
    assert len(ENTRIES) * len(WRONG) > 800
