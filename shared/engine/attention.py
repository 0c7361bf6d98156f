"""Attention for the engine: fused by PyTorch, or in two pieces that are merged.

Shapes (see `decoder/model.py`): B rows, H query heads, K key/value heads, G = H / K, T queries,
S keys, D head_dim.

Where n samples continue one prompt, its keys and values are the same for all of them. Decoding then
attends to two pieces: the prompt's keys, read once for all n rows, and each row's own keys.
`attention_with_lse` returns each piece's result with the log-sum-exp of its scores, and `merge`
weighs the two results: together they equal one softmax over all keys. (Hydragen, Juravsky 2024; the
same identity as in FlashAttention, Dao 2022)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Whole texts: q [B, H, T, D] over k and v [B, K, T, D], each token up to itself."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q [B, H, T, D] over k and v [B, K, S, D], where mask [B, 1, T, S] is True."""
    B, H, T, D = q.shape
    K = k.shape[1]
    if T == 1:  # the queries that share a key head are laid out along time: no key is repeated
        q = q.reshape(B, K, H // K, D)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).reshape(B, H, 1, D)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def attention_with_lse(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Queries q [B, K, T, D] over k and v [B, K, S, D]; bias [B, 1, 1, S] is 0, or -inf to mask.

    Returns the mixed values [B, K, T, D] and the log-sum-exp of the scores [B, K, T, 1], float32.
    """
    D = q.shape[-1]
    q = q * D**-0.5
    if q.shape[2] < 16 and D >= 128 and q.device.type == "cpu":  # twice as fast in this order
        scores = (k @ q.mT).mT.contiguous()
    else:
        scores = q @ k.mT
    scores = scores.float() + bias  # [B, K, T, S]
    weights = scores.softmax(dim=-1)
    mixed = weights.to(v.dtype) @ v
    # The largest weight is exp(largest score) / sum: cheaper than summing exponentials again.
    lse = scores.amax(dim=-1, keepdim=True) - weights.amax(dim=-1, keepdim=True).log()
    return mixed.float(), lse


def merge(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    """Two results of `attention_with_lse` as one, as if their keys had stood side by side."""
    (mixed_a, lse_a), (mixed_b, lse_b) = a, b
    return torch.lerp(mixed_b, mixed_a, (lse_a - lse_b).sigmoid())


def mask_bias(lengths: Tensor, columns: int, device: torch.device) -> Tensor:
    """The bias [rows, 1, 1, columns] that masks all but a row's first `length` columns."""
    is_masked = torch.arange(columns) >= lengths[:, None, None, None]
    return torch.zeros(is_masked.shape).masked_fill(is_masked, -torch.inf).to(device)


class Uncached:
    """Stands in for a cache where whole texts are read once and nothing continues them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def extend(self, num_tokens: int) -> WholeTexts:
        """All rows begin at position 0."""
        return WholeTexts(torch.arange(num_tokens, device=self.device)[None])


class WholeTexts:
    """As `decoder.attention.WholeTexts`, with fused attention."""

    def __init__(self, positions: Tensor) -> None:
        self.positions = positions  # [1, T], or [rows, T]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [B, H, T, D], k and v [B, K, T, D] -> [B, H, T, D]."""
        return causal_attention(q, k, v)
