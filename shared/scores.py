"""Scores are finite numbers: whoever ranks, weighs or accepts by a score checks that first."""

from __future__ import annotations

import math
from typing import SupportsFloat


def checked(score: float, source: str) -> float:
    """A score, if it is a finite number. Otherwise raises a ValueError that names its source.

    Whoever compares, sorts or adds up scores checks them first. No comparison with NaN is true, so
    `max` and `sorted` would return whatever stands first, without a word.
    """
    if not isinstance(score, (float, SupportsFloat)) or not math.isfinite(score):
        raise ValueError(f"{source} is {score}, but a score must be a finite number")
    return float(score)


def checked_scores(scores: list[float], source: str, count: int) -> list[float]:
    """The scores of `count` samples, each checked. Raises ValueError for another number of them."""
    if len(scores) != count:
        raise ValueError(f"there are {len(scores)} numbers ({source}) for {count} samples")
    return [checked(score, f"{source} of sample {i}") for i, score in enumerate(scores, 1)]


def aggregate_scores(scores: list[float], method: str = "last") -> float:
    """One number for a solution from its steps' scores: "min", "prod", "last" or "mean".

    Raises ValueError for another method, for no scores, and for one that is not a number.
    """
    methods = {
        "min": min,
        "prod": math.prod,
        "last": lambda steps: steps[-1],
        "mean": lambda steps: sum(steps) / len(steps),
    }
    if method not in methods:
        raise ValueError(f"aggregate_scores knows {', '.join(methods)}, not {method!r}")
    if not scores:
        raise ValueError("a solution without steps has no score")
    steps = [checked(score, f"the score of step {i}") for i, score in enumerate(scores, 1)]
    return methods[method](steps)
