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

import difflib
import hashlib
import json
import numbers
import os
import random
import re
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.evaluation.word_problems import sample_problem
from shared.grading.answers import any_of, compare_answers
from shared.grading.helper_process import Helper
from shared.grading.tex import canonical, unwrap_text

SPLITS = ("test", "dev", "train")
GENERATED_LIMIT = 400  # problems of a generated set, where no limit is given
WORD_CHANGES = (5, 8)  # changes a problem of "word", chosen on dev problems: half are solved
HARD_CHANGES = (9, 10)  # of "word:hard": more than the shipped model was trained on

# The original files of the paper. The hub holds GSM8K as parquet only, which needs a large package.
GSM8K_URL = (
    "https://raw.githubusercontent.com/openai/grade-school-math/"
    "3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/"
)
GSM8K_SHA256 = {
    "test": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    "train": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
}

SCORER_SECONDS = 5.0  # for one answer; it includes making the task's data set
gym_grader = Helper("gym_worker.py", SCORER_SECONDS)


@dataclass(frozen=True)
class Problem:
    """One question with its gold answer.

    answer     gold; None in the copy that a technique gets
    id         unique within its set
    source     the set it comes from
    metadata   whatever else the set says about it; may give the answer away (worked solutions)
    """

    question: str
    answer: str | None
    id: str = ""
    source: str = ""
    metadata: dict = field(default_factory=dict, hash=False)

    def without_answer(self) -> Problem:
        """What a technique may see: no gold answer, and no metadata that might contain it."""
        return replace(self, answer=None, metadata={})


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


def check_split(name: str, split: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless the set has this split."""
    if split not in allowed:
        raise ValueError(f"{name} has no split {split!r}, only {', '.join(allowed)}")


# --- Generated sets -------------------------------------------------------------------------------


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


# --- Downloads ------------------------------------------------------------------------------------


def gsm8k_file(split: str) -> Path:
    """The original GSM8K file of a split, in the hub's asset cache; downloaded and checked once."""
    from huggingface_hub import cached_assets_path

    check_split("gsm8k", split, tuple(GSM8K_SHA256))
    path = cached_assets_path("inference-time-scaling", "gsm8k") / f"{split}.jsonl"
    if path.exists():
        return path
    try:
        with urllib.request.urlopen(f"{GSM8K_URL}{split}.jsonl", timeout=60) as response:
            data = response.read()
    except OSError as error:
        raise download_error("GSM8K", error) from error
    if hashlib.sha256(data).hexdigest() != GSM8K_SHA256[split]:
        raise download_error("GSM8K", "what arrived is not the original file")
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(data)
    os.replace(unfinished, path)
    return path


def math500_file(split: str) -> Path:
    """The MATH-500 file in the hub's cache; downloaded once."""
    from huggingface_hub import hf_hub_download

    check_split("math500", split, ("test",))
    try:
        return Path(hf_hub_download("HuggingFaceH4/MATH-500", "test.jsonl", repo_type="dataset"))
    except OSError as error:
        raise download_error("MATH-500", error) from error


def level_sample(problems: list[Problem], per_level: int = 20) -> list[Problem]:
    """The same few problems of each level, whoever draws them: those whose ids hash lowest.

    The levels take turns, so that every beginning of the list is balanced too.
    """
    by_level: dict[int, list[Problem]] = {}
    for problem in sorted(problems, key=lambda p: hashlib.sha256(p.id.encode()).hexdigest()):
        by_level.setdefault(problem.metadata["level"], []).append(problem)
    drawn = (by_level[level][:per_level] for level in sorted(by_level))
    return [problem for turn in zip(*drawn) for problem in turn]


def download_error(name: str, reason: OSError | str) -> OSError:
    """The error that says how to go on without the download."""
    return OSError(
        f"could not download {name} ({reason}). Be online the first time, or give the path of a "
        "local copy as the problem set, such as folder/test.jsonl"
    )


# --- Files ----------------------------------------------------------------------------------------


def read_problems(path: Path, source: str, split: str = "") -> list[Problem]:
    """All problems of a .jsonl file (one record per line) or a .json file (a list of records).

    A record has `question` or `problem`, and `answer` (text or a number; of GSM8K's worked
    answers what follows `####`). Its `id` or `unique_id` names it, or its position does.
    Raises FileNotFoundError, or ValueError naming the file and the place in it.
    """
    prefix = f"{source}/{split}" if split else source
    problems = [
        to_problem(record, where, f"{prefix}/{i}", source)
        for i, (record, where) in enumerate(read_json_records(path))
    ]
    if not problems:
        raise ValueError(f"{path} has no problems in it")
    ids = [problem.id for problem in problems]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise ValueError(f"{path}: the id {twice!r} stands for more than one problem")
    return problems


def read_json_records(path: Path) -> Iterator[tuple[object, str]]:
    """Yield each record of a .jsonl or .json file with the words for where it stands."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a UTF-8 text file: {error}") from error
    if path.suffix.lower() == ".json":
        records = parse_json(text, path, 1) if text.strip() else []
        if not isinstance(records, list):
            raise ValueError(f"{path} must be a list of records")
        yield from ((record, f"{path}, record {i}") for i, record in enumerate(records, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield parse_json(line, path, number), f"{path}, line {number}"


def parse_json(text: str, path: Path, line: int) -> object:
    """JSON from a text that begins on this line of the file; ValueError with the broken line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        raise ValueError(f"{path}, line {line}: not valid JSON: {error.msg}") from error


def to_problem(record: object, where: str, id: str, source: str) -> Problem:
    """A file's record as a Problem; ValueError says which field is missing or unusable."""
    fault = fault_of(record)
    if fault:
        raise ValueError(f"{where}: {fault}")
    question = record.get("question", record.get("problem"))
    gold = str(record["answer"])
    if "####" in gold:  # GSM8K: the working, then "#### 1,234"
        gold = gold.rpartition("####")[2].replace(",", "")
    if not gold.strip():
        raise ValueError(f"{where}: the field 'answer' is empty")
    id = str(record.get("id", record.get("unique_id", id)))
    metadata = {
        name: value for name, value in record.items() if name not in ("question", "problem")
    }
    return Problem(question, gold.strip(), id, source, metadata)


def fault_of(record: object) -> str | None:
    """What keeps a record from being a problem, or None."""
    if not isinstance(record, dict):
        return f"a record is an object with named fields, not {record!r:.40}"
    question, answer = record.get("question", record.get("problem")), record.get("answer")
    if not isinstance(question, str) or not question.strip():
        return "needs a text in the field 'question' or 'problem'"
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return "needs a text or a number in the field 'answer'"
    return None


# --- Grading --------------------------------------------------------------------------------------


def without_tex(answer: str) -> str:
    r"""`\text{Monday}` -> `Monday`, `$\$1{,}000$` -> `1000`; a text without TeX as it is."""
    if re.search(r"[\\$]", answer):
        answer = unwrap_text(canonical(answer))
    is_number = re.fullmatch(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", answer)
    return answer.replace(",", "") if is_number else answer


def grade(problem: Problem, predicted: str | None) -> bool | None:
    """Whether an answer is right; None where that could not be decided.

    A problem of reasoning-gym is graded by its task's own scorer, whose full marks count as right
    (some scorers are lenient: `gym:gsm_symbolic` overlooks a minus sign). An answer in TeX is
    offered without it too. All other problems are graded by `compare_answers`.
    """
    if predicted is None or not problem.source.startswith("gym:"):
        return compare_answers(predicted, problem.answer)
    task, metadata = problem.source.removeprefix("gym:"), repr(problem.metadata)
    verdicts = (
        gym_grader.ask(task, problem.question, problem.answer, metadata, spelling)
        for spelling in dict.fromkeys((predicted, without_tex(predicted)))
    )
    return any_of(verdicts)
