"""Attention as in a textbook: softmax(q k^T / sqrt(D)) v, where the mask allows it.

Shapes (see `model.py`): B rows, H query heads, K key/value heads, G = H / K, T queries, S keys,
D head_dim. The G query heads that share a key/value head are neighbors.

A `Step` is what one forward pass needs to know about the texts that it reads: where its new tokens
stand, and what they may attend to. Without a cache that is `WholeTexts`, below; with one, the cache
says it (`kv_cache.py`). The model itself knows neither.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor


class Step(Protocol):
    """One forward pass over T new tokens of every row."""

    positions: Tensor  # [B, T], or [1, T] where all rows have the same

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [B, H, T, D] and the new tokens' k and v [B, K, T, D] -> mixed values [B, H, T, D]."""


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Grouped-query attention (Vaswani 2017, section 3.2.1; Ainslie 2023).

    q [B, H, T, D], k and v [B, K, S, D]; mask [..., T, S] is True where a query may attend to a
    key. Returns [B, H, T, D].
    """
    group_size = q.shape[1] // k.shape[1]  # G
    k = k.repeat_interleave(group_size, dim=1)  # [B, H, S, D]
    v = v.repeat_interleave(group_size, dim=1)  # [B, H, S, D]
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # [B, H, T, S]
    scores = scores.float().masked_fill(~mask, -torch.inf)
    return scores.softmax(dim=-1).to(v.dtype) @ v


class WholeTexts:
    """Rows that are read from their first token on, without a cache."""

    def __init__(self, num_tokens: int, device: torch.device) -> None:
        self.positions = torch.arange(num_tokens, device=device)[None]  # [1, T]
        self.mask = self.positions <= self.positions.mT  # [T, T]: each token sees those before it

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [B, H, T, D], k and v [B, K, T, D] -> [B, H, T, D]."""
        return attention(q, k, v, self.mask)
