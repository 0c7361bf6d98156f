"""The results of a chapter's study: its numbers as JSON, and the page of tables made from them.

results/NAME.json    one study: {"title": "tiny on word", "settings": {...}, "rows": [...]}
RESULTS.md           a section for each of these files, so that no number is typed by hand
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def save_result(chapter: Path, name: str, content: dict) -> Path:
    """Write `results/NAME.json` in a chapter's folder, and return its path.

    `content` has a "title". Raises ValueError for a number that JSON does not have (NaN, infinity).
    """
    path = chapter / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def write_page(chapter: Path, heading: str, section: Callable[[dict], str]) -> Path:
    """Write `RESULTS.md` from all of `results/*.json`, and return its path.

    `section` turns the content of one file into Markdown; its title is put above.
    """
    parts = [f"# {heading}: results", "Written by `study.py` from `results/*.json`."]
    for path in sorted((chapter / "results").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        parts += [f"## {content['title']}", section(content)]
    page = chapter / "RESULTS.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def markdown_table(rows: list[dict[str, str]]) -> str:
    """Rows as a Markdown table; the keys of the first row are the head of its columns."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """For example "0.845 [0.806, 0.877]"; with sign "+", "+0.058 [+0.030, +0.087]"."""
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
