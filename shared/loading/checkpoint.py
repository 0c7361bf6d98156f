"""A model from a folder in the hub's layout, from the hub itself, or the shipped "tiny".

Every file is checked before anything is allocated from what it says: config.json here and in
`shared/decoder/config.py`, the weights in `shared/loading/weights.py`.
"""

import hashlib
import re
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from torch import nn

from shared.decoder.config import ModelConfig
from shared.decoder.config_checks import token_ids
from shared.decoder.model import Qwen
from shared.files.json_files import is_whole, read_json, require
from shared.loading.weights import STORED_DTYPES, check_config, load_weights, read_stored
from shared.text.tokenizer import Tokenizer

TINY_FOLDER = Path(__file__).parents[1] / "tiny" / "checkpoint"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
HUB_FILES = ["*.json", "*.safetensors", "merges.txt", "*.jinja"]
DEVICE = re.compile(r"(cpu|cuda|mps)(?::(\d{1,3}))?")
MOST_IDS = 1 << 31  # of a vocabulary whose size is not known


def load_model(
    name: str | Path,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Qwen:
    """The model called "tiny", in a folder, or with an id on the hub, ready for inference.

    `device` None is a CUDA GPU where there is one, else the CPU; `dtype` None is `default_dtype`.
    Raises ValueError for a model that this decoder does not implement, for
    files that do not fit their config.json, for weights that are not finite, and for a device that
    is not there; FileNotFoundError for files that are not there; OSError for a failed download.
    """
    device = usable_device(device)
    dtype = dtype or default_dtype(device)
    if dtype not in STORED_DTYPES:
        names = ", ".join(str(each) for each in STORED_DTYPES)
        raise ValueError(f"dtype is {dtype!r}, expected one of {names}")
    folder = resolve_folder(name)
    config = read_config(folder)
    with torch.device("meta"):  # shapes without memory: the weights come from the files
        model = Qwen(config)
    load_weights(model, folder, device, dtype)
    if config.tied_head:
        tie_head(model, folder)
    return model.eval().requires_grad_(False)


def read_config(folder: Path) -> ModelConfig:
    """The config.json of a model folder, compared with the sizes that its weights have.

    Raises ValueError naming the entry that is wrong, and what `read_stored` raises.
    """
    config = ModelConfig.from_folder(folder)
    check_config(folder / "config.json", config, read_stored(folder))
    return config


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


def default_device() -> str:
    """The CUDA GPU where there is one, else the CPU.

    Apple's GPU is used only when asked for (`device="mps"`): this book's tests cannot cover it.
    """
    return "cuda" if torch.cuda.is_available() else "cpu"


def default_dtype(device: torch.device) -> torch.dtype:
    """float32 on a CPU; on a GPU bfloat16, or float16 where it cannot compute in bfloat16 (T4)."""
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def usable_device(device: torch.device | str | None) -> torch.device:
    """The device of that name; None is `default_device`.

    Raises ValueError for a name that is none, and for a device that this machine, or this build of
    PyTorch, does not have.
    """
    name = str(device or default_device())
    match = DEVICE.fullmatch(name)
    if not match:
        raise ValueError(f"device is {name!r}, expected cpu, cuda, cuda:1 (the second GPU) or mps")
    kind, number = match[1], int(match[2] or 0)
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    else:
        count = 1 if kind == "cpu" or torch.backends.mps.is_available() else 0
    if number >= count:
        there = f"PyTorch sees {count} of that kind here" if count else "PyTorch sees none here"
        raise ValueError(
            f"device is {name!r}, but {there}; leave it out to use {default_device()!r}, or "
            "install the build of PyTorch for your hardware"
        )
    return torch.device(name)


def stop_token_ids(folder: str | Path) -> list[int]:
    """Ids of the tokens that end a generation, [] where neither of the folder's configs names one.

    generation_config.json comes first: it may list more of them than config.json does. Raises
    ValueError for ids that are no token ids, or outside of config.json's vocab_size.
    """
    contents = {
        Path(folder) / name: read_json(Path(folder) / name, optional=True)
        for name in ("generation_config.json", "config.json")
    }
    *_, config = contents.values()
    vocab_size = config.get("vocab_size")
    vocab_size = vocab_size if is_whole(vocab_size, 1, MOST_IDS) else MOST_IDS
    found = [
        token_ids(content, "eos_token_id", path, vocab_size) for path, content in contents.items()
    ]
    return next((ids for ids in found if ids), [])


def check_tokenizer(tokenizer: Tokenizer, config: ModelConfig, folder: Path) -> None:
    """Raise ValueError if the tokenizer has token ids for which the model has no embedding."""
    require(
        tokenizer.vocab_size <= config.vocab_size,
        folder / "config.json",
        "vocab_size",
        config.vocab_size,
        f"{tokenizer.vocab_size} or more, because the tokenizer's files have token ids up to "
        f"{tokenizer.vocab_size - 1}",
    )


def weights_fingerprint(model: nn.Module) -> str:
    """A short hash of a few of each tensor's weights: another model or a retrained one differs."""
    digest = hashlib.sha256()
    for weight in model.parameters():
        first = weight.detach()[: 1 + 64 // weight[0].numel()].flatten()[:64]
        digest.update(first.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


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
    """The hub's model folder in the local cache; an interrupted download resumes."""
    try:
        return Path(snapshot_download(hub_id, allow_patterns=HUB_FILES))
    except (OSError, HFValidationError) as error:
        raise OSError(
            f"could not get {hub_id!r} from the Hugging Face hub, and there is no folder of that "
            "name here. Check the spelling; be online the first time (later it comes from the "
            f"cache); or give the path of a local folder. The hub said: {error}"
        ) from error
