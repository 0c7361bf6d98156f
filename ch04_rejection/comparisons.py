"""The rows of the chapter's tables: verifiers, budgets, predictions and thresholds compared.

pool = to_pool(evaluate(partial(sample_and_score, ...), llm, problems))
print_rows(compare_budgets(pool, pooled_verifiers()))
"""

from __future__ import annotations

import statistics

from ch04_rejection.quality import pooled_verifiers, quality, quality_intervals, verdicts
from ch04_rejection.rejection import THRESHOLDS
from ch04_rejection.theory import (
    Outcome,
    budgets_up_to,
    mean_tokens,
    outcomes,
    vote_curve,
    vote_of,
)
from shared.evaluation.intervals import paired_difference, wilson_interval
from shared.evaluation.pool import PooledProblem, accuracy_at, majority
from shared.rewards.interfaces import Verifier


def compare_quality(pool: list[PooledProblem], named: dict[str, Verifier]) -> list[dict]:
    """A row for each verifier: its quality, the mean number of draws until it accepts (at most all
    samples), and the paired difference to a vote of all samples; with 95% intervals."""
    rows, n = [], len(pool[0].samples)
    vote = accuracy_at(pool, majority, n)
    for name, verifier in named.items():
        accepted = verdicts(pool, verifier)
        found = outcomes(pool, accepted, n)
        row = {"verifier": name, **quality_intervals(pool, accepted)}
        row["draws"] = statistics.mean(outcome.draws for outcome in found)
        gain = paired_difference([outcome.right for outcome in found], vote)
        rows.append(row | {f"to_vote_of_{n}": gain})
    return rows


def compare_budgets(pool: list[PooledProblem], named: dict[str, Verifier]) -> list[dict]:
    """A row for each verifier and budget (1, 2, 4, ... up to all samples): the generated tokens per
    problem, how often something is accepted and how often the answer is right, and the paired
    difference to a vote of as many tokens; with 95% intervals.

    Raises ValueError where a problem has fewer samples than the first one.
    """
    curve, size = vote_curve(pool), mean_tokens(pool)
    rows = []
    for name, verifier in named.items():
        accepted = verdicts(pool, verifier)
        for budget in budgets_up_to(len(pool[0].samples)):
            found = outcomes(pool, accepted, budget)
            means = {
                part: statistics.mean(getattr(outcome, part) for outcome in found)
                for part in ("tokens", "accepts", "right")
            }
            low, high = wilson_interval(round(means["right"] * len(pool)), len(pool))
            vote = vote_of(curve, means["tokens"] / size)
            gain = paired_difference([outcome.right for outcome in found], vote)
            row = {"verifier": name, "budget": budget, **means, "low": low, "high": high}
            rows.append(row | {"vote": statistics.mean(vote), "gain": gain})
    return rows


def compare_to_run(predicted: list[Outcome], measured: list[Outcome]) -> list[dict]:
    """A row for each part of an outcome: its mean over the problems as predicted from one pool of
    samples and as measured with others, and the paired difference with its 95% interval."""
    rows = []
    for part in ("accepts", "draws", "tokens", "right"):
        a, b = ([float(getattr(each, part)) for each in one] for one in (measured, predicted))
        row = {"per problem": part, "predicted": statistics.mean(b), "measured": statistics.mean(a)}
        rows.append(row | {"difference": paired_difference(a, b)})
    return rows


def compare_thresholds(pool: list[PooledProblem], budget: int) -> list[dict]:
    """A row for each threshold on the reward, alone and with the arithmetic: the verifier's quality
    and what rejection sampling makes of it."""
    rows = []
    for name in THRESHOLDS:
        for threshold in (i / 20 for i in range(8, 20)):
            verifier = pooled_verifiers(dict.fromkeys(THRESHOLDS, threshold))[name]
            accepted = verdicts(pool, verifier)
            row = {"verifier": name, "threshold": threshold, **quality(pool, accepted)}
            found = outcomes(pool, accepted, budget)
            row["tokens"] = statistics.mean(outcome.tokens for outcome in found)
            rows.append(row | {"right": statistics.mean(outcome.right for outcome in found)})
    return rows


def best_threshold(rows: list[dict], name: str) -> float:
    """The most accurate threshold; ties go to the lowest, which takes the fewest draws."""
    rows = [row for row in rows if row["verifier"] == name]
    return max(rows, key=lambda row: (round(row["right"], 9), -row["threshold"]))["threshold"]
