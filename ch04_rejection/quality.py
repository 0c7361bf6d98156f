"""How good is a verifier? Its verdicts on a pool of samples, held against the right answers.

technique = partial(sample_and_score, n=16, params=PARAMS, reward_model=reward_model)
pool = to_pool(evaluate(technique, llm, problems))
quality(pool, verdicts(pool, pooled_verifiers()["both"]))      # {"acceptance": ..., ...}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ch04_rejection.rejection import THRESHOLDS, verifiers
from shared import LLM, Cost, Problem, SamplingParams, Solution
from shared.errors import UserError
from shared.evaluation.pool import PooledProblem, Sample, sample_pool
from shared.rewards.interfaces import Verdicts, Verifier
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.scorers import Reward
from shared.rewards.verifiers import WellFormed
from shared.scores import checked_scores

QUALITIES = ("acceptance", "precision", "false_accepts", "false_rejects")  # see `quality`


# --- Pools and their verifiers --------------------------------------------------------------------


def sample_and_score(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, reward_model: ProcessRewardModel
) -> Solution:
    """Sample n solutions, record the reward of each one's last step; answer with their majority."""
    solution = sample_pool(llm, problem, n=n, params=params, judged=False)
    rewards, cost = Reward(reward_model).score(llm, problem.question, solution.completions)
    for completion, score in zip(solution.completions, checked_scores(rewards, "the reward", n)):
        completion.measures["reward"] = score
    solution.cost += cost
    return solution


@dataclass(frozen=True)
class NotedReward:
    """As `RewardAtLeast`, for pooled samples, whose rewards were recorded."""

    threshold: float

    @property
    def name(self) -> str:
        """For example "reward >= 0.85"."""
        return f"reward >= {self.threshold:g}"

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Sample]) -> Verdicts:
        """It calls no model, so it costs nothing. Raises UserError for samples without rewards."""
        if not all("reward" in sample.measures for sample in solutions):
            raise UserError("a pool without rewards: make one with sample_and_score (study.py)")
        recorded = [sample.measures["reward"] for sample in solutions]
        rewards = checked_scores(recorded, "the recorded reward", len(solutions))
        well_formed, cost = WellFormed().verify(llm, question, solutions)
        accepted = [ok and score >= self.threshold for ok, score in zip(well_formed, rewards)]
        return Verdicts(accepted, cost)


@dataclass(frozen=True)
class Perfect:
    """The perfect verifier, which knows the right answer. No other can do better."""

    name: str = "perfect"

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Sample]) -> Verdicts:
        """The samples of a pool are already graded."""
        return Verdicts([sample.is_right for sample in solutions], Cost())


def pooled_verifiers(thresholds: dict[str, float] = THRESHOLDS) -> dict[str, Verifier]:
    """The chapter's verifiers by name, and the perfect one, for samples with recorded rewards."""
    return verifiers(NotedReward, thresholds) | {"perfect": Perfect()}


def usable_verifiers(pool: list[PooledProblem]) -> dict[str, Verifier]:
    """Those of `pooled_verifiers` that a pool has the measures for: without rewards, three."""
    named = pooled_verifiers()
    if all("reward" in sample.measures for problem in pool for sample in problem.samples):
        return named
    return {name: named[name] for name in ("format", "arithmetic", "perfect")}


def verdicts(pool: list[PooledProblem], verifier: Verifier) -> list[list[bool]]:
    """For each problem, which of its samples a verifier accepts that calls no model."""
    return [verifier.verify(None, problem.question, problem.samples).accepted for problem in pool]


# --- Quality --------------------------------------------------------------------------------------


def quality_counts(pool: list[PooledProblem], accepted: list[list[bool]]) -> np.ndarray:
    """Of each problem, what is counted for each of the QUALITIES and of how many samples;
    [problems, 4, 2]"""
    rows = []
    for problem, flags in zip(pool, accepted):
        total, taken = len(flags), sum(flags)
        right = sum(sample.is_right for sample in problem.samples)
        kept = sum(s.is_right for s, is_in in zip(problem.samples, flags) if is_in)
        false_accepts, false_rejects = (taken - kept, total - right), (right - kept, right)
        rows.append([(taken, total), (kept, taken), false_accepts, false_rejects])
    return np.array(rows, dtype=float)


def quality(pool: list[PooledProblem], accepted: list[list[bool]]) -> dict[str, float]:
    """How good a verifier is over all samples of a pool; a share of nothing is not a number.

    acceptance      share of samples accepted
    precision       share of the accepted that are right
    false_accepts   share of the wrong that are accepted
    false_rejects   share of the right that are rejected
    """
    part, whole = quality_counts(pool, accepted).sum(axis=0).T
    with np.errstate(invalid="ignore"):
        return dict(zip(QUALITIES, (part / whole).tolist()))


def quality_intervals(
    pool: list[PooledProblem], accepted: list[list[bool]], *, samples: int = 1_000, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Each quality with its 95% interval, low and high (bootstrap, Efron 1979, percentiles).

    Problems are drawn with replacement, not samples: those of one problem are alike.
    """
    counts = quality_counts(pool, accepted)
    chosen = np.random.default_rng(seed).integers(len(pool), size=(samples, len(pool)))
    part, whole = np.moveaxis(counts[chosen].sum(axis=1), -1, 0)  # [samples, 4] each
    with np.errstate(invalid="ignore"):
        low, high = np.nanquantile(part / whole, [0.025, 0.975], axis=0).tolist()
    found = quality(pool, accepted)
    return {name: (found[name], *bounds) for name, *bounds in zip(QUALITIES, low, high)}
