"""Attention of rows that share their prompts: each prompt's keys are read once per step.

A new token attends to its prompt and to its own row, and the two results are merged
(`attention.py`). Rows of one prompt are gathered into groups of equal width, so that one matrix
product serves a whole group (`Groups`). (Hydragen, Juravsky 2024)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.engine.attention import attention_with_lse, mask_bias, merge
from shared.engine.row_cache import RowCache, Slots

Span = tuple[slice, int]  # some rows, and how many slots they attend to


@dataclass(frozen=True)
class BranchStep:
    """One forward pass over one new token of every row."""

    prompts: RowCache
    rows: RowCache
    groups: Groups
    slots: Slots
    positions: Tensor  # [rows, 1]
    row_bias: Tensor  # [rows, 1, 1, S], see `mask_bias`
    spans: list[Span]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, 1, D]; q [rows, H, 1, D] attends to its prompt and its row."""
        num_rows, num_heads, _, head_dim = q.shape
        q = q.reshape(num_rows, k.shape[1], -1, head_dim)  # [rows, K, G, D]
        keys, values = self.rows.store(layer, k, v, self.slots)
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
        prompts, groups = self.prompts, self.groups
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
    """Rows of one prompt side by side, `width` to a group; unused slots of a group repeat row 0.

    A prompt has one group, unless a few prompts have most of the rows.
    """

    row_at: Tensor  # [groups, width], the row in each slot
    slot_of: Tensor  # [rows], each row's slot in `row_at` flattened
    prompt_of: Tensor | None  # [groups]; None where group i belongs to prompt i
    bias: Tensor  # [prompts, 1, 1, columns], see `mask_bias`

    def gather(self, q: Tensor) -> Tensor:
        """q [rows, K, G, D] -> [groups, K, width * G, D]."""
        return q[self.row_at].transpose(1, 2).flatten(2, 3)

    def scatter(self, x: Tensor) -> Tensor:
        """[groups, K, width * G, any] -> [rows, K, G, any]."""
        x = x.unflatten(2, (self.row_at.shape[1], -1)).transpose(1, 2)  # [groups, width, K, G, any]
        return x.flatten(0, 1)[self.slot_of]


def group_rows(prompt_of: Tensor, prompt_lengths: Tensor, device: torch.device) -> Groups:
    """Groups of the rows that continue prompts `prompt_of` [rows], on the CPU."""
    num_rows, num_prompts = len(prompt_of), len(prompt_lengths)
    counts = torch.bincount(prompt_of, minlength=num_prompts)  # [prompts]
    width = int(counts.max())
    if width * num_prompts > 4 * num_rows:  # most slots would be empty
        width = -(-num_rows // num_prompts)
    num_groups = (-(-counts // width)).clamp(min=1)  # [prompts]

    order = prompt_of.argsort(stable=True)  # rows, prompt by prompt
    starts = counts.cumsum(0) - counts
    nth = torch.empty_like(order)  # each row's number among those of its prompt
    nth[order] = torch.arange(num_rows) - starts[prompt_of[order]]

    first_group = num_groups.cumsum(0) - num_groups  # [prompts]
    slot_of = first_group[prompt_of] * width + nth  # [rows]
    row_at = torch.zeros(int(num_groups.sum()) * width, dtype=torch.long)
    row_at[slot_of] = torch.arange(num_rows)
    prompt_of_group = None
    if int(num_groups.sum()) > num_prompts:
        prompt_of_group = torch.arange(num_prompts).repeat_interleave(num_groups).to(device)
    return Groups(
        row_at.view(-1, width).to(device),
        slot_of.to(device),
        prompt_of_group,
        mask_bias(prompt_lengths, int(prompt_lengths.max()), device),
    )
