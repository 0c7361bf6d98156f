"""`decoder/sampler.sample`, faster: the same tokens for the same logits and random numbers.

Two things make it fast. Filters that no row uses are skipped, without reading their columns, which
on a GPU would mean waiting for the device. And top-p rarely sorts the vocabulary: a token drawn
from the whole distribution is among those that top-p keeps with a probability of at least top_p,
and whether it is one of them can be found out without sorting.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shared.decoder.sampler import RowParams, draw, keep_min_p, keep_top_k, top_p_threshold
from shared.engine.fast_paths import sort_descending
from shared.sampling_params import SamplingParams


@dataclass(frozen=True)
class Filters:
    """Which parts of the sampler some row needs."""

    greedy: bool
    random: bool
    min_p: bool
    top_k: bool
    top_p: bool

    @classmethod
    def of(cls, rows: list[SamplingParams]) -> Filters:
        """The parts that a batch with these parameters needs."""
        return cls(
            greedy=any(p.temperature == 0 for p in rows),
            random=any(p.temperature > 0 for p in rows),
            min_p=any(p.min_p > 0 for p in rows),
            top_k=any(p.top_k > 0 for p in rows),
            top_p=any(p.top_p < 1 for p in rows),
        )


def fast_sample(logits: Tensor, params: RowParams, needed: Filters, uniforms: Tensor) -> Tensor:
    """The next token of each row: logits [B, V], uniforms [B, 2] -> token ids [B]."""
    if not needed.random:
        return logits.argmax(dim=-1)
    temperature = params.temperature
    if needed.greedy:
        temperature = torch.where(temperature == 0, 1.0, temperature)
    tempered = logits.float() / temperature  # [B, V]
    if needed.min_p:
        tempered = keep_min_p(tempered, params.min_p)
    if needed.top_k:
        tempered = keep_top_k(tempered, params.top_k)
    probabilities = tempered.softmax(dim=-1)
    tokens = draw(probabilities, uniforms[:, 0])
    if needed.top_p:
        outside = (~is_in_top_p(probabilities, tokens, params.top_p)).nonzero()[:, 0]
        if len(outside):
            kept = only_top_p(tempered[outside], params.top_p[outside])
            tokens[outside] = draw(kept.softmax(dim=-1), uniforms[outside, 1])
    if needed.greedy:
        tokens = torch.where(params.temperature[:, 0] == 0, logits.argmax(dim=-1), tokens)
    return tokens


def is_in_top_p(probabilities: Tensor, tokens: Tensor, top_p: Tensor) -> Tensor:
    """Whether tokens [B] are among those that `keep_top_p` keeps, without sorting; [B] bool."""
    own = probabilities.gather(-1, tokens[:, None])  # [B, 1]
    before = (probabilities * (probabilities > own)).sum(dim=-1, keepdim=True)  # [B, 1]
    return ((before < top_p) | (top_p >= 1))[:, 0]


def only_top_p(logits: Tensor, top_p: Tensor) -> Tensor:
    """As `keep_top_p`, with a faster sort; every row has top_p < 1."""
    probabilities = logits.softmax(dim=-1)
    threshold = top_p_threshold(sort_descending(probabilities), top_p)
    return logits.masked_fill(probabilities < threshold, -torch.inf)
