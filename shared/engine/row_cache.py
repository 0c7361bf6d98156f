"""Keys and values of rows that come, grow and leave.

As the textbook's cache (`decoder/kv_cache.py`), a `RowCache` is a rectangle: row r holds
`lengths[r]` tokens, and a token's slot is its position. Here the rectangle grows with its rows, and
rows are added and dropped without copying the others.

    cache = RowCache(model.config)
    cache.add_rows(2)
    model(prompts, cache)         # prefill two prompts [2, T], padded on the right
    cache.truncate([7, 9])        # forget the padding
    model(tokens, cache)          # decode: tokens [2, 1]
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.decoder.config import ModelConfig
from shared.engine.attention import causal_attention, masked_attention

COLUMN_STEP = 32  # a rectangle starts with this many columns and doubles from there


@dataclass(frozen=True)
class Slots:
    """Where the T new tokens of every row are stored."""

    positions: Tensor  # [rows, T]
    index: Tensor  # [rows * K * T], into a layer's rectangle seen as [rows * K * columns, D]
    num_columns: int  # S: slots of the longest row


class RowCache:
    """Keys and values, for each layer a rectangle [rows, K, columns, D], grown when needed.

    If told by `expect` how long rows can become, it never grows beyond.
    """

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (0, config.num_kv_heads, 0, config.head_dim)
        empty = torch.empty(shape, device=device, dtype=dtype)
        self.keys = [empty] * config.num_layers
        self.values = [empty] * config.num_layers
        self.lengths = torch.empty(0, dtype=torch.long)  # [rows], kept on the CPU: no device sync
        self.max_columns: int | None = None  # set by `expect`

    @property
    def num_rows(self) -> int:
        """How many rows are live."""
        return len(self.lengths)

    @property
    def num_bytes(self) -> int:
        """Bytes allocated, in use or not."""
        return sum(tensor.nbytes for tensor in self.keys + self.values)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of a token's keys and values."""
        _, num_kv_heads, _, head_dim = self.keys[0].shape
        return 2 * len(self.keys) * num_kv_heads * head_dim * self.keys[0].itemsize

    @property
    def device(self) -> torch.device:
        """Where keys and values are."""
        return self.keys[0].device

    def expect(self, max_columns: int) -> None:
        """From now on no row will have more than `max_columns` tokens: do not grow beyond."""
        self.max_columns = max_columns

    def add_rows(self, count: int) -> None:
        """Append `count` empty rows."""
        self.lengths = torch.cat([self.lengths, torch.zeros(count, dtype=torch.long)])
        self._reserve(self.num_rows, 0)

    def add_rows_from(self, other: RowCache, rows: list[int]) -> None:
        """Append copies of rows of another cache (one row may be named several times)."""
        first, columns = self.num_rows, int(other.lengths[rows].max())
        self.lengths = torch.cat([self.lengths, other.lengths[rows]])
        self._reserve(self.num_rows, columns)
        source = torch.tensor(rows, device=self.device)
        for mine, theirs in zip(self.keys + self.values, other.keys + other.values):
            mine[first : self.num_rows, :, :columns] = theirs[source, :, :columns]

    def select(self, rows: list[int]) -> None:
        """Make `rows` (old row numbers, in this order, repeats allowed) the only rows.

        Rows that keep their number are not copied (see `branch_cache.compacted`).
        """
        if not all(0 <= row < self.num_rows for row in rows):
            raise IndexError(f"rows {rows} do not all exist: the cache has {self.num_rows} rows")
        self.lengths = self.lengths[rows]
        self._reserve(len(rows), 0)
        moved = [(new, old) for new, old in enumerate(rows) if new != old]
        if not moved:
            return
        target, source = torch.tensor(moved, device=self.device).T  # [moved] each
        columns = int(self.lengths[target.cpu()].max())
        for tensor in self.keys + self.values:
            tensor[target, :, :columns] = tensor[source, :, :columns]

    def truncate(self, lengths: list[int]) -> None:
        """Forget, in each row, everything after its new length."""
        shorter = torch.tensor(lengths, dtype=torch.long)
        if shorter.shape != self.lengths.shape or bool((shorter > self.lengths).any()):
            raise ValueError(f"cannot truncate lengths {self.lengths.tolist()} to {lengths}")
        self.lengths = shorter

    def clear_row(self, row: int) -> None:
        """Overwrite what a row has stored, and whatever lies to the right of it, with zeros."""
        for tensor in self.keys + self.values:
            tensor[row] = 0

    def read_row(self, row: int, start: int) -> tuple[Tensor, Tensor]:
        """Copies of a row's keys and values from column `start` on, [num_layers, K, T, D] each."""
        span = slice(start, int(self.lengths[row]))
        keys, values = (
            torch.stack([tensor[row, :, span] for tensor in tensors])
            for tensors in (self.keys, self.values)
        )
        return keys, values

    def write_row(self, row: int, start: int, keys: Tensor, values: Tensor) -> None:
        """Continue a row that has `start` tokens with what `read_row` returned."""
        end = start + keys.shape[2]
        self._reserve(self.num_rows, end)
        for layer, (k, v) in enumerate(zip(keys, values)):
            self.keys[layer][row, :, start:end] = k
            self.values[layer][row, :, start:end] = v
        self.lengths[row] = end

    def extend(self, num_tokens: int) -> RowStep:
        """Give every row T more tokens, and say where they stand."""
        is_empty = not self.lengths.any()
        slots = self.claim(num_tokens)
        if is_empty:  # then the new tokens are all there is to attend to
            return RowStep(self, slots, mask=None)
        columns = torch.arange(slots.num_columns, device=self.device)
        mask = columns <= slots.positions[:, None, :, None]  # [rows, 1, T, S]
        return RowStep(self, slots, mask)

    def claim(self, num_tokens: int) -> Slots:
        """Make room for T more tokens in every row."""
        num_columns = int(self.lengths.max()) + num_tokens
        self._reserve(self.num_rows, num_columns)
        positions = self.lengths[:, None] + torch.arange(num_tokens)  # [rows, T]
        positions = positions.to(self.device, non_blocking=True)
        self.lengths = self.lengths + num_tokens
        _, num_kv_heads, columns, _ = self.keys[0].shape
        first = torch.arange(self.num_rows * num_kv_heads, device=self.device) * columns
        index = first.view(-1, num_kv_heads, 1) + positions[:, None]  # [rows, K, T]
        return Slots(positions, index.flatten(), num_columns)

    def store(self, layer: int, k: Tensor, v: Tensor, slots: Slots) -> tuple[Tensor, Tensor]:
        """Store one layer's new k and v [rows, K, T, D] in their slots.

        Returns the layer's keys and values up to the longest row, [rows, K, S, D] each.
        """
        for tensor, new in ((self.keys[layer], k), (self.values[layer], v)):
            tensor.flatten(0, 2).index_copy_(0, slots.index, new.flatten(0, 2))
        live = slice(0, self.num_rows)
        return (
            self.keys[layer][live, :, : slots.num_columns],
            self.values[layer][live, :, : slots.num_columns],
        )

    def worst_tokens(self) -> int:
        """Tokens that there is room for, or will be when all rows have grown to `max_columns`."""
        rows, _, columns, _ = self.keys[0].shape
        return max(rows * columns, self.num_rows * (self.max_columns or 0))

    def trim(self) -> None:
        """Give back the room that no live row needs now."""
        self._resize(self.num_rows, int(self.lengths.max()) if self.num_rows else 0)

    def _reserve(self, rows: int, columns: int) -> None:
        """Grow to at least rows x columns, keeping what live rows have stored."""
        old_rows, _, old_columns, _ = self.keys[0].shape
        if rows <= old_rows and columns <= old_columns:
            return
        # Growing copies everything: a row more should rarely do so, and what no live row needs is
        # given back on that occasion.
        if rows > old_rows:
            rows = max(rows, old_rows + old_rows // 4)
        room = int(self.lengths.max()) + COLUMN_STEP
        room = max(room, 2 * old_columns) if columns > old_columns else min(room, old_columns)
        self._resize(rows, max(columns, min(room, self.max_columns or room)))

    def _resize(self, rows: int, columns: int) -> None:
        """Copy what fits to rectangles of exactly rows x columns."""
        for tensors in (self.keys, self.values):
            for layer, old in enumerate(tensors):  # one at a time: little is held twice
                # Zeros, because a masked column weighs 0 but 0 x NaN would be NaN.
                new = old.new_zeros(rows, old.shape[1], columns, old.shape[3])
                kept = slice(0, rows), slice(None), slice(0, columns)
                shared = slice(0, old.shape[0]), slice(None), slice(0, old.shape[2])
                new[shared] = old[kept]
                tensors[layer] = new


@dataclass(frozen=True)
class RowStep:
    """One forward pass over new tokens of every row."""

    cache: RowCache
    slots: Slots
    mask: Tensor | None  # [rows, 1, T, S]; None where the rows held nothing before

    @property
    def positions(self) -> Tensor:
        """[rows, T]"""
        return self.slots.positions

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, T, D]; q [rows, H, T, D] attends to all that its row holds."""
        keys, values = self.cache.store(layer, k, v, self.slots)
        if self.mask is None:
            return causal_attention(q, k, v)
        return masked_attention(q, keys, values, self.mask)
