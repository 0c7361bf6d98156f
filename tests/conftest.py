"""How tests run (worker processes, slow tests), and their models: the shipped one, a small random
one, and a real Qwen where there is one."""

import json
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from shared import LLM
from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen

TINY = Path(__file__).parents[1] / "shared" / "tiny" / "checkpoint"
WORKER_BYTES = 3 * 2**30  # room for one worker and the kernel or script that it has started


def pytest_configure() -> None:
    """One thread in each worker, and in the notebooks and scripts that it starts.

    Workers of several threads wait for each other most of the time.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)  # known where pytest-xdist is installed
def pytest_xdist_auto_num_workers() -> int:
    """Workers of `--numprocesses auto`: one for each core that we may use, if memory suffices."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS or Windows
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().available // WORKER_BYTES))


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m "not slow"` excludes
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a real model is slow."""
    for item in items:
        if "real_folder" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def tiny() -> LLM:
    """The shipped model."""
    return LLM("tiny")


@pytest.fixture(scope="session")
def random_folder(tmp_path_factory) -> Path:
    """A checkpoint folder with the shipped vocabulary and a small random model of 256 positions.

    Like real ones, the model has more ids than its tokenizer.
    """
    folder = tmp_path_factory.mktemp("random")
    for file in TINY.iterdir():
        if file.name != "model.safetensors" and file.is_file():
            shutil.copy(file, folder)
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    config |= {"max_position_embeddings": 256, "vocab_size": config["vocab_size"] + 64}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    model = Qwen(ModelConfig.from_dict(config))
    tensors = {name: parameter.detach() for name, parameter in model.named_parameters()}
    tensors["model.embed_tokens.weight"] *= 0.25  # flat enough that samples differ
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def random_llm(random_folder) -> LLM:
    """The small random model: its texts are noise, but every code path runs in milliseconds."""
    return LLM(str(random_folder))


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder of a real Qwen, named by the environment variable REAL_QWEN_DIR."""
    folder = os.environ.get("REAL_QWEN_DIR")
    if not folder:
        pytest.skip("set REAL_QWEN_DIR to the folder of a real Qwen checkpoint to run this test")
    return Path(folder)


@pytest.fixture
def ctrl_c_works():
    """SIGINT interrupts, although a background job is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
