"""benchmarks/gpu.py at its small size, and whether its checks can fail."""

import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))
import gpu  # noqa: E402
import gpu_checks  # noqa: E402
from workloads import write_random_model  # noqa: E402

from shared.loading.checkpoint import default_dtype  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small random model."""
    path = tmp_path_factory.mktemp("gpu") / "model"
    write_random_model(path, gpu.SMALL_MODEL)
    return path


def test_all_checks_run_to_their_end_on_a_cpu(folder):
    for name, check in gpu.all_checks(folder, "cpu", small=True).items():
        if name == "ladder":  # test_ladder.py runs it
            continue
        found = gpu.run_check(check)
        assert found["ok"], (name, found)
        assert gpu.row(name, found).startswith(name)


def test_parity_notices_a_wrong_weight(folder, monkeypatch):
    load_model = gpu_checks.load_model

    def damaged(*args):
        model = load_model(*args)
        model.model.norm.weight.data[0] *= 1.5
        return model

    monkeypatch.setattr(gpu_checks, "load_model", damaged)
    found = gpu_checks.parity(folder, "cpu", torch.bfloat16, gpu_checks.SMALL)
    assert not found["ok"]


def test_the_sampler_check_notices_a_wrong_temperature(monkeypatch):
    fast_sample = gpu_checks.fast_sample
    monkeypatch.setattr(
        gpu_checks, "fast_sample", lambda logits, *rest: fast_sample(logits * 1.05, *rest)
    )
    assert not gpu_checks.sampler("cpu", gpu_checks.SMALL)["ok"]


def test_the_batch_check_notices_texts_that_depend_on_the_batch(folder, monkeypatch):
    llm = gpu_checks.LLM(str(folder), device="cpu")
    generate = llm.generate

    def dependent(prompts, params):
        outputs = generate(prompts, params)
        if isinstance(prompts[0], list):  # in a batch
            outputs[0].completions[0].token_ids[0] += 1
        return outputs

    monkeypatch.setattr(llm, "generate", dependent)
    monkeypatch.setattr(gpu_checks, "NEAR_TIE", 1e-6)
    assert not gpu_checks.batch_independence(llm, gpu_checks.SMALL)["ok"]


def test_a_check_that_raises_is_a_failure_with_its_traceback():
    found = gpu.run_check(lambda: 1 / 0)
    assert not found["ok"] and "ZeroDivisionError" in found["error"]
    assert "FAILED" in gpu.row("broken", found)


def test_a_gpu_without_bfloat16_gets_float16(monkeypatch):
    for has_bfloat16, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, has=has_bfloat16: has
        )
        assert default_dtype(torch.device("cuda")) == expected
    assert default_dtype(torch.device("cpu")) == torch.float32
