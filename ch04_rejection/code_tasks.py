"""Small programming tasks with two sets of tests: a verifier may see one, the other grades.

    task = load_tasks()[0]
    code = extract_code(reply, task.name)
    share_passed(code, task.name, task.visible)     # 1.0: the verifier accepts

The tasks (`code_tasks.jsonl`) were written for this book. Each line holds a task's text, both sets
of tests, a reference solution, and a plausible wrong one that passes the visible tests and fails
hidden ones: that is what the hidden tests are for.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from ch04_rejection.extract import extract_code as extract_code
from shared.sandbox.run import NO_VALUE, call_function

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


def fingerprint(tasks: list[CodeTask]) -> str:
    """A short hash of the tasks with all their tests: a verdict under others is another verdict."""
    content = json.dumps([asdict(task) for task in tasks])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def share_passed(code: str, name: str, tests: list[Test]) -> float:
    """The share of tests, from 0 to 1, in which the function, called in the sandbox, returns what
    it should. Raises ValueError for no tests, and what `call_function` raises."""
    if not tests:
        raise ValueError(f"there are no tests of {name}")
    values = call_function(code, name, [test["args"] for test in tests])
    passed = [is_same(value, test["expected"]) for value, test in zip(values, tests)]
    return sum(passed) / len(passed)


def is_same(value: object, expected: object) -> bool:
    """Equality of JSON values, at any depth, except that fractions may differ by rounding. A whole
    number may come as a fraction (2.0), but true is not 1."""
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(is_same, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        same_keys = value.keys() == expected.keys()
        return same_keys and all(is_same(value[key], expected[key]) for key in expected)
    if isinstance(value, float) and isinstance(expected, float):
        return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12)
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)


def call_text(name: str, test: Test) -> str:
    """The call of a test as a program would write it: days_in_month(2023, 2)."""
    return f"{name}({', '.join(map(repr, test['args']))})"


def print_tests(name: str, tests: list[Test]) -> None:
    """Each test as a call and the value that it should return."""
    for test in tests:
        print(f"  {call_text(name, test)} should return {test['expected']!r}")


def print_results(code: str, name: str, tests: list[Test]) -> None:
    """What a program, run in the sandbox, returns in each test, and what it should."""
    values = call_function(code, name, [test["args"] for test in tests])
    for value, test in zip(values, tests):
        shown = "no value" if value is NO_VALUE else repr(value)
        wrong = "" if is_same(value, test["expected"]) else f"   wrong: {test['expected']!r}"
        print(f"  {call_text(name, test)} returns {shown}{wrong}")
