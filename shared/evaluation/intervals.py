"""How sure one can be of an accuracy: intervals, paired comparisons, pass@k.

With 400 problems an accuracy near 50% is known to about 5 points either way. Two techniques on the
same problems are compared problem by problem: what both get right or both get wrong cancels out, so
the same 400 problems resolve a smaller difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np

from shared.scores import checked_scores

Z_95 = 1.959963984540054  # the normal distribution's 97.5% quantile


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """The 95% score interval of a proportion (Wilson 1927), within [0, 1] even at 0 or all.

    Raises ValueError unless 0 <= successes <= total and total >= 1.
    """
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"{successes} successes of {total}: there is no such proportion")
    share, z2 = successes / total, Z_95**2
    center = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 * sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    # At the ends the bound is exactly 0 or 1; rounding would miss it by 1e-17.
    low = center - half if successes else 0.0
    return low, center + half if successes < total else 1.0


@dataclass(frozen=True)
class PairedComparison:
    """How much more often A is right than B on the same problems.

    difference   accuracy of A minus accuracy of B, with its 95% interval `low` to `high`
    p_value      exact McNemar test, two-sided: how likely at least such an imbalance is among the
                 problems that only one of them solves, if both are equally good
    """

    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    a_correct: Sequence[bool],
    b_correct: Sequence[bool],
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> PairedComparison:
    """Compare two techniques on the same problems, in the same order (Efron 1979, percentiles).

    The interval has no width where no problem (or every one) tells the two apart: then the p-value
    is the better guide. Raises ValueError for lists of different length, empty lists, samples < 1,
    and for results that are neither right nor wrong (see `paired_difference`).
    """
    check_pairs(a_correct, b_correct, samples)
    if not {*a_correct, *b_correct} <= {0, 1}:
        raise ValueError("a result must be right or wrong here; shares go to paired_difference")
    pairs = list(zip(a_correct, b_correct, strict=True))
    total = len(pairs)
    only_a = sum(bool(a and not b) for a, b in pairs)
    only_b = sum(bool(b and not a) for a, b in pairs)
    # Drawing problems with replacement only matters through how many of each kind are drawn.
    shares = [only_a / total, only_b / total, (total - only_a - only_b) / total]
    drawn = np.random.default_rng(seed).multinomial(total, shares, size=samples)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / total, [0.025, 0.975])
    difference = (only_a - only_b) / total
    return PairedComparison(difference, float(low), float(high), sign_test(only_a, only_b))


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, samples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of A minus mean of B, and its 95% interval, low and high: as `paired_bootstrap`, but a
    result may be any number, such as the share of a problem's tries that were right.

    Raises ValueError for lists of different length, empty lists, samples < 1.
    """
    check_pairs(a, b, samples)
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    chosen = np.random.default_rng(seed).integers(len(a), size=(samples, len(a)))
    low, high = np.quantile(differences[chosen].mean(axis=1), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def check_pairs(a: Sequence[float], b: Sequence[float], samples: int) -> None:
    """Raise ValueError for lists that cannot be paired, or too few bootstrap samples."""
    if len(a) != len(b) or not len(a):
        raise ValueError(f"cannot pair {len(a)} results with {len(b)}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")


def sign_test(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value that a fair coin splits only_a + only_b at least this unevenly."""
    total = only_a + only_b
    ways = tail = 1
    for i in range(min(only_a, only_b)):
        ways = ways * (total - i) // (i + 1)  # C(total, i + 1) from C(total, i)
        tail += ways
    return min(1.0, 2 * tail / 2**total)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples is right, estimated from c right ones among n.

    Unbiased (Chen 2021): 1 - C(n-c, k) / C(n, k). Raises ValueError unless c is from 0 to n and k
    from 1 to n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass_at_k: needs 0 <= c <= n and 1 <= k <= n, got {n=}, {c=}, {k=}")
    return 1 - comb(n - c, k) / comb(n, k)


def auc(right: list[float], wrong: list[float]) -> float:
    """Probability that a right solution scores above a wrong one, ties counting half.

    Raises ValueError where a kind is missing and for a score that is not a finite number.
    """
    if not right or not wrong:
        raise ValueError("an AUC needs right and wrong solutions; take more problems")
    right = checked_scores(right, "the score", len(right))
    wrong = checked_scores(wrong, "the score", len(wrong))
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    return sum(pairs) / len(pairs)
