"""The tensors of the live rows: what each has generated, and what its next token needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.decoder.sampler import RowParams, SamplingParams, row_uniforms
from shared.engine.request import Row

PADDED = ("tokens", "logprobs", "certainties", "uniforms")  # one column for each generated token


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
        new = {
            "tokens": torch.zeros(len(new_rows), columns, dtype=torch.long),
            "logprobs": torch.zeros(len(new_rows), columns),
            "certainties": torch.zeros(len(new_rows), columns),
            "uniforms": uniforms,
            "count": torch.zeros(len(new_rows), dtype=torch.long),
            "limit": torch.tensor(limits),
            "ignore_eos": torch.tensor([row.request.params.ignore_eos for row in new_rows]),
        }
        for name, tensor in new.items():
            old = getattr(self, name)
            if name in PADDED:
                missing = columns - old.shape[1]
                old = F.pad(old, (0, 0, 0, missing) if old.ndim == 3 else (0, missing))
            setattr(self, name, torch.cat([old, tensor.to(self.device)]))
        self.params = RowParams.stack(params, self.device)

    def keep(self, rows: list[int]) -> None:
        """Keep these rows, in this order."""
        index = torch.tensor(rows, dtype=torch.long, device=self.device)
        for name in (*PADDED, "count", "limit", "ignore_eos"):
            setattr(self, name, getattr(self, name)[index])
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
