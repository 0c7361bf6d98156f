"""The key/value cache: what every row has read so far.

Row r holds `lengths[r]` tokens. A token's slot is its position, so rows of different lengths share
one rectangle without padding on the left. What lies beyond a row's length is never attended to, and
the row's next token overwrites it.

    cache = KVCache(model.config, num_rows=2, max_tokens=100)
    model(prompts, cache)       # prefill: two prompts [2, T], padded on the right
    cache.truncate([7, 9])      # forget the padding
    model(tokens, cache)        # decode: one token per row, [2, 1]
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.decoder.attention import attention
from shared.decoder.config import ModelConfig


class KVCache:
    """Keys and values [num_layers, rows, K, max_tokens, D], and how much of them each row uses."""

    def __init__(
        self,
        config: ModelConfig,
        num_rows: int,
        max_tokens: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.num_layers, num_rows, config.num_kv_heads, max_tokens, config.head_dim)
        # Zeros, because a masked slot weighs 0, but 0 x NaN would be NaN.
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.lengths = torch.zeros(num_rows, dtype=torch.long, device=device)

    def extend(self, num_tokens: int) -> CachedStep:
        """Give every row T more tokens, and say where they stand.

        Raises ValueError where a row would outgrow max_tokens.
        """
        max_tokens = self.keys.shape[3]
        columns = int(self.lengths.max()) + num_tokens  # S: slots of the longest row
        if columns > max_tokens:
            raise ValueError(f"a row of {columns} tokens does not fit a cache of {max_tokens}")
        new = torch.arange(num_tokens, device=self.lengths.device)
        positions = self.lengths[:, None] + new  # [rows, T]
        slots = torch.arange(columns, device=self.lengths.device)
        mask = slots <= positions[:, None, :, None]  # [rows, 1, T, S]
        self.lengths = self.lengths + num_tokens
        return CachedStep(self, positions, mask)

    def store(self, layer: int, k: Tensor, v: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new k and v [rows, K, T, D] of one layer at their positions [rows, T].

        Returns the layer's keys and values up to the longest row, [rows, K, S, D] each.
        """
        rows = torch.arange(len(positions), device=positions.device)[:, None]  # [rows, 1]
        self.keys[layer][rows, :, positions] = k.transpose(1, 2)  # [rows, T, K, D]
        self.values[layer][rows, :, positions] = v.transpose(1, 2)
        columns = int(self.lengths.max())
        return self.keys[layer][:, :, :columns], self.values[layer][:, :, :columns]

    def truncate(self, lengths: list[int]) -> None:
        """Forget, in each row, every token after its new length."""
        self.lengths = torch.tensor(lengths, device=self.lengths.device)

    def select(self, rows: list[int]) -> None:
        """Make `rows` (old row numbers; repeats allowed) the only rows, in this order."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        self.lengths = self.lengths[rows]


@dataclass(frozen=True)
class CachedStep:
    """One forward pass over new tokens whose earlier tokens are in a cache."""

    cache: KVCache
    positions: Tensor  # [rows, T]
    mask: Tensor  # [rows, 1, T, S]: each token sees the slots up to its own position

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, T, D]; q [rows, H, T, D] attends to all that its row holds."""
        keys, values = self.cache.store(layer, k, v, self.positions)
        return attention(q, keys, values, self.mask)
