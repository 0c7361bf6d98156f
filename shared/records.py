"""What an evaluation writes down: one JSON line a problem, and beside it the settings.

    run.jsonl            {"index": 0, "id": "word/test/0/0", "question": …, "correct": true, …}
    run.settings.json    {"version": 1, "settings": {"technique": …, "temperature": 0.6, …}}

A line is written as soon as its problem is finished, so a killed run loses only what was in
flight. `resume` picks such a file up; one process at a time may write to it.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TextIO

from shared.answers import extract_answer
from shared.solution import CUT_OFF, Completion, Cost, Solution

VERSION = 1


@dataclass
class Record:
    """One problem's outcome.

    index         position of the problem in its set
    seconds       from question to answer; questions overlap, so these do not add up
    elapsed       working time of the whole run when this was written, all sessions together
    truncated     how many completions were cut off ("length" or "loop")
    error         None, or "Type: message" of the exception that ended this question
    completions   {text, finish_reason, num_tokens, logprob (sum; None if not finite), answer},
                  and each completion's `measures`
    """

    index: int
    id: str
    question: str
    gold: str
    predicted: str | None = None
    correct: bool = False
    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    scored_tokens: int = 0
    forward_passes: int = 0
    num_prompts: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    truncated: int = 0
    error: str | None = None
    completions: list[dict] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)

    @property
    def cost(self) -> Cost:
        """What the technique spent on this problem."""
        return Cost(**{f.name: getattr(self, f.name) for f in fields(Cost)})

    def fill_in(self, solution: Solution) -> None:
        """Take over what a technique found and spent."""
        self.predicted = solution.answer
        for name, value in asdict(solution.cost).items():
            setattr(self, name, value)
        self.truncated = sum(c.finish_reason in CUT_OFF for c in solution.completions)
        self.completions = [summary(completion) for completion in solution.completions]
        self.scores = [finite(score) for score in solution.scores]


def summary(completion: Completion) -> dict:
    """What a record keeps of a completion: per-token numbers would make the files large."""
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "num_tokens": len(completion.token_ids),
        "logprob": finite(sum(completion.logprobs)),
        "answer": extract_answer(completion.text),
        **{name: finite(value) for name, value in completion.measures.items()},
    }


def finite(number: float) -> float | None:
    """A number rounded for JSON, which knows no infinity and no NaN."""
    return round(float(number), 4) if math.isfinite(number) else None


def append(file: TextIO, record: Record) -> None:
    """Write one line and hand it to the operating system at once."""
    file.write(json.dumps(asdict(record), allow_nan=False) + "\n")
    file.flush()


def settings_path(path: Path) -> Path:
    """Where the settings of a records file are. Raises ValueError unless it is a .jsonl file."""
    if path.suffix != ".jsonl":
        raise ValueError(f"a records file must end in .jsonl, not {path}")
    return path.with_suffix(".settings.json")


def read_settings(path: Path) -> dict:
    """The settings that a records file was made under."""
    beside = settings_path(path)
    if not beside.exists():
        raise ValueError(f"{path} has no {beside.name} beside it that says how it was made")
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
        version, settings = content["version"], content["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{beside} is not a settings file of an evaluation: {error!r}") from error
    if version != VERSION:
        raise ValueError(f"{beside} is of version {version}; this program reads {VERSION}")
    return settings


def read_records(path: Path) -> list[Record]:
    """All records of a file, in file order; a last line that was cut short is left out.

    Raises ValueError naming the line for any other damage, and for a problem recorded twice.
    """
    *lines, last = path.read_bytes().split(b"\n")
    records = [parse(line, path, number) for number, line in enumerate(lines, 1)]
    with suppress(ValueError):  # no newline: the run was killed while it wrote this line
        records += [parse(last, path, len(lines) + 1)] if last else []
    seen: set[str] = set()
    for number, record in enumerate(records, 1):
        if record.id in seen:
            raise ValueError(f"{path}, line {number}: {record.id} again; did two runs write to it?")
        seen.add(record.id)
    return records


def parse(line: bytes, path: Path, number: int) -> Record:
    """One line as a Record; ValueError with its place if it is none."""
    try:
        return Record(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}, line {number}: not a record of an evaluation: {error}"
        ) from error


def resume(path: Path, settings: dict) -> tuple[list[Record], float]:
    """Open a records file for going on: what is finished in it, and the seconds spent so far.

    A new file starts empty. In an old one a half-written last line is cut off, and records of
    errors are taken out so that their problems are tried again. `settings` are JSON-ready. Raises
    ValueError naming the settings that differ from those it was made under, and for damage.
    """
    beside = settings_path(path)
    if not path.exists() or path.stat().st_size == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"version": VERSION, "settings": settings}
        write_whole(beside, json.dumps(content, indent=2) + "\n")
        write_whole(path, "")
        return [], 0.0
    check_settings(path, read_settings(path), settings)
    records = read_records(path)
    finished = [record for record in records if record.error is None]
    write_whole(path, "".join(json.dumps(asdict(record)) + "\n" for record in finished))
    return finished, max((record.elapsed for record in records), default=0.0)


def check_settings(path: Path, old: dict, new: dict) -> None:
    """Raise ValueError naming every setting that differs."""
    unset = "unset"
    differing = [
        f"{name} {old.get(name, unset)} in {path}, {new.get(name, unset)} now"
        for name in {**old, **new}
        if old.get(name, unset) != new.get(name, unset)
    ]
    if differing:
        raise ValueError(
            f"cannot resume {path} under other settings: {'; '.join(differing)}. "
            "Write to another file, or delete this one"
        )


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, so that a kill leaves the old content or the new."""
    unfinished = path.with_suffix(path.suffix + ".unfinished")
    unfinished.write_text(text, encoding="utf-8", newline="\n")
    os.replace(unfinished, path)
