"""Majority and weighted votes: the one place in the book where answers are counted.

    votes = count_votes(["1,000", None, "$1000", "7"])      # {"1,000": 2, "7": 1}
    winner(votes)                                           # "1,000"
    most_frequent(["50%", "0.3"])                           # "50%": both steps at once
    most_frequent(["3", "4", "4"], [0.9, 0.5, 0.5])         # "4": a weighted vote

Answers with the same normal form (`normalize_answer`) are one answer. A vote returns an answer as
a solution spelled it, never the normal form: the result is graded, and the normal form of `50%` is
`50`, which is not 0.5. Of several spellings it returns the one seen first.
"""

from __future__ import annotations

import math
from functools import lru_cache

from shared.grading.answers import normalize_answer
from shared.scores import checked_scores

# Votes that differ by less than this share are tied. Weights that a model computed differ in the
# seventh digit from run to run, since its sums depend on what else is in the batch: without a
# tolerance, rounding would decide between answers that are equally good.
TIE = 1e-5


@lru_cache(maxsize=1 << 16)
def form_of(answer: str) -> str:
    """The form under which an answer is counted; remembered, since pools vote again and again."""
    return normalize_answer(answer)


def count_votes(
    answers: list[str | None], weights: list[float] | None = None, source: str = "the weight"
) -> dict[str, float]:
    """The votes for each answer, in the order of first appearance; each counts 1 or its weight.

    An answer goes by its first spelling. None casts no vote. `source` says in error messages where
    the weights come from. Raises ValueError unless there are as many weights as answers, all of
    them finite numbers of at least 0: a negative one would count against its own answer.
    """
    counts: list[float] = [1] * len(answers)
    if weights is not None:
        counts = checked_scores(weights, source, len(answers))
    if min(counts, default=0) < 0:
        raise ValueError(f"{source} must not be negative, but the lowest one is {min(counts)}")
    votes: dict[str, float] = {}
    spellings: dict[str, str] = {}
    for answer, count in zip(answers, counts):
        if answer is not None:
            name = spellings.setdefault(form_of(answer), answer)
            votes[name] = votes.get(name, 0) + count
    return votes


def winner(votes: dict[str, float]) -> str | None:
    """The answer with the most votes; ties go to the one seen first. None if there is no vote."""
    most = max(votes.values(), default=0)
    return next((name for name, count in votes.items() if is_at_least(count, most)), None)


def most_frequent(
    answers: list[str | None], weights: list[float] | None = None, source: str = "the weight"
) -> str | None:
    """The winner of a vote of these answers. Raises what `count_votes` raises."""
    return winner(count_votes(answers, weights, source))


def is_at_least(number: float, least: float) -> bool:
    """Whether a number reaches another one, up to rounding (see `TIE`)."""
    return number >= least or math.isclose(number, least, rel_tol=TIE)
