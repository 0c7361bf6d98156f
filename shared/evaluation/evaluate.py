"""The only evaluation loop: a technique on many problems, graded, counted and written down.

    evaluation = evaluate(partial(self_consistency, n=8), llm, load_problems("word", limit=100))
    print(evaluation.summary_line())

Questions are worked on at the same time, on threads; the LLM merges what they ask for into one
batch. A technique never sees the gold answer: it is handed `problem.without_answer()`.
With `out="run.jsonl"` every finished problem is on disk at once, and the same call resumes where
it stopped (`shared/evaluation/records.py`).
"""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from pathlib import Path

from shared.backends.protocol import Backend, Cluster, Engine
from shared.errors import setting_up
from shared.evaluation.evaluation import Evaluation, one_line, without_numbers
from shared.evaluation.grade import grade
from shared.evaluation.problem import Problem
from shared.evaluation.progress import Progress
from shared.evaluation.records import Record, append, resume
from shared.evaluation.run_settings import Technique, all_settings
from shared.threads import run_threads

log = logging.getLogger(__name__)
NUM_WARNINGS = 10  # different ones that are logged as they occur


def evaluate(
    technique: Technique,
    llm: Engine | Cluster,
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
    journal = Journal(path, len(problems), finished, elapsed, progress)
    todo = [(i, problem) for i, problem in enumerate(problems) if problem.id not in journal.records]
    with journal:
        try:
            if isinstance(llm, Cluster):
                work = partial(solve_one, technique)
                llm.run(work, todo, num_threads, journal.keep, journal.tick)
            else:  # keep(work(item)) for each item, on many threads
                work = partial(solve_one, technique, llm)
                run_threads(work, todo, num_threads, journal.keep, journal.tick)
        except KeyboardInterrupt:
            if isinstance(llm, Backend):
                llm.cancel()  # else it would finish what is no longer wanted
            raise KeyboardInterrupt(interrupted_message(len(problems), journal)) from None
    seconds = journal.seconds() if todo else elapsed
    return Evaluation([journal.records[problem.id] for problem in problems], settings, seconds)


class Journal:
    """The finished questions of a run: each is written down at once, and the accuracy is shown."""

    def __init__(
        self,
        path: Path | None,
        num_problems: int,
        finished: list[Record],
        elapsed: float,
        progress: bool,
    ) -> None:
        self.path = path
        self.records = {record.id: record for record in finished}
        self.started = time.perf_counter() - elapsed
        self.reasons: set[str] = set()  # why questions failed, without numbers
        num_right = sum(record.correct for record in finished)
        self.progress = Progress(num_problems, len(finished), num_right, shown=progress)
        self.tick = self.progress.tick
        self.file = open(path or os.devnull, "a", encoding="utf-8", newline="\n")  # noqa: SIM115

    def __enter__(self) -> Journal:
        self.progress.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.__exit__(*error)
        self.file.close()

    def seconds(self) -> float:
        """Wall clock since the run began, the earlier sessions of a resumed run included."""
        return time.perf_counter() - self.started

    def keep(self, record: Record) -> None:
        """Write a finished question down and show the accuracy so far."""
        if record.error and len(self.reasons) < NUM_WARNINGS:
            reason = without_numbers(record.error)
            if reason not in self.reasons:
                log.warning("question %s failed: %s", record.id, one_line(record.error))
            self.reasons.add(reason)
        record.elapsed = round(self.seconds(), 3)
        append(self.file, record)
        self.records[record.id] = record
        self.progress.add(record.correct, record.error is not None)


def interrupted_message(num_problems: int, journal: Journal) -> str:
    """What to say after an interruption."""
    missing = num_problems - len(journal.records)
    if journal.path is None:
        return f"stopped with {missing} problems to go; nothing was saved, for no file was named"
    return (
        f"stopped with {missing} problems to go; run the same again to resume from {journal.path}"
    )


def solve_one(technique: Technique, llm: Engine, item: tuple[int, Problem]) -> Record:
    """One question: ask the technique, grade its answer, count its cost; or record its error."""
    index, problem = item
    start = time.perf_counter()
    record = Record(index, problem.id, problem.question, problem.answer)
    try:
        solution = technique(llm, problem.without_answer())
        record.fill_in(solution)
        is_right = grade(problem, solution.answer)  # `answers_match`, except for reasoning-gym
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
