r"""Left-hand sides: what stands before the value in `x = 5`, `f(2) = 5`, `m+n = 5`.

Texts are `canonical` ones (see `shared.grading.tex`).
"""

from __future__ import annotations

import re

from shared.grading.expressions import (
    Items,
    as_items,
    has_variable,
    is_expression,
    split_outside,
    variables,
)
from shared.grading.numerals import to_number
from shared.grading.tex import squeeze, unwrap_text

EQUALS = re.compile(r"(?<![<>!:=])=(?!=)|\\in(?![a-zA-Z])")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne|approx)(?![a-zA-Z])")
_INDEX = r"(?:_(?:\w+|\{[^{}]*\}))?'*(?:\^\{-1\})?"
_ARGUMENTS = r"(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])"
_NAME = re.compile(  # `\theta`, `\angle ABC`; `x_1`, `area of it`; `f(2)`, `E[X]`
    rf"(?:\\(?!frac|sqrt|pm)[a-zA-Z]+\s*(?:\{{[A-Za-z ]*\}})?\s*[A-Za-z]{{0,3}}{_INDEX}"
    rf"|[A-Za-z]+(?:[ '][A-Za-z]{{2,}})*{_INDEX}"
    rf"|(?:\\[a-zA-Z]+(?:\{{[A-Z]\}})?|(?![xyz]\()[A-Za-z]+){_INDEX}{_ARGUMENTS}|[xyz]\(\w\))"
)
_NAMES = re.compile(r"\(\s*\\?[A-Za-z]+(?:_\w)?(?:\s*,\s*\\?[A-Za-z]+(?:_\w)?)+\s*\)")


def split_equation(text: str) -> tuple[str | None, str]:
    r"""Left-hand and right-hand side: `x = 5` -> `x`, `5`; None and the text for no equation.

    Of a chain, the last part is the right-hand side. `x = 1 or x = 2` is `x` and `1, 2`.
    """
    items = as_items(text)
    if items and items.kind == "set" and not text.startswith("\\{"):
        sides = [split_equation(item) for item in items.items]
        if len({name for name, value in sides}) == 1 and sides[0][0] is not None:
            return sides[0][0], ", ".join(value for name, value in sides)
        if sum(name is not None for name, value in sides) > 1:
            return None, text
    parts = [part.strip() for part in split_outside(text, EQUALS)]
    if len(parts) < 2 or not parts[-1] or _RELATION.search(text):
        return None, text
    if len(parts) == 2 and _NAME.fullmatch(parts[1]) and not has_variable(parts[0]):
        parts.reverse()  # `5 = x`
    return " = ".join(parts[:-1]), parts[-1]


def is_variable(name: str) -> bool:
    """Whether a left-hand side is a single letter."""
    return re.fullmatch(r"[A-Za-z]|\\[a-z]+ ?", name) is not None


def is_droppable(name: str | None, value: str) -> bool:
    """Whether a left-hand side only says what the value is: `x`, `f(2)`, `(x,y)`, `m+n`, `3+2`.

    An equation in one variable (`2n = 10`) is still to be solved, and one in the coordinates x, y,
    z is a curve, unless its left-hand side is a plain combination (`x+y = 7`, `n! = 120`). With 0
    on its right it is one of these always.
    """
    if name is None:
        return False
    parts = split_outside(name, EQUALS)
    if len(parts) > 1:
        return all(is_droppable(part.strip(), value) for part in parts)
    words = unwrap_text(name)
    if not name or _NAME.fullmatch(words) or _NAMES.fullmatch(words):
        return True
    if not is_expression(name):
        return False
    if not has_variable(name):
        return True
    if has_variable(value) or to_number(value) == 0:
        return False
    plain = re.sub(r"_(?:\w|\{[^{}]*\})", "", name)
    is_curve = len(variables(plain)) == 1 or variables(plain) & set("xyz")
    return not (is_curve and re.search("[0-9]", plain))


def align_equations(a: str, b: str) -> tuple[str, str]:
    """Drop `x =` on one side if the other has no equation, on both if the names are the same."""
    (name_a, value_a), (name_b, value_b) = split_equation(a), split_equation(b)
    if name_a is not None and name_b is not None:
        if squeeze(name_a) == squeeze(name_b):
            return value_a, value_b
        if not has_variable(name_a) and is_expression(name_a):
            return align_equations(value_a, b)
        if not has_variable(name_b) and is_expression(name_b):
            return align_equations(a, value_b)
    elif name_a is not None and is_droppable(name_a, value_a):
        return value_a, b
    elif name_b is not None and is_droppable(name_b, value_b):
        return a, value_b
    return a, b


def as_point(items: Items) -> Items | None:
    """The tuple `(2,3)` of the equations `x=2, y=3`, if they name their variables in order."""
    sides = [split_equation(item) for item in items.items]
    names = [name for name, _ in sides if name is not None and is_variable(name)]
    if len(names) < len(sides) or names != sorted(set(names)):
        return None
    return Items("()", [value for _, value in sides])
