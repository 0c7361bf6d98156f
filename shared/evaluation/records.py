"""What an evaluation writes down: one JSON line per problem, and the settings in a second file.

    run.jsonl            {"index": 0, "id": "word/test/0/0", "question": …, "correct": true, …}
    run.settings.json    {"version": 2, "settings": {"technique": …, "temperature": 0.6, …}}

A line is written as soon as its problem is finished, so a killed run loses only what was in
flight. `resume` picks such a file up; one process at a time may write to it. What is read is
checked entry by entry; a fault is a ValueError `FILE, line 3: ENTRY is VALUE, expected WHAT`.
"""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO, get_type_hints

from shared.files.json_files import require
from shared.files.typed_json import in_words, matches, strict_loads
from shared.grading.answers import extract_answer
from shared.solution import Completion, Cost, Solution

VERSION = 2  # since 2, records hold the trace and settings the model's weights
SETTINGS = {"technique": str, "model": str, "num_problems": int, "problems_fingerprint": str}
COMPLETION = {
    "text": str,
    "finish_reason": str,
    "num_tokens": int,
    "logprob": float | None,
    "answer": str | None,
}


@dataclass
class Record:
    """One problem's outcome.

    index         position of the problem in its set
    undecided     whether the answer could not be compared with the gold answer; then not correct
    seconds       from question to answer; questions overlap, so these do not add up
    elapsed       working time of the whole run when this was written, all sessions together
    truncated     how many completions were cut off ("length")
    error         None, or "Type: message" of the exception that ended this question
    completions   {text, finish_reason, num_tokens, logprob (sum; None if not finite), answer},
                  and each completion's `measures`
    trace         what the technique did round by round, as in its `Solution`
    """

    index: int
    id: str
    question: str
    gold: str
    predicted: str | None = None
    correct: bool = False
    undecided: bool = False
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
    trace: list[dict] = field(default_factory=list)

    @property
    def cost(self) -> Cost:
        """What the technique spent on this problem."""
        return Cost(**{f.name: getattr(self, f.name) for f in fields(Cost)})

    def fill_in(self, solution: Solution) -> None:
        """Take over what a technique found and spent.

        Raises ValueError naming what could not be read back, TypeError for what is no JSON.
        """
        self.predicted = solution.answer
        for name, value in asdict(solution.cost).items():
            setattr(self, name, value)
        self.truncated = sum(c.finish_reason == "length" for c in solution.completions)
        self.completions = [summary(completion) for completion in solution.completions]
        self.scores = [finite(score) for score in solution.scores]
        self.trace = json_ready(solution.trace)
        check_record(vars(self), "the solution")


HINTS = get_type_hints(Record)


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


def json_ready(value: Any) -> Any:
    """A value as it will be read back: tuples are lists, and numbers that JSON does not know None.

    Raises TypeError for what JSON cannot hold at all.
    """
    return json.loads(json.dumps(value), parse_constant=lambda _: None)


# --- Writing --------------------------------------------------------------------------------------


def append(file: TextIO, record: Record) -> None:
    """Write one line and hand it to the operating system at once."""
    file.write(json.dumps(vars(record), allow_nan=False) + "\n")
    file.flush()


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a kill leaves the old content or the new.

    Of a symbolic link the file that it leads to is replaced; the link stays.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, target)


# --- Reading --------------------------------------------------------------------------------------


def settings_path(path: Path) -> Path:
    """Where the settings of a records file are. Raises ValueError unless it is a .jsonl file."""
    if path.suffix != ".jsonl":
        raise ValueError(f"a records file must end in .jsonl, not {path}")
    return path.with_suffix(".settings.json")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a records file was made under. Raises ValueError naming what is wrong."""
    beside = settings_path(path)
    if not beside.exists():
        raise ValueError(f"{path} has no {beside.name} beside it that says how it was made")
    try:
        content = strict_loads(read_file(beside))
    except ValueError as error:
        raise ValueError(f"{beside} is not a settings file of an evaluation: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{beside} is not a settings file of an evaluation, but {content!r:.40}")
    version = content.get("version")
    check_entries(content, {"version": int}, beside)
    if version != VERSION:
        raise ValueError(
            f"{beside} is of version {version}; this program reads {VERSION}. Write to another file"
        )
    check_entries(content, {"version": int, "settings": dict}, beside, others=False)
    settings = content["settings"]
    check_entries(settings, SETTINGS, beside, "settings.")
    num_problems = settings["num_problems"]
    require(num_problems > 0, beside, "settings.num_problems", num_problems, "1 or more")
    return settings


def read_records(path: Path) -> list[Record]:
    """All records of a file, in file order; a last line that was cut short is left out.

    Raises ValueError naming the line for any other damage, and for a problem recorded twice.
    """
    return [record for _, record in read_lines(path)]


def read_lines(path: Path) -> list[tuple[bytes, Record]]:
    """As `read_records`, each record with its line."""
    *lines, last = read_file(path).split(b"\n")
    pairs = [(line, parse(line, path, number)) for number, line in enumerate(lines, 1)]
    with suppress(ValueError):  # no newline: the run was killed while it wrote this line
        pairs += [(last, parse(last, path, len(lines) + 1))] if last else []
    seen: set[str] = set()
    for number, (_, record) in enumerate(pairs, 1):
        if record.id in seen:
            raise ValueError(f"{path}, line {number}: {record.id} again; did two runs write to it?")
        seen.add(record.id)
    return pairs


def read_file(path: Path) -> bytes:
    """A file's content. Raises what `check_regular` raises, and OSError."""
    check_regular(path)
    return path.read_bytes()


def check_regular(path: Path) -> None:
    """Raise ValueError for a folder, a pipe or a device, from which reading might never end, and
    for a circle of links."""
    is_circle = os.path.islink(os.path.realpath(path))
    if is_circle or path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file")


def parse(line: bytes, path: Path, number: int) -> Record:
    """One line as a Record; ValueError with its place, and the entry, if it is none."""
    where = f"{path}, line {number}"
    try:
        content = strict_loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: not a record of an evaluation: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{where}: not a record of an evaluation, but {content!r:.40}")
    check_record(content, where)
    return Record(**content)


def check_record(content: dict[str, Any], where: str) -> None:
    """Raise ValueError naming the entry unless a record has all its entries, each of its type."""
    check_entries(content, HINTS, where, others=False)
    for name in ("seconds", "elapsed"):
        require(content[name] >= 0, where, name, content[name], "0 or more")
    for number, completion in enumerate(content["completions"]):
        inside = f"completions[{number}]."
        check_entries(completion, COMPLETION, where, inside)
        measures = {name: float | None for name in completion.keys() - COMPLETION.keys()}
        check_entries(completion, measures, where, inside)


def check_entries(
    content: dict[str, Any],
    hints: dict[str, Any],
    where: Path | str,
    inside: str = "",
    others: bool = True,
) -> None:
    """Raise ValueError unless an object has all entries of `hints`, each of its type, and none but
    these unless `others` are allowed. `inside` is what the names of entries begin with."""
    for name, hint in hints.items():
        if name not in content:
            raise ValueError(f"{where}: {inside}{name} is missing, expected {in_words(hint)}")
        value = content[name]
        require(matches(value, hint), where, inside + name, value, in_words(hint))
    if not others and (unknown := content.keys() - hints.keys()):
        raise ValueError(f"{where}: {inside}{min(unknown)} is no entry that this program knows")


# --- Resuming -------------------------------------------------------------------------------------


def resume(path: Path, settings: dict) -> tuple[list[Record], float]:
    """Open a records file for resuming: what is finished in it, and the seconds spent so far.

    A new file starts empty. In an old one a half-written last line is cut off, and records of
    errors are taken out so that their problems are tried again. `settings` are JSON-ready. Raises
    ValueError naming the settings that differ from those it was made under, and for damage.
    """
    beside = settings_path(path)
    for file in (path, beside):
        check_regular(file)
    if not path.exists() or path.stat().st_size == 0:
        content = {"version": VERSION, "settings": settings}
        write_whole(beside, (json.dumps(content, indent=2) + "\n").encode())
        write_whole(path, b"")
        return [], 0.0
    check_settings(path, read_settings(path), settings)
    pairs = read_lines(path)
    finished = [(line, record) for line, record in pairs if record.error is None]
    write_whole(path, b"".join(line + b"\n" for line, _ in finished))
    elapsed = max((record.elapsed for _, record in pairs), default=0.0)
    return [record for _, record in finished], elapsed


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
