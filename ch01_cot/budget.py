"""Longer or shorter chains on demand: budget forcing (s1), and the thinking mode of Qwen3."""

from __future__ import annotations

from dataclasses import replace

from ch01_cot.replies import ANSWER_TOKENS, GREEDY, continue_reply, solution_of
from shared import LLM, Problem, SamplingParams, Solution, prompts
from shared.grading.answers import final_answer

WAIT = "\nWait"
FORCE_ANSWER = "\nThe answer is \\boxed{"
END_THINKING = (  # the sentence with which Qwen3 stops a thought (Yang 2025, "thinking budget")
    "\n\nConsidering the limited time by the user, I have to give the solution based on the "
    "thinking directly now.\n</think>\n\n"
)


def budget_forcing(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 1,
    params: SamplingParams = GREEDY,
    waits: int = 1,
    budget: int | None = None,
    wait: str = WAIT,
) -> Solution:
    """Make a chain longer or shorter than the model would (s1, Muennighoff 2025, section 3.1).

    Each time the model stops, up to `waits` times, `wait` is appended and the model continues. A
    chain without an answer after `budget` tokens (None: params.max_tokens) is cut there, and the
    model must answer at once. The trace has the answer after each piece of each chain. Raises
    ValueError for a budget below 1: without any step, use `direct_answer`.
    """
    budget = params.max_tokens if budget is None else budget
    if budget < 1:
        raise ValueError(f"budget must be at least 1 token, not {budget}")
    asked = prompts.ask(problem.question)
    prompt = llm.tokenizer.encode_chat(asked, enable_thinking=False)
    (output,) = llm.generate(prompt, replace(params, n=n, max_tokens=budget))
    cost, chains, trace = output.cost, [], []
    for chain in output.completions:
        answers = [final_answer(chain)]
        for _ in range(waits):
            left = budget - len(chain.token_ids)
            if left < 1 or chain.finish_reason != "stop":
                break
            chain, spent = continue_reply(
                llm, prompt, chain, wait, replace(params, max_tokens=left)
            )
            cost += spent
            answers.append(final_answer(chain))
        if answers[-1] is None:
            short = replace(params, max_tokens=ANSWER_TOKENS)
            chain, spent = continue_reply(llm, prompt, chain, FORCE_ANSWER, short)
            cost += spent
            answers.append(final_answer(chain))
        chains.append(chain)
        trace.append({"answers": answers})
    return solution_of(chains, cost, trace=trace)


def thinking(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 1,
    params: SamplingParams = GREEDY,
    budget: int | None = None,
) -> Solution:
    """Qwen3's own thinking, at most `budget` tokens of it (None: params.max_tokens; 0: off).

    When the budget runs out, `END_THINKING` closes the thought and the model answers in at most
    params.max_tokens tokens (Yang 2025). Raises ValueError for a model without a thinking mode and
    for a negative budget.
    """
    if budget is not None and budget < 0:
        raise ValueError(f"budget must be 0 (thinking off) or more tokens, not {budget}")
    asked = prompts.ask(problem.question)
    on, off = (llm.tokenizer.encode_chat(asked, enable_thinking=mode) for mode in (True, False))
    if on == off:
        raise ValueError(f"the chat format of {llm.name} has no thinking mode; take a Qwen3")
    prompt = off if budget == 0 else on
    limit = budget if budget else params.max_tokens  # with thinking off, the reply has all of it
    (output,) = llm.generate(prompt, replace(params, n=n, max_tokens=limit))
    cost, completions = output.cost, []
    for completion in output.completions:
        if budget and completion.finish_reason != "stop":
            words = "" if "</think>" in completion.text else END_THINKING
            completion, spent = continue_reply(llm, prompt, completion, words, params)
            cost += spent
        completions.append(completion)
    return solution_of(completions, cost)
