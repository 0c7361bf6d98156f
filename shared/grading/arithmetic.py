r"""Recompute the arithmetic that a text claims: a verifier that needs no model and no gold answer.

    equations("3*14=42\n245+42=288")    # [Equation("3*14=42", True), Equation("245+42=288", False)]
    wrong_equations(text)               # ["245+42=288"]

Only what reads plainly is checked: numbers, + - * /, brackets and percent signs on both sides of an
equals sign. An equation with a letter in it, with words between its numbers, or beside a word that
may belong to it ("half of 20 + 5", "3 remainder 2") is left out rather than guessed at. All numbers
are exact fractions. Nothing evaluates a model's text as code: Python's parser reads a side, and
only a tree of numbers and the four operators is computed.
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
# A run may begin an equation where nothing, a sign or one of these words stands before it...
_BEGINS = re.compile(
    r"(^|[\n<>`(]|[.,:;] |\b(so|then|thus|hence|therefore|that|is|are|was|were|has|have|had|we get|"
    r"gives?|makes?|costs?|finds?|found|compute|calculate|equation|equals) ) *$",
    re.IGNORECASE,
)
# ...and end one unless these follow: they may change the number.
_GOES_ON = re.compile(
    r"[A-Za-z^_!\\{√]|[:,][0-9]| +([b-z]\b|rem|hundred|thousand|million|billion|dozen|percent|"
    r"times|plus|minus|divided|over|half|and (a|one|half|[0-9]+/)|\\)",
    re.IGNORECASE,
)


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
        parts = re.split("([=≈])", run.group())  # side, sign, side, sign, side
        indent = len(parts[0]) - len(parts[0].lstrip(" "))
        before = text[: run.start() + indent][-12:]
        # A run that begins with an operator is the rest of something longer.
        if not _BEGINS.search(before) or re.match(r" *([+*/]|- )", parts[0]):
            parts[0] = ""
        if _GOES_ON.match(text, run.start() + len(run.group().rstrip(" ("))):
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
    """Whether both sides are equal, up to rounding where one of them is a rounded number.

    Both 45/60=75% and 45/60*100=75% hold: people write either.
    """
    for side, other, value in ((left, right, b), (right, left, a)):
        if is_number(side):
            number, decimals = Fraction(side.rstrip("%")), side.rstrip("%").partition(".")[2]
            slack = Fraction(1, 2 * 10 ** len(decimals)) if decimals or is_rounded else 0
            units = [Fraction(1, 100)] if "%" in side else [Fraction(1)]
            if "%" in side and "%" not in other:
                units.append(Fraction(1))
            return any(abs(number * unit - value) <= slack * unit for unit in units)
    return a == b
