"""CoT-decoding: find a chain of thought without asking for one (Wang & Zhou 2024)."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate

from ch01_cot.replies import GREEDY, continue_reply
from shared import LLM, Completion, Problem, SamplingParams, Solution, prompts
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes, winner


def answer_confidence(llm: LLM, completion: Completion, answer: str | None) -> float:
    """How sure the model was of its answer (Wang & Zhou 2024), from 0 to 1.

    The probability of the likeliest token minus that of the second, averaged over the tokens that
    spell the answer where it stands last. 0 where there is no answer, or it is spelled otherwise.
    Needs a completion sampled with SamplingParams(logprobs=2).
    """
    pieces = [llm.tokenizer.token_bytes(token) for token in completion.token_ids]
    start = b"".join(pieces).rfind(answer.encode()) if answer else -1
    if start < 0:
        return 0.0
    ends = list(accumulate(map(len, pieces)))
    stop = start + len(answer.encode())
    spell = [i for i, end in enumerate(ends) if start < end and end - len(pieces[i]) < stop]
    margins = []
    for i in spell:
        first, second = sorted(completion.top_logprobs[i].values(), reverse=True)[:2]
        margins.append(math.exp(first) - math.exp(second))
    return sum(margins) / len(margins)


def cot_decoding(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 10,
    params: SamplingParams = GREEDY,
    instruction: str = prompts.DIRECT,
) -> Solution:
    """Find a chain of thought without asking for one (Wang & Zhou 2024, CoT-decoding).

    Branch on the n likeliest first tokens (at most 20), continue each, and take the answer whose
    branches add up to the highest confidence (the paper's "weighted aggregation").
    """
    asked = prompts.ask(problem.question, instruction)
    prompt = llm.tokenizer.encode_chat(asked, enable_thinking=False)
    (first,) = llm.generate(prompt, replace(params, n=1, max_tokens=1, logprobs=max(n, 2)))
    (alternatives,) = first.completions[0].top_logprobs
    cost, branches = first.cost, []
    for token, logprob in list(alternatives.items())[:n]:
        if token not in llm.stop_ids:
            start = Completion("", [token], [logprob], "length", [alternatives])
            branch, spent = continue_reply(llm, prompt, start, "", replace(params, logprobs=2))
            branches.append(branch)
            cost += spent
    answers = [final_answer(branch) for branch in branches]
    sure = [answer_confidence(llm, branch, answer) for branch, answer in zip(branches, answers)]
    votes = count_votes(answers, sure, "the confidence")
    return Solution(winner(votes), branches, cost, scores=sure, trace=[{"confidence": votes}])
