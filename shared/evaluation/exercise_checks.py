"""What the checks of the exercises share: call a student's function, and compare numbers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from numbers import Real


def call(
    function: Callable, *arguments: object, case: str, returns_none: bool = False, **options: object
) -> object:
    """Call `function` with copies of the arguments, which it must not change.

    Raises AssertionError, in words about `case`, if it raises an error, changes an argument, or
    returns None where that is never right.
    """
    given = copy.deepcopy(arguments)
    try:
        result = function(*given, **options)
    except NotImplementedError:
        raise AssertionError(
            f"{function.__name__} is not written yet: replace `raise NotImplementedError`"
        ) from None
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"{case}: your function stopped with {kind}: {error}") from error
    assert given == arguments, f"{case}: your function changed its input; work on a copy"
    assert returns_none or result is not None, (
        f"{case}: your function returned None. Is a `return` missing?"
    )
    return result


def check_number(result: object, case: str) -> float:
    """Raise AssertionError unless the result is one finite number."""
    is_number = isinstance(result, Real) and not isinstance(result, bool)
    assert is_number and math.isfinite(result), f"{case}: return a finite number, not {result!r}"
    return float(result)


def close(one: float, other: float) -> bool:
    """Whether two numbers are equal up to rounding."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
