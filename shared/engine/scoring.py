"""The scoring service: log-probabilities of given texts, many of them in one batch."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass, field

from shared.decoder.model import Qwen
from shared.engine.overflow import overflow_error
from shared.engine.prefill import Measure, batches_by_length, score_tokens
from shared.engine.prefix_cache import PrefixCache


@dataclass(eq=False)
class ScoreRequest:
    """A text to be scored; `future` receives one number for each token of the completion."""

    prompt_ids: list[int]
    completion_ids: list[int]
    measure: Measure
    future: Future = field(default_factory=Future)


def answer_scores(model: Qwen, requests: list[ScoreRequest], prefixes: PrefixCache) -> None:
    """Score texts of similar length together. An error goes to the requests of its own batch."""
    lengths = [len(request.prompt_ids) + len(request.completion_ids) for request in requests]
    for numbers in batches_by_length(lengths):
        batch = [requests[i] for i in numbers]
        try:
            scored = score_tokens(
                model,
                [request.prompt_ids for request in batch],
                [request.completion_ids for request in batch],
                prefixes,
                [request.measure for request in batch],
            )
        except Exception as error:  # its callers get it, and the other batches continue
            for request in batch:
                request.future.set_exception(error)
        else:
            for request, scores in zip(batch, scored):
                if all(map(math.isfinite, scores)):
                    request.future.set_result(scores)
                else:
                    request.future.set_exception(overflow_error(model.dtype))
