"""The shipped problems: every path is right, splits never share a text, ranges hold."""

import random
import re

import pytest

from shared.evaluation.problems import load_problems
from shared.evaluation.word_problems import (
    EASY,
    FULL,
    PLANS,
    Change,
    WordProblem,
    equations,
    sample_problem,
    solve,
    split_of,
)
from shared.tiny.drafts import first_wrong_step

EQUATION = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)")


def problems(count, ranges=FULL, split="train"):
    rng = random.Random(7)
    return [sample_problem(rng, split, ranges) for _ in range(count)]


def recompute(left, operator, right):
    left, right = int(left), int(right)
    if operator == "/":
        assert left % right == 0
    return {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[operator]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("plan", PLANS)
def test_every_equation_of_every_path_is_right_and_leads_to_the_answer(plan, split):
    for problem in problems(200):
        plan_line, *steps, last = solve(problem, plan, split).split("\n")
        assert plan_line.startswith(f"Plan: {plan}")
        for step in steps:
            left, operator, right, result = EQUATION.fullmatch(step).groups()
            assert recompute(left, operator, right) == int(result), step
        assert result == str(problem.answer)
        assert last == f"The answer is \\boxed{{{problem.answer}}}."


def test_paths_differ_in_their_equations():
    def num_paths(problem):
        return len({solve(problem, plan, s).split("\n", 1)[1] for plan in PLANS for s in (0, 1)})

    counts = [num_paths(problem) for problem in problems(200)]
    assert sum(counts) / len(counts) > 4


def test_a_problem_worked_out_by_hand():
    changes = (Change(+1, 245), Change(+1, 3, "*", 14), Change(-1, 128))
    problem = WordProblem("", changes, price=2)
    assert (problem.answer, problem.num_steps) == (318, 4)
    assert solve(problem, "both sums", split=True).split("\n")[1:-1] == [
        *("3*10=30", "3*4=12", "30+12=42", "245+40=285", "285+2=287"),
        *("287-100=187", "187-20=167", "167-8=159", "100*2=200", "50*2=100", "200+100=300"),
        *("9*2=18", "300+18=318"),
    ]


@pytest.mark.parametrize("ranges", [EASY, FULL])
def test_numbers_stay_in_their_ranges(ranges):
    for problem in problems(500, ranges):
        total = 0
        for change in problem.changes:
            total += change.sign * change.amount
            assert 0 <= total <= ranges.total
        assert ranges.changes[0] <= len(problem.changes) - 1 <= ranges.changes[1]
        assert 1 <= problem.price <= ranges.price


def test_no_text_is_in_two_splits():
    texts = {
        split: {p.question for p in problems(400, split=split)}
        for split in ("train", "dev", "test")
    }
    for split, questions in texts.items():
        assert {split_of(question) for question in questions} == {split}
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["dev"]


def test_the_sets_for_measuring_are_held_out():
    for name in ("word", "word:hard"):
        for split in ("dev", "test"):
            for problem in load_problems(name, split=split, limit=50):
                assert split_of(problem.question) == split


def test_equations_of_zero_and_round_numbers():
    assert equations(5, "+", 0, split=True) == ["5+0=5"]
    assert equations(300, "*", 2, split=True) == ["300*2=600"]
    assert equations(90, "/", 2, split=True) == ["90/2=45"]


def test_the_first_wrong_step_is_found_wherever_it_stands():
    for problem in problems(100):
        text = solve(problem, "backwards", split=False)
        assert first_wrong_step(problem, text) == ""
        lines = text.split("\n")
        for i in range(1, len(lines)):
            wrong = [*lines[:i], lines[i] + "0", *lines[i + 1 :]]
            assert first_wrong_step(problem, "\n".join(wrong)) == lines[i] + "0"
    assert first_wrong_step(problem, "no plan at all") == "no plan at all"
