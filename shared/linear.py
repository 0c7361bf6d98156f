"""The linear layer: what `nn.Linear` computes, in the fastest way that PyTorch has for it on a CPU.

Here goes nearly all the time of a large model. Three things are faster than `F.linear`, and which
one it is changes nothing but rounding:

- PyTorch multiplies float32 with MKL, which leaves half of an AMD CPU's speed unused; oneDNN, which
  it uses for other dtypes, does not.
- oneDNN reads a narrow weight matrix faster for a few rows if it is laid out column by column.
- For a single row of such a matrix the time is that of reading the weights from memory, and no
  product in PyTorch reads as fast as a sum of embeddings does.

benchmarks/README.md says by how much.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
LARGE = 1 << 16  # weights of a matrix that is worth reading fast
COMPILING = 1 << 25  # multiplications that take as long as oneDNN takes to compile code


class Linear(nn.Linear):
    """`nn.Linear`, computed in float32 on a CPU by other means than elsewhere."""

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
