"""A model as judge: is this solution correct? It answers with the probability of "Yes"."""

from __future__ import annotations

import math

from shared.llm import LLM
from shared.scores import checked
from shared.solution import Cost
from shared.text import prompts

VERDICTS = ("Yes", "No")  # what a judge may say


def judge(llm: LLM, question: str, solution: str) -> float:
    """The probability that the model itself gives to "Yes" when asked if a solution is correct.

    Of the two answers only: P(Yes) / (P(Yes) + P(No)). (Generative verifiers, Zhang 2024)
    Raises ValueError if the model gives no probability. `judging_cost` says what it costs.
    """
    prompt = judge_prompt(llm, question, solution)
    yes, no = (sum(llm.score(prompt, word)) for word in VERDICTS)
    return share_of_yes(yes, no)


def judge_prompt(llm: LLM, question: str, solution: str) -> list[int]:
    """The token ids after which `judge` looks up "Yes" and "No"."""
    messages = prompts.follow_up(prompts.ask(question), solution, prompts.JUDGE)
    return llm.tokenizer.encode_chat(messages, enable_thinking=False)


def share_of_yes(yes: float, no: float) -> float:
    """P(Yes) / (P(Yes) + P(No)) from the two log-probabilities. Raises ValueError for NaN."""
    share = 1 / (1 + math.exp(min(no - yes, 700.0)))  # e^710 would overflow
    return checked(share, "the judge's probability of Yes")


def judging_cost(llm: LLM, question: str, solutions: list[str]) -> Cost:
    """What `judge` spends on these solutions."""
    return asking_cost(llm, [judge_prompt(llm, question, solution) for solution in solutions])


def asking_cost(llm: LLM, asked: list[list[int]]) -> Cost:
    """The cost of looking up "Yes" and "No" after each of these prompts (token ids).

    As everywhere, a prompt counts once, however many continuations follow. The words are scored
    tokens, and each takes a forward pass. What the prefix cache saves is not known here, so no
    token counts as reused.
    """
    words = [llm.tokenizer.encode(word) for word in VERDICTS]
    return Cost(
        prompt_tokens=sum(map(len, asked)),
        scored_tokens=len(asked) * sum(map(len, words)),
        forward_passes=len(asked) * len(words),
        num_prompts=len(asked),
    )
