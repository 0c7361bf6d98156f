"""What every method of this chapter needs: its sampling settings, its result, a continued reply."""

from __future__ import annotations

from dataclasses import replace

from shared import LLM, Completion, Cost, SamplingParams, Solution
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent

GREEDY = SamplingParams(temperature=0, max_tokens=700)  # always the most probable next token
ANSWER_TOKENS = 32  # enough for an answer, too few for steps


def solution_of(completions: list[Completion], cost: Cost, **evidence: list) -> Solution:
    """The completions as one solution: of several answers, the most frequent one wins."""
    answers = [final_answer(completion) for completion in completions]
    return Solution(most_frequent(answers), completions, cost, **evidence)


def continue_reply(
    llm: LLM, prompt: list[int], start: Completion, words: str, params: SamplingParams
) -> tuple[Completion, Cost]:
    """Append words to what the model wrote, as if it had written them, and let it continue.

    Returns start, words and continuation as one completion. The appended words have log-probability
    0, since the model did not choose them. The cost is that of the continuation alone.
    """
    written = [token for token in start.token_ids if token not in llm.stop_ids]
    given = llm.tokenizer.encode(words)
    (output,) = llm.generate(prompt + written + given, replace(params, n=1))
    (rest,) = output.completions
    logprobs = [*start.logprobs[: len(written)], *[0.0] * len(given), *rest.logprobs]
    top = []  # only where both parts have them: one entry per token, or none at all
    if start.top_logprobs and rest.top_logprobs:
        top = [*start.top_logprobs[: len(written)], *[{}] * len(given), *rest.top_logprobs]
    ids = written + given + rest.token_ids
    text = llm.tokenizer.decode(token for token in ids if token not in llm.stop_ids)
    return Completion(text, ids, logprobs, rest.finish_reason, top), output.cost
