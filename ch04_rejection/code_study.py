"""Any budget from the same draws: rejection sampling on code, beside one draw and pass@k.

n programs are drawn for each task, whatever the tests say, and all of them are tested. What a
budget of 1, 2, 4, ... draws gives on average follows. `study.py code` is the command.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

from ch04_rejection.code_rejection import INSTRUCTION, UnitTests, verdict
from ch04_rejection.theory import budgets_up_to, expected_draws, mean_or_zero
from shared import LLM, Problem, SamplingParams, Solution, prompts
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.intervals import paired_difference, pass_at_k, wilson_interval

Draw = tuple[bool, bool]  # passed the visible tests, passed the hidden ones


def sample_and_test(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    visible: UnitTests,
    hidden: UnitTests,
) -> Solution:
    """Draw n programs and note what share of both sets of tests each passes: a pool on which every
    budget can be studied, for which all of them are graded.

    It answers with the grader's verdict on what rejection sampling takes of all n.
    """
    messages = prompts.ask(problem.question, INSTRUCTION)
    (output,) = llm.chat(messages, replace(params, n=n), enable_thinking=False)
    draws = []
    for each in output.completions:
        each.measures["visible"] = visible.share(problem.question, each.text)
        each.measures["hidden"] = hidden.share(problem.question, each.text)
        draws.append((each.measures["visible"] == 1, each.measures["hidden"] == 1))
    return Solution(verdict(chosen_draw(draws)[1]), output.completions, output.cost)


def chosen_draw(draws: list[Draw]) -> Draw:
    """The first draw that the verifier accepts; the first of all if it accepts none."""
    return next((draw for draw in draws if draw[0]), draws[0])


def drawn(evaluation: Evaluation) -> list[list[Draw]]:
    """For each task, what the draws of a pool passed."""
    return [
        [(c["visible"] == 1, c["hidden"] == 1) for c in record.completions]
        for record in evaluation.records
    ]


def chance_right(draws: list[Draw], budget: int) -> float:
    """The chance that rejection sampling is right with this many of these draws, in random order.

    With probability `accepts` one of them is accepted, and it is then right as often as accepted
    draws are (the verifier's precision); otherwise the first draw, a rejected one, is the answer.
    Raises ValueError for a budget below 1 or above the number of draws.
    """
    accepted = [is_right for is_accepted, is_right in draws if is_accepted]
    rejected = [is_right for is_accepted, is_right in draws if not is_accepted]
    accepts = pass_at_k(len(draws), len(accepted), budget)
    return accepts * mean_or_zero(accepted) + (1 - accepts) * mean_or_zero(rejected)


def compare_budgets(tasks: list[list[Draw]]) -> list[dict]:
    """A row for each budget: the tasks solved by one draw, by rejection sampling (with its 95%
    interval), and by a perfect verifier (pass@k, Chen 2021); and the draws per task.

    Means over all orders of the draws. Raises ValueError where tasks differ in their number.
    """
    n, rows = len(tasks[0]), []
    num_right = [sum(is_right for _, is_right in draws) for draws in tasks]
    num_accepted = [sum(is_accepted for is_accepted, _ in draws) for draws in tasks]
    if any(len(draws) != n for draws in tasks):
        raise ValueError("every task must have the same number of draws")
    for budget in budgets_up_to(n):
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


def gain_over_one_draw(tasks: list[list[Draw]]) -> tuple[float, float, float]:
    """How much more often rejection sampling with all draws is right than one draw; with its 95%
    interval, paired by task."""
    one, all_ = ([chance_right(draws, k) for draws in tasks] for k in (1, len(tasks[0])))
    return paired_difference(all_, one)


def verifier_counts(tasks: list[list[Draw]]) -> dict[str, object]:
    """How good the visible tests are as a verifier, in numbers of draws and of tasks.

    fooled    for each task on which everything accepted is wrong: how many programs were accepted
    """
    draws = [draw for each in tasks for draw in each]
    accepted = [is_right for is_accepted, is_right in draws if is_accepted]
    num_right = sum(is_right for _, is_right in draws)
    by_task = [[is_right for is_accepted, is_right in each if is_accepted] for each in tasks]
    return {
        "tasks": len(tasks),
        "draws": len(draws),
        "right": num_right,
        "accepted": len(accepted),
        "false_accepts": accepted.count(False),
        "false_rejects": num_right - sum(accepted),
        "tasks_with_accepted": sum(map(bool, by_task)),
        "fooled": sorted(len(each) for each in by_task if each and not any(each)),
    }


def print_verifier(tasks: list[list[Draw]]) -> None:
    """`verifier_counts` in sentences."""
    found = verifier_counts(tasks)
    print("{tasks} tasks, {draws} draws, {right} of them right".format(**found))
    print("accepted {accepted}; of these wrong (false accepts) {false_accepts}".format(**found))
    print("of the right ones rejected (false rejects) {false_rejects}".format(**found))
    print("tasks with an accepted program {tasks_with_accepted}; all".format(**found), end=" ")
    print(f"accepted wrong on {len(found['fooled'])}, which have {found['fooled']} of them")
