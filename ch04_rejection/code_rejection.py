"""Rejection sampling on code: draw programs until one passes the visible unit tests.

    python ch04_rejection/code_rejection.py --model Qwen/Qwen2.5-Coder-0.5B-Instruct --n 16
    python ch04_rejection/code_rejection.py --model Qwen/... --n 16 --compare   # every budget

The hidden tests only grade. Where no program passes the visible ones, the first draw is the answer.
With --compare n programs are drawn of each task, whatever the tests say, and all of them tested:
what a budget of 1, 2, 4, ... draws gives on average follows, beside one draw without a verifier and
beside pass@k. Programs run in `sandbox.py`.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ch04_rejection.budgets import print_rows
from ch04_rejection.code_tasks import (
    CodeTask,
    extract_code,
    fingerprint,
    load_tasks,
    share_passed,
)
from ch04_rejection.rejection import Verifier, expected_draws, rejection_sampling
from shared import LLM, Completion, Problem, SamplingParams, Solution, prompts
from shared.errors import UserError, setting_up
from shared.evaluation.cli import (
    add_common_flags,
    friendly_errors,
    load_llm,
    model_config,
    print_result,
    sampling_params,
    told,
)
from shared.evaluation.evaluate import Evaluation, evaluate
from shared.evaluation.intervals import pass_at_k, wilson_interval
from shared.sandbox.run import layers, not_contained

INSTRUCTION = "Write only this function, in one Python code block, without examples or tests."
PASSES, FAILS = "passes", "fails"  # the hidden tests: gold answer, and the two that are given
Score = Callable[[str, str], float]  # of a task's prompt and a reply: the share of tests passed
Draw = tuple[bool, bool]  # passed the visible tests, passed the hidden ones


def code_problems(tasks: list[CodeTask]) -> list[Problem]:
    """The tasks as problems. Their gold answer is the grader's verdict, not a text."""
    return [Problem(task.prompt, PASSES, f"code/{task.name}", "code") for task in tasks]


def tested(tasks: list[CodeTask], kind: str) -> Score:
    """The share, from 0 to 1, of a task's "visible" or "hidden" tests that a reply's program
    passes: how near it comes, where a verifier says yes or no."""
    by_prompt = {task.prompt: task for task in tasks}

    def score(question: str, reply: str) -> float:
        """The share of the tests of the task with this prompt."""
        task = by_prompt[question]
        return share_passed(extract_code(reply, task.name), task.name, getattr(task, kind))

    score.__name__ = f"{kind}_tests"  # what a run's settings call it
    return score


def passes_visible(tasks: list[CodeTask]) -> Verifier:
    """The verifier that accepts programs that pass every visible test of their task (Chen 2021)."""
    score = tested(tasks, "visible")

    def verifier(question: str, completions: list[Completion]) -> list[bool]:
        """Which replies hold such a program."""
        return [score(question, completion.text) == 1 for completion in completions]

    verifier.__name__ = "visible_tests"
    return verifier


def first_reply(completions: list[Completion], accepted: list[bool]) -> str:
    """The first accepted reply; where none is, the first of all, since programs cannot vote."""
    texts = [completion.text for completion in completions]
    return next((text for text, is_in in zip(texts, accepted) if is_in), texts[0])


def verdict(is_right: bool) -> str:
    """The grader's word for it, which the evaluation compares with the gold answer."""
    return PASSES if is_right else FAILS


def draw_and_grade(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    verifier: Verifier,
    hidden: Score,
) -> Solution:
    """Rejection sampling, then the grade. The technique sees the verifier only: the hidden tests
    come to the one reply with which it answers."""
    solution = rejection_sampling(
        llm,
        problem,
        n=n,
        params=params,
        verifier=verifier,
        instruction=INSTRUCTION,
        choose=first_reply,
    )
    return replace(solution, answer=verdict(hidden(problem.question, solution.answer) == 1))


# --- Any budget from the same draws ---------------------------------------------------------------


def sample_and_test(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, visible: Score, hidden: Score
) -> Solution:
    """Draw n programs and note what share of both sets of tests each passes: a pool on which every
    budget can be studied, for which all of them are graded.

    It answers with the grader's verdict on what rejection sampling takes of all n.
    """
    messages = prompts.ask(problem.question, INSTRUCTION)
    (output,) = llm.chat(messages, replace(params, n=n), enable_thinking=False)
    draws = []
    for each in output.completions:
        each.measures["visible"] = visible(problem.question, each.text)
        each.measures["hidden"] = hidden(problem.question, each.text)
        draws.append((each.measures["visible"] == 1, each.measures["hidden"] == 1))
    return Solution(verdict(chosen_draw(draws)[1]), output.completions, output.cost)


def chosen_draw(draws: list[Draw]) -> Draw:
    """The first draw that the verifier accepts; the first of all where it accepts none."""
    return next((draw for draw in draws if draw[0]), draws[0])


def drawn(evaluation: Evaluation) -> list[list[Draw]]:
    """For each task, what the draws of a pool passed."""
    return [
        [(c["visible"] == 1, c["hidden"] == 1) for c in record.completions]
        for record in evaluation.records
    ]


def chance_right(draws: list[Draw], budget: int) -> float:
    """The chance that rejection sampling is right with so many of these draws, in random order.

    With probability `accepts` one of them is accepted, and it is then right as often as accepted
    draws are (the verifier's precision); otherwise the first draw, a rejected one, is the answer.
    Raises ValueError for a budget below 1 or above the number of draws.
    """
    accepted = [is_right for is_accepted, is_right in draws if is_accepted]
    rejected = [is_right for is_accepted, is_right in draws if not is_accepted]
    accepts = pass_at_k(len(draws), len(accepted), budget)
    precision, fallback = (statistics.mean(x) if x else 0.0 for x in (accepted, rejected))
    return accepts * precision + (1 - accepts) * fallback


def compare_budgets(tasks: list[list[Draw]]) -> list[dict]:
    """A row for each budget: the tasks solved by one draw, by rejection sampling (with its 95%
    interval), and by a perfect verifier (pass@k, Chen 2021); and the draws a task.

    Means over all orders of the draws. Raises ValueError where tasks differ in their number.
    """
    n, rows = len(tasks[0]), []
    num_right = [sum(is_right for _, is_right in draws) for draws in tasks]
    num_accepted = [sum(is_accepted for is_accepted, _ in draws) for draws in tasks]
    if any(len(draws) != n for draws in tasks):
        raise ValueError("every task must have the same number of draws")
    for budget in sorted({2**i for i in range(n.bit_length())} | {n}):
        solved = sum(chance_right(draws, budget) for draws in tasks)
        bounds = [len(tasks) * x for x in wilson_interval(round(solved), len(tasks))]
        rows.append(
            {
                "budget": budget,
                "one_draw": sum(right / n for right in num_right),
                "rejection": solved,
                "low": bounds[0],
                "high": bounds[1],
                "pass_at_k": sum(pass_at_k(n, right, budget) for right in num_right),
                "draws": statistics.mean(expected_draws(n, a, budget) for a in num_accepted),
            }
        )
    return rows


def print_verifier(tasks: list[list[Draw]]) -> None:
    """How good the visible tests are as a verifier, over all draws."""
    draws = [draw for draws in tasks for draw in draws]
    accepted = [is_right for is_accepted, is_right in draws if is_accepted]
    num_right = sum(is_right for _, is_right in draws)
    by_task = [[is_right for is_accepted, is_right in each if is_accepted] for each in tasks]
    fooled = [len(each) for each in by_task if each and not any(each)]
    print(f"{len(tasks)} tasks, {len(draws)} draws, {num_right} of them right")
    print(f"accepted {len(accepted)}; of these wrong (false accepts) {accepted.count(False)}")
    print(f"of the right ones rejected (false rejects) {num_right - sum(accepted)}")
    print(
        f"tasks with an accepted program {sum(map(bool, by_task))}; all accepted wrong on", end=" "
    )
    print(f"{len(fooled)}, which have {sorted(fooled)} of them")


def parse_args() -> argparse.Namespace:
    """The command line. Raises UserError for flags that would have no effect, and limit < 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    parser.add_argument("--compare", action="store_true", help="all budgets, on one pool of draws")
    parser.set_defaults(problems="code", n=16, temperature=0.8, max_tokens=400)
    args = parser.parse_args()
    if (args.problems, args.split) != ("code", "test"):
        raise UserError("this script brings its own tasks: no --problems and no --split but test")
    if args.limit < 1:
        raise UserError(f"--limit must be at least 1, not {args.limit}")
    return args


def main() -> None:
    """Say what the sandbox does not hold here; draw until accepted, or sample a pool; print."""
    with friendly_errors():
        args = parse_args()
        print("sandbox:", ", ".join(sorted(layers())) or "a wall clock only", flush=True)
        for sentence in not_contained():
            print("NOT CONTAINED: a model's code runs on this machine.", sentence, flush=True)
        tasks = load_tasks()[: args.limit]
        technique = partial(draw_and_grade, verifier=passes_visible(tasks))
        if args.compare:
            technique = partial(sample_and_test, visible=tested(tasks, "visible"))
        with setting_up():
            params, llm = sampling_params(args), load_llm(args)
        options = {"n": args.n, "params": params, "hidden": tested(tasks, "hidden")}
        evaluation = evaluate(
            partial(technique, **options),
            llm,
            code_problems(tasks),
            out=args.out,
            settings=told(args) | {"tests": fingerprint(tasks)},
            num_threads=args.threads,
        )
    if args.compare and not evaluation.num_errors:
        print_verifier(drawn(evaluation))
        print_rows(compare_budgets(drawn(evaluation)))
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.total_failure or (args.compare and evaluation.num_errors):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
