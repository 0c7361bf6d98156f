"""The tensors of a model folder: found, checked against each other and the model, and given to it.

Weights are read from safetensors files only, one or several with an index. The files are mapped
into memory, not read: a tensor that needs no conversion is used where it lies, the others are
converted one by one, so that no second copy of the weights ever exists. Pickled weights (`.bin`)
are refused, because unpickling a file can run any code that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.decoder.config import ModelConfig
from shared.files.json_files import read_json, require, shortened
from shared.loading.memory import total_memory

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"\w[\w.-]{0,200}\.safetensors")  # no slash: it lies beside the index
STORED_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
MAX_TENSORS = 20_000  # a layer has a dozen
PICKLES = ("*.bin", "*.pt", "*.pth")
RECOMPUTED = re.compile(r".*\.rotary_emb\.inv_freq")  # old files store this table of RoPE
LAYER = re.compile(r"model\.layers\.(\d{1,9})\.")

Stored = dict[str, tuple[Path, Tensor]]  # by name: the file and the tensor, mapped


def load_weights(
    module: nn.Module,
    folder: Path,
    device: torch.device | str,
    dtype: torch.dtype,
    unused: tuple[str, ...] = (),
) -> None:
    """Give every parameter of `module` the tensor of its name in the folder's safetensors files.

    A parameter that stands in the module under two names (a tied head) may be stored once; its
    second name is then left as it was. Tensors named in `unused` may be stored too. Raises
    FileNotFoundError, or ValueError naming the file and its missing, surplus or misshapen tensors,
    before any weight is read; ValueError for a tensor with NaN or infinite numbers.
    """
    stored = {name: each for name, each in read_stored(folder).items() if name not in unused}
    check_tensors(folder, stored, module)
    check_memory(folder, stored, torch.device(device), dtype)

    tensors = {
        name: to_finite(path, name, tensor, dtype).to(device)
        for name, (path, tensor) in stored.items()
    }
    module.load_state_dict(tensors, assign=True, strict=False)


# --- Which files ----------------------------------------------------------------------------------


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: model.safetensors, or those in the index, or all of them.

    Raises FileNotFoundError where one is missing, ValueError for an index that is no index.
    """
    single = [folder / WEIGHTS] if (folder / WEIGHTS).exists() else []
    if not single and not (folder / INDEX).exists():
        refuse_pickles(folder)
        raise FileNotFoundError(f"{folder} has neither {WEIGHTS} nor {INDEX}: download it again")
    shards = [folder / name for name in sorted(set(read_index(folder).values()))]
    if absent := [path.name for path in shards if not path.exists()]:
        raise FileNotFoundError(
            f"{folder} lacks {some_of(absent)}, listed in its {INDEX}: download it again"
            + (f", or remove the index if {WEIGHTS} is complete" if single else "")
        )
    return list(dict.fromkeys(single + shards))


def read_index(folder: Path) -> dict[str, str]:
    """In which file beside it the index says that each tensor is; {} where there is no index."""
    path = folder / INDEX
    if not path.exists():
        return {}
    weight_map = read_json(path).get("weight_map")
    is_map = isinstance(weight_map, dict) and bool(weight_map)
    require(is_map, path, "weight_map", weight_map, "the names of tensors with those of files")
    for name, file in weight_map.items():
        is_beside = isinstance(file, str) and SHARD.fullmatch(file) is not None
        entry = f"weight_map[{shortened(name)}]"
        require(is_beside, path, entry, file, "the name of a .safetensors file beside the index")
    return weight_map


def refuse_pickles(folder: Path) -> None:
    """Raise ValueError where pickled weights are all that a folder has."""
    if pickles := [path.name for pattern in PICKLES for path in folder.glob(pattern)]:
        raise ValueError(
            f"{folder}: {some_of(pickles)} is a pickle, which can run code when it is loaded; only "
            "safetensors are read. Download the model's safetensors, or convert it with "
            "transformers: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)"
        )


# --- What is in them ------------------------------------------------------------------------------


def read_stored(folder: Path) -> Stored:
    """All tensors of a folder, each with its file. Only the headers of the files are read.

    Raises what `weight_files` raises; ValueError for a damaged file, for a tensor that is not where
    the index says, and for a tensor that two files hold with different values.
    """
    weight_map, stored = read_index(folder), {}
    shards = set(weight_map.values())
    paths = weight_files(folder)
    for path in paths:
        for name, tensor in map_file(path).items():
            listed = weight_map.get(name, "nowhere")
            is_there = path.name not in shards or listed == path.name
            entry, expected = f"weight_map[{shortened(name)}]", f"{path.name!r}, which holds it"
            require(is_there, folder / INDEX, entry, listed, expected)
            if name in stored:
                check_same(name, stored[name], (path, tensor))
            stored[name] = (path, tensor)
    absent = [name for name in weight_map if name not in stored and not RECOMPUTED.fullmatch(name)]
    if absent:
        files = some_of(path.name for path in paths)
        raise ValueError(
            f"{folder}: {some_of(absent)}, listed in its {INDEX}, not found in {files}"
        )
    return stored


def map_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file as views of the mapped file: read when they are used."""
    if not path.is_file():  # opening a pipe would never end
        raise ValueError(f"{path} is not a regular file, expected safetensors")
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.offset_keys() if not RECOMPUTED.fullmatch(name)]
            is_few = len(names) <= MAX_TENSORS
            require(is_few, path, "number of tensors", len(names), f"at most {MAX_TENSORS}")
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or no safetensors file, download it again: {error}"
        ) from error
    except MemoryError as error:
        size = path.stat().st_size
        raise ValueError(f"{path} has {size} bytes, more than this process can map") from error


def check_same(name: str, one: tuple[Path, Tensor], other: tuple[Path, Tensor]) -> None:
    """Raise ValueError where two files hold different tensors under one name."""
    (path, a), (other_path, b) = one, other
    if a.dtype != b.dtype or not torch.equal(a, b):
        raise ValueError(
            f"{other_path}: {name} differs from the tensor of that name in {path.name}; one of "
            "the files is out of date: remove it, or download the folder again"
        )


# --- Whether they fit the model -------------------------------------------------------------------


def check_config(path: Path, config: ModelConfig, stored: Stored) -> None:
    """Raise ValueError where config.json at `path` states other sizes than the files hold.

    Every shape is compared later; here are those by which a wrong entry can be named, before a
    module of the stated sizes is built.
    """
    layers = [int(match[1]) for name in stored if (match := LAYER.match(name))]
    num_layers = max(layers, default=config.num_layers - 1) + 1
    expected = f"{num_layers}, the number of layers in the safetensors"
    require(config.num_layers <= num_layers, path, "num_hidden_layers", config.num_layers, expected)
    for entry, value, name, dim in (
        ("vocab_size", config.vocab_size, "model.embed_tokens.weight", 0),
        ("hidden_size", config.hidden_size, "model.embed_tokens.weight", 1),
        ("intermediate_size", config.intermediate_size, "model.layers.0.mlp.gate_proj.weight", 0),
    ):
        if name in stored and stored[name][1].dim() == 2:
            file, tensor = stored[name]
            shape = list(tensor.shape)
            expected = f"{shape[dim]}: in {file.name}, {name} has the shape {shape}"
            require(value == shape[dim], path, entry, value, expected)


def check_tensors(folder: Path, stored: Stored, module: nn.Module) -> None:
    """Raise ValueError unless the module has a place of the right shape for every stored tensor,
    and there is one for each of its parameters."""
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    for name, (path, tensor) in stored.items():
        if name not in shapes:
            surplus = [n for n, (p, _) in stored.items() if n not in shapes and p == path]
            raise ValueError(
                f"{path}: a model of this config.json has no place for {some_of(surplus)}"
            )
        if tensor.dtype not in STORED_DTYPES:
            raise ValueError(
                f"{path}: {name} is {tensor.dtype}; quantized weights are not supported"
            )
        if tensor.shape != shapes[name]:
            raise ValueError(
                f"{path}: {name} has the shape {list(tensor.shape)}, but config.json asks for "
                f"{list(shapes[name])}"
            )
    if missing := dict(module.named_parameters()).keys() - stored.keys():
        files = some_of(path.name for path in weight_files(folder))
        raise ValueError(f"{folder}: {some_of(missing)} not found in {files}")


def check_memory(folder: Path, stored: Stored, device: torch.device, dtype: torch.dtype) -> None:
    """Raise ValueError where the machine can never hold the converted weights."""
    converted = [tensor for _, tensor in stored.values() if tensor.dtype != dtype]
    needed = sum(tensor.numel() * dtype.itemsize for tensor in converted)
    if device.type == "cpu" and needed > total_memory():
        raise ValueError(
            f"{folder}: the weights take {needed / 1e9:.1f} GB as {dtype}, but this machine or "
            f"container has {total_memory() / 1e9:.1f} GB; load the model with a smaller dtype, "
            "such as torch.bfloat16, or take a smaller model"
        )


def to_finite(path: Path, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A stored tensor as `dtype`. Raises ValueError if it then has a NaN or an infinity in it."""
    converted = tensor.to(dtype)
    if is_finite(converted):
        return converted
    if is_finite(tensor):
        raise ValueError(
            f"{path}: {name} has numbers beyond the range of {dtype}; load the model with "
            "dtype=torch.bfloat16 or torch.float32"
        )
    raise ValueError(
        f"{path}: {name} has a NaN or infinity in it, expected finite numbers only: download it "
        "again"
    )


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers of a tensor are finite. The extremes of a tensor with a NaN are NaN, and
    finding them takes a tenth of the time that looking at each number does."""
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())


def some_of(names: Iterable[str], limit: int = 5) -> str:
    """The names as a list for an error message, the first few of many."""
    shown = sorted(names)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
