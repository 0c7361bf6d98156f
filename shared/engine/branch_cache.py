"""Keys and values of rows that share their prompts: each prompt is held once, and read once a step.

`prompts` and `rows` are two rectangles. Row r continues prompt `prompt_of[r]`, and its slots count
from the end of that prompt. Decoding attends to both and merges the results (`attention.py`).

Two arrangements make this fast, and neither changes a result:

- Rows of one prompt are gathered into groups of equal width, so that one matrix product serves a
  whole group (`Groups`).
- Rows are kept in blocks of similar length, so that a block attends to as many slots as its own
  longest row has, and not to as many as the longest of all (`spans_of`, `compacted`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.decoder.model import ModelConfig
from shared.engine.attention import attention_with_lse, mask_bias, merge
from shared.engine.row_cache import COLUMN_STEP, RowCache, Slots

BLOCK_ROWS = 64  # rows of similar length, which attend together
Span = tuple[slice, int]  # some rows, and how many slots they attend to


class BranchCache:
    """Prompts, and rows that each continue one of them; for decoding one token of every row."""

    def __init__(
        self,
        config: ModelConfig,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.prompts = RowCache(config, device, dtype)
        self.rows = RowCache(config, device, dtype)
        self.prompt_of = torch.empty(0, dtype=torch.long)  # [rows], on the CPU
        self.groups: Groups | None = None  # None while there are no rows

    @property
    def num_bytes(self) -> int:
        """Bytes allocated, in use or not."""
        return self.prompts.num_bytes + self.rows.num_bytes

    def add(self, prompts: RowCache | None, prompt_of: list[int]) -> None:
        """Append the rows of `prompts` as prompts, and an empty row for each of `prompt_of`."""
        if prompts is not None:
            self.prompts.add_rows_from(prompts, list(range(prompts.num_rows)))
        self.rows.add_rows(len(prompt_of))
        self.prompt_of = torch.cat([self.prompt_of, torch.tensor(prompt_of, dtype=torch.long)])
        self.groups = self._grouped()

    def select(self, rows: list[int], prompts: list[int]) -> None:
        """Keep these rows and prompts (old numbers, in this order); no row may lose its prompt."""
        self.rows.select(rows)
        self.prompts.select(prompts)
        new_number = torch.full((max(prompts) + 1,), -1)
        new_number[prompts] = torch.arange(len(prompts))
        self.prompt_of = new_number[self.prompt_of[rows]]
        self.groups = self._grouped()

    def clear_row(self, row: int) -> None:
        """Overwrite what a row and its prompt have stored with zeros."""
        self.rows.clear_row(row)
        self.prompts.clear_row(int(self.prompt_of[row]))

    def _grouped(self) -> Groups | None:
        if not len(self.prompt_of):
            return None
        return group_rows(self.prompt_of, self.prompts.lengths, self.prompts.device)

    def extend(self, num_tokens: int) -> BranchStep:
        """Give every row one more token, and say where it stands."""
        assert num_tokens == 1, "a BranchCache is for decoding, one token at a time"
        slots = self.rows.claim(1)
        lengths = self.rows.lengths  # the new token included
        before = self.prompts.lengths[self.prompt_of].to(self.rows.device)[:, None]  # [rows, 1]
        return BranchStep(
            cache=self,
            slots=slots,
            positions=before + slots.positions,
            row_bias=mask_bias(lengths, slots.num_columns, self.rows.device),
            spans=spans_of(lengths, slots.num_columns),
        )


@dataclass(frozen=True)
class BranchStep:
    """One forward pass over one new token of every row."""

    cache: BranchCache
    slots: Slots
    positions: Tensor  # [rows, 1]
    row_bias: Tensor  # [rows, 1, 1, S], see `mask_bias`
    spans: list[Span]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, 1, D]; q [rows, H, 1, D] attends to its prompt and its row."""
        num_rows, num_heads, _, head_dim = q.shape
        q = q.reshape(num_rows, k.shape[1], -1, head_dim)  # [rows, K, G, D]
        keys, values = self.cache.rows.store(layer, k, v, self.slots)
        own = self._attend_to_rows(q, keys, values)
        shared = self._attend_to_prompts(layer, q)
        return merge(shared, own).to(v.dtype).reshape(num_rows, num_heads, 1, head_dim)

    def _attend_to_rows(self, q: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Every row's own tokens, a block of rows at a time; q [rows, K, G, D]."""
        pieces = [
            attention_with_lse(
                q[rows],
                keys[rows, :, :columns],
                values[rows, :, :columns],
                self.row_bias[rows, ..., :columns],
            )
            for rows, columns in self.spans
        ]
        return pieces[0] if len(pieces) == 1 else tuple(map(torch.cat, zip(*pieces)))

    def _attend_to_prompts(self, layer: int, q: Tensor) -> tuple[Tensor, Tensor]:
        """Every row's prompt, a group of rows at a time; q [rows, K, G, D]."""
        prompts, groups = self.cache.prompts, self.cache.groups
        columns = groups.bias.shape[-1]
        keys = prompts.keys[layer][: prompts.num_rows, :, :columns]
        values = prompts.values[layer][: prompts.num_rows, :, :columns]
        bias = groups.bias
        if groups.prompt_of is not None:
            keys, values, bias = (t[groups.prompt_of] for t in (keys, values, bias))
        gathered = groups.gather(q)  # [groups, K, width * G, D]
        mixed_and_lse = torch.cat(attention_with_lse(gathered, keys, values, bias), dim=-1)
        mixed_and_lse = groups.scatter(mixed_and_lse)  # [rows, K, G, D + 1]
        return mixed_and_lse[..., :-1], mixed_and_lse[..., -1:]


@dataclass(frozen=True)
class Groups:
    """Rows of one prompt side by side, `width` to a group; unused seats repeat row 0.

    A prompt has one group, unless a few prompts have most of the rows.
    """

    row_at: Tensor  # [groups, width], the row in each seat
    seat_of: Tensor  # [rows], each row's seat in `row_at` flattened
    prompt_of: Tensor | None  # [groups]; None where group i belongs to prompt i
    bias: Tensor  # [prompts, 1, 1, columns], see `mask_bias`

    def gather(self, q: Tensor) -> Tensor:
        """q [rows, K, G, D] -> [groups, K, width * G, D]."""
        return q[self.row_at].transpose(1, 2).flatten(2, 3)

    def scatter(self, x: Tensor) -> Tensor:
        """[groups, K, width * G, any] -> [rows, K, G, any]."""
        x = x.unflatten(2, (self.row_at.shape[1], -1)).transpose(1, 2)  # [groups, width, K, G, any]
        return x.flatten(0, 1)[self.seat_of]


def group_rows(prompt_of: Tensor, prompt_lengths: Tensor, device: torch.device) -> Groups:
    """Groups of the rows that continue prompts `prompt_of` [rows], on the CPU."""
    num_rows, num_prompts = len(prompt_of), len(prompt_lengths)
    counts = torch.bincount(prompt_of, minlength=num_prompts)  # [prompts]
    width = int(counts.max())
    if width * num_prompts > 4 * num_rows:  # most seats would be empty
        width = -(-num_rows // num_prompts)
    num_groups = (-(-counts // width)).clamp(min=1)  # [prompts]

    order = prompt_of.argsort(stable=True)  # rows, prompt by prompt
    starts = counts.cumsum(0) - counts
    nth = torch.empty_like(order)  # each row's number among those of its prompt
    nth[order] = torch.arange(num_rows) - starts[prompt_of[order]]

    first_group = num_groups.cumsum(0) - num_groups  # [prompts]
    seat_of = first_group[prompt_of] * width + nth  # [rows]
    row_at = torch.zeros(int(num_groups.sum()) * width, dtype=torch.long)
    row_at[seat_of] = torch.arange(num_rows)
    prompt_of_group = None
    if int(num_groups.sum()) > num_prompts:
        prompt_of_group = torch.arange(num_prompts).repeat_interleave(num_groups).to(device)
    return Groups(
        row_at.view(-1, width).to(device),
        seat_of.to(device),
        prompt_of_group,
        mask_bias(prompt_lengths, int(prompt_lengths.max()), device),
    )


def spans_of(lengths: Tensor, num_columns: int) -> list[Span]:
    """Blocks of rows, each with the number of slots that its longest row needs.

    Rounded up to `COLUMN_STEP`; neighboring blocks that need the same number become one.
    """
    spans: list[Span] = []
    first = 0
    for block in lengths.split(BLOCK_ROWS):
        longest = int(block.max())
        columns = min(-(-longest // COLUMN_STEP) * COLUMN_STEP, num_columns)
        start = spans.pop()[0].start if spans and spans[-1][1] == columns else first
        first += len(block)
        spans.append((slice(start, first), columns))
    return spans


def compacted(lengths: Tensor, dropped: set[int]) -> list[int]:
    """The rows to `select` when `dropped` leave: blocks of rows, the longest first, and few moves.

    Within a block of `BLOCK_ROWS` the order is free, so a row keeps its number unless it has to
    change its block.
    """
    length = lengths.tolist()
    kept = [row for row in range(len(length)) if row not in dropped]
    order = [-1] * len(kept)
    movers = []  # the longest first, as are the numbers that are left
    for place, row in enumerate(sorted(kept, key=lambda row: -length[row])):
        if row < len(kept) and row // BLOCK_ROWS == place // BLOCK_ROWS:
            order[row] = row
        else:
            movers.append(row)
    free = (number for number, row in enumerate(order) if row < 0)
    for number, row in zip(free, movers, strict=True):
        order[number] = row
    return order
