"""The arithmetic verifier: what it reads, what it leaves out, and its verdicts against Python's."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from shared.evaluation.word_problems import PLANS, sample_problem, solve
from shared.grading.arithmetic import Equation, equations, wrong_equations


@pytest.mark.parametrize(
    "text, expected",
    [
        ("3*14=42", ["3*14=42"]),
        ("5 + 3 = 8.", ["5 + 3=8"]),
        ("3 x 14 = 42 apples", ["3*14=42"]),
        ("$12 \\times 3 = 36$", ["12 * 3=36"]),
        ("1,200 + 300 = 1,500", ["1200 + 300=1500"]),
        ("$5.00 + $3.50 = $8.50", ["5.00 + 3.50=8.50"]),
        ("\\(\\frac{1}{2} * 4 = 2\\)", ["(1)/(2) * 4=2"]),
        ("**3 + 4 = 7**", ["3 + 4=7"]),
        ("100% - 20% = 80%", ["100% - 20%=80%"]),
        ("a = 3 - 5 = -2", ["3 - 5=-2"]),
        ("-5 + 3 = -2", ["-5 + 3=-2"]),
        ("10 - 4 = <<10-4=6>>6", ["10-4=6"]),
        ("so 5*(3+2)=25", ["5*(3+2)=25"]),
        ("(so 3 + 4 = 7)", ["3 + 4=7"]),
        ("12 / 0.5 = 24 (half)", ["12 / 0.5=24"]),
        ("5 + 5 = 10 = 2 * 5", ["5 + 5=10", "10=2 * 5"]),
        ("The answer is \\boxed{3 + 4 = 7}.", ["3 + 4=7"]),
        ("Total: 3 + 4 = 7 and that is all", ["3 + 4=7"]),
        ("=> 3 + 4 = 7; then 7 * 2 = 14", ["3 + 4=7", "7 * 2=14"]),
        ("It is 3 + 4 = 7 apples. 7 - 2 = 5, so 5 * 2 = 10.", ["3 + 4=7", "7 - 2=5", "5 * 2=10"]),
    ],
)
def test_right_equations_are_read(text, expected):
    assert equations(text) == [Equation(each, True) for each in expected]


@pytest.mark.parametrize(
    "text",
    [
        "x + 3*2 = 12",  # the numbers alone are wrong, but x may be 6
        "2x + 3 = 8",
        "y - 5 + 3 = 7",
        "3*2 = 7x",
        "5 apples + 3 pears = 9 fruits",
        "2**3=9",
        "1 2 = 3",
        "20% of 50 = 11",
        "30 minutes = 0.6 hours",
        "2^3 * 2 = 16",
        "2**3 * 2 = 16",
        "\u221a16 + 2 = 6",
        "x_1 + 2 = 5",
        "f(3 + 4) = 9",
        "5 times 3 + 2 = 17",
        "half of 20 + 5 = 15",
        "20% of 50 + 3 = 13",
        "Step 1 - 3 * 5 = 15",
        "17 / 5 = 3 remainder 2",
        "17 / 5 = 3 r 2",
        "1.5 * 2,000,000 = 3 million",
        "3:30 + 15 = 3:45",
        "1,5 + 2 = 3,5",
        "7 / 2 = 3 and a half",
        "7 / 2 = 3 and 1/2",
        "2 * 8 = 2^4",
        "3 * 2 = 2 x",
        "3 * 4 = 4 \\sqrt{9}",
        "4! * 5 = 120",
        "5/0=0",
        "3 * (4 = 13",
        "(" * 150 + "1+1=3",
        "1" * 250 + "+1=3",
        "3,4 = 5",
        "__import__('os').system('x')=3+4",
        "",
    ],
)
def test_what_cannot_be_read_with_certainty_is_left_out(text):
    assert equations(text) == []


@pytest.mark.parametrize(
    "text, is_right",
    [
        ("10 / 3 = 3.33", True),
        ("10 / 3 = 3.34", False),
        ("10 / 3 = 3", False),
        ("10 / 3 ≈ 3", True),
        ("10 / 3 \\approx 4", False),
        ("3.3 = 10 / 3", True),
        ("1 / 3 = 33.3%", True),
        ("1 / 3 = 34%", False),
        ("(45/60) * 100 = 75%", True),
        ("(45/60) * 100 = 76%", False),
        ("45/60 = 75%", True),
        ("20% * 50 = 10", True),
        ("20% * 50 = 1000", False),
        ("50% + 25% = 75%", True),
        ("2+3=5+4", False),
        ("0.1 + 0.2 = 0.3", True),
    ],
)
def test_only_decimals_may_be_rounded(text, is_right):
    (equation,) = equations(text)
    assert equation.is_right is is_right


def test_verdicts_are_pythons_on_random_expressions():
    rng = random.Random(0)
    verdicts = []
    for _ in range(500):
        numbers = [str(rng.randint(1, 99)) for _ in range(4)]
        a, b, c = (rng.choice("+-*/") for _ in range(3))
        side = rng.choice(
            ["{0}{a}{1}{b}{2}{c}{3}", "({0}{a}{1}){b}({2}{c}{3})", "{0}{a}({1}{b}{2}){c}{3}"]
        ).format(*numbers, a=a, b=b, c=c)
        try:
            exact = "".join(f"Fraction({t})" if t.isdigit() else t for t in split(side))
            value = eval(exact, {"Fraction": Fraction})
        except ZeroDivisionError:
            continue
        if value.denominator > 1:
            continue
        claimed = value + rng.choice([0, 0, 1, -1, 10])
        (equation,) = equations(f"so {side} = {claimed}, as we saw")
        assert equation.is_right is (claimed == value), side
        verdicts.append(equation.is_right)
    assert 0.3 < sum(verdicts) / len(verdicts) < 0.7


def split(side: str) -> list[str]:
    """Numbers and signs of an expression."""
    tokens = [""]
    for char in side:
        if not (char.isdigit() and tokens[-1].isdigit()):
            tokens.append("")
        tokens[-1] += char
    return tokens[1:]


def test_correct_solutions_of_the_shipped_problems_have_no_wrong_equation():
    rng = random.Random(1)
    for plan in PLANS:
        for split_digits in (False, True):
            text = solve(sample_problem(rng, "dev"), plan, split_digits)
            assert len(equations(text)) == sum("=" in line for line in text.split("\n"))
            assert wrong_equations(text) == []


def test_wrong_equations_come_in_their_order():
    text = "Plan: in order.\n3*14=42\n245+42=288\n288-128=161\nThe answer is \\boxed{161}."
    assert wrong_equations(text) == ["245+42=288", "288-128=161"]
