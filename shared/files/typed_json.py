"""Values read from JSON, checked against type hints such as `list[float | None]`.

Numbers must be finite and of a size that arithmetic bears: whole numbers (all of ours count
something) from 0 to 2**63 - 1, others up to 1e300. True and False are no numbers.
"""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Any, NoReturn, get_args, get_origin

from shared.files.json_files import is_whole

WHOLE_LIMIT = 2**63 - 1
FLOAT_LIMIT = 1e300
WORDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number, 0 or more",
    float: "a number",
    dict: "an object",
    NoneType: "null",
}


def matches(value: object, hint: Any) -> bool:
    """Whether a JSON value is a str, bool, int, float, dict, None, list[...] or of a union."""
    if isinstance(hint, UnionType):
        return any(matches(value, each) for each in get_args(hint))
    if get_origin(hint) is list:
        (each,) = get_args(hint)
        return isinstance(value, list) and all(matches(item, each) for item in value)
    if hint is int:
        return is_whole(value, 0, WHOLE_LIMIT)
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and -FLOAT_LIMIT < value < FLOAT_LIMIT
    return isinstance(value, hint)


def in_words(hint: Any) -> str:
    """A type as an error message names it."""
    if isinstance(hint, UnionType):
        return " or ".join(in_words(each) for each in get_args(hint))
    if get_origin(hint) is list:
        return f"a list, each of it {in_words(get_args(hint)[0])}"
    return WORDS[hint]


def strict_loads(text: str | bytes) -> Any:
    """The value of a JSON text, in which NaN and infinite numbers are errors.

    Raises ValueError for anything but JSON in UTF-8, and for nesting too deep to read.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(text, parse_constant=refuse_number, parse_float=finite_float)
    except RecursionError as error:
        raise ValueError("its lists or objects are nested too deep") from error


def finite_float(text: str) -> float:
    """A JSON number. Raises ValueError for one that a float cannot hold, such as 1e999."""
    number = float(text)
    return number if abs(number) < float("inf") else refuse_number(text)


def refuse_number(text: str) -> NoReturn:
    """Raise ValueError: JSON has no such number."""
    raise ValueError(f"{text} is no number that JSON can hold")
