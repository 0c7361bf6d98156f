"""What this machine could do at best: the bound that no engine can pass.

    python benchmarks/roofline.py          # measures and prints the machine's two numbers

One row at a time, every weight must come from memory for every token: seconds = bytes of weights /
memory bandwidth. With many rows that is shared, and what counts are the multiplications: seconds =
rows x 2 x parameters / matrix-multiplication peak. The bound of a step is the larger of the two;
a generation is one reading of the prompts and `new_tokens - 1` steps, since a prompt's reading
gives the first token.

Attention, the sampler and the key/value cache are left out, so the bound is a little too good to
be reached, most so for long texts. It also assumes weights larger than the processor's cache.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen

MATRIX_SHAPES = ((256, 1024, 3072), (512, 2048, 2048), (1024, 4096, 4096))  # rows, in, out
READ_SHAPE = (8192, 16384)  # 512 MiB of float32: many times a processor's cache
REPEATS = 5


@dataclass(frozen=True)
class Machine:
    """Measured: bytes read a second, multiplications and additions a second, threads used."""

    bytes_per_second: float
    flops_per_second: float
    threads: int


@dataclass(frozen=True)
class Weights:
    """What one token goes through: parameters of the layers and of the vocabulary head.

    The embedding is looked up, not multiplied; where it is tied it counts once, as the head.
    """

    layers: int
    head: int
    bytes_each: int

    @classmethod
    def of(cls, config: ModelConfig, dtype: torch.dtype) -> Weights:
        """Counted on a model without memory."""
        with torch.device("meta"):
            model = Qwen(config)
        embedding = model.model.embed_tokens.weight.numel()
        total = sum(parameter.numel() for parameter in model.model.parameters())
        return cls(total - embedding, model.lm_head.weight.numel(), dtype.itemsize)


def least_seconds(
    prompt_lengths: list[int], samples: int, new_tokens: int, weights: Weights, machine: Machine
) -> float:
    """Seconds that a generation takes at least on this machine (see the module's text)."""
    rows = len(prompt_lengths) * samples
    parameters = weights.layers + weights.head
    reading_all = parameters * weights.bytes_each / machine.bytes_per_second
    # Only a prompt's last token needs the head.
    prompt_flops = 2 * (sum(prompt_lengths) * weights.layers + len(prompt_lengths) * weights.head)
    prompts = max(reading_all, prompt_flops / machine.flops_per_second)
    step = max(reading_all, rows * 2 * parameters / machine.flops_per_second)
    return prompts + (new_tokens - 1) * step


def fastest(call: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls, after one that is not counted."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@torch.inference_mode()
def measure_bandwidth() -> float:
    """Bytes a second of the faster of two ways to read a large matrix once."""
    matrix = torch.rand(READ_SHAPE)
    vector = torch.rand(1, READ_SHAPE[1])
    seconds = min(fastest(lambda: F.linear(vector, matrix)), fastest(matrix.sum))
    return matrix.nbytes / seconds


@torch.inference_mode()
def measure_peak(dtype: torch.dtype) -> float:
    """Multiplications and additions a second, the best of a few large matrix products.

    PyTorch's own choice of library (F.linear) is not the fastest on every processor, so oneDNN is
    called by name too where this PyTorch has it.
    """
    return max(
        2 * rows * inputs * outputs / seconds
        for rows, inputs, outputs in MATRIX_SHAPES
        for seconds in linear_seconds(
            torch.rand(rows, inputs, dtype=dtype), torch.rand(outputs, inputs, dtype=dtype)
        )
    )


def linear_seconds(x: Tensor, weight: Tensor) -> list[float]:
    """Seconds of x [rows, in] times weight [out, in] transposed, by each library."""
    seconds = [fastest(lambda: F.linear(x, weight))]
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        onednn = torch.ops.mkldnn._linear_pointwise
        seconds.append(fastest(lambda: onednn(x, weight, None, "none", [], "")))
    return seconds


def measure(dtype: torch.dtype) -> Machine:
    """Both numbers, with all threads that PyTorch uses."""
    return Machine(measure_bandwidth(), measure_peak(dtype), torch.get_num_threads())


def describe(machine: Machine) -> str:
    """One line for people."""
    return (
        f"{machine.bytes_per_second / 1e9:.1f} GB/s of memory bandwidth and "
        f"{machine.flops_per_second / 1e9:.0f} GFLOP/s of matrix multiplication "
        f"with {machine.threads} threads"
    )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    print(describe(measure(getattr(torch, parser.parse_args().dtype))))


if __name__ == "__main__":
    main()
