"""A model's weights from a folder in the hub's layout, from the hub itself, or the shipped "tiny".

Weights are read from safetensors files only, one or several with an index. The files are mapped
into memory, not read: a tensor that needs no conversion is used where it lies, the others are
converted one by one, so that no second copy of the weights ever exists. Pickled weights (`.bin`)
are refused, for unpickling a file can run any code that is in it.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.decoder.model import ModelConfig, Qwen
from shared.files.json_files import read_json

TINY_FOLDER = Path(__file__).parents[1] / "tiny" / "checkpoint"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
HUB_FILES = ["*.json", "*.safetensors", "merges.txt", "*.jinja"]
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
STORED_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
PICKLES = ("*.bin", "*.pt", "*.pth")
RECOMPUTED = re.compile(r".*\.rotary_emb\.inv_freq")  # old files store this table of RoPE


def load_model(
    name: str | Path,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Qwen:
    """The model called "tiny", in a folder, or with an id on the hub, ready for inference.

    `device` None is a CUDA GPU where there is one, else the CPU; `dtype` None is bfloat16 on a GPU
    and float32 on the CPU. Raises ValueError for a model that this decoder does not implement and
    for files that do not fit their config.json, FileNotFoundError for files that are not there,
    OSError for a failed download.
    """
    folder = resolve_folder(name)
    device = torch.device(device or default_device())
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
    with torch.device("meta"):  # shapes without memory: the weights come from the files
        model = Qwen(ModelConfig.from_dict(read_json(folder / "config.json")))
    load_weights(model, folder, device, dtype)
    if model.config.tied_head:
        tie_head(model, folder)
    return model.eval().requires_grad_(False)


def default_device() -> str:
    """The CUDA GPU where there is one, else the CPU.

    Apple's GPU is used only when asked for (`device="mps"`): this book's tests cannot cover it.
    """
    return "cuda" if torch.cuda.is_available() else "cpu"


def stop_token_ids(folder: str | Path) -> list[int]:
    """Ids of the tokens that end a generation, [] where neither of the folder's configs names one.

    generation_config.json comes first: it may list more of them than config.json does.
    """
    for name in ("generation_config.json", "config.json"):
        ids = read_json(Path(folder) / name, optional=True).get("eos_token_id")
        if ids is not None:
            return [ids] if isinstance(ids, int) else list(ids)
    return []


# --- Where the folder is --------------------------------------------------------------------------


def resolve_folder(name: str | Path) -> Path:
    """The folder that "tiny", a path or a hub id stands for; a hub id is downloaded once.

    A folder that is itself called tiny is meant by "./tiny". Raises FileNotFoundError for a folder
    that is not there or has no config.json, OSError for a failed download, ValueError for a name
    that is none of the three.
    """
    if name == "tiny":
        folder = tiny_folder()
    elif Path(name).is_dir():
        folder = Path(name)
    elif HUB_ID.fullmatch(str(name)):
        folder = download(str(name))
    else:
        raise ValueError(
            f"{str(name)!r} is neither a folder on this machine nor a model's id on the hub; "
            'give "tiny", the path of a folder, or an id such as Qwen/Qwen3-0.6B'
        )
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no config.json")
    return folder


def tiny_folder() -> Path:
    """The folder of the shipped model. Raises FileNotFoundError where it has been removed."""
    if not TINY_FOLDER.is_dir():
        raise FileNotFoundError(
            f"the shipped model is missing: there is no folder {TINY_FOLDER}. Restore it from the "
            "repository (git checkout shared/tiny/checkpoint), or train it: see shared/tiny"
        )
    return TINY_FOLDER


def download(hub_id: str) -> Path:
    """The hub's model folder in the local cache; an interrupted download goes on where it was."""
    try:
        return Path(snapshot_download(hub_id, allow_patterns=HUB_FILES))
    except (OSError, HFValidationError) as error:
        raise OSError(
            f"could not get {hub_id!r} from the Hugging Face hub, and there is no folder of that "
            "name here. Check the spelling; be online the first time (later it comes from the "
            f"cache); or give the path of a local folder. The hub said: {error}"
        ) from error


# --- Weights --------------------------------------------------------------------------------------


def load_weights(
    module: nn.Module, folder: Path, device: torch.device | str, dtype: torch.dtype
) -> None:
    """Give every parameter of `module` the tensor of its name in the folder's safetensors files.

    A parameter that stands in the module under two names (a tied head) may be stored once; its
    second name is then left as it was. Raises FileNotFoundError, or ValueError naming the file
    and its missing, surplus or misshapen tensors, before any weight is read.
    """
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    paths = weight_files(folder)
    tensors: dict[str, Tensor] = {}
    for path in paths:
        found = map_file(path)
        check_tensors(path, found, shapes)
        tensors |= found
    if missing := dict(module.named_parameters()).keys() - tensors.keys():
        files = some_of(path.name for path in paths)
        raise ValueError(f"{folder}: {some_of(missing)} not found in {files}")

    module.load_state_dict(
        {name: tensor.to(device, dtype) for name, tensor in tensors.items()},
        assign=True,
        strict=False,
    )


def tie_head(model: Qwen, folder: Path) -> None:
    """Make the vocabulary head the embedding matrix again, once that has been loaded.

    Raises ValueError where the folder stores a head of its own that differs.
    """
    head, embeddings = model.lm_head.weight, model.model.embed_tokens.weight
    if not head.is_meta and not torch.equal(head, embeddings):
        raise ValueError(
            f"{folder}: config.json says tie_word_embeddings, but lm_head.weight and "
            "model.embed_tokens.weight differ"
        )
    model.lm_head.weight = embeddings


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder. Raises FileNotFoundError where one is missing."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        refuse_pickles(folder)
        raise FileNotFoundError(f"{folder} has neither {WEIGHTS} nor {INDEX}: download it again")
    names = sorted(set(read_json(folder / INDEX).get("weight_map", {}).values()))
    if not names:
        raise ValueError(f"{folder / INDEX} lists no files in a weight_map: download it again")
    if absent := [name for name in names if not (folder / name).exists()]:
        raise FileNotFoundError(
            f"{folder} lacks {some_of(absent)}, listed in its {INDEX}: download it again"
        )
    return [folder / name for name in names]


def refuse_pickles(folder: Path) -> None:
    """Raise ValueError where pickled weights are all that a folder has."""
    if pickles := [path.name for pattern in PICKLES for path in folder.glob(pattern)]:
        raise ValueError(
            f"{folder}: {some_of(pickles)} is a pickle, which can run code when it is loaded; only "
            "safetensors are read. Download the model's safetensors, or convert it with "
            "transformers: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)"
        )


def map_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file as views of the mapped file: read when they are used."""
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.offset_keys() if not RECOMPUTED.fullmatch(name)]
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut short or no safetensors file, download it again: {error}"
        ) from error


def check_tensors(path: Path, tensors: dict[str, Tensor], shapes: dict[str, torch.Size]) -> None:
    """Raise ValueError unless every tensor of a file has its place, and its shape, in `shapes`."""
    if surplus := tensors.keys() - shapes.keys():
        raise ValueError(f"{path}: a model of this config.json has no place for {some_of(surplus)}")
    for name, tensor in tensors.items():
        if tensor.dtype not in STORED_DTYPES:
            raise ValueError(
                f"{path}: {name} is {tensor.dtype}; quantized weights are not supported"
            )
        if tensor.shape != shapes[name]:
            raise ValueError(
                f"{path}: {name} has the shape {list(tensor.shape)}, but config.json asks for "
                f"{list(shapes[name])}"
            )


def weights_fingerprint(model: nn.Module) -> str:
    """A short hash of a few of each tensor's weights: another model or a retrained one differs."""
    digest = hashlib.sha256()
    for weight in model.parameters():
        first = weight.detach()[: 1 + 64 // weight[0].numel()].flatten()[:64]
        digest.update(first.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def some_of(names: Iterable[str], limit: int = 5) -> str:
    """The names as a list for an error message, the first few of many."""
    shown = sorted(names)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
