r"""Chain of thought: a model that writes down its steps solves problems it cannot solve at once.

    python ch01_cot/cot.py                                    # the shipped model, zero-shot
    python ch01_cot/cot.py --method few-shot --shots 3
    python ch01_cot/cot.py --model Qwen/Qwen3-0.6B --problems gsm8k --method thinking --budget 500

Methods:
    direct            the answer only, no steps
    prefilled         the same for a real model: the reply already begins with `\boxed{`
    cot               "Think step by step" (zero-shot, Kojima 2022)
    few-shot          the same after worked training problems (Wei 2022)
    cot-decoding      no request for steps; tries the n likeliest first tokens (decoding.py)
    budget-forcing    appends "Wait", or cuts the chain and forces an answer (budget.py)
    thinking          Qwen3's own thinking: on, off (--budget 0), or at most --budget tokens

With --n above 1, n solutions are sampled and the most frequent answer wins; set a --temperature.
study.py compares the methods.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from ch01_cot.budget import budget_forcing, thinking
from ch01_cot.decoding import cot_decoding
from ch01_cot.flags import at_least, number_of_samples
from ch01_cot.replies import ANSWER_TOKENS, GREEDY, continue_reply, solution_of
from shared import LLM, Completion, Problem, SamplingParams, Solution, prompts
from shared.evaluation.cli import add_common_flags, run
from shared.evaluation.worked_examples import worked_examples

OPEN_BOX = "\\boxed{"


def direct_answer(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY
) -> Solution:
    """Ask for the answer alone, without any written step."""
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


def prefilled_answer(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY
) -> Solution:
    """Begin the reply with an open box, so that no step can precede the answer.

    Asked for the answer alone, a real model often writes its steps anyway. For such a model this
    is the direct answer. There is one reply. Raises ValueError for n above 1.
    """
    if n != 1:
        raise ValueError(f"prefilled_answer gives one reply, so n must be 1, not {n}")
    asked = prompts.ask(problem.question, prompts.DIRECT)
    prompt = llm.tokenizer.encode_chat(asked, enable_thinking=False)
    short = replace(params, max_tokens=ANSWER_TOKENS)
    completion, cost = continue_reply(
        llm, prompt, Completion("", [], [], "length"), OPEN_BOX, short
    )
    return solution_of([completion], cost)


def few_shot(
    llm: LLM, problem: Problem, *, n: int = 1, params: SamplingParams = GREEDY, shots: int = 2
) -> Solution:
    """Show worked examples as earlier turns of the chat, then ask (few-shot, Wei 2022)."""
    chat = []
    for question, steps in worked_examples(problem.source, shots):
        chat += [*prompts.ask(question), {"role": "assistant", "content": steps}]
    chat += prompts.ask(problem.question)
    (output,) = llm.chat(chat, replace(params, n=n), enable_thinking=False)
    return solution_of(output.completions, output.cost)


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
    """The command line. A budget of 0 is an error except for `thinking`, where it means off."""
    parser = argparse.ArgumentParser(description=__doc__, conflict_handler="resolve")
    add_common_flags(parser)
    add = parser.add_argument
    add("--method", default="cot", choices=METHODS, help="see above")
    add("--n", type=at_least(1), help="samples, or branches of cot-decoding. None: 1, or 10")
    add("--shots", type=at_least(0), default=2, help="worked examples of few-shot")
    add("--waits", type=at_least(0), default=1, help='times that budget-forcing says "Wait"')
    add("--budget", type=at_least(0), help="most tokens of a chain; None: --max-tokens")
    parser.set_defaults(temperature=GREEDY.temperature, max_tokens=GREEDY.max_tokens)
    args = parser.parse_args()
    if args.method == "budget-forcing" and args.budget == 0:
        parser.error("--budget 0 leaves no token for a chain; use --method direct")
    if args.method == "prefilled" and args.n not in (None, 1):
        parser.error("--method prefilled gives one reply: leave --n out")
    return args


def main() -> None:
    """Run one method."""
    args = parse_args()
    technique, flags = METHODS[args.method]
    args.n = number_of_samples(args.method, args.n)
    run(technique, args, **{flag: getattr(args, flag) for flag in flags})


if __name__ == "__main__":
    main()
