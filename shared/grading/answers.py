r"""Decide whether two answers are equal.

    compare_answers(r"\frac{1}{2}", "0.5") -> True       normalize_answer("$1,000.00") -> "1000"
    compare_answers("CAB", "ABC")          -> False      compare_answers("9^{9^{9^9}}", "5") -> None

Texts are brought to one spelling (`tex.py`), freed of left-hand sides and units, and compared
part by part: numbers exactly, lists item by item, words as text. Algebra (`math_worker.py`,
in a process of its own) decides only between two texts that both are mathematical expressions
(`expressions.py`). Nothing here evaluates a model's text as code.

Decisions where reasonable graders differ:

- **Rationals are exact**: 0.5 = 1/2 = \frac12, but 0.33 is not 1/3. (What is irrational is
  compared to six decimals, as in `math_verify`.)
- **Percent**: `50%` equals 50 (the sign read as a unit) and 0.5 (read as a value).
- **Units and currency marks are ignored**: `5 apples`, `5\text{ cm}`, `$5` and `5` are equal.
  Words that change a number are no unit: `5 million` is 5000000, `2 thirds` is 2/3.
- **Order** counts in tuples, intervals, matrices and sequences (`1 2 3`, `1;2;3`, `3:45`); not in
  sets and bare lists (`1,-2`, `3 and 5`).
- **A base is part of the answer**: `52_8` is neither 528, nor 52, nor its value 42. `0xff` is 255.
- **Left-hand sides**: `x = 5`, `f(2) = 5`, `m+n = 5` and `3+2 = 5` equal `5`, but not `y = 5`. A
  curve (`x - y = 0`, `2x+3y = 6`) is no number.
- **Words** ignore case and `\text{}`. A choice is its letter: `(B) 12`, `Option B` equal `B`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from shared.grading.equations import (
    EQUALS,
    align_equations,
    as_point,
    is_droppable,
    is_variable,
    split_equation,
)
from shared.grading.expressions import (
    Items,
    as_items,
    as_sequence,
    has_variable,
    is_mathematical,
    is_tractable,
)
from shared.grading.extract import extract_answer
from shared.grading.helper_process import Helper, TimeLeft
from shared.grading.numerals import to_number, without_unit
from shared.grading.tex import canonical, squeeze, unwrap_text
from shared.solution import Completion

MAX_CHARS = 500  # longer answers are compared to the letter only
MAX_ITEMS = 12  # of a list that is compared item by item in any order; longer ones by normal form

_algebra = Helper("math_worker.py")


def final_answer(completion: Completion) -> str | None:
    """The answer of a completion; None where it was cut off before it could box one.

    A number in the middle of an unfinished solution is no answer.
    """
    return extract_answer(completion.text, is_whole=completion.finish_reason == "stop")


def answers_match(predicted: str | None, gold: str) -> bool:
    """Whether a predicted answer certainly equals the right one (see `compare_answers`)."""
    return compare_answers(predicted, gold) is True


def compare_answers(predicted: str | None, gold: str) -> bool | None:
    """Whether two answers are equal; None where that could not be decided.

    Symmetric, see the module's decisions. Undecided are expressions on which algebra takes too
    long (a tower of powers, say) or which it cannot read. Raises nothing for any text, and takes
    two seconds at most.

    Raises:
        RuntimeError: if the helper process for computer algebra cannot start.
    """
    if predicted is None:
        return False
    a, b = sorted((predicted.strip(), gold.strip()))
    if a == b:
        return a != ""
    if max(len(a), len(b)) > MAX_CHARS:
        return None if is_mathematical(canonical(a)) and is_mathematical(canonical(b)) else False
    return _compare(a, b)


def normalize_answer(text: str) -> str:
    r"""The form in which equal answers are counted as one vote: `1,000`, `$1000.00` -> `1000`.

    Numbers become exact fractions without unit or percent sign, words lower case, `x = 5`
    becomes `5`, a choice its letter, and LaTeX loses its spaces and spelling variants. Expressions
    that only algebra can identify (`x+1`, `1+x`) stay different votes.
    """
    if len(text) > MAX_CHARS:
        return text.strip()
    text = canonical(text)
    choice = _as_choice(text)
    if choice:
        return choice[0]
    name, value = split_equation(text)
    text = _without_unit(value if is_droppable(name, value) else text)
    number = to_number(text.rstrip("% "))
    return _as_text(text) if number is None else str(number)


@lru_cache(maxsize=1 << 16)
def _compare(a: str, b: str) -> bool | None:
    return _Comparison().same(canonical(a), canonical(b))


class _Comparison:
    """The comparison of one pair: whatever it asks of algebra shares one time limit."""

    def __init__(self) -> None:
        self.time_left = TimeLeft()

    def same(self, a: str, b: str) -> bool | None:
        """Whether two canonical texts are the same answer: the first rule that applies decides."""
        a, b = (_without_unit(text) for text in align_equations(a, b))
        if squeeze(a) == squeeze(b):
            return a != ""
        rules = (_same_number, _same_numeral_in_base, self._same_choice)
        for rule in (*rules, self._same_list, self._same_equation):
            applies, verdict = rule(a, b)
            if applies:
                return verdict
        if is_mathematical(a) and is_mathematical(b):
            return self._same_expression(unwrap_text(a), unwrap_text(b))
        return _as_text(a) == _as_text(b) or self._same_sequence(a, b)

    # A rule gives a verdict, and first whether it applies at all.

    def _same_choice(self, a: str, b: str) -> tuple[bool, bool | None]:
        """`(B) 12` is the choice B, and the value 12."""
        x, y = _as_choice(a), _as_choice(b)
        if x and y:
            if x[0] == y[0] and x[1] and y[1]:
                return True, self.same(x[1], y[1])
            return True, x[0] == y[0]
        if (x and x[1]) or (y and y[1]):
            return True, self.same(x[1] if x else a, y[1] if y else b)
        return False, None

    def _same_list(self, a: str, b: str) -> tuple[bool, bool | None]:
        """A list is compared item by item. A list is no single value, and a tuple is no set."""
        x, y = as_items(a), as_items(b)
        if x is None and y is None:
            return False, None
        if x and y and {x.kind, y.kind} == {"()", "set"}:
            x, y = (as_point(items) or items for items in (x, y))
        if x is None or y is None:
            listed, single = (x, b) if x else (y, a)
            if listed.kind != "set":
                return False, None  # `(2,\infty)` against `x > 2` is for algebra to decide
            return True, len(listed.items) == 1 and self.same(listed.items[0], single)
        if x.kind == y.kind:
            verdict = self._same_items(x, y)
            return x.kind != "union" or verdict is True, verdict
        return "union" not in (x.kind, y.kind), False

    def _same_equation(self, a: str, b: str) -> tuple[bool, bool | None]:
        """`f(2) = 5` and `f(3) = 5` say different things; `y = 2x` and `x = y/2` are one line."""
        (name_a, value_a), (name_b, value_b) = split_equation(a), split_equation(b)
        if not (is_droppable(name_a, value_a) and is_droppable(name_b, value_b)):
            return False, None
        if is_variable(name_a) and is_variable(name_b) and has_variable(value_a + value_b):
            return False, None
        verdict = self.same(value_a, value_b)
        return True, verdict and all_of((verdict, self.same(name_a, name_b)))

    def _same_items(self, x: Items, y: Items) -> bool | None:
        if len(x.items) != len(y.items):
            return False
        if x.is_ordered:
            return all_of(self.same(a, b) for a, b in zip(x.items, y.items))
        if len(x.items) > MAX_ITEMS:
            return sorted(map(normalize_answer, x.items)) == sorted(map(normalize_answer, y.items))
        left, paired = list(y.items), []
        for a in x.items:
            verdicts = [self.same(a, b) for b in left]
            paired.append(any_of(verdicts))
            if True in verdicts:
                del left[verdicts.index(True)]
        return all_of(paired)

    def _same_sequence(self, a: str, b: str) -> bool | None:
        x, y = as_sequence(a), as_sequence(b)
        return x is not None and y is not None and x.kind == y.kind and self._same_items(x, y)

    def _same_expression(self, a: str, b: str) -> bool | None:
        """Ask algebra, but not whether an equation is a number: it takes `x - y = 0` for 0."""
        if bool(EQUALS.search(a)) != bool(EQUALS.search(b)):
            return False
        if not (is_tractable(a) and is_tractable(b)):
            return None
        return _algebra.ask(a, b, time_left=self.time_left)


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """False if any is, else None if any is, else True."""
    verdicts = set(verdicts)
    return False if False in verdicts else None if None in verdicts else True


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    """True if any is, else None if any is, else False."""
    verdicts = set(verdicts)
    return True if True in verdicts else None if None in verdicts else False


# --- Rules ----------------------------------------------------------------------------------------

_IN_BASE = re.compile(r"([0-9][0-9A-Fa-f]*)_\{?([0-9]+)\}?")
_LABEL = r"(?:(?:option|choice|answer|letter)\b[ :]*)?"
_CHOICE = re.compile(rf"{_LABEL}[(\[]?([A-Za-z])[)\].:]?", re.IGNORECASE)
_CHOICE_AND_CONTENT = re.compile(
    rf"{_LABEL}(?:[(\[]([A-J])[)\]](?:[:.,]|(?=[ 0-9\\]))|([A-J])(?:\)|[.:] )) *(\S.*)",
    re.IGNORECASE,
)


def _same_number(a: str, b: str) -> tuple[bool, bool | None]:
    x, y = to_number(a.rstrip("% ")), to_number(b.rstrip("% "))
    if x is None or y is None:
        return False, None
    if a.endswith("%") == b.endswith("%"):
        return True, x == y
    return True, x == y or (x / 100 == y if a.endswith("%") else x == y / 100)


def _same_numeral_in_base(a: str, b: str) -> tuple[bool, bool | None]:
    """Numerals in a base must agree in digits and base (`int("52_8")` is 528 in Python)."""
    numerals = [_IN_BASE.fullmatch(text) for text in (a, b)]
    if not any(numerals):
        return False, None
    return True, all(numerals) and len({(n[1].upper(), n[2]) for n in numerals}) == 1


def _as_choice(text: str) -> tuple[str, str] | None:
    """The letter of a choice and what else it says: `(B) 12` -> `b`, `12`; None for others."""
    text = unwrap_text(text)
    if match := _CHOICE.fullmatch(text):
        return match[1].lower(), ""
    if match := _CHOICE_AND_CONTENT.fullmatch(text):
        return (match[1] or match[2]).lower(), match[3]
    return None


def _as_text(text: str) -> str:
    """What is compared of a text: mathematics to the letter, anything else without case."""
    text = squeeze(unwrap_text(text))
    return text if is_mathematical(text) else text.casefold()


def _without_unit(text: str) -> str:
    """Drop a unit, if what remains is a value."""
    value = without_unit(text)
    is_value = value != text and (
        to_number(value.rstrip("% ")) is not None or is_mathematical(value)
    )
    return value if is_value else text
