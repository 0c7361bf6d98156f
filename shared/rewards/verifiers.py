"""Verifiers of whole solutions, from weak to strong: the format, the arithmetic, a reward model.

WellFormed()                  the solution came to its end and boxed an answer
ArithmeticHolds()             and all of its equations hold
RewardAtLeast(model, 0.85)    it is well formed, and a reward model's score reaches a threshold
Both(one, other)              two verifiers accept it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from shared.grading.answers import final_answer
from shared.grading.arithmetic import equations
from shared.llm import LLM
from shared.rewards.interfaces import Text, Verdicts, Verifier
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.scorers import Reward
from shared.scores import checked_scores
from shared.solution import Completion, Cost


def is_well_formed(solution: Text) -> bool:
    """Whether a solution came to its end and boxed an answer."""
    is_boxed = "\\boxed" in solution.text
    return solution.finish_reason == "stop" and is_boxed and final_answer(solution) is not None


@dataclass(frozen=True)
class WellFormed:
    """The format: the solution came to its end and boxed an answer."""

    name: str = "format"

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Text]) -> Verdicts:
        """Only the text is read, so it costs nothing."""
        return Verdicts([is_well_formed(solution) for solution in solutions], Cost())


@lru_cache(maxsize=100_000)  # studies verify the same samples again and again
def all_hold(text: str) -> bool:
    """Whether a text has equations, and all of them hold."""
    claims = equations(text)
    return bool(claims) and all(claim.is_right for claim in claims)


@dataclass(frozen=True)
class ArithmeticHolds:
    """The arithmetic of every step: well-formed, with equations, all of which hold.

    It knows nothing of the question. A solution that computes the wrong thing correctly passes.
    """

    name: str = "arithmetic"

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Text]) -> Verdicts:
        """Recomputing needs no model, so it costs nothing."""
        well_formed, cost = WellFormed().verify(llm, question, solutions)
        return Verdicts([ok and all_hold(s.text) for ok, s in zip(well_formed, solutions)], cost)


@dataclass(frozen=True)
class RewardAtLeast:
    """Accepts well-formed solutions whose last step gets at least `threshold`, from 0 to 1, from a
    reward model (Cobbe 2021)."""

    model: ProcessRewardModel
    threshold: float

    @property
    def name(self) -> str:
        """For example "reward >= 0.85"; a run's settings record it."""
        return f"reward >= {self.threshold:g}"

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Completion]) -> Verdicts:
        """The reward model reads every solution once."""
        rewards, cost = Reward(self.model).score(llm, question, solutions)
        rewards = checked_scores(rewards, "the reward", len(solutions))
        well_formed, _ = WellFormed().verify(llm, question, solutions)
        accepted = [ok and r >= self.threshold for ok, r in zip(well_formed, rewards)]
        return Verdicts(accepted, cost)


@dataclass(frozen=True)
class Both:
    """Accepts what two other verifiers accept. It costs what both cost."""

    first: Verifier
    second: Verifier

    @property
    def name(self) -> str:
        """For example "arithmetic and reward >= 0.75"."""
        return f"{self.first.name} and {self.second.name}"

    def verify(self, llm: LLM | None, question: str, solutions: Sequence[Text]) -> Verdicts:
        """Both judge every solution."""
        first, first_cost = self.first.verify(llm, question, solutions)
        second, second_cost = self.second.verify(llm, question, solutions)
        return Verdicts([a and b for a, b in zip(first, second)], first_cost + second_cost)
