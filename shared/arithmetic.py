r"""Recompute the arithmetic that a text claims: a verifier that needs no model and no gold answer.

    equations("3*14=42\n245+42=288")    # [Equation("3*14=42", True), Equation("245+42=288", False)]
    wrong_equations(text)               # ["245+42=288"]

Only what can be read with certainty is checked: numbers, + - * /, brackets and percent signs on
both sides of an equals sign. An equation with a letter in it, or words between its numbers, is left
out rather than guessed at. All numbers are exact fractions. Nothing evaluates a model's text as
code: Python's parser reads a side, and only a tree of numbers and the four operators is computed.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fractions import Fraction
from operator import add, mul, sub, truediv

MAX_CHARS = 200  # a longer side is no arithmetic of a solution's step

_OPERATORS = {ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv}
_REWRITES = [
    (
        re.compile(
            r"\\(?:boxed|text|mathbf)\{|[$\\][()\[\]]|\\[,;!]|[$€£]|(?<![0-9])\*\*|\*\*(?![0-9])"
        ),
        "",
    ),
    (re.compile(r"\\[dt]?frac\{([^{}]{1,50})\}\{([^{}]{1,50})\}"), r"(\1)/(\2)"),
    (re.compile(r"\\times|\\cdot|×|·|(?<=[0-9)]) ?x ?(?=[0-9(])"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"\u2212|\u2013"), "-"),
    (re.compile(r"\\approx"), "≈"),
    (re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))"), ""),
    (re.compile(r"\\?%"), "%"),
]
# A point belongs to a number only if a digit follows; else it ends a sentence.
_RUN = re.compile(r"(?:[-+*/()%=≈ 0-9]|\.(?=[0-9]))+")
_PERCENT = re.compile(r"([0-9.]+)%")


@dataclass(frozen=True)
class Equation:
    """One claim `left = right` as it stands in the text (in plain signs), and whether it holds."""

    text: str
    is_right: bool


def equations(text: str) -> list[Equation]:
    """Every equation of a text in its order, recomputed; a chain a=b=c is two of them.

    A plain number with decimals, or after ≈, may be rounded in its last digit.
    """
    for pattern, plain in _REWRITES:
        text = pattern.sub(plain, text)
    found = []
    for run in _RUN.finditer(text):
        if "=" not in run.group() and "≈" not in run.group():
            continue
        before, after = text[: run.start()][-1:], text[run.end() :][:1]
        parts = re.split("([=≈])", run.group())  # side, sign, side, sign, side
        # A run that begins with an operator, or touches a letter, is the rest of something longer.
        is_rest = before.isalnum() and parts[0][:1] != " "
        if is_rest or parts[0].lstrip()[:1] in "+*/" or re.match(r" *- ", parts[0]):
            parts[0] = ""
        if after.isalpha() and not parts[-1].endswith((" ", " (")):
            parts[-1] = ""
        sides = [without_open_brackets(part) for part in parts[::2]]
        values = [value_of(side) for side in sides]
        for i, sign in enumerate(parts[1::2]):
            left, right = sides[i : i + 2]
            if None in values[i : i + 2] or is_number(left) and is_number(right):
                continue
            is_right = holds(left, right, values[i], values[i + 1], sign == "≈")
            found.append(Equation(f"{left}{sign}{right}", is_right))
    return found


def wrong_equations(text: str) -> list[str]:
    """The equations of a text that do not hold, in its order."""
    return [equation.text for equation in equations(text) if not equation.is_right]


def without_open_brackets(side: str) -> str:
    """A side without the bracket of a remark that begins or ends beside it: "(so 3+4", "7 (ok)"."""
    side = side.removesuffix(" (").strip()
    if side.count("(") > side.count(")"):
        side = side.removeprefix("(")
    elif side.count(")") > side.count("("):
        side = side.removesuffix(")")
    return side.strip()


def value_of(side: str) -> Fraction | None:
    """The value of one side of an equation; None where it cannot be read or divides by zero."""
    if not side or len(side) > MAX_CHARS:
        return None
    try:
        tree = ast.parse(_PERCENT.sub(r"(\1/100)", side), mode="eval")
        return compute(tree.body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def compute(node: ast.expr) -> Fraction:
    """The value of a tree of numbers, signs and the four operators; ValueError for any other."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -compute(operand)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)](compute(left), compute(right))
    raise ValueError("not plain arithmetic")


def is_number(side: str) -> bool:
    """Whether a side is a plain number, so that nothing is computed in it."""
    return re.fullmatch(r"-?[0-9.]+%?", side) is not None


def holds(left: str, right: str, a: Fraction, b: Fraction, is_rounded: bool) -> bool:
    """Whether both sides are equal, up to rounding where one of them is a rounded number."""
    for side in (left, right):
        decimals = side.rstrip("%").partition(".")[2]
        if is_number(side) and (decimals or is_rounded):
            unit = Fraction(1, 10 ** len(decimals)) / (100 if side.endswith("%") else 1)
            return abs(a - b) <= unit / 2
    return a == b
