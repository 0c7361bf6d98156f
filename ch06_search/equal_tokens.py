"""What a search is worth: compared with whole solutions that cost as many tokens.

A pool of whole solutions says what its rivals answer with any number of samples. A row of `compare`
has the accuracy of a search, its cost, and its lead over each rival that costs as much.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import mean

from shared.errors import UserError
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.intervals import paired_difference, wilson_interval
from shared.evaluation.pool import (
    Choose,
    PooledProblem,
    Sample,
    accuracy_at,
    is_right_answer,
    majority,
    to_pool,
)
from shared.grading.voting import count_votes, most_frequent


def weighted(samples: list[Sample], measure: str = "value") -> str | None:
    """Weighted best-of-N on pooled samples. Raises ValueError where a measure is not a number."""
    weights = [sample.measures.get(measure) for sample in samples]
    return most_frequent([sample.answer for sample in samples], weights, "the score")


def oracle(samples: list[Sample]) -> str | None:
    """A right answer if there is one."""
    return next((sample.answer for sample in samples if sample.is_right), None)


RIVALS: dict[str, Choose] = {"best-of-N, weighted": weighted, "self-consistency": majority}


def samples_for(pool: list[PooledProblem], tokens_per_problem: float) -> float:
    """How many samples per problem cost this many generated tokens on average."""
    return tokens_per_problem / mean(mean(s.num_tokens for s in p.samples) for p in pool)


def accuracy_at_any(pool: list[PooledProblem], choose: Choose, n: float) -> list[float]:
    """`accuracy_at` for each problem, between two whole numbers of samples on the line from one to
    the other. Raises UserError where n is not from 1 to the pool's size."""
    if not 1 <= n <= len(pool[0].samples):
        raise UserError(
            f"{n:.1f} samples are not within the pool's 1 to {len(pool[0].samples)}: see --pool"
        )
    below, above = (accuracy_at(pool, choose, whole(n)) for whole in (math.floor, math.ceil))
    share = n - math.floor(n)
    return [(1 - share) * low + share * high for low, high in zip(below, above)]


def revoted(evaluation: Evaluation, choose: Choose) -> Evaluation:
    """The same search, but with another choice among its finished paths."""
    records = [
        replace(record, correct=is_right_answer(choose(problem.samples), problem))
        for record, problem in zip(evaluation.records, to_pool(evaluation))
    ]
    return replace(evaluation, records=records)


def compare(evaluation: Evaluation, pool: list[PooledProblem], name: str) -> dict:
    """One search as a row: accuracy, cost, and its lead over each rival at equal tokens.

    `covered` is the share of problems with a right answer among those that vote, and
    `rival_covered` among as many tokens of whole solutions: no vote can do better.
    """
    records, cost, settings = evaluation.records, evaluation.cost, evaluation.settings
    row = evaluation.row(name) | {
        "n": settings["n"],
        "branch": settings.get("branch"),
        "paths": mean(len(record.completions) for record in records),
        "reused": cost.reused_tokens / cost.prompt_tokens,
        "scored_per_problem": cost.scored_tokens / len(records),
        "seconds": evaluation.seconds,
        "rival_n": samples_for(pool, evaluation.row(name)["tokens_per_problem"]),
        "covered": mean(any(s.is_right for s in p.samples) for p in to_pool(evaluation)),
    }
    row["rival_covered"] = mean(accuracy_at_any(pool, oracle, row["rival_n"]))
    for rival, choose in RIVALS.items():
        theirs = accuracy_at_any(pool, choose, row["rival_n"])
        gain, low, high = paired_difference([record.correct for record in records], theirs)
        row[rival] = {"gain": gain, "low": low, "high": high}
    return row


def curve(pool: list[PooledProblem], choose: Choose, name: str) -> list[dict]:
    """A rival's accuracy with its interval for each number of samples."""
    rows = []
    for n in range(1, len(pool[0].samples) + 1):
        accuracy = mean(accuracy_at(pool, choose, n))
        low, high = wilson_interval(round(accuracy * len(pool)), len(pool))
        tokens = n / samples_for(pool, 1)
        row = {"name": name, "n": n, "accuracy": accuracy, "low": low, "high": high}
        rows.append(row | {"tokens_per_problem": tokens})
    return rows


def print_against(runs: dict[str, Evaluation], pool: list[PooledProblem]) -> None:
    """Each search beside weighted best-of-N at equal tokens, and the paired difference."""
    print("search     accuracy  tokens  best of  accuracy  difference")
    for name, run in runs.items():
        row = compare(run, pool, name)
        gain = row["best-of-N, weighted"]
        theirs = row["accuracy"] - gain["gain"]
        print(
            f"{name:<11}{row['accuracy']:>8.3f}{row['tokens_per_problem']:>8.0f}"
            f"{row['rival_n']:>9.1f}{theirs:>10.3f}  "
            f"{gain['gain']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        )


def different_answers(pool: list[PooledProblem]) -> float:
    """How many different answers a problem's samples have, on average."""
    return mean(len(count_votes([sample.answer for sample in p.samples])) for p in pool)
