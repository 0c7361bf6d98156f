"""The job of deciding with `math_verify` whether two LaTeX expressions are equal.

`helper_process.py` runs this file in a process of its own; nothing here is safe elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sympy import Number


def load() -> Callable[[str, str], bool | None]:
    """The function that compares; it never evaluates text as code."""
    verify_equal = load_math_verify()
    replace_eval()
    verify_equal("x+1", "1+x")  # what is imported on first use is imported now
    return verify_equal


def load_math_verify() -> Callable[[str, str], bool | None]:
    """Import `math_verify` (https://github.com/huggingface/Math-Verify), here and nowhere else."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    # LaTeX only: `ExprExtractionConfig` hands plain expressions to SymPy, which evals them.
    # No units: its list has `c`, `d`, `m`, `t` …, so that `5x + 2t` would equal `5x + 2`.
    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
    )
    extraction = [LatexExtractionConfig(normalization_config=config)]

    def verify_equal(a: str, b: str) -> bool | None:
        """Whether two answers in LaTeX are equal by computer algebra; None if one is unreadable."""
        x, y = (
            parse(f"${text}$", extraction, fallback_mode="no_fallback", parsing_timeout=None)
            for text in (a, b)
        )
        if not (x and y):
            return None
        # It unwraps `x = 5` for one side only; both ways make the answer symmetric.
        options = {"timeout_seconds": None, "allow_set_relation_comp": True}
        return verify(x, y, **options) or verify(y, x, **options)

    return verify_equal


def replace_eval() -> None:
    """Let SymPy read numerals without `eval`: `Number("5")` is the one place that they get to."""
    from sympy.core import numbers

    sympify = numbers.sympify
    numbers.sympify = lambda value: read_number(value) if isinstance(value, str) else sympify(value)


def read_number(text: str) -> Number:
    """The SymPy number that a numeral stands for.

    Raises:
        ValueError: for any other text.
    """
    from sympy import Float, Integer

    if not re.fullmatch(r"[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?", text):
        raise ValueError(f"not a number: {text!r}")
    return Integer(int(text)) if text.isdigit() else Float(text)
