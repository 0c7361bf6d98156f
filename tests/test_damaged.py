"""Hundreds of damaged model folders: each is refused by name, or does no harm.

Every case damages a copy of one small random model, loads it and answers a chat. Right are two
outcomes only: a ValueError or OSError whose message names the file and the entry at fault, or the
text of the undamaged folder. What could hang or take all memory runs in a process with limits.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from shared import LLM, SamplingParams

TINY = Path(__file__).parents[1] / "shared" / "tiny" / "checkpoint"
CONFIG, GENERATION = "config.json", "generation_config.json"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
EMBEDDING = "model.embed_tokens.weight"
GREEDY = SamplingParams(temperature=0, max_tokens=6)
LOST = object()  # an entry that is taken away

Damage = Callable[[Path], object]
Case = tuple[Damage, tuple[str, ...]]  # what to do to a folder, and what the message must name


# --- Folders --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The undamaged model in one file and in shards, with the shipped vocabulary."""
    from hub_models import random_hub_model  # takes seconds, which `LOADER` need not spend

    folders = {}
    for layout, size in (("single", "1GB"), ("sharded", "40KB")):
        folder = folders[layout] = tmp_path_factory.mktemp(layout)
        for name in ("vocab.json", "merges.txt", "tokenizer_config.json", GENERATION):
            shutil.copy(TINY / name, folder)
        model = random_hub_model("qwen3", vocab_size=530, eos_token_id=529)
        model.save_pretrained(folder, max_shard_size=size)
        (folder / GENERATION).write_text('{"eos_token_id": [529, 527]}', encoding="utf-8")
    assert len(list(folders["sharded"].glob("*.safetensors"))) > 3
    return folders


@pytest.fixture(scope="module")
def right_text(whole: dict[str, Path]) -> str:
    """What the undamaged model answers, in both layouts."""
    (text,) = {answer(folder) for folder in whole.values()}
    return text


def answer(folder: Path) -> str:
    """Load a folder, answer a chat greedily, and judge an answer."""
    llm = LLM(str(folder), device="cpu", cache_bytes=1 << 24, prefix_cache_bytes=0)
    (output,) = llm.chat([{"role": "user", "content": "1 + 1 ="}], GREEDY)
    (completion,) = output.completions
    return completion.text + repr(llm.score("1 + 1 =", " 2"))[:6]


def outcome(folder: Path, damage: Damage) -> tuple[str, str]:
    """("text", the answer) of a damaged folder, or (name of the exception, its message)."""
    damage(folder)
    try:
        return "text", answer(folder)
    except Exception as error:
        kind = "OSError" if isinstance(error, OSError) else type(error).__name__
        return kind, str(error)


def fault(result: tuple[str, str], named: tuple[str, ...], right_text: str) -> str | None:
    """What is wrong with an outcome; None if it is one of the two right ones."""
    kind, said = result
    if kind == "text":
        return None if said == right_text else f"gives another text: {said!r}"
    if kind not in ("ValueError", "OSError"):
        return f"{kind}: {said}"
    missing = [word for word in named if word not in said]
    return f"{missing} not named in: {said}" if missing else None


def edit_json(name: str, entry: str, value: object) -> Damage:
    """Give an entry of a JSON file another value, or take it away (`LOST`)."""

    def damage(folder: Path) -> None:
        """Do it."""
        data = json.loads((folder / name).read_text(encoding="utf-8"))
        data.pop(entry, None)
        content = data if value is LOST else {**data, entry: value}
        (folder / name).write_text(json.dumps(content), encoding="utf-8")

    return damage


def write(name: str, content: bytes) -> Damage:
    """Put other bytes into a file."""
    return lambda folder: (folder / name).write_bytes(content)


def edit_tensors(change: Callable[[dict[str, Tensor]], object], name: str = SINGLE) -> Damage:
    """Change the tensors of a safetensors file; "*2" stands for the second shard."""

    def damage(folder: Path) -> None:
        """Do it."""
        path = sorted(folder.glob("model-*"))[1] if name == "*2" else folder / name
        tensors = load_file(path)
        change(tensors)
        path.unlink()
        save_file({k: t.contiguous().clone() for k, t in tensors.items()}, path)

    return damage


# --- config.json and generation_config.json -------------------------------------------------------

WRONG = {  # values that no number may have
    "null": None,
    "true": True,
    "text": "8",
    "minus": -8,
    "zero": 0,
    "half": 2.5,
    "nan": float("nan"),
    "infinite": float("inf"),
    "huge": 10**30,
    "digits": 10**400,
    "list": [8],
    "nested": {"value": 8},
}
SIZES = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"]
SIZES += ["num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"]
NOT_AN_OBJECT = {
    "empty": b"",
    "cut": b'{"vocab_size": 53',
    "list": b"[1, 2]",
    "text": b'"text"',
    "number": b"7",
    "null": b"null",
    "latin-1": '{"é": 1}'.encode("latin-1"),
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "zeros": bytes(100),
    "deep": b"[" * 100_000,
    "long number": b'{"a": ' + b"9" * 5_000 + b"}",
    "page": b"<!DOCTYPE html><html>404</html>",
}


def config_cases() -> dict[str, Case]:
    """Wrong entries of config.json."""
    cases: dict[str, Case] = {}

    def add(entry: str, kind: str, value: object, *named: str) -> None:
        """One more case."""
        cases[f"{entry} {kind}"] = (edit_json(CONFIG, entry, value), (CONFIG, *(named or [entry])))

    for entry in [*SIZES, "rms_norm_eps"]:
        for kind, value in WRONG.items():
            named = "k_proj" if (entry, kind) == ("num_key_value_heads", "null") else entry
            add(entry, kind, value, named)
    for entry in SIZES[:5]:
        add(entry, "missing", LOST)
        add(entry, "a million", 1_000_000)
        add(entry, "one", 1)
    for kind, value in WRONG.items():
        if kind != "half":  # a number like any other
            rope = {"rope_type": "default", "rope_theta": value}
            add("rope_parameters", f"theta {kind}", rope, "rope_theta")
        add("rope_parameters", kind, value, "rope_")
        add("rope_theta", kind, value)
        add("rope_scaling", kind, value)
        add("eos_token_id", kind, value)
        add("layer_types", kind, value)
        add("model_type", kind, value)
        add("architectures", kind, value)
        for entry in ("tie_word_embeddings", "attention_bias", "use_sliding_window"):
            add(entry, kind, value)
    for theta in (1e-300, 0.5, 1e300, -1e6):
        add("rope_parameters", f"theta {theta}", {"rope_theta": theta}, "rope_theta")
    add("rope_theta", "other than in rope_parameters", 5e5)
    nested = {"full_attention": {"rope_theta": 1000.0}}
    add("rope_parameters", "nested", nested)
    add("rope_parameters", "theta lost", {"rope_type": "default"}, "rope_theta")
    add("rope_parameters", "lost", LOST, "rope_theta")
    add("rope_parameters", "scaled", {"rope_type": "yarn", "rope_theta": 1e3}, "yarn")
    add("rope_parameters", "kind in a list", {"rope_type": ["default"], "rope_theta": 1e3}, "RoPE")
    add("rope_parameters", "partly", {"partial_rotary_factor": 0.5, "rope_theta": 1e3}, "partial")
    for heads in (3, 5, 7, 8, 64, 1 << 14):
        add("num_attention_heads", str(heads), heads, "")
        add("num_key_value_heads", str(heads), heads, "")
    for size in (3, 6, 7, 16, 1 << 14, 1 << 20):
        add("head_dim", str(size), size, "")
    for size in (529, 531, 1 << 24, 1 << 31, 1 << 62):
        add("vocab_size", str(size), size)
    for count in (2, 4, 1_000, 10_000, 10**9):
        add("num_hidden_layers", str(count), count, "layers")
    for ids in ([], [-1], [530], [529, 3_000_000_000], [[529]], "529", 530, ["529"], [True], [1.0]):
        add("eos_token_id", json.dumps(ids), ids)
    for value in ("gelu", ["silu"], {}, 3):
        add("hidden_act", repr(value), value)
    for value in ({"bits": 4}, [], "awq", {}):
        add("quantization_config", repr(value), value)
    for value in ("llama", "Qwen3", "qwen2", "qwen3_moe", ""):
        add("model_type", repr(value), value, "")
    add("layer_types", "short", ["full_attention"])
    add("layer_types", "mixed", [1, None, "full_attention"])
    add("layer_types", "sliding", ["full_attention", "full_attention", "sliding_attention"])
    add("architectures", "numbers", [1])
    add("max_position_embeddings", "one", 1)
    return cases


def generation_cases() -> dict[str, Case]:
    """Wrong entries of generation_config.json."""
    values: dict[str, object] = {**WRONG, "empty": [], "above": 530, "among": [529, 3_000_000_000]}
    values |= {"below": [-1], "inner list": [[529]], "names": ["<|im_end|>"], "true in it": [True]}
    return {
        f"eos_token_id {kind}": (
            edit_json(GENERATION, "eos_token_id", value),
            (GENERATION, "eos_token_id"),
        )
        for kind, value in values.items()
        if kind != "zero"  # a token like any other
    }


def file_cases(*names: str) -> dict[str, Case]:
    """JSON files that hold no object."""
    return {
        f"{name} {kind}": (write(name, content), (name,))
        for name in names
        for kind, content in NOT_AN_OBJECT.items()
    }


# --- Weights --------------------------------------------------------------------------------------


def header(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change the header of the safetensors file and leave its numbers alone."""

    def damage(folder: Path) -> None:
        """Do it."""
        data = (folder / SINGLE).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        entries = json.loads(data[8 : 8 + length])
        changed = change(entries)
        text = json.dumps(entries if changed is None else changed).encode()
        (folder / SINGLE).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return damage


def resized(size: int) -> Damage:
    """Cut the safetensors file off, from the end if negative; or lengthen it, if it is shorter."""

    def damage(folder: Path) -> None:
        """Do it."""
        data = (folder / SINGLE).read_bytes()
        data = data[:size] if size < len(data) else data + bytes(size - len(data))
        (folder / SINGLE).write_bytes(data)

    return damage


def set_number(name: str, value: float, dtype: torch.dtype | None = None) -> Damage:
    """Overwrite one number in the middle of a tensor."""

    def change(tensors: dict[str, Tensor]) -> None:
        """Do it."""
        for each in tensors:
            tensors[each] = tensors[each].to(dtype or tensors[each].dtype)
        flat = tensors[name].flatten()
        flat[len(flat) // 2] = value
        tensors[name] = flat.view(tensors[name].shape)

    return edit_tensors(change)


def weight_cases() -> dict[str, Case]:
    """Damaged safetensors files."""
    cases: dict[str, Case] = {}
    tensors = [EMBEDDING, Q_PROJ, "model.norm.weight", "lm_head.weight"]
    tensors += [f"model.layers.0.{n}.weight" for n in ("mlp.up_proj", "self_attn.k_norm")]
    for name in tensors:
        for value in ("nan", "inf", "-inf"):
            cases[f"{value} in {name}"] = (set_number(name, float(value)), (SINGLE, name))
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        damage = set_number(Q_PROJ, float("nan"), dtype)
        cases[f"nan as {dtype}"] = (damage, (SINGLE, Q_PROJ))
    cases["too large for float32"] = (set_number(Q_PROJ, 1e300, torch.float64), (SINGLE, Q_PROJ))
    for size in (0, 1, 7, 8, 9, 100, 2_000, -1, -4, -1_000, 10**6):
        cases[f"resized to {size}"] = (resized(size), (SINGLE,))
    for length in (0, 1, 5_000, 10**6, 10**8 + 1, 2**31, 2**62, 2**63, 2**64 - 1):
        damage = write(SINGLE, struct.pack("<Q", length) + b'{"a": 1}' * 8)
        cases[f"header of {length}"] = (damage, (SINGLE,))
    for kind, content in {**NOT_AN_OBJECT, "ones": b"\xff" * 4_000, "zip": b"PK\3\4" * 99}.items():
        cases[f"file is {kind}"] = (write(SINGLE, content), (SINGLE,))
    q = {"dtype": "F32", "shape": [32, 32]}
    offsets = {"reversed": [4_096, 0], "beyond": [10**9, 10**9 + 4_096], "negative": [-4_096, 0]}
    offsets |= {"huge": [2**63, 2**64 - 1], "text": ["0", "4096"], "one": [0], "null": None}
    for kind, value in offsets.items():
        damage = header(lambda h, v=value: h.update({Q_PROJ: {**q, "data_offsets": v}}))
        cases[f"offsets {kind}"] = (damage, (SINGLE,))
    entries = {
        "dtype unknown": {"dtype": "F31"},
        "dtype int": {"dtype": "I32"},
        "dtype bool": {"dtype": "BOOL", "shape": [64, 64]},
        "dtype a number": {"dtype": 32},
        "shape other": {"shape": [16, 64]},
        "shape flat": {"shape": [1_024]},
        "shape deep": {"shape": [1] * 70 + [32, 32]},
        "shape larger": {"shape": [33, 32]},
        "shape negative": {"shape": [-32, -32]},
        "shape huge": {"shape": [2**40, 2**40]},
        "shape text": {"shape": "32x32"},
        "shape null": {"shape": None},
    }
    for kind, value in entries.items():
        damage = header(lambda h, v=value: h[Q_PROJ].update(v))
        cases[kind] = (damage, (SINGLE,))
    other = "model.layers.0.self_attn.q_proj.weight"
    overlap = header(lambda h: h[Q_PROJ].update(data_offsets=h[other]["data_offsets"]))
    cases["two tensors in one place"] = (overlap, (SINGLE,))
    cases["header a list"] = (header(lambda h: list(h)), (SINGLE,))
    cases["header empty"] = (header(lambda h: {}), (SINGLE,))
    cases["entry a number"] = (header(lambda h: h.update({Q_PROJ: 7})), (SINGLE,))
    cases["metadata a list"] = (header(lambda h: h.update({"__metadata__": [1]})), (SINGLE,))
    changes: dict[str, Callable[[dict[str, Tensor]], object]] = {
        "tensor missing": lambda t: t.pop(Q_PROJ),
        "tensor renamed": lambda t: t.update({Q_PROJ + "x": t.pop(Q_PROJ)}),
        "tensor surplus": lambda t: t.update({"model.layers.0.q": t[Q_PROJ]}),
        "tensor cut": lambda t: t.update({Q_PROJ: t[Q_PROJ][:31]}),
        "tensor transposed": lambda t: t.update({EMBEDDING: t[EMBEDDING].T}),
        "tensor without dimensions": lambda t: t.update({Q_PROJ: torch.tensor(1.0)}),
        "tensor empty": lambda t: t.update({Q_PROJ: torch.empty(0, 32)}),
        "tensor quantized": lambda t: t.update({Q_PROJ: t[Q_PROJ].to(torch.int8)}),
        "tensor complex": lambda t: t.update({Q_PROJ: t[Q_PROJ].to(torch.complex64)}),
        "tensor in float8": lambda t: t.update({Q_PROJ: t[Q_PROJ].to(torch.float8_e4m3fn)}),
        "embedding flat": lambda t: t.update({EMBEDDING: t[EMBEDDING].flatten()}),
        "no tensors": lambda t: t.clear(),
        "a layer more": lambda t: t.update({Q_PROJ.replace("1", "3"): t[Q_PROJ]}),
        "layer a billion": lambda t: t.update({Q_PROJ.replace("1", "999999999"): t[Q_PROJ]}),
    }
    for kind, change in changes.items():
        cases[kind] = (edit_tensors(change), ("safetensors",))
    cases["no file"] = (lambda folder: (folder / SINGLE).unlink(), (SINGLE,))
    cases["a pickle"] = (lambda folder: (folder / SINGLE).rename(folder / "model.bin"), ("pickle",))
    return cases


def edit_index(change: Callable[[dict[str, Any], list[str]], object]) -> Damage:
    """Change the index's weight_map; `change` also gets the sorted names of the shards."""

    def damage(folder: Path) -> None:
        """Do it."""
        data = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        changed = change(data["weight_map"], sorted(set(data["weight_map"].values())))
        data["weight_map"] = data["weight_map"] if changed is None else changed
        (folder / INDEX).write_text(json.dumps(data), encoding="utf-8")

    return damage


def copy_outside(folder: Path) -> Path:
    """Copy the shard with `Q_PROJ` beside the folder."""
    weight_map = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    return Path(shutil.copy(folder / weight_map[Q_PROJ], folder.parent / "outside.safetensors"))


def point_outside(name: Callable[[Path], str]) -> Damage:
    """Let the index name a good copy that lies outside the folder."""

    def damage(folder: Path) -> None:
        """Do it."""
        outside = copy_outside(folder)
        edit_json(INDEX, "weight_map", LOST)  # nothing is lost: see the next line
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        old = index["weight_map"][Q_PROJ]
        index["weight_map"] = {
            k: name(outside) if v == old else v for k, v in index["weight_map"].items()
        }
        (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")

    return damage


def copy_to_last_shard(change: Callable[[Tensor], Tensor]) -> Damage:
    """Put a tensor of the first shard into the last one as well, changed."""

    def damage(folder: Path) -> None:
        """Do it."""
        first, *_, last = sorted(folder.glob("model-*"))
        (name, tensor), *_ = load_file(first).items()
        tensors = {**load_file(last), name: change(tensor)}
        last.unlink()
        save_file(tensors, last)

    return damage


def one_file_as_well(change: Callable[[dict[str, Tensor]], object]) -> Damage:
    """Leave a model.safetensors beside the shards, changed."""

    def damage(folder: Path) -> None:
        """Do it."""
        tensors = {}
        for path in folder.glob("model-*"):
            tensors |= load_file(path)
        change(tensors)
        save_file(tensors, folder / SINGLE)

    return damage


def link_shards(folder: Path) -> None:
    """The layout of the hub's cache: every file is a link to a blob in another folder."""
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(number))
        path.symlink_to(Path("..") / "blobs" / str(number))


def index_cases() -> dict[str, Case]:
    """Damaged shards and indexes of shards."""
    cases: dict[str, Case] = {}
    for kind, value in {**WRONG, "empty": {}}.items():
        cases[f"weight_map {kind}"] = (
            edit_index(lambda m, s, v=value: [] if v is None else v),
            (INDEX, "weight_map"),
        )
        damage = edit_index(lambda m, s, v=value: m.update({Q_PROJ: v}))
        cases[f"file {kind}"] = (damage, (INDEX, Q_PROJ))
    names = ["", ".", "..", "/etc/passwd", "config.json", "model.bin", "/dev/zero", "C:\\x", "a\0b"]
    names += ["sub/model-00001.safetensors", "..\\x.safetensors", "x" * 300 + ".safetensors"]
    names += ["https://example.org/x.safetensors", "gone.safetensors", "~/x.safetensors", "\n"]
    for name in names:
        damage = edit_index(lambda m, s, n=name: m.update({Q_PROJ: n}))
        cases[f"file {name[:40]!r}"] = (damage, (INDEX,))
    cases["outside, by .."] = (point_outside(lambda p: f"../{p.name}"), (INDEX, "weight_map"))
    cases["outside, absolute"] = (point_outside(lambda p: str(p)), (INDEX, "weight_map"))
    cases["outside, after a folder"] = (
        point_outside(lambda p: f"{p.parent.name}/../../{p.name}"),
        (INDEX, "weight_map"),
    )
    cases["in the wrong shard"] = (
        edit_index(lambda m, s: m.update({Q_PROJ: s[-1] if m[Q_PROJ] == s[0] else s[0]})),
        (INDEX, Q_PROJ),
    )
    cases["not listed"] = (edit_index(lambda m, s: m.pop(Q_PROJ) and None), (INDEX, Q_PROJ))
    cases["listed, but nowhere"] = (edit_index(lambda m, s: m.update({"x": s[0]})), (INDEX, "x"))
    cases["all in one"] = (edit_index(lambda m, s: dict.fromkeys(m, s[0])), (INDEX,))
    cases["twice, different"] = (copy_to_last_shard(lambda t: t + 1), (INDEX,))
    cases["twice, equal"] = (copy_to_last_shard(lambda t: t + 0), (INDEX,))
    cases["twice, NaN"] = (copy_to_last_shard(lambda t: t * float("nan")), (INDEX,))
    cases["one file as well"] = (one_file_as_well(lambda t: None), (SINGLE,))
    stale = one_file_as_well(lambda t: t.update({Q_PROJ: t[Q_PROJ] + 1}))
    cases["a stale file as well"] = (stale, ("model-0", Q_PROJ))
    less = one_file_as_well(lambda t: t.pop(Q_PROJ))
    cases["part of it in one file as well"] = (less, (SINGLE,))
    other = one_file_as_well(lambda t: t.update({Q_PROJ: t[Q_PROJ].to(torch.bfloat16)}))
    cases["rounded in one file as well"] = (other, ("model-0", Q_PROJ))
    cases["a broken file as well"] = (write(SINGLE, b"x" * 100), (SINGLE,))
    nan = edit_tensors(lambda t: next(iter(t.values())).fill_(float("nan")), "*2")
    cases["NaN in a shard"] = (nan, ("model-00002",))
    cases["no index"] = (lambda folder: (folder / INDEX).unlink(), (INDEX,))
    cases["a shard away"] = (
        lambda f: sorted(f.glob("model-*"))[1].unlink(),
        ("model-00002", INDEX),
    )
    cases["links"] = (link_shards, ())
    return cases


# --- What could hang or take all memory -----------------------------------------------------------


def replaced(name: str, make: Callable[[Path], object]) -> Damage:
    """Put something else in place of a file; "*2" stands for the second shard."""

    def damage(folder: Path) -> None:
        """Do it."""
        path = sorted(folder.glob("model-*"))[1] if name == "*2" else folder / name
        path.unlink()
        make(path)

    return damage


def make_sparse(path: Path) -> None:
    """A file of a terabyte that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(1 << 40)


def many_tensors(entries: dict[str, Any]) -> None:
    """Add a hundred thousand empty tensors to a header."""
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    entries.update({f"x{number}": empty for number in range(100_000)})


def trap_cases(layout: str) -> dict[str, Case]:
    """Pipes, devices, folders, links to nowhere and enormous files; sizes that nothing can hold."""
    traps: dict[str, Callable[[Path], object]] = {
        "pipe": os.mkfifo,
        "endless": lambda path: path.symlink_to("/dev/zero"),
        "folder": Path.mkdir,
        "link to itself": lambda path: path.symlink_to(path.name),
        "terabyte": make_sparse,
    }
    names = {"single": (CONFIG, GENERATION, SINGLE), "sharded": (INDEX, "*2")}[layout]
    cases: dict[str, Case] = {
        f"{name} is a {kind}": (replaced(name, make), ("model-00002" if name == "*2" else name,))
        for name in names
        for kind, make in traps.items()
    }
    if layout == "single":
        for entry in SIZES:
            for value in (10**6, 10**9, 10**12):
                cases[f"{entry} {value}"] = (edit_json(CONFIG, entry, value), (CONFIG, entry))
        cases["eos_token_id huge"] = (
            edit_json(GENERATION, "eos_token_id", 3_000_000_000),
            (GENERATION, "eos_token_id"),
        )
        cases["many tensors"] = (header(many_tensors), (SINGLE,))
    return cases


# Loads folder after folder with 8 GB of memory and writes what came of each.
LOADER = """
import json, resource, sys, time
sys.path.insert(0, {tests!r})
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
from pathlib import Path
from test_damaged import outcome
for folder in sys.argv[1:]:
    start = time.perf_counter()
    result = outcome(Path(folder), lambda folder: None)
    print(json.dumps([*result, time.perf_counter() - start]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="makes pipes and links, and bounds memory")
def test_nothing_in_a_folder_hangs_or_takes_all_memory(
    whole: dict[str, Path], right_text: str, tmp_path: Path
) -> None:
    cases: dict[Path, tuple[str, tuple[str, ...]]] = {}
    for layout, undamaged in whole.items():
        for kind, (damage, named) in trap_cases(layout).items():
            folder = tmp_path / str(len(cases)) / "model"
            shutil.copytree(undamaged, folder)
            damage(folder)
            cases[folder] = (kind, named)
    loader = LOADER.format(tests=str(Path(__file__).parent))
    process = subprocess.run(
        [sys.executable, "-c", loader, *map(str, cases)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=100,
        check=True,
    )
    results = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(results) == len(cases)
    for (kind, named), (what, said, seconds) in zip(cases.values(), results):
        assert fault((what, said), named, right_text) is None, f"{kind}: {what}: {said}"
        assert seconds < 5, f"{kind} took {seconds:.1f} s"


# --- All the others -------------------------------------------------------------------------------

GROUPS = {
    "config": ("single", config_cases),
    "generation config": ("single", generation_cases),
    "files": ("single", lambda: file_cases(CONFIG, GENERATION)),
    "index file": ("sharded", lambda: file_cases(INDEX)),
    "index": ("sharded", index_cases),
    "weights": ("single", weight_cases),
}


@pytest.mark.parametrize("group", GROUPS)
def test_a_damaged_folder_is_refused_by_name_or_does_no_harm(
    group: str, whole: dict[str, Path], right_text: str, tmp_path: Path
) -> None:
    layout, make_cases = GROUPS[group]
    results = {}
    cases = make_cases()
    for number, (kind, (damage, _)) in enumerate(cases.items()):
        folder = tmp_path / str(number) / "model"
        shutil.copytree(whole[layout], folder)
        results[kind] = outcome(folder, damage)
    faults = {kind: fault(results[kind], cases[kind][1], right_text) for kind in cases}
    assert {kind: said for kind, said in faults.items() if said} == {}
    harmless = [kind for kind, (what, _) in results.items() if what == "text"]
    assert len(harmless) < len(cases) / 4, harmless  # else the damage is none
