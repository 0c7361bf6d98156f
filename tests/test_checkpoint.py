"""Loading what transformers saves, in every layout; and every way a folder can be wrong."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hub_models import random_hub_model
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shared.decoder.config import ModelConfig
from shared.loading import checkpoint
from shared.loading.checkpoint import (
    HUB_FILES,
    check_tokenizer,
    load_model,
    resolve_folder,
    stop_token_ids,
    usable_device,
)
from shared.loading.weights import is_finite
from shared.text.tokenizer import Tokenizer

INDEX = "model.safetensors.index.json"
Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
FAMILIES = pytest.mark.parametrize("family", ["qwen2", "qwen3"])


def edit_json(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def edit_weights(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Store a safetensors file again after `change` to the dict of its tensors."""
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    path.unlink()  # a new file, since the old one may still be mapped
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An untied Qwen3 in one file."""
    random_hub_model("qwen3").save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """A tied Qwen3 in one file."""
    random_hub_model("qwen3", tie_word_embeddings=True).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """The model of `folder` in several files with an index."""
    random_hub_model("qwen3").save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    return tmp_path


# --- Loading --------------------------------------------------------------------------------------


@FAMILIES
@pytest.mark.parametrize("shard_size", ["1GB", "20KB"], ids=["one file", "sharded"])
@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
def test_a_saved_model_loads_and_agrees(
    tmp_path: Path, family: str, shard_size: str, tie: bool
) -> None:
    reference = random_hub_model(family, tie_word_embeddings=tie)
    reference.save_pretrained(tmp_path, max_shard_size=shard_size)
    model = load_model(tmp_path, device="cpu")
    assert (tmp_path / INDEX).exists() == (shard_size == "20KB")
    ids = torch.randint(96, (2, 9))
    torch.testing.assert_close(model(ids), reference(ids).logits, atol=1e-4, rtol=0)
    expected = dict(reference.named_parameters())
    assert dict(model.named_parameters()).keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.named_parameters())


def test_the_model_is_ready_for_inference(tied: Path) -> None:
    model = load_model(str(tied), device="cpu")
    assert not model.training and model.dtype == torch.float32
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_weights_are_converted_to_the_dtype_asked_for(folder: Path, dtype: torch.dtype) -> None:
    stored = load_file(folder / "model.safetensors")
    for name, tensor in load_model(folder, device="cpu", dtype=dtype).named_parameters():
        assert torch.equal(tensor, stored[name].to(dtype))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_the_default_is_bfloat16(folder: Path) -> None:
    model = load_model(folder)
    assert model.device.type == "cuda" and model.dtype == torch.bfloat16
    assert model(torch.tensor([[1, 2, 3]], device="cuda")).isfinite().all()


def test_a_tied_head_may_be_stored_as_well(tied: Path) -> None:
    before = load_model(tied, device="cpu").lm_head.weight.clone()
    path = tied / "model.safetensors"
    edit_weights(path, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 0}))
    model = load_model(tied, device="cpu")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert torch.equal(model.lm_head.weight, before)


def test_tables_that_old_files_store_are_ignored(folder: Path) -> None:
    table = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4, dtype=torch.int64)}
    edit_weights(folder / "model.safetensors", lambda tensors: tensors.update(table))
    load_model(folder, device="cpu")


# In a process of its own: elsewhere, memory that earlier tests gave back may be used again.
PRIVATE_BYTES = """
import re, sys, torch
from pathlib import Path
from shared import load_model

def private_bytes():
    "Memory of this process that is not a mapped file."
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", status)[1]) * 1024

def load(name):
    model = load_model(name, device="cpu", dtype=torch.float32)
    with torch.inference_mode():
        model(torch.tensor([[1, 2]]))  # reads all of the vocabulary
    return model

load("tiny")  # what PyTorch needs when it is first used
before = private_bytes()
model = load(sys.argv[1])
print(private_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(
    ("stored", "copies"), [(torch.float32, 0), (torch.bfloat16, 1)], ids=["as stored", "converted"]
)
def test_weights_take_no_more_memory_than_they_must(
    tmp_path: Path, stored: torch.dtype, copies: int
) -> None:
    reference = random_hub_model("qwen3", vocab_size=400_000, tie_word_embeddings=True)
    reference.to(stored).save_pretrained(tmp_path)
    command = [sys.executable, "-c", PRIVATE_BYTES, str(tmp_path)]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert abs(taken - copies * 400_000 * 32 * 4) < 20e6


# --- Stop tokens ----------------------------------------------------------------------------------


def test_stop_tokens_come_from_the_generation_config_first(tmp_path: Path) -> None:
    assert stop_token_ids(tmp_path) == []
    edit_json(tmp_path / "config.json", eos_token_id=7)
    assert stop_token_ids(tmp_path) == [7]
    edit_json(tmp_path / "generation_config.json", eos_token_id=None)
    assert stop_token_ids(tmp_path) == [7]
    edit_json(tmp_path / "generation_config.json", eos_token_id=[0, 7])
    assert stop_token_ids(str(tmp_path)) == [0, 7]
    edit_json(tmp_path / "generation_config.json", eos_token_id=0)
    assert stop_token_ids(tmp_path) == [0]


# --- Folders that are wrong -----------------------------------------------------------------------


def refuses(folder: Path, error: type[Exception], *words: str) -> None:
    """Check that loading `folder` fails with all of `words` in the message."""
    with pytest.raises(error) as raised:
        load_model(folder, device="cpu")
    for word in words:
        assert word in str(raised.value)


def test_missing_tensors_are_named(folder: Path) -> None:
    edit_weights(folder / "model.safetensors", lambda tensors: tensors.pop(Q_PROJ))
    refuses(folder, ValueError, "model.safetensors", Q_PROJ)


def test_an_untied_head_must_be_stored(tied: Path) -> None:
    edit_json(tied / "config.json", tie_word_embeddings=False)
    refuses(tied, ValueError, "model.safetensors", "lm_head.weight")


def test_surplus_tensors_are_named(folder: Path) -> None:
    names = [f"model.layers.{n}.self_attn.q_proj.bias" for n in range(9)]
    surplus = {name: torch.ones(3) for name in names}
    edit_weights(folder / "model.safetensors", lambda tensors: tensors.update(surplus))
    refuses(folder, ValueError, "model.safetensors", *names[:5], "and 4 more")


def test_misshapen_tensors_are_named(folder: Path) -> None:
    change = {Q_PROJ: torch.ones(32, 31)}
    edit_weights(folder / "model.safetensors", lambda tensors: tensors.update(change))
    refuses(folder, ValueError, "model.safetensors", Q_PROJ, "[32, 31]", "[32, 32]")


def test_quantized_tensors_are_named(folder: Path) -> None:
    change = {Q_PROJ: torch.ones(32, 32, dtype=torch.int8)}
    edit_weights(folder / "model.safetensors", lambda tensors: tensors.update(change))
    refuses(folder, ValueError, "model.safetensors", Q_PROJ, "int8")


def test_a_stored_head_that_contradicts_tying_is_refused(folder: Path) -> None:
    edit_json(folder / "config.json", tie_word_embeddings=True)
    refuses(folder, ValueError, "tie_word_embeddings", "lm_head.weight")


@pytest.mark.parametrize("size", [0, 5, 300, -8])
def test_a_truncated_file_is_named(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    refuses(folder, ValueError, str(path), "download it again")


def test_a_git_lfs_pointer_is_no_safetensors_file(folder: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (folder / "model.safetensors").write_text(pointer, encoding="utf-8")
    refuses(folder, ValueError, "model.safetensors", "download it again")


def test_a_truncated_shard_is_named(sharded: Path) -> None:
    path = sorted(sharded.glob("*.safetensors"))[1]
    path.write_bytes(path.read_bytes()[:-8])
    refuses(sharded, ValueError, path.name, "download it again")


def test_a_missing_shard_is_named(sharded: Path) -> None:
    path = sorted(sharded.glob("*.safetensors"))[1]
    path.unlink()
    refuses(sharded, FileNotFoundError, path.name, INDEX)


def test_a_shard_without_its_tensors_is_refused(sharded: Path) -> None:
    path = next(p for p in sharded.glob("*.safetensors") if Q_PROJ in load_file(p))
    edit_weights(path, lambda tensors: tensors.pop(Q_PROJ))
    refuses(sharded, ValueError, "model-00001-of", Q_PROJ)


@pytest.mark.parametrize("text", ["{}", '{"weight_map": {}}', '{"weight_map"'])
def test_a_broken_index_is_named(sharded: Path, text: str) -> None:
    (sharded / INDEX).write_text(text, encoding="utf-8")
    refuses(sharded, ValueError, INDEX)


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refuses(folder, FileNotFoundError, str(folder), "model.safetensors", INDEX)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_pickles_are_refused_by_name(folder: Path, name: str) -> None:
    shutil.move(folder / "model.safetensors", folder / name)
    refuses(folder, ValueError, name, "pickle", "safetensors")


def test_a_folder_without_a_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    refuses(folder, FileNotFoundError, str(folder), "config.json")


def test_a_broken_config_is_named(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")
    refuses(folder, ValueError, str(folder / "config.json"))


# --- Numbers, sizes, devices ----------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 500, 1_023])
def test_a_single_weight_that_is_not_finite_is_found(folder: Path, bad: float, place: int) -> None:
    edit_weights(folder / "model.safetensors", lambda t: t[Q_PROJ].view(-1)[place].fill_(bad))
    refuses(folder, ValueError, "model.safetensors", Q_PROJ, "NaN or infinity")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 100_003])
def test_is_finite_agrees_with_looking_at_every_number(dtype: torch.dtype, size: int) -> None:
    for place in {0, size // 2, size - 1}:
        for value in (0.0, -1e4, float("nan"), float("inf"), -float("inf")):
            numbers = torch.randn(size).to(dtype)
            numbers[place] = value
            assert is_finite(numbers) == bool(numbers.isfinite().all())


def test_weights_beyond_the_range_of_float16_are_named(folder: Path) -> None:
    edit_weights(folder / "model.safetensors", lambda t: t[Q_PROJ].view(-1)[3].fill_(1e5))
    load_model(folder, "cpu", torch.bfloat16)
    with pytest.raises(ValueError, match=rf"{Q_PROJ} has numbers beyond .*float16.*bfloat16"):
        load_model(folder, "cpu", torch.float16)


def test_a_config_that_asks_for_more_layers_is_refused_before_they_are_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "Qwen", None)
    edit_json(folder / "config.json", num_hidden_layers=900, layer_types=None)
    refuses(folder, ValueError, "config.json: num_hidden_layers is 900, expected 3")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "meta", "CPU", "cpu:1", 0.5])
def test_devices_that_are_none_are_refused(folder: Path, device: object) -> None:
    with pytest.raises(ValueError, match=f"device is '{device}', (expected|but)"):
        load_model(folder, device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:99", "mps", torch.device("cuda")])
def test_devices_that_are_not_there_are_refused(
    folder: Path, device: str | torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device is '{device}', but.*leave it out to use 'cpu'"):
        load_model(folder, device)


def test_the_number_of_a_gpu_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert usable_device("cuda:1") == torch.device("cuda:1")
    assert usable_device(None) == torch.device("cuda")
    with pytest.raises(ValueError, match="'cuda:2', but PyTorch sees 2 of that kind here"):
        usable_device("cuda:2")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, "float16", torch.bool])
def test_dtypes_that_no_model_computes_in_are_refused(folder: Path, dtype: object) -> None:
    with pytest.raises(ValueError, match="dtype is .*expected one of torch.bfloat16"):
        load_model(folder, "cpu", dtype)


@pytest.mark.parametrize("name", ["./model-2", "..", "/dev/zero", 7, None, ["x"]])
def test_an_index_names_files_beside_it_only(sharded: Path, name: object) -> None:
    index = json.loads((sharded / INDEX).read_text(encoding="utf-8"))
    index["weight_map"][Q_PROJ] = name
    (sharded / INDEX).write_text(json.dumps(index), encoding="utf-8")
    refuses(sharded, ValueError, INDEX, f"weight_map['{Q_PROJ}'] is {name!r}", "beside the index")


def test_of_one_file_and_shards_none_may_be_out_of_date(sharded: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for path in sharded.glob("*.safetensors"):
        tensors |= load_file(path)
    before = load_model(sharded, device="cpu").state_dict()
    save_file(tensors, sharded / "model.safetensors")
    after = load_model(sharded, device="cpu").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    stale = {name: tensor + (name == Q_PROJ) for name, tensor in tensors.items()}
    (sharded / "model.safetensors").unlink()
    save_file(stale, sharded / "model.safetensors")
    refuses(sharded, ValueError, Q_PROJ, "differs", "model.safetensors", "out of date")


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(random_folder: Path) -> None:
    tokenizer = Tokenizer.from_folder(random_folder)
    config = ModelConfig.from_folder(random_folder)
    check_tokenizer(tokenizer, config, random_folder)
    few = replace(config, vocab_size=tokenizer.vocab_size - 1)
    with pytest.raises(ValueError, match=r"config.json: vocab_size is 529, expected 530 or more"):
        check_tokenizer(tokenizer, few, random_folder)


# --- Names ----------------------------------------------------------------------------------------


def test_a_folder_is_itself(folder: Path) -> None:
    assert resolve_folder(folder) == folder
    assert resolve_folder(str(folder)) == folder


def test_tiny_is_the_shipped_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "TINY_FOLDER", folder)
    assert resolve_folder("tiny") == folder
    monkeypatch.setattr(checkpoint, "TINY_FOLDER", folder / "gone")
    with pytest.raises(FileNotFoundError, match="shipped model is missing"):
        resolve_folder("tiny")


def test_a_hub_id_is_downloaded_without_pickles(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot_download(hub_id: str, *, allow_patterns: list[str]) -> str:
        assert hub_id == "Qwen/Qwen3-0.6B" and allow_patterns == HUB_FILES
        return str(folder)

    monkeypatch.setattr(checkpoint, "snapshot_download", snapshot_download)
    assert resolve_folder("Qwen/Qwen3-0.6B") == folder
    assert not any("bin" in pattern for pattern in HUB_FILES)


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("offline"), HFValidationError("odd")])
def test_a_failed_download_names_the_id_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def snapshot_download(hub_id: str, **_: object) -> str:
        raise error

    monkeypatch.setattr(checkpoint, "snapshot_download", snapshot_download)
    with pytest.raises(
        OSError, match=r"'Qwen/Qwen9-9B'.*spelling.*online.*local folder.*" + str(error)
    ):
        resolve_folder("Qwen/Qwen9-9B")


def test_offline_the_hub_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # HF_HUB_OFFLINE=1
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match="'Qwen/Qwen3-0.6B'.*local folder"):
        resolve_folder("Qwen/Qwen3-0.6B")


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "./no/such/folder", "../gone", "a/b/c", "C:\\x"])
def test_other_names_are_refused_saying_what_is_accepted(name: str) -> None:
    with pytest.raises(ValueError, match=r"neither a folder.*tiny.*Qwen/Qwen3-0\.6B"):
        resolve_folder(name)


def test_a_file_is_not_a_folder(folder: Path) -> None:
    with pytest.raises(ValueError, match="neither a folder"):
        resolve_folder(folder / "model.safetensors")
