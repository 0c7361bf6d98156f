"""The only evaluation loop: a technique on many problems, graded, counted and written down.

    evaluation = evaluate(partial(self_consistency, n=8), llm, load_problems("word", limit=100))
    print(evaluation.summary_line())

Questions are worked on at the same time, on threads; the LLM merges what they ask for into one
batch. A technique never sees the gold answer: it is handed `problem.without_answer()`.
With `out="run.jsonl"` every finished problem is on disk at once, and the same call goes on where
a stopped one ended (`shared/records.py`).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from shared.answers import answers_match
from shared.decoder.model import ModelConfig
from shared.intervals import PairedComparison, paired_bootstrap, wilson_interval
from shared.llm import LLM
from shared.problems import Problem
from shared.ray_cluster import RayCluster
from shared.records import Record, append, read_records, read_settings, resume
from shared.remote import RemoteLLM
from shared.solution import Cost, Solution
from shared.threads import run_threads

log = logging.getLogger(__name__)
Technique = Callable[..., Solution]


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
    def total_failure(self) -> str | None:
        """The error with which every single question failed, if it is one and the same."""
        errors = {record.error for record in self.records}
        return errors.pop() if len(errors) == 1 else None

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
        """One line with accuracy, its interval, and the cost; errors, if any, come last."""
        low, high = self.interval
        line = (
            f"accuracy {self.accuracy:.3f} [{low:.3f}, {high:.3f}]  problems {len(self.records)}  "
            f"generated tokens {self.cost.generated_tokens}  seconds {self.seconds:.1f}"
        )
        if self.total_failure:
            return f"{line}  errors {self.num_errors}: EVERY QUESTION FAILED: {self.total_failure}"
        return f"{line}  errors {self.num_errors}" if self.num_errors else line


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
    Where `llm` is a RayCluster its workers do it, each with an LLM and on `num_threads` threads.

    Raises ValueError for unusable problems, for num_threads < 1 and where `out` was written under
    other settings; KeyboardInterrupt, after saving what is finished, when interrupted.
    """
    check_problems(problems)
    if num_threads < 1:
        raise ValueError(f"num_threads must be at least 1, not {num_threads}")
    settings = all_settings(technique, llm, problems, settings or {})
    path = None if out is None else Path(out)
    finished, elapsed = resume(path, settings) if path else ([], 0.0)
    records = {record.id: record for record in finished}
    todo = [(i, problem) for i, problem in enumerate(problems) if problem.id not in records]
    started = time.perf_counter() - elapsed
    bar = tqdm(total=len(problems), initial=len(records), disable=None if progress else True)

    def keep(record: Record) -> None:
        """Write a finished question down and show the accuracy so far."""
        if record.error and all(record.error != r.error for r in records.values()):
            log.warning("question %s failed: %s", record.id, record.error)
        record.elapsed = round(time.perf_counter() - started, 3)
        append(file, record)
        records[record.id] = record
        accuracy = sum(r.correct for r in records.values()) / len(records)
        bar.set_postfix(accuracy=f"{accuracy:.3f}", refresh=False)
        bar.update()

    with open(path or os.devnull, "a", encoding="utf-8", newline="\n") as file, bar:
        try:
            if isinstance(llm, RayCluster):
                llm.run(partial(solve_one, technique), todo, num_threads, keep)
            else:
                run_threads(partial(solve_one, technique, llm), todo, num_threads, keep)
        except KeyboardInterrupt:
            if isinstance(llm, LLM | RemoteLLM | RayCluster):
                llm.cancel()  # else it would finish what nobody waits for any more
            message = farewell(len(problems) - len(records), path)
            raise KeyboardInterrupt(message) from None
    seconds = time.perf_counter() - started if todo else elapsed
    return Evaluation([records[problem.id] for problem in problems], settings, seconds)


def farewell(missing: int, path: Path | None) -> str:
    """What to say after an interruption."""
    if path is None:
        return f"stopped with {missing} problems to go; nothing was saved, for no file was named"
    return f"stopped with {missing} problems to go; run the same again to go on from {path}"


def solve_one(technique: Technique, llm: object, item: tuple[int, Problem]) -> Record:
    """One question: ask the technique, grade its answer, count its cost; or record its error."""
    index, problem = item
    start = time.perf_counter()
    record = Record(index, problem.id, problem.question, problem.answer)
    try:
        solution = technique(llm, problem.without_answer())
        correct = answers_match(solution.answer, problem.answer)
        record.fill_in(solution)
        record.correct = correct
    except (Exception, SystemExit) as error:  # one question must not end the run
        message = f"{type(error).__name__}: {error}"
        record = Record(index, problem.id, problem.question, problem.answer, error=message)
    record.seconds = round(time.perf_counter() - start, 3)
    return record


def check_problems(problems: list[Problem]) -> None:
    """Raise ValueError unless there are problems, each with an answer and an id of its own."""
    if not problems:
        raise ValueError("there are no problems to evaluate on")
    if len({problem.id for problem in problems}) < len(problems):
        raise ValueError("every problem needs an id of its own")
    unanswered = [problem.id for problem in problems if problem.answer is None]
    if unanswered:
        raise ValueError(f"problem {unanswered[0]} has no gold answer to compare with")


def all_settings(technique: Technique, llm: object, problems: list[Problem], more: dict) -> dict:
    """What decides the result: technique and options, model, problems, and more; JSON-ready."""
    settings = {
        "technique": name_of(getattr(technique, "func", technique)),  # .func: what a partial calls
        "model": getattr(llm, "name", name_of(llm)),
        "num_problems": len(problems),
        "problems_fingerprint": fingerprint(problems),
    }
    parameters = inspect.signature(technique).parameters.values()
    options = {p.name: p.default for p in parameters if p.default is not p.empty}
    for name, value in {**options, **getattr(technique, "keywords", {}), **more}.items():
        if is_dataclass(value):  # sampling parameters, each under its own name
            settings = asdict(value) | settings
        else:
            settings[name] = value
    return json.loads(json.dumps(settings, default=name_of))


def name_of(thing: object) -> str:
    """A function's or class's name, or the class of an object: the same in every session."""
    return getattr(thing, "__name__", type(thing).__name__)


def fingerprint(problems: list[Problem]) -> str:
    """A short hash of the problems' texts and answers."""
    content = json.dumps([(p.id, p.question, p.answer) for p in problems])
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:12]


def load_evaluation(path: str | Path) -> Evaluation:
    """Read a finished evaluation back. Raises ValueError if problems are still missing in it."""
    path = Path(path)
    settings = read_settings(path)
    records = sorted(read_records(path), key=lambda record: record.index)
    if len(records) < settings["num_problems"]:  # easy problems finish first: no fair picture
        raise ValueError(
            f"{path} has {len(records)} of {settings['num_problems']} problems: finish it first"
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
