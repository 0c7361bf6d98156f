"""The key/value cache: what every row of a batch has read so far, and nothing else keeps it.

`KVCache` is a rectangle. Row r holds `lengths[r]` tokens in columns 0 .. lengths[r] - 1, so a
token's column is its position, and rows of different lengths share one rectangle without padding
on the left. What lies to the right of a row's length is never looked at, and the next token
overwrites it.

    cache = KVCache(model.config)
    cache.add_rows(2); model(prompts, cache)      # prefill two prompts [2, T], padded on the right
    cache.truncate([7, 9])                        # forget the padding
    model(tokens, cache)                          # decode: tokens [2, 1]

`BranchCache` is two rectangles: prompts, and rows of their own that each continue one of them.
The prompt is held once, and read once a step, however many rows branch off it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shared.attention import causal_attention, join, look, masked_attention

if TYPE_CHECKING:
    from shared.model import ModelConfig

COLUMN_STEP = 32  # a rectangle starts with so many columns and doubles from there
BLOCK_ROWS = 64  # rows of similar length, which are looked at together


class KVCache:
    """Keys and values, for each layer a rectangle [rows, K, columns, D], grown when needed.

    It never grows beyond `max_columns`, if that is given.
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
        self.max_columns: int | None = None

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

    def add_rows(self, count: int) -> None:
        """Append `count` empty rows."""
        self.lengths = torch.cat([self.lengths, torch.zeros(count, dtype=torch.long)])
        self._reserve(self.num_rows, 0)

    def add_rows_from(self, other: KVCache, rows: list[int]) -> None:
        """Append copies of rows of another cache (one row may be named several times)."""
        first, columns = self.num_rows, int(other.lengths[rows].max())
        self.lengths = torch.cat([self.lengths, other.lengths[rows]])
        self._reserve(self.num_rows, columns)
        source = torch.tensor(rows, device=self.device)
        for mine, theirs in zip(self.keys + self.values, other.keys + other.values):
            mine[first : self.num_rows, :, :columns] = theirs[source, :, :columns]

    def select(self, rows: list[int]) -> None:
        """Make `rows` (old row numbers, in this order, repeats allowed) the only rows.

        Rows that keep their place are not copied (see `rows_by_length`).
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

    def begin(self, num_tokens: int) -> Tensor:
        """Make room for T new tokens a row and return their positions [rows, T]."""
        positions = self.make_room(num_tokens)
        self.is_fresh = not self.lengths.any()  # then the new tokens are all there is to look at
        if not self.is_fresh:
            columns = torch.arange(self.columns, device=self.device)
            self.mask = columns <= positions[:, None, :, None]  # [rows, 1, T, S]
        return positions

    def make_room(self, num_tokens: int) -> Tensor:
        """Find places for T new tokens a row; returns the columns of these tokens [rows, T]."""
        self.columns = int(self.lengths.max()) + num_tokens  # S
        self._reserve(self.num_rows, self.columns)
        positions = self.lengths[:, None] + torch.arange(num_tokens)  # [rows, T]
        positions = positions.to(self.device, non_blocking=True)
        # The places in a layer's rectangle seen as [rows * K * columns, D].
        _, num_kv_heads, columns, _ = self.keys[0].shape
        first = torch.arange(self.num_rows * num_kv_heads, device=self.device) * columns
        places = first.view(-1, num_kv_heads, 1) + positions[:, None]  # [rows, K, T]
        self.places = places.flatten()
        return positions

    def store(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values [rows, K, T, D] at the places that `make_room` found.

        Returns this layer's keys and values up to the longest row, [rows, K, S, D] each.
        """
        for tensor, new in ((self.keys[layer], k), (self.values[layer], v)):
            tensor.flatten(0, 2).index_copy_(0, self.places, new.flatten(0, 2))
        live = slice(0, self.num_rows)
        return (
            self.keys[layer][live, :, : self.columns],
            self.values[layer][live, :, : self.columns],
        )

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, T, D]; what q [rows, H, T, D] sees of its row, same shape."""
        keys, values = self.store(layer, k, v)
        if self.is_fresh:
            return causal_attention(q, k, v)
        return masked_attention(q, keys, values, self.mask)

    def advance(self, num_tokens: int) -> None:
        """Count the T tokens that all layers have now stored."""
        self.lengths = self.lengths + num_tokens

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


class BranchCache:
    """Rows that each continue one of several prompts; for decoding one token of every row.

    `prompts` and `rows` are rectangles; row r continues prompt `prompt_of[r]`, and its columns
    count from the end of that prompt.
    """

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.prompts = KVCache(config, device, dtype)
        self.rows = KVCache(config, device, dtype)
        self.prompt_of = torch.empty(0, dtype=torch.long)  # [rows], on the CPU
        self._arrange()

    @property
    def num_bytes(self) -> int:
        """Bytes allocated, in use or not."""
        return self.prompts.num_bytes + self.rows.num_bytes

    def add(self, read: KVCache, prompts: list[int], prompt_of: list[int]) -> None:
        """Append prompts, copied from rows of `read`, and rows; `prompt_of` is of the new rows."""
        if prompts:
            self.prompts.add_rows_from(read, prompts)
        self.rows.add_rows(len(prompt_of))
        self.prompt_of = torch.cat([self.prompt_of, torch.tensor(prompt_of, dtype=torch.long)])
        self._arrange()

    def select(self, rows: list[int], prompts: list[int]) -> None:
        """Keep these rows and prompts (old numbers, in this order); no row may lose its prompt."""
        self.rows.select(rows)
        self.prompts.select(prompts)
        new_number = torch.full((max(prompts) + 1,), -1)
        new_number[prompts] = torch.arange(len(prompts))
        self.prompt_of = new_number[self.prompt_of[rows]]
        self._arrange()

    def clear_row(self, row: int) -> None:
        """Overwrite what a row and its prompt have stored with zeros."""
        self.rows.clear_row(row)
        self.prompts.clear_row(int(self.prompt_of[row]))

    def _arrange(self) -> None:
        """Put rows of one prompt side by side, as lines of equal width, so that one matrix product
        serves a line. A prompt has one line, unless a few prompts have most of the rows."""
        num_rows, num_prompts = len(self.prompt_of), self.prompts.num_rows
        if not num_rows:
            return
        counts = torch.bincount(self.prompt_of, minlength=num_prompts)  # [prompts]
        width = int(counts.max())
        if width * num_prompts > 4 * num_rows:
            width = -(-num_rows // num_prompts)
        lines = (-(-counts // width)).clamp(min=1)  # [prompts]
        order = self.prompt_of.argsort(stable=True)  # rows, prompt by prompt
        nth = torch.empty_like(order)  # each row's number among those of its prompt
        starts = counts.cumsum(0) - counts
        nth[order] = torch.arange(num_rows) - starts[self.prompt_of[order]]
        place = (lines.cumsum(0) - lines)[self.prompt_of] * width + nth  # [rows]
        row_at = torch.zeros(int(lines.sum()) * width, dtype=torch.long)  # empty places: any row
        row_at[place] = torch.arange(num_rows)
        device = self.prompts.device
        self.place, self.row_at = place.to(device), row_at.view(-1, width).to(device)
        self.prompt_of_line = None  # line i is prompt i
        if len(self.row_at) > num_prompts:
            self.prompt_of_line = torch.arange(num_prompts).repeat_interleave(lines).to(device)
        self.prompt_bias = hide_after(self.prompts.lengths, int(self.prompts.lengths.max()), device)

    def begin(self, num_tokens: int) -> Tensor:
        """Make room for one new token a row and return their positions [rows, 1]."""
        assert num_tokens == 1, "a BranchCache is for decoding, one token at a time"
        self.rows.make_room(1)
        self.row_bias = hide_after(self.rows.lengths + 1, self.rows.columns, self.rows.device)
        self.spans = self._spans()
        positions = self.prompts.lengths[self.prompt_of] + self.rows.lengths
        return positions.to(self.rows.device)[:, None]

    def _spans(self) -> list[tuple[slice, int]]:
        """Which rows to look at together, and over how many columns: those of the longest one."""
        spans: list[tuple[slice, int]] = []
        first = 0
        for lengths in self.rows.lengths.split(BLOCK_ROWS):
            columns = int(lengths.max()) + 1
            end = min(-(-columns // COLUMN_STEP) * COLUMN_STEP, self.rows.columns)
            start = spans.pop()[0].start if spans and spans[-1][1] == end else first
            first += len(lengths)
            spans.append((slice(start, first), end))
        return spans

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, 1, D]; what q [rows, H, 1, D] sees of its prompt and row."""
        num_rows, num_heads, _, head_dim = q.shape
        num_kv_heads = k.shape[1]
        q = q.reshape(num_rows, num_kv_heads, -1, head_dim)  # [rows, K, G, D]
        keys, values = self.rows.store(layer, k, v)
        bias = self.row_bias
        looks = [
            look(q[rows], keys[rows, :, :end], values[rows, :, :end], bias[rows, ..., :end])
            for rows, end in self.spans
        ]
        own = looks[0] if len(looks) == 1 else tuple(map(torch.cat, zip(*looks)))
        shared = self._look_at_prompts(layer, q)
        return join(shared, own).to(v.dtype).reshape(num_rows, num_heads, 1, head_dim)

    def _look_at_prompts(self, layer: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """`look` of every row, q [rows, K, G, D], at its prompt."""
        columns = self.prompt_bias.shape[-1]
        keys = self.prompts.keys[layer][: self.prompts.num_rows, :, :columns]
        values = self.prompts.values[layer][: self.prompts.num_rows, :, :columns]
        bias = self.prompt_bias
        if self.prompt_of_line is not None:
            keys, values, bias = (t[self.prompt_of_line] for t in (keys, values, bias))
        width, groups = self.row_at.shape[1], q.shape[2]
        by_line = q[self.row_at].transpose(1, 2).flatten(2, 3)  # [lines, K, width * G, D]
        looked = torch.cat(look(by_line, keys, values, bias), dim=-1)  # [..., D + 1]
        looked = looked.unflatten(2, (width, groups)).transpose(1, 2)  # [lines, width, K, G, D + 1]
        looked = looked.flatten(0, 1)[self.place]  # [rows, K, G, D + 1]
        return looked[..., :-1], looked[..., -1:]

    def advance(self, num_tokens: int) -> None:
        """Count the token that all layers have now stored."""
        self.rows.advance(num_tokens)


def hide_after(lengths: Tensor, columns: int, device: torch.device) -> Tensor:
    """A bias [rows, 1, 1, columns] for `look`: 0 in a row's first `length` columns, then -inf."""
    hidden = torch.arange(columns) >= lengths[:, None, None, None]
    return torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf).to(device)


def rows_by_length(lengths: Tensor, dropped: set[int]) -> list[int]:
    """The rows to `select` when `dropped` go: blocks of rows, the longest first, and few moves.

    Within a block of `BLOCK_ROWS` the order is free, so rows stay where they are unless they have
    to change their block.
    """
    length = lengths.tolist()
    kept = [row for row in range(len(length)) if row not in dropped]
    order = [-1] * len(kept)
    movers = []  # the longest first, as the places that are left
    for place, row in enumerate(sorted(kept, key=lambda row: -length[row])):
        if row < len(kept) and row // BLOCK_ROWS == place // BLOCK_ROWS:
            order[row] = row
        else:
            movers.append(row)
    left = (place for place, row in enumerate(order) if row < 0)
    for place, row in zip(left, movers, strict=True):
        order[place] = row
    return order
