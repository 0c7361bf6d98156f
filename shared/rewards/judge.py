"""A model as judge: is this solution correct? It answers with the probability of "Yes"."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from shared.llm import LLM
from shared.rewards.interfaces import Scores
from shared.scores import checked
from shared.solution import Cost
from shared.text import prompts

VERDICTS = ("Yes", "No")  # what a judge may say
ASKED_AT_ONCE = 64  # words that all callers together look up at the same time, to share a batch
_askers = ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="judge")


def judge(llm: LLM, question: str, solution: str) -> float:
    """The probability that the model itself gives to "Yes" when asked if a solution is correct.

    Of the two answers only: P(Yes) / (P(Yes) + P(No)). (Generative verifiers, Zhang 2024)
    Raises ValueError if the model gives no probability.
    """
    (score,) = judge_all(llm, question, [solution]).scores
    return score


def judge_all(llm: LLM, question: str, solutions: list[str]) -> Scores:
    """`judge` for several solutions of one question at once, with what it costs."""
    return probability_of_yes(llm, [judge_prompt(llm, question, each) for each in solutions])


def judge_prompt(llm: LLM, question: str, solution: str) -> list[int]:
    """The token ids after which `judge` looks up "Yes" and "No"."""
    messages = prompts.follow_up(prompts.ask(question), solution, prompts.JUDGE)
    return llm.tokenizer.encode_chat(messages, enable_thinking=False)


def probability_of_yes(llm: LLM, texts: list[list[int]]) -> Scores:
    """P("Yes") / (P("Yes") + P("No")) after each text, which is given as token ids.

    As everywhere, a prompt's cost counts once, however many continuations follow. The two words are
    scored tokens, and each takes a forward pass. What the prefix cache saves is not known here, so
    no token counts as reused.
    """
    asked = [(ids, word) for ids in texts for word in VERDICTS]
    found = list(_askers.map(lambda each: sum(llm.score(*each)), asked))
    cost = Cost(
        prompt_tokens=sum(map(len, texts)),
        scored_tokens=len(texts) * sum(len(llm.tokenizer.encode(word)) for word in VERDICTS),
        forward_passes=len(asked),
        num_prompts=len(texts),
    )
    return Scores([share_of_yes(yes, no) for yes, no in zip(found[::2], found[1::2])], cost)


def share_of_yes(yes: float, no: float) -> float:
    """P(Yes) / (P(Yes) + P(No)) from the two log-probabilities. Raises ValueError for NaN."""
    share = 1 / (1 + math.exp(min(no - yes, 700.0)))  # e^710 would overflow
    return checked(share, "the judge's probability of Yes")
