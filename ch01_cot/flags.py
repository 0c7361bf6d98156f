"""What the flags of cot.py and study.py mean. No value given is a default; 0 never is."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def number_of_samples(method: str, n: int | None) -> int:
    """What --n means: given, the number itself; not given, 1, or 10 branches of cot-decoding."""
    if n is not None:
        return n
    return 10 if method == "cot-decoding" else 1


def at_least(smallest: int) -> Callable[[str], int]:
    """A flag's value as a whole number that is not below `smallest`."""

    def convert(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {smallest} on")
        return int(text)

    return convert
