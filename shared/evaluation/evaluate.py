"""The only evaluation loop: a technique on many problems, graded, counted and written down.

    evaluation = evaluate(partial(self_consistency, n=8), llm, load_problems("word", limit=100))
    print(evaluation.summary_line())

Questions are worked on at the same time, on threads; the LLM merges what they ask for into one
batch. A technique never sees the gold answer: it is handed `problem.without_answer()`.
With `out="run.jsonl"` every finished problem is on disk at once, and the same call resumes where
it stopped (`shared/evaluation/records.py`).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from shared.backends.protocol import Backend, Cluster
from shared.decoder.config import ModelConfig
from shared.errors import setting_up
from shared.evaluation.intervals import PairedComparison, paired_bootstrap, wilson_interval
from shared.evaluation.problems import Problem, grade
from shared.evaluation.progress import Progress
from shared.evaluation.records import Record, append, read_records, read_settings, resume
from shared.sampling_params import SamplingParams
from shared.solution import Cost, Solution
from shared.threads import run_threads

log = logging.getLogger(__name__)
Technique = Callable[..., Solution]
NUMBER = re.compile(r"0x[0-9a-f]+|[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")
REASON_LENGTH = 300  # characters of an error message that are shown; its record has all of them
NUM_REASONS = 3  # different ones that are shown at the end
NUM_WARNINGS = 10  # different ones that are logged as they occur


@dataclass(frozen=True)
class Evaluation:
    """The records of all problems in the problems' order, and what follows from them.

    A question that ended in an error counts as wrong. `seconds` is wall clock, summed over the
    sessions that the run took.
    """

    records: list[Record]
    settings: dict
    seconds: float

    @property
    def num_correct(self) -> int:
        """Problems answered rightly."""
        return sum(record.correct for record in self.records)

    @property
    def num_errors(self) -> int:
        """Questions that ended in an exception."""
        return sum(record.error is not None for record in self.records)

    @property
    def num_undecided(self) -> int:
        """Answers that could not be compared with the gold answer; they count as wrong."""
        return sum(record.undecided for record in self.records)

    @property
    def accuracy(self) -> float:
        """Share of problems answered rightly."""
        return self.num_correct / len(self.records)

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95% interval (Wilson)."""
        return wilson_interval(self.num_correct, len(self.records))

    @property
    def cost(self) -> Cost:
        """What all problems cost together."""
        return sum((record.cost for record in self.records), Cost())

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why questions failed, each reason with the number of questions, the most frequent first.

        Messages that differ only in their numbers are one reason, shown as it first occurred.
        """
        errors = [record.error for record in self.records if record.error is not None]
        kinds = [without_numbers(error) for error in errors]
        first = dict(zip(reversed(kinds), reversed(errors)))
        return [(one_line(first[kind]), count) for kind, count in Counter(kinds).most_common()]

    @property
    def total_failure(self) -> str | None:
        """The most frequent reason, if every single question failed; else None."""
        return self.reasons[0][0] if self.num_errors == len(self.records) else None

    @property
    def failures(self) -> str | None:
        """How many questions failed, and the most frequent reasons; None if none did."""
        if not self.num_errors:
            return None
        shown = [f"{reason} ({count})" for reason, count in self.reasons[:NUM_REASONS]]
        others = len(self.reasons) - len(shown)
        more = [f"{others} other reasons"] if others else []
        total = len(self.records)
        return f"{self.num_errors} of {total} questions failed: {'; '.join(shown + more)}"

    def flops(self, config: ModelConfig) -> float:
        """Estimated floating point operations; see `estimate_flops`."""
        return sum(estimate_flops(config, r.cost, len(r.completions)) for r in self.records)

    def row(self, name: str) -> dict:
        """The point that this evaluation is in a figure of accuracy against tokens."""
        low, high = self.interval
        tokens = self.cost.generated_tokens / len(self.records)
        return {
            "name": name,
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "tokens_per_problem": tokens,
        }

    def summary_line(self) -> str:
        """One line with accuracy, its interval, and the cost; then, if there are any, the numbers
        of answers that could not be compared and of errors."""
        low, high = self.interval
        line = (
            f"accuracy {self.accuracy:.3f} [{low:.3f}, {high:.3f}]  problems {len(self.records)}  "
            f"generated tokens {self.cost.generated_tokens}  seconds {self.seconds:.1f}"
        )
        if self.num_undecided:
            line += f"  not comparable {self.num_undecided}"
        if self.num_errors:
            line += f"  errors {self.num_errors}"
        return (
            f"{line}: EVERY QUESTION FAILED: {self.total_failure}" if self.total_failure else line
        )


def without_numbers(message: str) -> str:
    """What the messages of one kind of error have in common."""
    return NUMBER.sub("0", message)


def one_line(message: str) -> str:
    """An error message without line breaks, cut where it is long."""
    message = " ".join(message.split())
    return message if len(message) <= REASON_LENGTH else message[: REASON_LENGTH - 3] + "..."


def evaluate(
    technique: Technique,
    llm: object,
    problems: list[Problem],
    *,
    out: str | Path | None = None,
    settings: dict | None = None,
    num_threads: int = 64,
    progress: bool = True,
) -> Evaluation:
    """Run `technique(llm, problem)` on every problem and grade its answer.

    Bind a technique's own options with `functools.partial`; they are recorded, and so are the
    `settings` given here. An exception inside one question is recorded with it and stops no other.
    Where `llm` is a cluster its engines do it, each on `num_threads` threads.

    Raises UserError (a ValueError) for unusable problems, for num_threads < 1, and for a file `out`
    that is damaged or was written under other settings; KeyboardInterrupt, after saving what is
    finished, when interrupted.
    """
    path = None if out is None else Path(out)
    with setting_up():
        check_problems(problems)
        if num_threads < 1:
            raise ValueError(f"num_threads must be at least 1, not {num_threads}")
    settings = all_settings(technique, llm, problems, settings or {})
    with setting_up():
        finished, elapsed = resume(path, settings) if path else ([], 0.0)
        check_same_problems(path, finished, problems)
    records = {record.id: record for record in finished}
    todo = [(i, problem) for i, problem in enumerate(problems) if problem.id not in records]
    started = time.perf_counter() - elapsed
    reasons: set[str] = set()
    num_right = sum(record.correct for record in finished)
    shown = Progress(len(problems), len(finished), num_right, shown=progress)

    def keep(record: Record) -> None:
        """Write a finished question down and show the accuracy so far."""
        if record.error and len(reasons) < NUM_WARNINGS:
            reason = without_numbers(record.error)
            if reason not in reasons:
                log.warning("question %s failed: %s", record.id, one_line(record.error))
            reasons.add(reason)
        record.elapsed = round(time.perf_counter() - started, 3)
        append(file, record)
        records[record.id] = record
        shown.add(record.correct, record.error is not None)

    with open(path or os.devnull, "a", encoding="utf-8", newline="\n") as file, shown:
        try:
            if isinstance(llm, Cluster):
                llm.run(partial(solve_one, technique), todo, num_threads, keep, shown.tick)
            else:
                work = partial(solve_one, technique, llm)
                run_threads(work, todo, num_threads, keep, shown.tick)
        except KeyboardInterrupt:
            if isinstance(llm, Backend):
                llm.cancel()  # else it would finish what nobody waits for any more
            message = farewell(len(problems) - len(records), path)
            raise KeyboardInterrupt(message) from None
    seconds = time.perf_counter() - started if todo else elapsed
    return Evaluation([records[problem.id] for problem in problems], settings, seconds)


def farewell(missing: int, path: Path | None) -> str:
    """What to say after an interruption."""
    if path is None:
        return f"stopped with {missing} problems to go; nothing was saved, for no file was named"
    return f"stopped with {missing} problems to go; run the same again to resume from {path}"


def solve_one(technique: Technique, llm: object, item: tuple[int, Problem]) -> Record:
    """One question: ask the technique, grade its answer, count its cost; or record its error."""
    index, problem = item
    start = time.perf_counter()
    record = Record(index, problem.id, problem.question, problem.answer)
    try:
        solution = technique(llm, problem.without_answer())
        record.fill_in(solution)
        is_right = grade(problem, solution.answer)
        record.correct, record.undecided = is_right is True, is_right is None
    except (Exception, SystemExit) as error:  # one question must not end the run
        message = f"{type(error).__name__}: {error}"
        record = Record(index, problem.id, problem.question, problem.answer, error=message)
    record.seconds = round(time.perf_counter() - start, 3)
    return record


def check_problems(problems: list[Problem]) -> None:
    """Raise ValueError unless there are problems, each with an answer and an id of its own, and all
    of these are texts."""
    if not problems:
        raise ValueError("there are no problems to evaluate on")
    if len({problem.id for problem in problems}) < len(problems):
        raise ValueError("every problem needs an id of its own")
    unanswered = [problem.id for problem in problems if problem.answer is None]
    if unanswered:
        raise ValueError(f"problem {unanswered[0]} has no gold answer to compare with")
    for problem in problems:
        for name in ("id", "question", "answer"):
            if not isinstance(value := getattr(problem, name), str):
                raise ValueError(f"the {name} of problem {problem.id} is {value!r}, not a text")


def check_same_problems(path: Path | None, records: list[Record], problems: list[Problem]) -> None:
    """Raise ValueError unless each record of a file is about the problem of its index and id."""
    expected = {p.id: (i, p.question, p.answer) for i, p in enumerate(problems)}
    for record in records:
        found = record.index, record.question, record.gold
        if found != expected.get(record.id):
            raise ValueError(
                f"{path}: the record with index {record.index} and id {record.id!r} is about no "
                "problem of this set: the file is damaged, write to another one"
            )


def all_settings(technique: Technique, llm: object, problems: list[Problem], more: dict) -> dict:
    """What decides the result: technique and options, model and weights, problems, and more.

    They are JSON-ready; an infinite number is written as text. A server does not show its weights:
    of its model the name and the address are known.
    """
    settings = {
        "technique": name_of(getattr(technique, "func", technique)),  # .func: what a partial calls
        "model": getattr(llm, "name", name_of(llm)),
        "num_problems": len(problems),
        "problems_fingerprint": fingerprint(problems),
    }
    if isinstance(llm, Backend):
        settings |= llm.identity()
    parameters = inspect.signature(technique).parameters.values()
    options = {p.name: p.default for p in parameters if p.default is not p.empty}
    for name, value in {**options, **getattr(technique, "keywords", {}), **more}.items():
        if isinstance(value, SamplingParams):  # each under its own name
            settings = asdict(value) | settings
        else:
            settings[name] = value
    return json.loads(json.dumps(settings, default=name_of), parse_constant=str)


def name_of(thing: object) -> str:
    """What settings call something that is not JSON: the same in every session.

    Its `name` if it has one (a scorer, a verifier), else a function's or class's name, else the
    class of an object.
    """
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) else getattr(thing, "__name__", type(thing).__name__)


def fingerprint(problems: list[Problem]) -> str:
    """A short hash of the problems' texts and answers."""
    content = json.dumps([(p.id, p.question, p.answer) for p in problems])
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]


def load_evaluation(path: str | Path) -> Evaluation:
    """Read a finished evaluation back.

    Raises ValueError for a damaged file and where problems are still missing, OSError for no file.
    """
    path = Path(path)
    settings = read_settings(path)
    records = sorted(read_records(path), key=lambda record: record.index)
    if len(records) < settings["num_problems"]:  # easy problems finish first: no fair picture
        raise ValueError(
            f"{path} has {len(records)} of {settings['num_problems']} problems: finish it first"
        )
    if [record.index for record in records] != list(range(settings["num_problems"])):
        raise ValueError(
            f"{path}: index does not count from 0 to {settings['num_problems'] - 1}, once each"
        )
    return Evaluation(records, settings, max(record.elapsed for record in records))


def compare(a: Evaluation, b: Evaluation) -> PairedComparison:
    """How much better A is than B, on the same problems. Raises ValueError if they differ."""
    problems = [[(r.id, r.question) for r in evaluation.records] for evaluation in (a, b)]
    if problems[0] != problems[1]:
        raise ValueError("only evaluations on the same problems can be compared")
    return paired_bootstrap(*([r.correct for r in evaluation.records] for evaluation in (a, b)))


def estimate_flops(config: ModelConfig, cost: Cost, num_completions: int = 1) -> float:
    """Floating point operations of a cost: 2 x weights x tokens + attention.

    Every token passes all weight matrices (embeddings are only looked up; the head counts), at one
    multiplication and one addition a weight. Attention adds 4 x layers x heads x head_dim for each
    earlier token that a token looks at: half a prompt on average while a prompt is read, then the
    prompt and half a completion.
    """
    projections = (
        2 * config.hidden_size * config.head_dim * (config.num_heads + config.num_kv_heads)
    )
    mlp = 3 * config.hidden_size * config.intermediate_size
    weights = config.num_layers * (projections + mlp) + config.hidden_size * config.vocab_size
    prompt = cost.prompt_tokens / max(1, cost.num_prompts)
    completion = cost.generated_tokens / max(1, num_completions)
    read = cost.prompt_tokens - cost.reused_tokens
    answered = cost.generated_tokens + cost.scored_tokens
    looked_at = read * prompt / 2 + answered * (prompt + completion / 2)
    attention = 4 * config.num_layers * config.num_heads * config.head_dim * looked_at
    return 2.0 * weights * (read + answered) + attention
