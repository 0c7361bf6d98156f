"""Attention: every query looks at the keys before it, in one piece or in two.

Shapes (see `model.py`): B rows, H query heads, K key/value heads, G = H / K, T queries, S keys,
D head_dim. The G query heads that share a key head are neighbours.

Where n samples continue one prompt, its keys and values are the same for all of them. Decoding
then looks at two pieces: the prompt's keys, read once for all n rows, and each row's own keys.
`look` gives each piece's answer with the log of its total weight, and `join` weighs the two
answers: the result is that of one softmax over all keys. (Hydragen, Juravsky 2024; the same
identity as in FlashAttention, Dao 2022)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Whole sequences: q [B, H, T, D] over k and v [B, K, T, D], each up to itself."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q [B, H, T, D] over k and v [B, K, S, D], where mask [B, 1, T, S] is True."""
    B, H, T, D = q.shape
    K = k.shape[1]
    if T == 1:  # the queries that share a key head are laid out along time: no key is repeated
        q = q.reshape(B, K, H // K, D)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).reshape(B, H, 1, D)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def look(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Queries q [B, K, T, D] over k and v [B, K, S, D]; bias [B, 1, 1, S] is 0, or -inf to hide.

    Returns the mixed values [B, K, T, D] and the log of the summed weights [B, K, T, 1], float32.
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
    log_sum = scores.amax(dim=-1, keepdim=True) - weights.amax(dim=-1, keepdim=True).log()
    return mixed.float(), log_sum


def join(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    """What `look` would have mixed over the keys of both pieces at once."""
    (mixed_a, weight_a), (mixed_b, weight_b) = a, b
    return torch.lerp(mixed_b, mixed_a, (weight_a - weight_b).sigmoid())
