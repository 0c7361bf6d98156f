"""Scorers of whole solutions: what the sampling already tells, a judge, a reward model.

Length()       the number of tokens, if the solution is well formed
Likelihood()   the geometric mean of its tokens' probabilities
Certainty()    self-certainty
Judge()        the model's own probability that the solution is correct
Reward(model)  a process reward model's scores of the steps, as one number
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from shared.llm import LLM
from shared.rewards.interfaces import Scores, Text
from shared.rewards.judge import judge_all
from shared.rewards.process_reward import ProcessRewardModel
from shared.scores import aggregate_scores
from shared.solution import Completion, Cost


@dataclass(frozen=True)
class Length:
    """A heuristic: the number of tokens, as if a longer solution had been thought through better.

    0 for a solution that was cut off or boxed no answer.
    """

    name: str = "length"

    def score(self, llm: LLM, question: str, solutions: Sequence[Completion]) -> Scores:
        """The number of tokens, end-of-turn token included."""
        well_formed = [s.finish_reason == "stop" and "\\boxed{" in s.text for s in solutions]
        scores = [float(ok * len(s.token_ids)) for ok, s in zip(well_formed, solutions)]
        return Scores(scores, Cost())


@dataclass(frozen=True)
class Likelihood:
    """exp(mean log-probability): the geometric mean of the tokens' probabilities, from 0 to 1.

    The mean and not the sum, because every further token makes a text less likely: the sum tends
    to favor short texts.
    """

    name: str = "likelihood"

    def score(self, llm: LLM, question: str, solutions: Sequence[Completion]) -> Scores:
        """Sampling has already computed the log-probabilities, so this costs nothing."""
        return Scores([math.exp(mean(s.logprobs)) for s in solutions], Cost())


@dataclass(frozen=True)
class Certainty:
    """Self-certainty: how far the model's predictions are from uniform, the mean over the tokens,
    in nats (Kang 2025)."""

    name: str = "certainty"

    def score(self, llm: LLM, question: str, solutions: Sequence[Completion]) -> Scores:
        """Raises ValueError where the engine did not record it, as a server does not."""
        return Scores([s.certainty for s in solutions], Cost())


@dataclass(frozen=True)
class Judge:
    """The probability of "Yes" when the model is asked if a solution is correct (Zhang 2024)."""

    name: str = "judge"

    def score(self, llm: LLM, question: str, solutions: Sequence[Text]) -> Scores:
        """From 0 to 1. The judge reads every solution once more."""
        return judge_all(llm, question, [s.text for s in solutions])


@dataclass(frozen=True)
class Reward:
    """A process reward model's scores of all steps, as one number from 0 to 1.

    "last" is the score of the finished solution, as an outcome reward model gives it (Cobbe 2021);
    "min", "prod" and "mean" use all steps (Lightman 2023).
    """

    model: ProcessRewardModel
    aggregate: str = "last"

    @property
    def name(self) -> str:
        """For example "reward_last"."""
        return f"reward_{self.aggregate}"

    def score(self, llm: LLM, question: str, solutions: Sequence[Completion]) -> Scores:
        """The reward model reads every solution once."""
        steps = self.model.step_scores(question, [s.text for s in solutions])
        scores = [aggregate_scores(each, self.aggregate) for each in steps]
        return Scores(scores, reading_cost(solutions))


def reading_cost(solutions: Sequence[Completion]) -> Cost:
    """What it costs to read every solution once more."""
    num_tokens = sum(len(solution.token_ids) for solution in solutions)
    return Cost(scored_tokens=num_tokens, forward_passes=len(solutions))
