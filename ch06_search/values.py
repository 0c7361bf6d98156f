"""What is a partial solution worth? The values of the searches in `search.py`.

A value is a scorer (shared/rewards/interfaces.py) of nodes: it gives each a score from 0 to 1.
Scorers of whole solutions that only read the text work too, such as `Judge` and `Reward` of
shared/rewards/scorers.py. None of them sees the gold answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared import LLM, Cost, prompts
from shared.grading.arithmetic import wrong_equations
from shared.rewards.interfaces import Scorer, Scores, Text
from shared.rewards.judge import probability_of_yes
from shared.rewards.process_reward import LineRewardModel, ProcessRewardModel
from shared.rewards.scorers import Reward
from shared.rewards.step_reader import StepReader
from shared.solution import Completion

# The shipped model was not trained on questions about half a solution: ask it prompts.JUDGE.
SO_FAR = "Is this solution correct so far? Answer Yes or No."


@dataclass(frozen=True)
class ArithmeticValue:
    """0 once an equation is wrong, else 1: a value that costs nothing."""

    name: str = "arithmetic"

    def score(self, llm: LLM, question: str, solutions: Sequence[Text]) -> Scores:
        """Checks the equations of each text; the model is not used."""
        return Scores([float(not wrong_equations(s.text)) for s in solutions], Cost())


@dataclass(frozen=True)
class JudgeSoFar:
    """The model's own opinion: the probability of "Yes" when it is asked if all is correct so far.

    It is asked after the very tokens that it sampled, which the prefix cache still has.
    """

    ask: str = SO_FAR
    name: str = "judge_so_far"

    def score(self, llm: LLM, question: str, solutions: Sequence[Completion]) -> Scores:
        """From 0 to 1. Raises ValueError if the question does not fit into the context."""
        encode_chat = llm.tokenizer.encode_chat
        asked = prompts.ask(question)
        before = encode_chat(asked, enable_thinking=False)
        follow_up = encode_chat(prompts.follow_up(asked, "", self.ask), enable_thinking=False)
        after = follow_up[len(encode_chat(asked)) :]  # the end of the reply, and what follows it
        replies = [
            s.token_ids[:-1] if s.finish_reason == "stop" else s.token_ids for s in solutions
        ]
        return probability_of_yes(llm, [before + ids + after for ids in replies])


def reward_value(model: ProcessRewardModel) -> Scorer:
    """The score of the last step so far, read step by step where the model allows it."""
    return StepReader(model) if isinstance(model, LineRewardModel) else Reward(model)
