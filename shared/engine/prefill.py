"""Reading given texts: prompts before generation, and completions to be scored.

Texts are read in batches, padded on the right; what a `PrefixCache` knows of them is not read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from shared.decoder.generate import pad_right
from shared.decoder.model import Decoder, Qwen
from shared.engine.prefix_cache import PrefixCache
from shared.engine.row_cache import RowCache

Measure = Callable[[Tensor, Tensor], Tensor]  # log p [C, V], token ids [C] -> a number each [C]
PREFILL_TOKENS = 4_096  # texts are read in batches of about this many tokens, with padding
LOGIT_ROWS = 1_024  # the logits of this many positions are computed at a time


def batches_by_length(
    lengths: list[int], max_tokens: int = PREFILL_TOKENS, max_rows: int | None = None
) -> Iterator[list[int]]:
    """Yield the numbers of texts of similar length, the longest first, in batches of bounded size.

    A batch has at most `max_tokens` tokens, padding included, or else a single text.
    """
    waiting = sorted(range(len(lengths)), key=lengths.__getitem__)
    while waiting:
        size = max(1, max_tokens // lengths[waiting[-1]])
        size = size if max_rows is None else min(size, max_rows)
        yield waiting[-size:]
        waiting = waiting[:-size]


def read(
    decoder: Decoder, texts: list[list[int]], wanted: list[int], prefixes: PrefixCache
) -> tuple[RowCache, list[Tensor], list[int]]:
    """Read texts in one batch, and remember them in `prefixes`.

    `wanted[i]` is the position of text i from which on its hidden states are needed: only tokens
    before it may be taken from `prefixes`. Returns a cache with a row for each text, the hidden
    states [len(text) - wanted, hidden] of each, and how many tokens of each had been read before.
    """
    cache = RowCache(decoder.config, decoder.device, decoder.dtype)
    cache.add_rows(len(texts))
    known = [prefixes.load(ids, cache, row, wanted[row]) for row, ids in enumerate(texts)]
    new = [ids[start:] for ids, start in zip(texts, known)]
    hidden = decoder(pad_right(new, decoder.device), cache)  # [B, T, hidden]
    cache.truncate([len(ids) for ids in texts])  # the padding is forgotten
    for row, ids in enumerate(texts):
        prefixes.store(ids, cache, row)
    spans = [slice(w - start, len(ids)) for w, start, ids in zip(wanted, known, new)]
    return cache, [hidden[row, span] for row, span in enumerate(spans)], known


@torch.inference_mode()
def score_tokens(
    model: Qwen,
    prompts: list[list[int]],
    completions: list[list[int]],
    prefixes: PrefixCache,
    measures: list[Measure],
) -> list[list[float]]:
    """One number for each token of each completion after its prompt, in one batch."""
    texts = [prompt + completion[:-1] for prompt, completion in zip(prompts, completions)]
    wanted = [len(prompt) - 1 for prompt in prompts]
    _, hidden, _ = read(model.model, texts, wanted, prefixes)
    return [
        measure_tokens(
            model.lm_head, states, torch.tensor(ids, device=model.device), measure
        ).tolist()
        for states, ids, measure in zip(hidden, completions, measures)
    ]


def measure_tokens(
    head: Callable[[Tensor], Tensor], states: Tensor, tokens: Tensor, measure: Measure
) -> Tensor:
    """One number for each of `tokens` [N], which follow the hidden states [N, hidden]; [N].

    The logits [N, V] of a long text would take gigabytes: they are made in chunks, in float32.
    """
    chunks = zip(states.split(LOGIT_ROWS), tokens.split(LOGIT_ROWS))
    return torch.cat([measure(head(s).float().log_softmax(dim=-1), t) for s, t in chunks])


def token_logprobs(log_p: Tensor, tokens: Tensor) -> Tensor:
    """Of the log-probabilities of all tokens [B, V] those of `tokens` [B]."""
    return log_p.gather(-1, tokens[:, None])[:, 0]


def token_certainties(log_p: Tensor, tokens: Tensor) -> Tensor:
    """How far the model's next-token distribution is from uniform at each token, in nats; [B].

    The Kullback-Leibler divergence of the uniform distribution from the model's, whatever token
    was taken: "self-certainty" (Kang 2025).
    """
    return -log_p.mean(dim=-1) - math.log(log_p.shape[-1])
