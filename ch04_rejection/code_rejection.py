"""Rejection sampling on code: draw programs until one passes the visible unit tests.

    python ch04_rejection/code_rejection.py --model Qwen/Qwen2.5-Coder-0.5B-Instruct --n 16

Of each task n programs are drawn once and all of them tested, visible and hidden tests alike. What
rejection sampling would have answered with a budget of 1, 2, 4, ... draws follows from that, and is
printed beside one draw without a verifier and beside pass@k. Programs run in `sandbox.py`.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ch04_rejection.budgets import print_rows
from ch04_rejection.code_tasks import CodeTask, extract_code, load_tasks, share_passed
from ch04_rejection.rejection import expected_draws
from ch04_rejection.sandbox import layers, not_contained
from shared import LLM, Completion, Problem, SamplingParams, Solution, prompts
from shared.cli import (
    add_common_flags,
    friendly_errors,
    load_llm,
    model_config,
    print_result,
    sampling_params,
)
from shared.evaluate import Evaluation, evaluate
from shared.intervals import pass_at_k

INSTRUCTION = "Write only this function, in one Python code block, without examples or tests."
PASSES, FAILS = "passes", "fails"  # the hidden tests: gold answer, and the two that are given
Verifier = Callable[[str, list[Completion]], list[float]]
Draw = tuple[bool, bool]  # passed the visible tests, passed the hidden ones


def code_problems(tasks: list[CodeTask]) -> list[Problem]:
    """The tasks as problems. Their gold answer is the grader's verdict, not a text."""
    return [Problem(task.prompt, PASSES, f"code/{task.name}", "code") for task in tasks]


def unit_tests(tasks: list[CodeTask], kind: str) -> Verifier:
    """A verifier: the share of a task's "visible" or "hidden" tests that each completion passes."""
    by_prompt = {task.prompt: task for task in tasks}

    def verifier(question: str, completions: list[Completion]) -> list[float]:
        task = by_prompt[question]
        codes = [extract_code(completion.text, task.name) for completion in completions]
        return [share_passed(code, task.name, getattr(task, kind)) for code in codes]

    verifier.__name__ = f"{kind}_tests"  # what a run's settings call it
    return verifier


def sample_and_test(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    visible: Verifier,
    hidden: Verifier,
) -> Solution:
    """Draw n programs and note what share of both sets of tests each passes.

    The answer is that of rejection sampling with a budget of n, or rather the grader's verdict on
    it: PASSES or FAILS.
    """
    messages = prompts.ask(problem.question, INSTRUCTION)
    (output,) = llm.chat(messages, replace(params, n=n), enable_thinking=False)
    for name, verifier in (("visible", visible), ("hidden", hidden)):
        for each, share in zip(output.completions, verifier(problem.question, output.completions)):
            each.measures[name] = share
    measures = [completion.measures for completion in output.completions]
    _, is_right = chosen_draw([(m["visible"] == 1, m["hidden"] == 1) for m in measures])
    return Solution(PASSES if is_right else FAILS, output.completions, output.cost)


def chosen_draw(draws: list[Draw]) -> Draw:
    """The first draw that the verifier accepts; the first of all where it accepts none."""
    return next((draw for draw in draws if draw[0]), draws[0])


# --- Any budget from the same draws ---------------------------------------------------------------


def drawn(evaluation: Evaluation) -> list[list[Draw]]:
    """For each task, what its recorded draws passed."""
    return [
        [(c["visible"] == 1, c["hidden"] == 1) for c in record.completions]
        for record in evaluation.records
    ]


def chance_right(draws: list[Draw], budget: int) -> float:
    """The chance that rejection sampling is right with so many of these draws, in random order.

    With probability `accepts` one of them is accepted, and it is then right as often as accepted
    draws are (the verifier's precision); otherwise the first draw, a rejected one, is the answer.
    """
    accepted = [is_right for is_accepted, is_right in draws if is_accepted]
    rejected = [is_right for is_accepted, is_right in draws if not is_accepted]
    accepts = pass_at_k(len(draws), len(accepted), budget)
    precision, fallback = (statistics.mean(x) if x else 0.0 for x in (accepted, rejected))
    return accepts * precision + (1 - accepts) * fallback


def draws_until_accepted(draws: list[Draw], budget: int) -> int:
    """How many draws were made, in the order of the record, until one was accepted."""
    return next((i for i, (is_accepted, _) in enumerate(draws[:budget], 1) if is_accepted), budget)


def compare_budgets(tasks: list[list[Draw]]) -> list[dict]:
    """A row for each budget: the tasks solved by one draw, by rejection sampling, and by a perfect
    verifier (pass@k); and the draws made, by the geometric law and in the order of the record."""
    n, rows = len(tasks[0]), []
    num_right = [sum(is_right for _, is_right in draws) for draws in tasks]
    num_accepted = [sum(is_accepted for is_accepted, _ in draws) for draws in tasks]
    for budget in sorted({2**i for i in range(n.bit_length())} | {n}):
        law = [expected_draws(n, accepted, budget) for accepted in num_accepted]
        rows.append(
            {
                "budget": budget,
                "one_draw": sum(right / n for right in num_right),
                "rejection": sum(chance_right(draws, budget) for draws in tasks),
                "pass_at_k": sum(pass_at_k(n, right, budget) for right in num_right),
                "draws_by_law": statistics.mean(law),
                "draws_measured": float(
                    statistics.mean(draws_until_accepted(draws, budget) for draws in tasks)
                ),
            }
        )
    return rows


def print_verifier(tasks: list[list[Draw]]) -> None:
    """How good the visible tests are as a verifier, over all draws."""
    draws = [draw for draws in tasks for draw in draws]
    accepted = [is_right for is_accepted, is_right in draws if is_accepted]
    num_right = sum(is_right for _, is_right in draws)
    print(f"{len(tasks)} tasks, {len(draws)} draws, {num_right} of them right")
    print(f"accepted {len(accepted)}; of these wrong (false accepts) {accepted.count(False)}")
    print(f"of the right ones rejected (false rejects) {num_right - sum(accepted)}")


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    parser.set_defaults(problems="code", n=16, temperature=0.8, max_tokens=400)
    return parser.parse_args()


def main() -> None:
    """Say what the sandbox does not hold here, sample, test, print."""
    args = parse_args()
    with friendly_errors():
        if args.problems != "code":
            raise ValueError("this script brings its own tasks: --problems can only be code")
        print("sandbox:", ", ".join(sorted(layers())) or "a wall clock only", flush=True)
        for sentence in not_contained():
            print("NOT CONTAINED: a model's code runs on this machine.", sentence, flush=True)
        tasks = load_tasks()[: args.limit]
        options = {"visible": unit_tests(tasks, "visible"), "hidden": unit_tests(tasks, "hidden")}
        params, llm = sampling_params(args), load_llm(args)
        technique = partial(sample_and_test, n=args.n, params=params, **options)
        settings = {name: getattr(args, name) for name in ("problems", "split", "device", "dtype")}
        evaluation = evaluate(
            technique,
            llm,
            code_problems(tasks),
            out=args.out,
            settings=settings,
            num_threads=args.threads,
        )
    if not evaluation.num_errors:
        print_verifier(drawn(evaluation))
        print_rows(compare_budgets(drawn(evaluation)))
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
