"""What rejection sampling does on average, from one pool of graded samples and the verdicts on it.

expected_draws(16, 4, 8)            # draws, if 4 of 16 samples were accepted and 8 are allowed
outcomes(pool, verdicts(pool, ArithmeticHolds()), 16)            # one Outcome per problem
vote_of(vote_curve(pool), 2.5)      # a majority vote of as many tokens, to compare with
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass
from math import comb

from shared.evaluation.evaluation import Evaluation
from shared.evaluation.intervals import pass_at_k
from shared.evaluation.pool import PooledProblem, accuracy_at, is_right_answer, majority

VOTES = 20  # simulated for one problem where nothing is accepted


@dataclass(frozen=True)
class Outcome:
    """Rejection sampling on one problem: the chance to be right, the chance that something is
    accepted, and the mean numbers of draws and of generated tokens."""

    right: float
    accepts: float
    draws: float
    tokens: float


def expected_draws(total: int, accepted: int, budget: int) -> float:
    """The mean number of draws until one is accepted or the budget ends, from 1 to the budget.

    It is the sum over i < budget of the chance that the first i are all rejected. That chance is
    (1-p)^i; C(rejected, i) / C(total, i) is its unbiased estimate from these samples (as pass@k,
    Chen 2021). Raises ValueError unless 0 <= accepted <= total and 1 <= budget <= total.
    """
    if not (0 <= accepted <= total and 1 <= budget <= total):
        raise ValueError(f"no such draws: {total=}, {accepted=}, {budget=}")
    return sum(comb(total - accepted, i) / comb(total, i) for i in range(budget))


def mean_or_zero(numbers: list[float]) -> float:
    """The mean; 0 of nothing."""
    return statistics.mean(numbers) if numbers else 0.0


def expected_outcome(
    problem: PooledProblem, accepted: list[bool], budget: int, *, rng: random.Random
) -> Outcome:
    """What rejection sampling does on average over all orders of a problem's samples.

    The first accepted one is any of the accepted with equal chance: right as often as they are,
    which is the verifier's precision on this problem. Only the vote of the rejected is simulated.
    """
    taken = [s for s, is_in in zip(problem.samples, accepted) if is_in]
    rejected = [s for s, is_in in zip(problem.samples, accepted) if not is_in]
    total = len(problem.samples)
    accepts = pass_at_k(total, len(taken), budget)
    precision = mean_or_zero([float(s.is_right) for s in taken])
    votes = []
    for _ in range(VOTES if len(rejected) >= budget else 0):
        answer = majority(rng.sample(rejected, budget))  # in random order, which decides a tie
        votes.append(float(is_right_answer(answer, problem)))
    draws = expected_draws(total, len(taken), budget)
    tokens = accepts * mean_or_zero([s.num_tokens for s in taken])
    tokens += (draws - accepts) * mean_or_zero([s.num_tokens for s in rejected])
    right = accepts * precision + (1 - accepts) * mean_or_zero(votes)
    return Outcome(right, accepts, draws, tokens)


def outcomes(pool: list[PooledProblem], accepted: list[list[bool]], budget: int) -> list[Outcome]:
    """The expected outcome on every problem of a pool, given the verdicts.

    Raises ValueError for a budget below 1 or above the number of samples.
    """
    rng = random.Random(budget)
    return [
        expected_outcome(problem, flags, budget, rng=rng) for problem, flags in zip(pool, accepted)
    ]


def drawn_outcomes(evaluation: Evaluation) -> list[Outcome]:
    """What a run of `rejection_sampling` did, problem by problem."""
    return [
        Outcome(float(r.correct), float(any(r.scores)), len(r.completions), r.generated_tokens)
        for r in evaluation.records
    ]


def mean_tokens(pool: list[PooledProblem]) -> float:
    """The mean number of tokens of a sample."""
    return statistics.mean(sample.num_tokens for problem in pool for sample in problem.samples)


def budgets_up_to(n: int) -> list[int]:
    """1, 2, 4, ... and n."""
    return sorted({2**i for i in range(n.bit_length())} | {n})


# --- A vote of as many tokens ---------------------------------------------------------------------


def vote_curve(pool: list[PooledProblem]) -> list[list[float]]:
    """For 1, 2, ... votes: how often their majority is right, from 0 to 1, on each problem.

    (Self-consistency, Wang 2022.) Raises ValueError where a problem has fewer samples than the
    first one.
    """
    counts = range(1, len(pool[0].samples) + 1)
    return [accuracy_at(pool, majority, n, repeats=100) for n in counts]


def vote_of(curve: list[list[float]], votes: float) -> list[float]:
    """The vote curve between two whole numbers of votes: sometimes the lower and sometimes the
    higher number is taken, so that the mean is met. At least one vote, at most all."""
    votes = min(max(1.0, votes), len(curve))
    few, many = math.floor(votes), math.ceil(votes)
    share = votes - few
    return [(1 - share) * a + share * b for a, b in zip(curve[few - 1], curve[many - 1])]
