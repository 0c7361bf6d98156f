"""The score of every pooled sample by every scorer: recorded while sampling, read from the pool.

evaluation = evaluate(partial(sample_and_measure, n=8, params=PARAMS, reward_model=model), ...)
pool = to_pool(evaluation)
accuracy_at(pool, ranked_by("reward_last", weighted_answer), 8)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

from ch03_best_of_n.best_of_n import AGGREGATES, best_answer
from shared import LLM, Problem, SamplingParams, Solution
from shared.evaluation.intervals import auc
from shared.evaluation.pool import Choose, PooledProblem, Sample, sample_pool
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.scorers import reading_cost
from shared.scores import aggregate_scores, checked

OWN_MEASURES = ("length", "likelihood", "certainty", "judge")  # no second model is needed
MEASURES = (*OWN_MEASURES, *(f"reward_{aggregate}" for aggregate in AGGREGATES))
# What is noted as a logarithm: measure -> the name under which a sample has it.
LOGARITHMS = {"likelihood": "logprob"} | {f"reward_{a}": f"log_reward_{a}" for a in AGGREGATES}


def sample_and_measure(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, reward_model: ProcessRewardModel
) -> Solution:
    """Sample n solutions and record all scores of each; answer with their majority."""
    solution = sample_pool(llm, problem, n=n, params=params)  # notes certainty and judge
    completions = solution.completions
    steps = reward_model.step_scores(problem.question, [c.text for c in completions])
    for completion, scores in zip(completions, steps):
        for aggregate in AGGREGATES:  # records keep four decimals: too few for a product
            score = max(aggregate_scores(scores, aggregate), 1e-300)
            completion.measures[f"log_reward_{aggregate}"] = math.log(score)
    solution.cost += reading_cost(completions)
    return solution


def score_of(sample: Sample, measure: str) -> float:
    """A pooled sample's score by one of the MEASURES.

    Raises ValueError where none is recorded, and for one that is not a finite number.
    """
    if measure == "length":
        well_formed = sample.finish_reason == "stop" and "\\boxed{" in sample.text
        return well_formed * sample.num_tokens
    noted = sample.measures.get(LOGARITHMS.get(measure, measure))
    score = checked(noted, f"{measure} of the sample {sample.text[:40]!r}")
    if measure == "likelihood":
        score /= sample.num_tokens
    return math.exp(score) if measure in LOGARITHMS else score


def ranked_by(measure: str, choose: Callable = best_answer) -> Choose:
    """`choose` on pooled samples with the scores of one measure, for `accuracy_at`."""

    def chosen(samples: list[Sample]) -> str | None:
        """The answer of these samples."""
        return choose([s.answer for s in samples], [score_of(s, measure) for s in samples])

    return chosen


def oracle(samples: list[Sample]) -> str | None:
    """A right answer if any sample has one: no choice can do better (pass@n)."""
    return next((sample.answer for sample in samples if sample.is_right), None)


def one_sample(pool: list[PooledProblem]) -> list[float]:
    """For each problem the accuracy of one random sample: the share of samples that are right."""
    return [fmean(sample.is_right for sample in problem.samples) for problem in pool]


def auc_within(pool: list[PooledProblem], measure: str) -> float:
    """Probability that a right solution scores above a wrong one of the same problem.

    Across problems a scorer also gets credit for telling easy problems from hard ones. That does
    not help to choose among the samples of one problem. NaN if no problem has both kinds.
    """
    won = pairs = 0.0
    for problem in pool:
        right = [score_of(s, measure) for s in problem.samples if s.is_right]
        wrong = [score_of(s, measure) for s in problem.samples if not s.is_right]
        if right and wrong:
            won += auc(right, wrong) * len(right) * len(wrong)
            pairs += len(right) * len(wrong)
    return won / pairs if pairs else math.nan


def share_right_by_rank(pool: list[PooledProblem], measure: str) -> list[float]:
    """The share of right samples among those with the highest score of their problem, among those
    with the second highest, and so on; the earlier of equal scores ranks higher."""
    ranked = [
        sorted(problem.samples, key=lambda sample: score_of(sample, measure), reverse=True)
        for problem in pool
    ]
    return [fmean(sample.is_right for sample in at_rank) for at_rank in zip(*ranked)]
