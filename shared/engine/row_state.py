"""The tensors of the live rows: what each has generated, and what its next token needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.decoder.sampler import RowParams, row_uniforms
from shared.engine.fast_sampler import Filters
from shared.engine.request import Row
from shared.sampling_params import SamplingParams


class RowState:
    """One row of each tensor for every live row, in the order of the generator's rows."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.tokens = torch.zeros(0, 0, dtype=torch.long, device=device)  # [rows, columns]
        self.logprobs = torch.zeros(0, 0, device=device)  # [rows, columns]
        self.certainties = torch.zeros(0, 0, device=device)  # [rows, columns]
        self.uniforms = torch.zeros(0, 0, 2, device=device)  # [rows, columns, 2]
        self.count = torch.zeros(0, dtype=torch.long, device=device)  # [rows], tokens so far
        self.limit = torch.zeros(0, dtype=torch.long, device=device)  # [rows], at most this many
        self.ignore_eos = torch.zeros(0, dtype=torch.bool, device=device)  # [rows]
        self.params = RowParams.stack([], device)
        self.filters = Filters.of([])  # those that some row needs, or needed before it left

    def __len__(self) -> int:
        return len(self.count)

    def add(self, new_rows: list[Row], params: list[SamplingParams]) -> None:
        """Append rows; `params` are those of all rows, old and new."""
        limits = [row.request.max_new_tokens for row in new_rows]
        columns = max([*limits, self.tokens.shape[1]])
        uniforms = torch.zeros(len(new_rows), columns, 2)
        for i, row in enumerate(new_rows):
            key = (row.request.params.seed, row.request.prompt_ids, row.sample_index)
            uniforms[i, : limits[i]] = row_uniforms(*key, limits[i])
        ignore_eos = torch.tensor([row.request.params.ignore_eos for row in new_rows])

        def zeros(old: Tensor) -> Tensor:
            """What new rows have generated so far."""
            return torch.zeros(len(new_rows), columns, dtype=old.dtype, device=self.device)

        missing = columns - self.tokens.shape[1]
        self.tokens, self.logprobs, self.certainties = (
            torch.cat([F.pad(old, (0, missing)), zeros(old)])
            for old in (self.tokens, self.logprobs, self.certainties)
        )
        old_uniforms = F.pad(self.uniforms, (0, 0, 0, missing))
        self.uniforms = torch.cat([old_uniforms, uniforms.to(self.device)])
        self.count = F.pad(self.count, (0, len(new_rows)))
        self.limit = torch.cat([self.limit, torch.tensor(limits, device=self.device)])
        self.ignore_eos = torch.cat([self.ignore_eos, ignore_eos.to(self.device)])
        self.params = RowParams.stack(params, self.device)
        self.filters = Filters.of(params)

    def keep(self, rows: list[int]) -> None:
        """Keep these rows, in this order."""
        index = torch.tensor(rows, dtype=torch.long, device=self.device)
        self.tokens, self.logprobs = self.tokens[index], self.logprobs[index]
        self.certainties, self.uniforms = self.certainties[index], self.uniforms[index]
        self.count, self.limit = self.count[index], self.limit[index]
        self.ignore_eos = self.ignore_eos[index]
        self.params = self.params.select(index)

    def last_tokens(self) -> Tensor:
        """The token that each row generated last, [rows, 1]."""
        return self.tokens.gather(1, self.count[:, None] - 1)

    def next_uniforms(self) -> Tensor:
        """The random numbers for each row's next token, [rows, 2]."""
        return self.uniforms[torch.arange(len(self), device=self.device), self.count]

    def append(self, tokens: Tensor, logprobs: Tensor, certainties: Tensor) -> None:
        """Add the next token of every row with its log-probability and certainty, [rows] each."""
        rows = torch.arange(len(self), device=self.device)
        self.tokens[rows, self.count] = tokens
        self.logprobs[rows, self.count] = logprobs
        self.certainties[rows, self.count] = certainties
        self.count += 1
