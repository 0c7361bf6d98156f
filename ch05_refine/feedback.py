"""The turns of a refinement: a critique, by the model or by a verifier, and a revision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared import LLM, Completion, Cost, RequestOutput, SamplingParams, prompts
from shared.grading.arithmetic import wrong_equations
from shared.text.prompts import ALL_RIGHT

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
# From a question and a draft to the critique, as the reply to prompts.CRITIQUE.
Feedback = Callable[[LLM, str, str, SamplingParams], RequestOutput]


@dataclass
class Round:
    """What happened in a round; round 0 is the draft alone.

    scores     the gate's, of draft and revision; empty without a gate
    accepted   whether the round's revision (in round 0: the draft) is the draft of the next round
    """

    draft: str
    critique: str | None = None
    revision: str | None = None
    scores: list[float] = field(default_factory=list)
    accepted: bool = False


def reply(llm: LLM, messages: list[dict[str, str]], params: SamplingParams) -> RequestOutput:
    """The model's next turn in a chat."""
    (output,) = llm.chat(messages, params, enable_thinking=False)
    return output


def own_critique(llm: LLM, question: str, draft: str, params: SamplingParams) -> RequestOutput:
    """The model looks for a wrong step in its own draft."""
    messages = prompts.follow_up(prompts.ask(question), draft, prompts.CRITIQUE)
    return reply(llm, messages, params)


def arithmetic_feedback(
    llm: LLM, question: str, draft: str, params: SamplingParams
) -> RequestOutput:
    """A verifier recomputes every equation and names the first wrong one: no model, no tokens."""
    wrong = wrong_equations(draft)
    text = f"This step is wrong: {wrong[0]}" if wrong else ALL_RIGHT
    return RequestOutput([], [Completion(text, [], [], "stop")], Cost())


def revise(
    llm: LLM, question: str, failures: list[tuple[str, str]], params: SamplingParams
) -> RequestOutput:
    """A new solution, after a chat of drafts and what was found wrong with each."""
    messages = prompts.ask(question)
    for draft, critique in failures:
        messages = prompts.follow_up(messages, draft, prompts.CRITIQUE)
        messages = prompts.follow_up(messages, critique, prompts.REVISE)
    return reply(llm, messages, params)
