"""The one interface of everything that judges solutions.

A scorer gives every solution a number, and higher is better. A verifier accepts it or not. Both
have a `name`, which a run's settings record, and return what their judgment cost. Neither ever sees
the gold answer.

    Likelihood().score(llm, question, completions)  ->  Scores([0.91, 0.87], Cost())

Chapter 3 ranks solutions by a scorer. Chapter 4 draws solutions until a verifier accepts one. A
gate of chapter 5 is a scorer that compares two drafts, and a value of chapter 6 is a scorer of
partial solutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from shared.llm import LLM
from shared.solution import Cost


class Text(Protocol):
    """What is judged: a `Completion`, a pooled `Sample`, or a node of a search.

    finish_reason    "stop" of a solution that ended by itself; "" of one that has not ended
    """

    text: str
    finish_reason: str


class Scores(NamedTuple):
    """One number for each solution, and what it cost to find them."""

    scores: list[float]
    cost: Cost


class Verdicts(NamedTuple):
    """Whether each solution is accepted, and what it cost to find out."""

    accepted: list[bool]
    cost: Cost


class Scorer(Protocol):
    """Scores solutions of one question."""

    name: str

    def score(self, llm: LLM, question: str, solutions: Sequence[Text]) -> Scores:
        """One finite number for each solution; higher is better."""


class Verifier(Protocol):
    """Accepts or rejects solutions of one question."""

    name: str

    def verify(self, llm: LLM, question: str, solutions: Sequence[Text]) -> Verdicts:
        """For each solution, whether it is accepted."""
