"""Problems in files: public sets, downloaded once, and files of your own."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from shared.evaluation.problem import Problem, check_split

# The original files of the paper. The hub holds GSM8K as parquet only, which needs a large package.
GSM8K_URL = (
    "https://raw.githubusercontent.com/openai/grade-school-math/"
    "3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/"
)
GSM8K_SHA256 = {
    "test": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    "train": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
}


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


def download_error(name: str, reason: OSError | str) -> OSError:
    """The error that says how to go on without the download."""
    return OSError(
        f"could not download {name} ({reason}). Be online the first time, or give the path of a "
        "local copy as the problem set, such as folder/test.jsonl"
    )
