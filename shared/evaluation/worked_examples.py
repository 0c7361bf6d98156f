"""Solved problems to show a model before the question (few-shot prompting)."""

from __future__ import annotations

import random
import re
from functools import lru_cache

from shared.evaluation.problems import HARD_CHANGES, WORD_CHANGES, load_problems
from shared.evaluation.word_problems import HABITS, sample_problem, sample_solution


@lru_cache
def worked_examples(source: str, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` questions with worked solutions, from the training split of a problem set.

    Raises ValueError for a set that has no such split, or no worked solutions in it.
    """
    if source in ("word", "word:hard"):
        return word_examples(source, count, seed)
    if source != "gsm8k" and not source.startswith("gym:"):
        raise ValueError(f"{source} has no training problems to show worked examples of")
    examples = []
    for problem in load_problems(source, split="train", limit=count, seed=seed):
        working = str(problem.metadata.get("answer_cot", problem.metadata.get("answer", "")))
        steps, mark, _ = re.sub(r"<<.*?>>", "", working).rpartition("\n####")  # GSM8K's form
        if not mark:
            raise ValueError(f"the training problems of {source} come without worked solutions")
        examples.append((problem.question, f"{steps}\nThe answer is \\boxed{{{problem.answer}}}."))
    return examples


def word_examples(source: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Word problems, solved in the way that the shipped model's training data are."""
    rng = random.Random(f"examples/{seed}")
    changes = HARD_CHANGES if source == "word:hard" else WORD_CHANGES
    examples = []
    for _ in range(count):
        problem = sample_problem(rng, "train", changes=changes)
        examples.append((problem.question, sample_solution(rng, problem, *HABITS)))
    return examples
