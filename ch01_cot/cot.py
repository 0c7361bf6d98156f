r"""Chain of thought: a model that writes down its steps answers what it cannot answer at once.

    python ch01_cot/cot.py                                    # the shipped model, zero-shot
    python ch01_cot/cot.py --method few-shot --shots 3
    python ch01_cot/cot.py --model Qwen/Qwen3-0.6B --problems gsm8k --method thinking --budget 500

Methods:
    direct            only the answer, no working
    prefilled         the same, its `\boxed{` already written: a real model has no room for steps
    cot               "Think step by step" (zero-shot, Kojima 2022)
    few-shot          the same after worked training problems (Wei 2022)
    cot-decoding      no request for steps; the n likeliest first tokens (Wang & Zhou 2024)
    budget-forcing    "Wait" when the model stops, a forced answer when tokens run out (s1, 2025)
    thinking          Qwen3's own thinking: on, off (--budget 0), or at most --budget tokens of it

With --n above 1, n solutions are sampled and the most frequent answer wins (set a --temperature).
study.py compares the methods.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from itertools import accumulate

from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.evaluation.cli import add_common_flags, run
from shared.evaluation.worked_examples import worked_examples
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes, most_frequent, winner

GREEDY = SamplingParams(temperature=0, max_tokens=700)
WAIT = "\nWait"
OPEN_BOX = "\\boxed{"
FORCE_ANSWER = "\nThe answer is \\boxed{"
ANSWER_TOKENS = 32  # room for a forced answer
END_THINKING = (  # the sentence with which Qwen3 stops a thought (Yang 2025, "thinking budget")
    "\n\nConsidering the limited time by the user, I have to give the solution based on the "
    "thinking directly now.\n</think>\n\n"
)


def solution_of(completions: list[Completion], cost: Cost, **evidence: list) -> Solution:
    """Some completions as a solution; where there are several, the most frequent answer wins."""
    answers = [final_answer(completion) for completion in completions]
    return Solution(most_frequent(answers), completions, cost, **evidence)


def direct_answer(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY
) -> Solution:
    """Ask for the answer alone: the model has no room to work anything out."""
    asked = prompts.ask(problem.question, prompts.DIRECT)
    (output,) = llm.chat(asked, replace(params, n=n), enable_thinking=False)
    return solution_of(output.completions, output.cost)


def chain_of_thought(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY
) -> Solution:
    """Ask for the steps first (zero-shot chain of thought, Kojima 2022)."""
    asked = prompts.ask(problem.question)
    (output,) = llm.chat(asked, replace(params, n=n), enable_thinking=False)
    return solution_of(output.completions, output.cost)


def few_shot(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY, shots: int = 2
) -> Solution:
    """Show worked examples as earlier turns of the chat, then ask (Wei 2022)."""
    chat = []
    for question, steps in worked_examples(problem.source, shots):
        chat += [*prompts.ask(question), {"role": "assistant", "content": steps}]
    chat += prompts.ask(problem.question)
    (output,) = llm.chat(chat, replace(params, n=n), enable_thinking=False)
    return solution_of(output.completions, output.cost)


def go_on(
    llm: LLM, prompt: list[int], start: Completion, words: str, params: SamplingParams
) -> tuple[Completion, Cost]:
    """Append words to what the model wrote, as if they were its own, and let it go on.

    Returns start, words and continuation as one completion. Given tokens count as certain: their
    log-probability is set to 0.
    """
    written = [token for token in start.token_ids if token not in llm.stop_ids]
    given = llm.tokenizer.encode(words)
    (output,) = llm.generate(prompt + written + given, replace(params, n=1))
    (rest,) = output.completions
    logprobs = [*start.logprobs[: len(written)], *[0.0] * len(given), *rest.logprobs]
    top = [*start.top_logprobs[: len(written)], *[{}] * len(given), *rest.top_logprobs]
    ids = written + given + rest.token_ids
    text = llm.tokenizer.decode(token for token in ids if token not in llm.stop_ids)
    return Completion(text, ids, logprobs, rest.finish_reason, top), output.cost


def prefilled_answer(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY
) -> Solution:
    """Begin the reply with an open box, so that nothing can stand before the answer.

    Asked for the answer alone, a real model often writes its steps all the same: for it, this is
    the direct answer. There is one reply, whatever `n` is.
    """
    asked = prompts.ask(problem.question, prompts.DIRECT)
    prompt = llm.tokenizer.encode_chat(asked, enable_thinking=False)
    short = replace(params, max_tokens=ANSWER_TOKENS)
    completion, cost = go_on(llm, prompt, Completion("", [], [], "length"), OPEN_BOX, short)
    return solution_of([completion], cost)


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
    """Find a chain of thought that nobody asked for (Wang & Zhou 2024, CoT-decoding).

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
            branch, spent = go_on(llm, prompt, start, "", replace(params, logprobs=2))
            branches.append(branch)
            cost += spent
    answers = [final_answer(branch) for branch in branches]
    sure = [answer_confidence(llm, branch, answer) for branch, answer in zip(branches, answers)]
    votes = count_votes(answers, sure, "the confidence")
    return Solution(winner(votes), branches, cost, scores=sure, trace=[{"confidence": votes}])


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

    Each time the model stops, up to `waits` times, `wait` is appended and it goes on. A chain that
    reaches `budget` tokens (None: params.max_tokens) without an answer is cut there, and the
    answer forced. The trace has the answer after each piece of each chain.
    """
    budget = budget or params.max_tokens
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
            chain, spent = go_on(llm, prompt, chain, wait, replace(params, max_tokens=left))
            cost += spent
            answers.append(final_answer(chain))
        if answers[-1] is None:
            short = replace(params, max_tokens=ANSWER_TOKENS)
            chain, spent = go_on(llm, prompt, chain, FORCE_ANSWER, short)
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
    """Qwen3's own thinking, at most `budget` tokens of it (None: as long as it likes; 0: off).

    Where the budget runs out, the thought is closed with `END_THINKING` and the model answers, in
    at most params.max_tokens (Yang 2025). Raises ValueError for a model that has no such mode.
    """
    asked = prompts.ask(problem.question)
    on, off = (llm.tokenizer.encode_chat(asked, enable_thinking=mode) for mode in (True, False))
    if on == off:
        raise ValueError(f"the chat format of {llm.name} has no thinking mode; take a Qwen3")
    prompt = off if budget == 0 else on
    (output,) = llm.generate(prompt, replace(params, n=n, max_tokens=budget or params.max_tokens))
    cost, completions = output.cost, []
    for completion in output.completions:
        if budget and completion.finish_reason != "stop":
            words = "" if "</think>" in completion.text else END_THINKING
            completion, spent = go_on(llm, prompt, completion, words, params)
            cost += spent
        completions.append(completion)
    return solution_of(completions, cost)


METHODS = {  # name on the command line: the function, and its own flags
    "direct": (direct_answer, ()),
    "prefilled": (prefilled_answer, ()),
    "cot": (chain_of_thought, ()),
    "few-shot": (few_shot, ("shots",)),
    "cot-decoding": (cot_decoding, ()),
    "budget-forcing": (budget_forcing, ("waits", "budget")),
    "thinking": (thinking, ("budget",)),
}


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, conflict_handler="resolve")
    add_common_flags(parser)
    add = parser.add_argument
    add("--method", default="cot", choices=METHODS, help="see above")
    add("--n", type=int, help="samples; of cot-decoding branches. None: 1, or 10 branches")
    add("--shots", type=int, default=2, help="worked examples of few-shot")
    add("--waits", type=int, default=1, help='times that budget-forcing says "Wait"')
    add("--budget", type=int, help="tokens before the answer is forced; None: no limit of its own")
    parser.set_defaults(temperature=GREEDY.temperature, max_tokens=GREEDY.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Run one method."""
    args = parse_args()
    technique, flags = METHODS[args.method]
    args.n = args.n or (10 if args.method == "cot-decoding" else 1)
    run(technique, args, **{flag: getattr(args, flag) for flag in flags})


if __name__ == "__main__":
    main()
