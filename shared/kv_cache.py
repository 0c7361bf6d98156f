"""The key/value cache: what every row of a batch has read so far, and nothing else keeps it.

Row r holds `lengths[r]` tokens in columns 0 .. lengths[r] - 1, so a token's column is its position
and rows of different lengths share one rectangle without padding on the left. What lies to the
right of a row's length is never looked at: `begin` masks it out, and the next token overwrites it.

    cache = KVCache(model.config)                 # empty: no rows yet
    cache.add_rows(1); model(prompt, cache)       # prefill one prompt [1, T]
    cache.select([0] * 8)                         # the same prompt eight times, for eight samples
    model(tokens, cache)                          # decode: tokens [8, 1]
    cache.select([0, 3, 5])                       # the other rows have finished or were pruned
    cache.truncate([7, 7, 9])                     # backtrack: forget all after these lengths
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from shared.model import ModelConfig

COLUMN_STEP = 64  # the rectangle grows by at least so many columns, so that growing stays rare


class KVCache:
    """Keys and values of all layers, [num_layers, rows, K, columns, D] each, grown when needed."""

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.num_layers, 0, config.num_kv_heads, 0, config.head_dim)
        self.keys = torch.empty(shape, device=device, dtype=dtype)
        self.values = torch.empty(shape, device=device, dtype=dtype)
        self.lengths = torch.empty(0, dtype=torch.long)  # [rows], kept on the CPU: no device sync

    @property
    def num_rows(self) -> int:
        """How many rows are live."""
        return len(self.lengths)

    @property
    def num_bytes(self) -> int:
        """Bytes allocated, in use or not."""
        return self.keys.nbytes + self.values.nbytes

    def add_rows(self, count: int) -> None:
        """Append `count` empty rows."""
        self.lengths = torch.cat([self.lengths, torch.zeros(count, dtype=torch.long)])
        self._reserve(self.num_rows, 0)

    def add_rows_from(self, other: KVCache, rows: list[int]) -> None:
        """Append copies of rows of another cache (one row may be named several times)."""
        first, columns = self.num_rows, int(other.lengths[rows].max())
        self.lengths = torch.cat([self.lengths, other.lengths[rows]])
        self._reserve(self.num_rows, columns)
        source = torch.tensor(rows, device=self.keys.device)
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            mine[:, first : self.num_rows, :, :columns] = theirs[:, source, :, :columns]

    def select(self, rows: list[int]) -> None:
        """Make `rows` (old row numbers, in this order, repeats allowed) the only rows.

        Rows that keep their place are not copied: to drop a few finished rows cheaply, let the
        last ones fill the holes (see `rows_without`).
        """
        if not all(0 <= row < self.num_rows for row in rows):
            raise IndexError(f"rows {rows} do not all exist: the cache has {self.num_rows} rows")
        self.lengths = self.lengths[rows]
        self._reserve(len(rows), 0)
        moved = [(new, old) for new, old in enumerate(rows) if new != old]
        if not moved:
            return
        columns = int(self.lengths.max())
        target, source = torch.tensor(moved, device=self.keys.device).T  # [moved] each
        for tensor in (self.keys, self.values):
            tensor[:, target, :, :columns] = tensor[:, source, :, :columns]

    def truncate(self, lengths: list[int]) -> None:
        """Forget, in each row, everything after its new length."""
        shorter = torch.tensor(lengths, dtype=torch.long)
        if shorter.shape != self.lengths.shape or bool((shorter > self.lengths).any()):
            raise ValueError(f"cannot truncate lengths {self.lengths.tolist()} to {lengths}")
        self.lengths = shorter

    def begin(self, num_tokens: int) -> tuple[Tensor, Tensor]:
        """Make room for T new tokens a row; return their positions and who may look where.

        Returns positions [rows, T] and mask [rows, 1, T, S], True where column <= position.
        """
        columns = int(self.lengths.max()) + num_tokens  # S
        self._reserve(self.num_rows, columns)
        positions = self.lengths[:, None] + torch.arange(num_tokens)  # [rows, T]
        self.positions = positions.to(self.keys.device, non_blocking=True)
        self.rows = torch.arange(self.num_rows, device=self.keys.device)[:, None]  # [rows, 1]
        self.columns = columns
        mask = torch.arange(columns, device=self.keys.device) <= self.positions[:, None, :, None]
        return self.positions, mask

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, K, T, D] at the positions that `begin` gave out.

        Returns this layer's keys and values up to the longest row, [rows, K, S, D] each.
        """
        keys, values = self.keys[layer], self.values[layer]
        keys[self.rows, :, self.positions] = k.transpose(1, 2)  # [rows, T, K, D]
        values[self.rows, :, self.positions] = v.transpose(1, 2)
        live = slice(0, self.num_rows)
        return keys[live, :, : self.columns], values[live, :, : self.columns]

    def advance(self, num_tokens: int) -> None:
        """Count the T tokens that all layers have now stored."""
        self.lengths = self.lengths + num_tokens

    def _reserve(self, rows: int, columns: int) -> None:
        """Grow the rectangle to at least rows x columns, keeping what live rows have stored."""
        _, old_rows, _, old_columns, _ = self.keys.shape
        if rows <= old_rows and columns <= old_columns:
            return
        # Growing copies everything anyway: what no live row needs is given back on that occasion.
        if columns > old_columns:
            columns = max(columns + COLUMN_STEP, old_columns * 5 // 4)
        else:
            columns = int(self.lengths.max()) + COLUMN_STEP
        kept_rows, kept_columns = min(rows, old_rows), min(columns, old_columns)
        for name in ("keys", "values"):
            old = getattr(self, name)
            num_layers, _, num_kv_heads, _, head_dim = old.shape
            # Zeros, because a masked column weighs 0 but 0 x NaN would be NaN.
            new = old.new_zeros(num_layers, rows, num_kv_heads, columns, head_dim)
            new[:, :kept_rows, :, :kept_columns] = old[:, :kept_rows, :, :kept_columns]
            setattr(self, name, new)


def rows_without(num_rows: int, dropped: set[int]) -> list[int]:
    """The rows to `select` when `dropped` go: the last rows fill the holes, the rest stay put."""
    kept = num_rows - len(dropped)
    movers = (row for row in range(kept, num_rows) if row not in dropped)
    return [next(movers) if row in dropped else row for row in range(kept)]
