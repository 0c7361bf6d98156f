"""Chapter 6: the checks of the exercises, the toy tree, and the study of where search pays."""

from __future__ import annotations

import re
from collections import Counter

import nbformat
import pytest
from wrong_answers.ch06 import RIGHT, WRONG

from ch06_search import checks, search


def ids(answers: list[tuple]) -> list[str]:
    """The name of a test: the check, and the answer."""
    return [f"{check.__name__}-{answer.__name__}" for check, answer, *_ in answers]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=ids(RIGHT))
def test_right_answers_in_any_style_pass(check, answer):
    check(answer)


@pytest.mark.parametrize(("check", "answer", "message"), WRONG, ids=ids(WRONG))
def test_wrong_answers_are_rejected_with_words_that_help(check, answer, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(answer)


def test_every_exercise_has_eight_wrong_answers_and_two_right_ones():
    path = search.__file__.replace("search.py", "exercises.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    called = re.findall(r"checks\.(\w+)\(", "\n".join(cell.source for cell in cells))
    wrong, right = (Counter(check.__name__ for check, *_ in each) for each in (WRONG, RIGHT))
    assert len(called) == 6
    for name in called:
        assert wrong[name] >= 8 and right[name] >= 2


def test_an_unsolved_exercise_says_so():
    def branches_needed(right, num_steps, goal):
        raise NotImplementedError

    def thrifty_beam(llm, problem, **options):
        raise NotImplementedError

    with pytest.raises(AssertionError, match="branches_needed is not written yet"):
        checks.check_branches_needed(branches_needed)
    with pytest.raises(AssertionError, match="thrifty_beam is not written yet"):
        checks.check_thrifty_beam(thrifty_beam)
