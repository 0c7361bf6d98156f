"""From logits to the next token: temperature, min-p, top-k and top-p, then one random draw.

Each filter is a small function from logits to logits that sets what it forbids to -inf. They are
applied in vLLM's order: temperature, min-p, top-k, top-p; each sees what the one before it left.
All take a batch: every row has parameters of its own, as columns [B, 1].

A draw needs one uniform number per row: the token is where the cumulative distribution passes it.
Top-p may need a second one (see `sample`). Nothing else is random, so, up to rounding, a row's text
depends on its own numbers and on no other row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingParams:
    """How to sample, under vLLM's names.

    n             completions per prompt
    temperature   0 is greedy: always the most likely token
    top_p         keep the most likely tokens until they hold this share (1: off)
    top_k         keep the k most likely tokens (0 or -1: off)
    min_p         keep tokens at least this likely, relative to the most likely one (0: off)
    max_tokens    generate at most this many tokens
    stop          text at which to stop; it is cut off the completion
    seed          the same seed gives the same completions whatever else is being generated (up to
                  rounding: in bfloat16 on a GPU the batch size can change a near-tie)
    ignore_eos    continue after the end-of-turn token (for benchmarks)
    logprobs      also record this many of the most likely tokens, and their log-probabilities, at
                  each step
    stop_loops    end a text that repeats itself forever (`shared/engine/loops.py`); a server
                  ignores this, and with ignore_eos nothing is cut

    Raises ValueError (or TypeError) for values that make no sense.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 512
    stop: tuple[str, ...] | list[str] | str = field(default=())
    seed: int = 0
    ignore_eos: bool = False
    logprobs: int = 0
    stop_loops: bool = True

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stop)
        for name in ("n", "top_k", "max_tokens", "seed", "logprobs"):
            if not isinstance(getattr(self, name), int):
                raise TypeError(f"{name} must be a whole number, not {getattr(self, name)!r}")
        allowed = {
            "n must be at least 1": self.n >= 1,
            "temperature must be 0 (greedy) or above": 0 <= self.temperature < float("inf"),
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
            "top_k must be at least 1, or 0 or -1 (off)": self.top_k >= -1,
            "min_p must be from 0 to 1": 0 <= self.min_p <= 1,
            "max_tokens must be at least 1": self.max_tokens >= 1,
            "logprobs must be from 0 to 20": 0 <= self.logprobs <= 20,
            "stop must be non-empty strings": all(isinstance(s, str) and s for s in stop),
        }
        for rule, holds in allowed.items():
            if not holds:
                name = rule.split()[0]
                raise ValueError(f"SamplingParams: {rule}; got {name}={getattr(self, name)!r}")


@dataclass
class RowParams:
    """The sampling parameters of a batch as columns, [B, 1] each.

    The flags say which filters some row uses (or used before it left). A filter that no row uses is
    skipped without reading its column, which on a GPU would mean waiting for the device.
    """

    temperature: Tensor
    min_p: Tensor
    top_k: Tensor
    top_p: Tensor
    some_greedy: bool
    some_sampled: bool
    some_min_p: bool
    some_top_k: bool
    some_top_p: bool

    @classmethod
    def stack(cls, rows: list[SamplingParams], device: torch.device | str = "cpu") -> RowParams:
        """One row of the batch for each of `rows`."""

        def column(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
            """One parameter of all rows, [B, 1]."""
            return torch.tensor([[getattr(p, name)] for p in rows], dtype=dtype, device=device)

        return cls(
            column("temperature"),
            column("min_p"),
            column("top_k", torch.long),
            column("top_p"),
            some_greedy=any(p.temperature == 0 for p in rows),
            some_sampled=any(p.temperature > 0 for p in rows),
            some_min_p=any(p.min_p > 0 for p in rows),
            some_top_k=any(p.top_k > 0 for p in rows),
            some_top_p=any(p.top_p < 1 for p in rows),
        )

    def select(self, rows: Tensor | slice) -> RowParams:
        """Only these rows of the batch."""
        columns = ("temperature", "min_p", "top_k", "top_p")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


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


def sort_descending(x: Tensor) -> Tensor:
    """Each row of x [B, V], the largest first."""
    return x.sort(dim=-1, descending=True).values


def keep_top_p(
    logits: Tensor, top_p: Tensor, sort: Callable[[Tensor], Tensor] = sort_descending
) -> Tensor:
    """Keep the most likely tokens until they hold top_p of the probability (Holtzman 2019).

    The token that crosses the threshold is kept, so at least one always is; so are its ties. [B, V]
    """
    probabilities = logits.softmax(dim=-1)
    ordered = sort(probabilities)
    held = ordered.cumsum(dim=-1)
    before = held - ordered  # mass of the more likely tokens
    num_kept = (before < top_p).sum(dim=-1, keepdim=True)  # [B, 1]
    threshold = ordered.gather(-1, (num_kept - 1).clamp(min=0))  # 0 kept: all are NaN
    return logits.masked_fill((probabilities < threshold) & (top_p < 1), -torch.inf)


def is_in_top_p(probabilities: Tensor, tokens: Tensor, top_p: Tensor) -> Tensor:
    """Whether tokens [B] are among those that `keep_top_p` keeps, without sorting; [B] bool."""
    own = probabilities.gather(-1, tokens[:, None])  # [B, 1]
    before = (probabilities * (probabilities > own)).sum(dim=-1, keepdim=True)  # [B, 1]
    return ((before < top_p) | (top_p >= 1))[:, 0]


def temper(logits: Tensor, params: RowParams) -> Tensor:
    """Logits [B, V] after temperature, min-p and top-k; greedy rows keep theirs."""
    temperature = params.temperature
    if params.some_greedy:
        temperature = torch.where(temperature == 0, 1.0, temperature)
    logits = logits.float() / temperature
    if params.some_min_p:
        logits = keep_min_p(logits, params.min_p)
    if params.some_top_k:
        logits = keep_top_k(logits, params.top_k)
    return logits


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


def sample(
    logits: Tensor,
    params: RowParams,
    uniforms: Tensor,
    sort: Callable[[Tensor], Tensor] = sort_descending,
) -> Tensor:
    """The next token of each row: logits [B, V], uniforms [B, 2] -> token ids [B].

    Top-p needs no sorted vocabulary as long as draws from the whole distribution fall among the
    tokens that it keeps, which they do with a probability of at least top_p. Only for rows where
    one does not are the tokens sorted, and the second uniform draws from those that are kept.
    """
    if not params.some_sampled:
        return logits.argmax(dim=-1)
    tempered = temper(logits, params)  # [B, V]
    probabilities = tempered.softmax(dim=-1)
    tokens = draw(probabilities, uniforms[:, 0])
    if params.some_top_p:
        outside = (~is_in_top_p(probabilities, tokens, params.top_p)).nonzero()[:, 0]
        if len(outside):
            kept = keep_top_p(tempered[outside], params.top_p[outside], sort)
            tokens[outside] = draw(kept.softmax(dim=-1), uniforms[outside, 1])
    if params.some_greedy:
        tokens = torch.where(params.temperature[:, 0] == 0, logits.argmax(dim=-1), tokens)
    return tokens


def row_uniforms(seed: int, prompt_ids: list[int], sample_index: int, count: int) -> Tensor:
    """The uniform numbers [count, 2] in [0, 1) that one completion will use, two per token.

    They depend on (seed, prompt, sample index) only, and fewer are a prefix of more.
    """
    key = f"{seed} {sample_index} {prompt_ids}".encode()
    row_seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1
    generator = torch.Generator().manual_seed(row_seed)
    return torch.rand(count, 2, generator=generator)
