"""Everything that should be checked on an NVIDIA GPU, in one run of at most eight minutes.

    python benchmarks/gpu.py --out gpu.json            # on a GPU: all checks at full size
    python benchmarks/gpu.py --small --out small.json  # anywhere: a few rows of a small model

It needs only this repository and requirements-dev.txt: weights are random, in the shape of
Qwen3-0.6B. The checks are in gpu_checks.py. The results are written after each check, so a run that
is interrupted keeps what it has found. Exit status 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import gpu_checks as checks
import torch
from workloads import QWEN3_06B, write_random_model

from shared import LLM
from shared.loading.checkpoint import default_device, default_dtype, load_model

SMALL_MODEL = QWEN3_06B | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 1_000,
}


def all_checks(folder: Path, device: str, small: bool) -> dict[str, Callable[[], dict]]:
    """The checks by name, cheap ones first."""
    sizes = checks.SMALL if small else checks.FULL
    dtype = default_dtype(torch.device(device))
    dtypes = [torch.bfloat16, torch.float16]
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        dtypes = [torch.float16]

    def with_llm(check: Callable[[LLM, checks.Sizes], dict]) -> dict:
        """Run a check on an engine of its own."""
        return check(LLM(str(folder), device=device, cache_bytes=sizes.cache_bytes), sizes)

    found: dict[str, Callable[[], dict]] = {
        f"parity in {str(kind).removeprefix('torch.')}": (
            lambda kind=kind: checks.parity(folder, device, kind, sizes)
        )
        for kind in dtypes
    }
    return found | {
        "sampler": lambda: checks.sampler(device, sizes),
        "batch of 64 and of 1": lambda: with_llm(checks.batch_independence),
        "speed of the engine": lambda: with_llm(checks.speed),
        "synchronizations": lambda: with_llm(checks.synchronizations),
        "memory": lambda: checks.memory(folder, device, dtype, sizes),
        "speed in a fixed cache": lambda: checks.static_speed(load_model(folder, device), sizes),
        "ladder": lambda: checks.ladder(sizes, folder.parent / "ladder"),
    }


def run_check(check: Callable[[], dict]) -> dict:
    """A check's figures, or its traceback: one that fails must not cost the results of others."""
    start = time.perf_counter()
    try:
        found = check()
    except Exception:
        found = {"ok": False, "error": traceback.format_exc()}
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return found | {"check_seconds": round(time.perf_counter() - start, 1)}


def row(name: str, found: dict) -> str:
    """One line of the table."""
    verdict = "skipped" if "skipped" in found else "ok" if found["ok"] else "FAILED"
    hidden = ("ok", "check_seconds", "output")
    figures = {k: rounded(v) for k, v in found.items() if k not in hidden}
    if "error" in figures:
        figures = {"error": found["error"].strip().splitlines()[-1]}
    text = "  ".join(f"{key} {value}" for key, value in figures.items())
    return f"{name:<24}{verdict:<9}{found['check_seconds']:>6} s  {text}"


def rounded(value: object) -> object:
    """Figures with three digits, also inside dicts."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> None:
    """Run all checks, write one JSON file, print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--small", action="store_true", help="a few rows of a small model")
    args = parser.parse_args()
    device = default_device()
    if device == "cpu" and not args.small:
        sys.exit("there is no CUDA GPU here: add --small for a run on the CPU")
    results: dict = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "default_dtype": str(default_dtype(torch.device(device))),
        "small": args.small,
        "checks": {},
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        write_random_model(folder, SMALL_MODEL if args.small else QWEN3_06B)
        for name, check in all_checks(folder, device, args.small).items():
            results["checks"][name] = found = run_check(check)
            args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(row(name, found), flush=True)
    if not all(found["ok"] for found in results["checks"].values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
