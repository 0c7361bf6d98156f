"""Files of a model folder, read and checked before anything is allocated from what they say.

Every fault is a ValueError of one form: `FILE: ENTRY is VALUE, expected WHAT`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_TEXT_BYTES = 256 << 20  # the largest tokenizer.json on the hub has about 40 MB


def require(holds: bool, path: Path, entry: str, value: object, expected: str) -> None:
    """Raise ValueError unless an entry of a file holds what is expected of it."""
    if not holds:
        raise ValueError(f"{path}: {entry} is {shortened(value)}, expected {expected}")


def shortened(value: object, limit: int = 60) -> str:
    """A value as an error message shows it."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_whole(value: object, low: int, high: int) -> bool:
    """Whether a JSON value is a whole number from low to high (True and False are not)."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def read_text(path: Path) -> str:
    """The text of a regular file in UTF-8.

    Raises FileNotFoundError where there is none, and ValueError for a pipe, a device, a file
    larger than `MAX_TEXT_BYTES` or one that is not UTF-8.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():  # reading a pipe or /dev/zero would never end
        raise ValueError(f"{path} is not a regular file")
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, expected {MAX_TEXT_BYTES} at most"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text, download it again: {error}") from error


def read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    """The object in a JSON file; {} for an absent optional one. Raises what `read_text` raises."""
    if optional and not path.exists():
        return {}
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of 5,000 digits
        raise ValueError(f"{path} is not valid JSON, download it again: {error}") from error
    require(isinstance(content, dict), path, "the file", content, "an object with named entries")
    return content
