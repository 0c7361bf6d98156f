"""Small programming tasks with two sets of tests: a verifier may see one, the other grades.

    task = load_tasks()[0]
    code = extract_code(reply, task.name)
    share_passed(code, task.name, task.visible)     # 1.0: the verifier accepts

The tasks (`code_tasks.jsonl`) were written for this book. Each line holds a task's text, both sets
of tests, a reference solution, and a plausible wrong one that passes the visible tests and fails
hidden ones: that is what the hidden tests are for.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from ch04_rejection.sandbox import call_function

TASKS_FILE = Path(__file__).parent / "code_tasks.jsonl"
Test = dict  # {"args": [...], "expected": ...}, JSON values


@dataclass(frozen=True)
class CodeTask:
    """One function to write.

    name        of the function
    prompt      what it must do
    visible     tests that a technique may use
    hidden      tests that only the grader uses
    reference   code that passes all of them
    wrong       code that passes the visible ones only
    """

    name: str
    prompt: str
    visible: list[Test]
    hidden: list[Test]
    reference: str
    wrong: str


def load_tasks(path: Path = TASKS_FILE) -> list[CodeTask]:
    """The tasks of a file, one JSON object a line."""
    return [CodeTask(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def extract_code(text: str, name: str) -> str:
    """The code in a model's reply: the first fenced block that defines the function `name`, else
    all of the text. The last fence may be missing, where the reply was cut off."""
    blocks = re.findall(r"```[a-zA-Z0-9]*\n(.*?)(?:```|\Z)", text, re.DOTALL)
    return next((block for block in blocks if f"def {name}(" in block), text)


def share_passed(code: str, name: str, tests: list[Test]) -> float:
    """The share of tests in which the function, called in the sandbox, returns what it should."""
    values = call_function(code, name, [test["args"] for test in tests])
    passed = [is_same(value, test["expected"]) for value, test in zip(values, tests)]
    return sum(passed) / len(passed)


def is_same(value: object, expected: object) -> bool:
    """Equality of JSON values, except that fractions may differ by rounding."""
    if isinstance(expected, float) and isinstance(value, float):
        return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12)
    return value == expected
