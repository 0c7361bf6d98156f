"""The decoder: Qwen2.5 and Qwen3 dense models, in one class and without any decoding state.

Shapes use one set of letters throughout:
    B batch rows   T new tokens of each row   S cache columns (keys)   V vocab_size
    H num_heads    K num_kv_heads             G = H / K                D head_dim

What one token goes through, top to bottom: embedding -> num_layers x (RMSNorm, grouped-query
attention with RoPE, RMSNorm, SwiGLU MLP) -> RMSNorm -> vocabulary head. The two families differ in
two places: Qwen2.5 has biases on q/k/v, Qwen3 normalises q and k instead (QK-norm) and states its
head_dim. Module names are the hub's parameter names, so a checkpoint loads without renaming.

The model keeps nothing between two calls. What a row has read lives in the cache that the caller
passes in. For each forward pass the cache gives a `Step`: the positions of the new tokens, and the
attention to everything before them. With `cache=None` the model reads whole texts.

Sources: Qwen2 (arXiv:2407.10671), Qwen3 (arXiv:2505.09388), RoPE (Su 2021), GQA (Ainslie 2023).
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.decoder.attention import Step, WholeTexts
from shared.decoder.config import ModelConfig


class Cache(Protocol):
    """What keeps the keys and values of earlier tokens."""

    def extend(self, num_tokens: int) -> Step:
        """Give every row T more tokens, and say where they stand."""


def rotary_angles(positions: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angle by which each position turns each pair of dimensions.

    positions [B, T] -> two tensors [B, 1, T, D], float32. (RoPE, Su 2021, section 3.2.2)
    The hub pairs dimension i with i + D / 2; the sine is negative for the first of a pair.
    """
    exponents = torch.arange(0, config.head_dim, 2, device=positions.device) / config.head_dim
    inverse_frequencies = config.rope_theta**-exponents  # [D / 2]
    angles = positions[:, None, :, None].float() * inverse_frequencies  # [B, 1, T, D / 2]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the vectors x [B, heads, T, D] by their position's angles [B, 1, T, D]."""
    partner = x.roll(x.shape[-1] // 2, dims=-1)  # the other dimension of each pair
    return torch.addcmul(x * cos, partner, sin).to(x.dtype)  # x * cos + partner * sin


class RMSNorm(nn.Module):
    """Scale each vector to root-mean-square 1, then by a learned weight (Zhang & Sennrich 2019)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x [..., size] -> [..., size]"""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Causal self-attention in which G query heads share one key/value head."""

    def __init__(self, config: ModelConfig, layer_index: int) -> None:
        super().__init__()
        self.config = config
        self.layer_index = layer_index  # where a cache keeps this layer's keys and values
        hidden, head_dim, bias = config.hidden_size, config.head_dim, config.qkv_bias
        self.q_proj = nn.Linear(hidden, config.num_heads * head_dim, bias=bias)
        self.k_proj = nn.Linear(hidden, config.num_kv_heads * head_dim, bias=bias)
        self.v_proj = nn.Linear(hidden, config.num_kv_heads * head_dim, bias=bias)
        self.o_proj = nn.Linear(config.num_heads * head_dim, hidden, bias=False)
        if config.qk_norm:
            self.q_norm = RMSNorm(head_dim, config.rms_norm_eps)
            self.k_norm = RMSNorm(head_dim, config.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, step: Step) -> Tensor:
        """x [B, T, hidden] -> same; `step` knows what each token may attend to."""
        q = split_heads(self.q_proj(x), self.config.num_heads)  # [B, H, T, D]
        k = split_heads(self.k_proj(x), self.config.num_kv_heads)  # [B, K, T, D]
        v = split_heads(self.v_proj(x), self.config.num_kv_heads)  # [B, K, T, D]
        if self.config.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        # Stores k and v; then softmax(q k^T / sqrt(D)) v over what the row holds up to each token.
        mixed = step.attend(self.layer_index, q, k, v)  # [B, H, T, D]
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """[B, T, num_heads * D] -> [B, num_heads, T, D]"""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


class MLP(nn.Module):
    """SwiGLU: a gated two-layer network on each token alone (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, hidden] -> [B, T, hidden]"""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then MLP, each on the normalised input and added to the residual stream."""

    def __init__(self, config: ModelConfig, layer_index: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer_index)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, step: Step) -> Tensor:
        """x [B, T, hidden] -> [B, T, hidden]"""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, step)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Everything but the vocabulary head: token ids to hidden states (`model.*` on the hub)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored in."""
        return self.embed_tokens.weight.dtype

    def forward(self, token_ids: Tensor, cache: Cache | None = None) -> Tensor:
        """token_ids [B, T] -> hidden states [B, T, hidden] after the last norm."""
        T = token_ids.shape[1]
        # The positions of the T new tokens, after those that each row already holds.
        step = WholeTexts(T, token_ids.device) if cache is None else cache.extend(T)
        cos, sin = rotary_angles(step.positions, self.config)
        x = self.embed_tokens(token_ids)  # [B, T, hidden]
        for layer in self.layers:
            x = layer(x, cos, sin, step)
        return self.norm(x)


class Qwen(nn.Module):
    """A causal language model: `model(token_ids [B, T], cache=None) -> logits [B, T, V]`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tied_head:
            self.lm_head.weight = self.model.embed_tokens.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored in."""
        return self.model.dtype

    def forward(self, token_ids: Tensor, cache: Cache | None = None) -> Tensor:
        """token_ids [B, T] -> logits [B, T, V]; with a cache, T new tokens for each of its rows."""
        return self.lm_head(self.model(token_ids, cache))
