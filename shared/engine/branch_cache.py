"""Keys and values of rows that share their prompts: each prompt is stored once.

`prompts` and `rows` are two rectangles. Row r continues prompt `prompt_of[r]`, and its slots count
from the end of that prompt. `branch_attention.py` attends to both.

Rows are kept in blocks of similar length, so that a block attends to as many slots as its own
longest row has, and not to as many as the longest of all (`spans_of`, `compacted`). That makes
attention faster and changes no result.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shared.decoder.config import ModelConfig
from shared.engine.attention import mask_bias
from shared.engine.branch_attention import BranchStep, Groups, Span, group_rows
from shared.engine.row_cache import COLUMN_STEP, RowCache

BLOCK_ROWS = 64  # rows of similar length, which attend together


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

    def expect(self, prompt_columns: int, row_columns: int) -> None:
        """From now on no prompt and no row will have more tokens than this."""
        self.prompts.expect(prompt_columns)
        self.rows.expect(row_columns)

    def worst_tokens(self) -> int:
        """Tokens that there is room for, or will be when all are as long as expected."""
        return self.prompts.worst_tokens() + self.rows.worst_tokens()

    def trim(self) -> None:
        """Give back the room that nothing live needs now."""
        self.prompts.trim()
        self.rows.trim()

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
        assert self.groups is not None, "there are no rows"
        return BranchStep(
            self.prompts,
            self.rows,
            self.groups,
            slots=slots,
            positions=before + slots.positions,
            row_bias=mask_bias(lengths, slots.num_columns, self.rows.device),
            spans=spans_of(lengths, slots.num_columns),
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
    for rank, row in enumerate(sorted(kept, key=lambda row: -length[row])):
        if row < len(kept) and row // BLOCK_ROWS == rank // BLOCK_ROWS:
            order[row] = row
        else:
            movers.append(row)
    free = (number for number, row in enumerate(order) if row < 0)
    for number, row in zip(free, movers, strict=True):
        order[number] = row
    return order
