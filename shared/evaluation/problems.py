"""Problem sets: shipped word problems, GSM8K, MATH-500, reasoning-gym tasks, files of your own.

    load_problems("word", limit=100)          the shipped generator, held-out texts
    load_problems("word:hard")                more changes than the shipped model was trained on
    load_problems("gsm8k")                    1,319 test problems, downloaded once; also "train"
    load_problems("math500")                  500 test problems, downloaded once
    load_problems("math500:100")              20 of each of its five levels (`level_sample`)
    load_problems("gym:gsm_symbolic")         any task of the reasoning-gym package
    load_problems("folder/mine.jsonl")        a file: one {"question": …, "answer": …} a line

The same (name, split, seed) always gives the same problems in the same order, and `limit` only
says how many of them: limit=100 is the beginning of limit=400.

Sources: GSM8K (Cobbe 2021, MIT), MATH-500 (Hendrycks 2021, Lightman 2023, MIT).
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from shared.evaluation.gym_problems import GENERATED_LIMIT, gym_problems
from shared.evaluation.problem import SPLITS, Problem, check_split
from shared.evaluation.problem_files import gsm8k_file, math500_file, read_problems
from shared.evaluation.word_problems import sample_problem

WORD_CHANGES = (5, 8)  # changes a problem of "word", chosen on dev problems: half are solved
HARD_CHANGES = (9, 10)  # of "word:hard": more than the shipped model was trained on


def load_problems(
    name: str | Path, split: str = "test", limit: int | None = None, seed: int = 0
) -> list[Problem]:
    """The problems of a set (see the module's list of names), at most `limit` of them.

    `limit` None is all of a file and 400 of a generated set. `seed` draws another generated set;
    it shuffles a file, which seed 0 leaves in its own order. Splits: "test", "dev" and "train" of
    generated sets, "test" and "train" of GSM8K, only "test" of MATH-500 and of files.

    Raises ValueError for an unknown name, task or split, for limit < 1 and for a broken record;
    FileNotFoundError for a missing file, OSError for a failed download, ModuleNotFoundError where
    reasoning-gym is not installed.
    """
    name = str(name)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if name in ("word", "word:hard"):
        return word_problems(name, split, limit or GENERATED_LIMIT, seed)
    if name.startswith("gym:"):
        return gym_problems(name, split, limit or GENERATED_LIMIT, seed)
    if name == "gsm8k":
        problems = read_problems(gsm8k_file(split), name, split)
    elif name in ("math500", "math500:100"):
        problems = read_problems(math500_file(split), "math500", split)
        problems = problems if name == "math500" else level_sample(problems)
    elif Path(name).suffix.lower() in (".jsonl", ".json"):
        check_split(name, split, ("test",))
        problems = read_problems(Path(name), Path(name).stem)
    else:
        raise ValueError(
            f"unknown problem set {name!r}; give word, word:hard, gsm8k, math500, math500:100, "
            "gym:<task> or the path of a .jsonl or .json file"
        )
    if seed != 0:
        random.Random(seed).shuffle(problems)
    return problems[:limit]


def word_problems(name: str, split: str, limit: int, seed: int) -> list[Problem]:
    """`limit` different problems of the shipped generator; `name` is "word" or "word:hard"."""
    check_split(name, split, SPLITS)
    rng = random.Random(f"{name}/{split}/{seed}")
    changes = HARD_CHANGES if name == "word:hard" else WORD_CHANGES
    problems: dict[str, Problem] = {}  # by text, so that none comes twice
    while len(problems) < limit:
        drawn = sample_problem(rng, split, changes=changes)
        id = f"{name}/{split}/{seed}/{len(problems)}"
        metadata = {"num_steps": drawn.num_steps, "num_changes": len(drawn.changes) - 1}
        problem = Problem(drawn.question, str(drawn.answer), id, name, metadata)
        problems.setdefault(drawn.question, problem)
    return list(problems.values())


def level_sample(problems: list[Problem], per_level: int = 20) -> list[Problem]:
    """The same few problems of each level, whoever draws them: those whose ids hash lowest.

    The levels take turns, so that every beginning of the list is balanced too.
    """
    by_level: dict[int, list[Problem]] = {}
    for problem in sorted(problems, key=lambda p: hashlib.sha256(p.id.encode()).hexdigest()):
        by_level.setdefault(problem.metadata["level"], []).append(problem)
    drawn = (by_level[level][:per_level] for level in sorted(by_level))
    return [problem for turn in zip(*drawn) for problem in turn]
