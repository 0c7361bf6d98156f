"""Beside rejection sampling: a vote of as many tokens, and a table."""

from __future__ import annotations

import math

from shared.evaluation.pool import PooledProblem, accuracy_at, majority


def vote_curve(pool: list[PooledProblem]) -> list[list[float]]:
    """For 1, 2, ... votes: how often their majority is right, from 0 to 1, on each problem.

    (Self-consistency, Wang 2022.) Raises ValueError where a problem has fewer samples than the
    first one.
    """
    counts = range(1, len(pool[0].samples) + 1)
    return [accuracy_at(pool, majority, n, repeats=100) for n in counts]


def vote_of(curve: list[list[float]], votes: float) -> list[float]:
    """The vote curve between two whole numbers of votes: sometimes the one is taken and sometimes
    the other, so that the mean is met. At least one vote, at most all."""
    votes = min(max(1.0, votes), len(curve))
    few, many = math.floor(votes), math.ceil(votes)
    share = votes - few
    return [(1 - share) * a + share * b for a, b in zip(curve[few - 1], curve[many - 1])]


def show(value: object) -> str:
    """A cell: three decimals, but none where there are hundreds; (a number, low, high) with its
    interval in brackets."""
    if isinstance(value, tuple):
        number, low, high = map(show, value)
        return f"{number} [{low}, {high}]"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return str(value)


def print_rows(rows: list[dict]) -> None:
    """Rows with the same keys as a table."""
    texts = [[show(value) for value in row.values()] for row in rows]
    lines = [list(rows[0]), *texts]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
