"""A recorded problem whose texts cost tokens to read: for the last exercise.

    problem = Metered(pool[0])
    problem.draft().answer              # reading a text pays for its tokens, once
    problem.sample(0).scores["reward"]
    problem.tokens                      # what has been paid so far

A rule that gets such a problem cannot see which texts are right, nor the gold answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean

from ch05_refine.outcomes import draft_after, drawn_samples, first_critique, is_scored, score_of
from shared.evaluation.pool import PooledProblem, Sample, is_right_answer


@dataclass(frozen=True)
class Read:
    """What a rule may know of a solution; `scores` by the name of the gate."""

    text: str
    answer: str | None
    num_tokens: int
    scores: dict[str, float]


class Metered:
    """A problem whose records hold one round of the way "ungated", and independent samples.

    The texts stand in no attribute: `_buy` is the only way to one, and it pays.

    question   the problem's
    gates      whose scores a solution has
    """

    def __init__(self, problem: PooledProblem, gates: tuple[str, ...] = ("reward",)) -> None:
        hidden = replace(problem, samples=[replace(s, is_right=False) for s in problem.samples])
        texts: dict[str | int, Sample] = dict(enumerate(drawn_samples([hidden])[hidden.question]))
        texts["draft"] = draft_after(hidden, "ungated", 0)
        texts["critique"] = first_critique(hidden, "ungated")
        revision = draft_after(hidden, "ungated", 1)
        if revision is not texts["draft"]:
            texts["revision"] = revision
        paid: dict[str | int, Sample] = {}

        def buy(name: str | int) -> Sample | None:
            if name in texts:
                paid[name] = texts[name]
            return texts.get(name)

        self.question = problem.question
        self.gates = gates
        self._buy = buy
        self._paid = lambda: dict(paid)

    @property
    def tokens(self) -> int:
        """The tokens of all texts that were read, each counted once."""
        return sum(text.num_tokens for text in self._paid().values())

    @property
    def answers(self) -> list[str | None]:
        """The answers of all solutions that were read."""
        return [text.answer for name, text in self._paid().items() if name != "critique"]

    def draft(self) -> Read:
        """The greedy draft."""
        return self._read("draft")

    def critique(self) -> str:
        """What the model says of the draft. Pays for the draft too: a critique needs one."""
        self._buy("draft")
        return self._buy("critique").text

    def revision(self) -> Read | None:
        """The revision; None where the critique found nothing. Pays for draft and critique too."""
        self.critique()
        return self._read("revision")

    def sample(self, number: int) -> Read:
        """Independent sample 0, 1, ...; IndexError where there are not that many."""
        found = self._read(number)
        if found is None:
            raise IndexError(f"there is no sample {number}")
        return found

    def _read(self, name: str | int) -> Read | None:
        solution = self._buy(name)
        if solution is None:
            return None
        known = [gate for gate in self.gates if is_scored({"": [solution]}, gate)]
        scores = {gate: score_of(solution, gate) for gate in known}
        return Read(solution.text, solution.answer, solution.num_tokens, scores)


Rule = Callable[[Metered], str | None]


def check_read(rule: Rule, metered: Metered, answer: str | None) -> None:
    """Raise AssertionError unless the rule has read a text with this answer."""
    assert answer is None or answer in metered.answers, (
        f"{rule.__name__} answers {answer!r}, but it has read the answers {metered.answers}. "
        "Only the answer of a text that was paid for counts"
    )


def is_right_by(rule: Rule, pool: list[PooledProblem], budget: float) -> list[bool]:
    """For each problem whether the rule's answer is right.

    Raises AssertionError if the rule reads more than `budget` tokens per problem on average, or
    gives an answer that no text it read has.
    """
    right, tokens = [], []
    for problem in pool:
        metered = Metered(problem)
        answer = rule(metered)
        check_read(rule, metered, answer)
        tokens.append(metered.tokens)
        right.append(answer is not None and is_right_answer(answer, problem))
    assert mean(tokens) <= budget, (
        f"{rule.__name__} reads {mean(tokens):.0f} tokens per problem, but the budget is "
        f"{budget:.0f}. Read fewer texts, or read some of them only where they are needed"
    )
    return right
