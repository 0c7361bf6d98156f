"""The chapter's votes on recorded samples: how often they are right, and their cost in tokens.

vote_accuracy(pool, 16)                   # for each problem, with ties broken by chance
accuracy_at(pool, by_probability, 8)      # a rule is a `Choose`: samples -> answer
adaptive_votes(pool, threshold=0.95)      # accuracy and tokens of `adaptive_consistency`
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from statistics import fmean, stdev

from ch02_self_consistency.deepconf import best_share
from ch02_self_consistency.self_consistency import probability_ahead, rank_weights
from shared.evaluation.intervals import pass_at_k
from shared.evaluation.pool import (
    PooledProblem,
    Sample,
    accuracy_at,
    is_right_answer,
    majority,
)
from shared.grading.voting import count_votes, is_at_least, winner


def answers_of(samples: list[Sample]) -> list[str | None]:
    """The answer of each sample."""
    return [sample.answer for sample in samples]


def share_of_leader(samples: list[Sample]) -> float:
    """The agreement of some samples: the share that votes for the most frequent answer."""
    return max(count_votes(answers_of(samples)).values(), default=0) / len(samples)


def leaders_of(samples: list[Sample]) -> list[str]:
    """All answers that share the most votes of some samples."""
    votes = count_votes(answers_of(samples))
    most = max(votes.values(), default=0)
    return [answer for answer, count in votes.items() if is_at_least(count, most)]


def vote_credit(samples: list[Sample], problem: PooledProblem) -> float:
    """How often the vote of these samples is right if a tie is broken by chance.

    1 or 0 without a tie. In a tie, the share of the leaders that are right: in a random order of
    the samples, each leader is equally likely to be seen first.
    """
    leaders = leaders_of(samples)
    return fmean(is_right_answer(answer, problem) for answer in leaders) if leaders else 0.0


def vote_accuracy(pool: list[PooledProblem], n: int) -> list[float]:
    """For each problem, how often a vote of n of its samples is right; chance breaks ties.

    `accuracy_at` draws fewer samples than there are in random orders. Of all samples there is only
    one set, so their vote is computed exactly. Raises ValueError where n samples are too many.
    """
    drawn = accuracy_at(pool, majority, n)
    return [
        vote_credit(problem.samples, problem) if n == len(problem.samples) else share
        for problem, share in zip(pool, drawn)
    ]


def votes_by_plan(
    pool: list[PooledProblem], plan: str, *, at_least: int = 3, repeats: int = 100
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(one sample, vote) for each problem with `at_least` samples of a plan: how often one sample
    is right, and the vote of as many samples as have the plan.

    The first list has samples of this plan only, the second has samples of all plans, drawn
    `repeats` times. A plan is the first line of a solution.
    """
    rng = random.Random(0)
    within, overall = [], []
    for problem in pool:
        samples = problem.samples
        same = [sample for sample in samples if sample.text.startswith(plan)]
        if len(same) >= at_least:
            draws = [rng.sample(samples, len(same)) for _ in range(repeats)]
            vote = fmean(vote_credit(drawn, problem) for drawn in draws)
            within.append((fmean(s.is_right for s in same), vote_credit(same, problem)))
            overall.append((fmean(s.is_right for s in samples), vote))
    return within, overall


def by_probability(samples: list[Sample], per_token: bool = False) -> str | None:
    """`weighted_self_consistency` with the weight "probability" or "probability per token"."""
    totals = [s.measures["logprob"] / (s.num_tokens if per_token else 1) for s in samples]
    weights = [math.exp(total - max(totals)) for total in totals]
    return winner(count_votes(answers_of(samples), weights))


def by_certainty(samples: list[Sample], power: float = 1.0) -> str | None:
    """`weighted_self_consistency` with the weight "certainty"."""
    weights = rank_weights([sample.measures["certainty"] for sample in samples], power)
    return winner(count_votes(answers_of(samples), weights))


def by_confidence(samples: list[Sample], keep: float = 0.5) -> str | None:
    """`deepconf` on recorded samples."""
    scores = [math.exp(sample.measures["lowest_confidence"]) for sample in samples]
    weights = [score * is_in for score, is_in in zip(scores, best_share(scores, keep))]
    return winner(count_votes(answers_of(samples), weights))


def samples_until_sure(
    answers: list[str | None], *, batch: int = 4, threshold: float = 0.95
) -> int:
    """The number of answers after which `adaptive_consistency` stops."""
    for count in range(batch, len(answers), batch):
        if probability_ahead(count_votes(answers[:count])) >= threshold:
            return count
    return len(answers)


def stopped_votes(
    pool: list[PooledProblem], count_of: Callable[[list[str | None]], int], repeats: int = 10
) -> tuple[list[float], list[float]]:
    """For each problem: how often an early vote is right, and how many tokens it generates.

    `count_of` takes the answers in the order of drawing and returns the number after which sampling
    stops. Each problem's samples are put into `repeats` random orders, the same for every rule;
    chance breaks ties.
    """
    rng = random.Random(0)
    shares, tokens = [], []
    for problem in pool:
        right, spent = [], []
        for _ in range(repeats):
            samples = rng.sample(problem.samples, len(problem.samples))
            count = count_of(answers_of(samples))
            right.append(vote_credit(samples[:count], problem))
            spent.append(sum(sample.num_tokens for sample in samples[:count]))
        shares.append(fmean(right))
        tokens.append(fmean(spent))
    return shares, tokens


def fixed_votes(pool: list[PooledProblem], n: int) -> tuple[list[float], list[float]]:
    """For each problem: how often a vote of n samples is right, and how many tokens it generates
    on average."""
    lengths = [fmean(sample.num_tokens for sample in problem.samples) for problem in pool]
    return vote_accuracy(pool, n), [n * length for length in lengths]


def adaptive_votes(
    pool: list[PooledProblem], threshold: float, batch: int = 4
) -> tuple[list[float], list[float]]:
    """`stopped_votes` of `adaptive_consistency`; a threshold above 1 is never reached."""
    return stopped_votes(pool, partial(samples_until_sure, batch=batch, threshold=threshold))


def leaders_that_stayed(
    pool: list[PooledProblem], sizes: tuple[int, ...] = (4, 8, 12), repeats: int = 10
) -> list[tuple[float, bool, bool]]:
    """For votes of some samples: P(ahead), whether the leader also leads all, whether it is right.

    Each problem's samples are put into `repeats` random orders; votes without an answer are left
    out. A leader that is tied for the lead of all samples leads.
    """
    rng = random.Random(0)
    found = []
    for problem in pool:
        leaders = leaders_of(problem.samples)
        for _ in range(repeats):
            samples = rng.sample(problem.samples, len(problem.samples))
            for size in sizes:
                votes = count_votes(answers_of(samples[:size]))
                if votes:
                    leader = winner(votes)
                    stayed = len(count_votes([*leaders, leader])) == len(leaders)  # one of them
                    is_right = is_right_answer(leader, problem)
                    found.append((probability_ahead(votes), stayed, is_right))
    return found


def passes(pool: list[PooledProblem], k: int) -> list[float]:
    """For each problem, the probability that at least one of k samples is right (pass@k)."""
    counts = [(len(p.samples), sum(s.is_right for s in p.samples)) for p in pool]
    return [pass_at_k(n, right, k) for n, right in counts]


def mean_and_half(shares: list[float]) -> tuple[float, float]:
    """The mean over problems and half the width of its 95% interval: 1.96 standard errors."""
    return fmean(shares), 1.96 * stdev(shares) / math.sqrt(len(shares))


def signed(differences: list[float]) -> str:
    """The mean of paired differences with its 95% interval, as text."""
    mean, half = mean_and_half(differences)
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"
