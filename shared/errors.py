"""What the user of a script can put right, told apart from a bug.

with friendly_errors():             # of shared/evaluation/cli.py: a UserError is one line
    with setting_up():
        problems = load_problems(args.problems)     # its ValueError becomes a UserError
    evaluation = evaluate(technique, llm, problems)     # a bug in here shows its traceback
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Something that the user can put right, such as a flag or a file, in a message of one line."""


@contextmanager
def setting_up() -> Iterator[None]:
    """Raise as a UserError what the functions that read flags, problems, models and records raise
    on purpose: a ValueError, or a ModuleNotFoundError for an optional package.

    The same errors out of a library that these functions call are bugs, and pass unchanged.
    """
    try:
        yield
    except (ValueError, ModuleNotFoundError) as error:
        if not is_from_this_package(error):
            raise
        raise UserError(str(error)) from error


def is_from_this_package(error: Exception) -> bool:
    """Whether a function of `shared` itself raised an error, not one that it called."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").startswith("shared.")
