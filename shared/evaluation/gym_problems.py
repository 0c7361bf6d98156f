"""Problems of the reasoning-gym package."""

from __future__ import annotations

import difflib
import json
import numbers
from collections.abc import Sequence

from shared.evaluation.problem import SPLITS, Problem, check_split

GENERATED_LIMIT = 400  # problems of a generated set, where no limit is given


def gym_problems(name: str, split: str, limit: int, seed: int) -> list[Problem]:
    """The first `limit` problems of a reasoning-gym task at its default difficulty.

    `grade` asks the task's own scorer. Where a task accepts many answers and names none as gold,
    its example is the answer; without an example it is refused. Split "test" with seed 0 is what
    the package itself gives for seed 0.
    """
    check_split(name, split, SPLITS)
    # Problem i of the package's seed s is problem 0 of seed s + i: keep the seeds far apart.
    first = 1_000_000 * (len(SPLITS) * seed + SPLITS.index(split))
    dataset = gym_dataset(name.removeprefix("gym:"), max(limit, GENERATED_LIMIT), first)
    if dataset[0] != dataset[0]:
        raise ValueError(f"{name}: reasoning-gym does not generate this task reproducibly")
    problems = []
    for i in range(limit):
        item = dataset[i]
        answer, metadata = gold_of(item), plain(item["metadata"])
        if answer is None:
            raise ValueError(f"{name}: this task accepts many answers and states none to compare")
        id = f"{name}/{split}/{seed}/{i}"
        problems.append(Problem(item["question"], answer, id, name, metadata))
    return problems


def gold_of(item: dict) -> str | None:
    """The answer that a reasoning-gym item states, or its example where it accepts many."""
    examples = ("example_answer", "example_correct_answer", "possible_answer")
    known = (item["metadata"][name] for name in examples if name in item["metadata"])
    answer = next(known, None) if item["answer"] is None else item["answer"]
    return json.dumps(answer) if isinstance(answer, dict) else answer and str(answer)


def plain(value: object) -> object:
    """Metadata with Python's own types only (tuples stay tuples), so that its repr can be read."""
    if isinstance(value, dict):
        return {plain(key): plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(plain(content) for content in value)
    if value is None or isinstance(value, bool):
        return value
    for abstract, kind in ((numbers.Integral, int), (numbers.Real, float)):  # NumPy's, fractions
        if isinstance(value, abstract):
            return kind(value)
    return str(value)


def gym_dataset(task: str, size: int, seed: int) -> Sequence[dict]:
    """A reasoning-gym dataset; `size` is fixed by the caller since some tasks depend on it."""
    try:
        import reasoning_gym
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"gym:{task} needs the package reasoning-gym: pip install reasoning-gym"
        ) from error
    known = reasoning_gym.factory.DATASETS
    if task not in known:
        near = difflib.get_close_matches(task, known, n=5, cutoff=0.4) or sorted(known)
        raise ValueError(f"reasoning-gym has no task {task!r}; it has {', '.join(near)}")
    try:
        return reasoning_gym.create_dataset(task, size=size, seed=seed)
    except AssertionError as error:  # how the package refuses a configuration
        raise ValueError(f"gym:{task} cannot be used with its default settings: {error}") from error
