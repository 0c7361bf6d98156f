"""From logits to the next token: temperature, min-p, top-k and top-p, then one random draw.

Each filter is a small function from logits to logits that sets what it forbids to -inf. They are
applied in vLLM's order: temperature, min-p, top-k, top-p; each sees what the one before it left.
All take a batch: every row has parameters of its own, as columns [B, 1].

A draw needs one uniform number per row: the token is where the cumulative distribution passes it.
Top-p may need a second one (see `sample`). Nothing else is random, so, up to rounding, a row's text
depends on its own numbers and on no other row.

`engine/fast_sampler.py` chooses the same tokens with less work.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.sampling_params import SamplingParams


@dataclass
class RowParams:
    """The sampling parameters of a batch as columns, [B, 1] each."""

    temperature: Tensor
    min_p: Tensor
    top_k: Tensor
    top_p: Tensor

    @classmethod
    def stack(cls, rows: list[SamplingParams], device: torch.device | str = "cpu") -> RowParams:
        """One row of the batch for each of `rows`."""

        def column(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
            """One parameter of all rows, [B, 1]."""
            return torch.tensor([[getattr(p, name)] for p in rows], dtype=dtype, device=device)

        return cls(
            column("temperature"), column("min_p"), column("top_k", torch.long), column("top_p")
        )

    def select(self, rows: Tensor | slice) -> RowParams:
        """Only these rows of the batch."""
        return RowParams(
            self.temperature[rows], self.min_p[rows], self.top_k[rows], self.top_p[rows]
        )


def keep_min_p(logits: Tensor, min_p: Tensor) -> Tensor:
    """Keep tokens whose probability is at least min_p times the largest (Nguyen 2024). [B, V]"""
    threshold = logits.amax(dim=-1, keepdim=True) + min_p.log()  # log(0) = -inf keeps all
    return logits.masked_fill(logits < threshold, -torch.inf)


def keep_top_k(logits: Tensor, top_k: Tensor) -> Tensor:
    """Keep the top_k [B, 1] most likely tokens of each row, ties too; 0 or less: all. [B, V]"""
    vocab_size = logits.shape[-1]
    top_k = torch.where(top_k <= 0, vocab_size, top_k.clamp(max=vocab_size))
    is_on = top_k < vocab_size  # [B, 1]
    if not is_on.any():
        return logits
    largest = logits.topk(int(top_k[is_on].amax())).values  # [B, most], descending
    threshold = largest.gather(-1, top_k.clamp(max=largest.shape[-1]) - 1)  # [B, 1]
    return logits.masked_fill((logits < threshold) & is_on, -torch.inf)


def keep_top_p(logits: Tensor, top_p: Tensor) -> Tensor:
    """Keep the most likely tokens until they hold top_p of the probability (Holtzman 2019).

    The token that crosses the threshold is kept, so at least one always is; so are its ties. [B, V]
    """
    probabilities = logits.softmax(dim=-1)
    ordered = probabilities.sort(dim=-1, descending=True).values
    is_below = probabilities < top_p_threshold(ordered, top_p)
    return logits.masked_fill(is_below & (top_p < 1), -torch.inf)


def top_p_threshold(ordered: Tensor, top_p: Tensor) -> Tensor:
    """The smallest probability that top-p keeps [B, 1]; `ordered` [B, V] has the largest first."""
    before = ordered.cumsum(dim=-1) - ordered  # the mass of the more likely tokens
    num_kept = (before < top_p).sum(dim=-1, keepdim=True)  # [B, 1]
    return ordered.gather(-1, (num_kept - 1).clamp(min=0))  # 0 kept: all are NaN


def temper(logits: Tensor, params: RowParams) -> Tensor:
    """Logits [B, V] after temperature, min-p and top-k. Temperature 0 counts as 1 here."""
    logits = logits.float() / torch.where(params.temperature == 0, 1.0, params.temperature)
    return keep_top_k(keep_min_p(logits, params.min_p), params.top_k)


def draw(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Where the cumulative distribution [B, V] first passes the uniforms [B] -> token ids [B].

    A token of probability zero is never drawn: the cumulative sum does not rise there.
    """
    # CUDA adds up in parallel: in float32, rounding could make the sum rise at a forbidden token.
    exact = torch.float64 if probabilities.is_cuda else None
    cumulative = probabilities.cumsum(dim=-1, dtype=exact)  # [B, V]
    total = cumulative[:, -1]
    below_total = torch.nextafter(total, torch.zeros_like(total))
    target = torch.minimum(uniforms.to(total.dtype) * total, below_total)
    tokens = torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]
    return tokens.clamp(max=probabilities.shape[-1] - 1)  # NaN is passed nowhere


def sample(logits: Tensor, params: RowParams, uniforms: Tensor) -> Tensor:
    """The next token of each row: logits [B, V], uniforms [B, 2] -> token ids [B].

    The first number draws from the whole distribution. If top-p does not keep that token, the
    second number draws from the tokens that it keeps. Token t comes out with probability
    p(t) + (1 - mass) p(t) / mass = p(t) / mass, where `mass` is what the kept tokens hold: the
    distribution that top-p asks for.
    """
    tempered = temper(logits, params)  # [B, V]
    first = draw(tempered.softmax(dim=-1), uniforms[:, 0])  # [B]
    kept = keep_top_p(tempered, params.top_p)  # [B, V]
    second = draw(kept.softmax(dim=-1), uniforms[:, 1])
    is_kept = kept.gather(-1, first[:, None])[:, 0].isfinite()
    sampled = torch.where(is_kept, first, second)
    is_greedy = params.temperature[:, 0] == 0
    return torch.where(is_greedy, logits.argmax(dim=-1), sampled)


def row_uniforms(seed: int, prompt_ids: list[int], sample_index: int, count: int) -> Tensor:
    """The uniform numbers [count, 2] in [0, 1) that one completion will use, two per token.

    They depend on (seed, prompt, sample index) only, and fewer are a prefix of more.
    """
    key = f"{seed} {sample_index} {prompt_ids}".encode()
    row_seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1
    generator = torch.Generator().manual_seed(row_seed)
    return torch.rand(count, 2, generator=generator)
