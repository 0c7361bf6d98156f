"""Faster linear layers and sorting on a CPU in float32.

Delete this file and `fast_sampler.py` with their uses, and every result stays the same up to
rounding:

    speed_up(model)         swaps the linear layers of a loaded model (`LLM`, the reward models)
    fast_sample             replaces `decoder/sampler.sample` (`generator.py`)
    sort_descending         sorts for top-p (`fast_sampler.py`)
    rows_per_sample_call    how many rows choose their tokens at once (`generator.py`)

A large model spends nearly all its time in linear layers. Three ways to compute one are faster than
`F.linear`, each where it applies:

- PyTorch multiplies float32 matrices with MKL, which leaves half of an AMD CPU's speed unused;
  oneDNN, which it uses for other dtypes, does not.
- oneDNN reads a narrow weight matrix faster for a few rows if it is laid out column by column.
- For a single row of such a matrix the time is that of reading the weights from memory, and no
  product in PyTorch reads as fast as a sum of embeddings does.

benchmarks/README.md says by how much.
"""

from __future__ import annotations

from functools import cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
LARGE = 1 << 16  # weights of a matrix that is worth reading fast
COMPILING = 1 << 25  # multiplications that take as long as oneDNN takes to compile code
SAMPLE_BYTES = 4 << 20  # of logits from which tokens are chosen at once: memory of this size is
# used again and again, while larger pieces are new to the operating system every time (8 << 20 is
# half as fast)


def speed_up(module: Module) -> Module:
    """Swap every linear layer of a module for a `FastLinear` on the same weights."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, FastLinear(child))
    return module


class FastLinear(nn.Module):
    """`nn.Linear`, computed in float32 on a CPU by other means than elsewhere."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias  # the same ones: a tied head stays tied
        self.arrange()

    def arrange(self) -> None:
        """Lay the weights out for few rows, where that makes many rows no slower.

        Measured: up to 64 rows of x are 1.1 to 1.4 times faster, more as fast as before. Not so if
        both sides are longer, nor where columns a multiple of 2,048 bytes long fight over the
        processor's cache.
        """
        is_narrow = min(self.weight.shape) < 1024
        fights_over_cache = self.out_features % 512 == 0
        if is_narrow and not fights_over_cache and self.is_special(self.weight):
            self.weight.data = self.weight.data.t().contiguous().t()

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in_features] -> [..., out_features]"""
        if not self.is_special(x) or self.weight.dtype != x.dtype or torch.is_grad_enabled():
            return F.linear(x, self.weight, self.bias)
        num_rows = x.numel() // self.in_features
        if num_rows == 1 and self.weight.numel() >= LARGE and self.out_features % num_pieces() == 0:
            columns = self.weight.t()  # [in, out]
            if columns.is_contiguous():
                y = sum_of_rows(columns, x.reshape(-1)).view(*x.shape[:-1], -1)
                return y if self.bias is None else y + self.bias
        missing = padded_size(num_rows) - num_rows
        if missing == 0 or missing * self.weight.numel() > COMPILING:
            return onednn(x, self.weight, self.bias)
        rows = x.reshape(num_rows, self.in_features)
        y = onednn(torch.cat([rows, rows[:missing]]), self.weight, self.bias)
        return y[:num_rows].view(*x.shape[:-1], self.out_features)

    @staticmethod
    def is_special(x: Tensor) -> bool:
        """Whether x is of the kind that other means than `F.linear` are for."""
        return HAS_ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32


def onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear` by oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def padded_size(rows: int) -> int:
    """The next of eight numbers from a power of two to the next: 16, 18, 20 .. 32, 36, 40 ..

    oneDNN compiles code for every number of rows that it meets, which takes 0.3 ms and 0.6 MB each
    time, and in a batch that rows leave as they finish that is another one at every step.
    """
    step = 1 << max(0, rows.bit_length() - 4)
    return -(-rows // step) * step


def num_pieces() -> int:
    """Into how many pieces `sum_of_rows` cuts a row: a power of two, one or two for each thread."""
    return 1 << (torch.get_num_threads() - 1).bit_length()


def sum_of_rows(matrix: Tensor, factors: Tensor) -> Tensor:
    """The rows of a contiguous matrix [N, D], each times its factor [N], added up; [D].

    As a sum of embeddings. D must be a multiple of `num_pieces()`, so that all threads have work.
    """
    num_rows, pieces = len(matrix), num_pieces()
    return F.embedding_bag(
        piece_numbers(num_rows, pieces),
        matrix.view(num_rows * pieces, -1),
        per_sample_weights=factors.expand(pieces, num_rows),
        mode="sum",
    ).flatten()


@cache
def piece_numbers(num_rows: int, pieces: int) -> Tensor:
    """Which pieces are every row's first ones, second ones and so on, [pieces, num_rows]."""
    return torch.arange(num_rows * pieces, dtype=torch.int32).view(-1, pieces).t().contiguous()


def sort_descending(x: Tensor) -> Tensor:
    """Each row of x [B, V], the largest first. NumPy sorts with vector instructions: 152,000
    numbers in 0.4 ms, where PyTorch takes 5."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return x.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(x.numpy(), axis=-1)).flip(-1)


def rows_per_sample_call(vocab_size: int, device: torch.device) -> int | None:
    """How many rows choose their next tokens at once; None: all, since a GPU wants few calls."""
    return max(1, SAMPLE_BYTES // (4 * vocab_size)) if device.type == "cpu" else None
