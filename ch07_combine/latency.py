"""How long must a user wait? The tokens that a technique generates one after another.

Samples of one request are generated side by side, so a request takes as many steps as its longest
sample has tokens. Requests that wait for each other add up:

    self-consistency of 16    4,600 tokens,   about 400 sequential steps
    beam search of 8          2,500 tokens,   about 400 sequential steps, in 14 requests
    refinement, 3 rounds      1,000 tokens,   about 1,000 sequential steps

What a reward model reads is left out: it takes one pass, however long the text is.
"""

from __future__ import annotations

from collections.abc import Callable

from shared import LLM, Problem, RequestOutput, Solution


class StepCounter:
    """Counts sequential steps: `steps` in all, in `requests` requests."""

    def __init__(self) -> None:
        self.steps = self.requests = 0

    def counted(self, outputs: list[RequestOutput]) -> list[RequestOutput]:
        """The outputs of one call, whose prompts share a batch."""
        lengths = (len(each.token_ids) for output in outputs for each in output.completions)
        self.steps += max(lengths, default=0)
        self.requests += 1
        return outputs


class Clock(StepCounter):
    """A model that counts: it stands between one technique and its model while one problem is
    solved."""

    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self.llm = llm
        self.tokenizer, self.max_positions = llm.tokenizer, llm.max_positions

    def chat(self, *args: object, **options: object) -> list[RequestOutput]:
        """As the model's."""
        return self.counted(self.llm.chat(*args, **options))

    def generate(self, *args: object, **options: object) -> list[RequestOutput]:
        """As the model's."""
        return self.counted(self.llm.generate(*args, **options))

    def score(self, *args: object) -> list[float]:
        """As the model's; one pass, which is not counted."""
        return self.llm.score(*args)


def timed(
    llm: LLM, problem: Problem, *, technique: Callable[..., Solution], **options: object
) -> Solution:
    """Solve a problem with a technique, and note the waiting at the end of the trace."""
    clock = Clock(llm)
    solution = technique(clock, problem, **options)
    solution.trace.append({"sequential_steps": clock.steps, "requests": clock.requests})
    return solution
