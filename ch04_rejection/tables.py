"""Rows of a table as text, as JSON and as Markdown. A cell may be a number with its interval."""

from __future__ import annotations

import math
from pathlib import Path

from shared.evaluation.results import markdown_table, write_page


def show(value: object, sign: str = "") -> str:
    """A cell: three decimals, but none where there are hundreds; (a number, low, high) with its
    interval in brackets; nothing for None. Sign "+" shows the sign of positive numbers too."""
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        number, low, high = (show(each, sign) for each in value)
        return f"{number} [{low}, {high}]"
    if isinstance(value, float):
        return f"{value:{sign}.0f}" if abs(value) >= 100 else f"{value:{sign}.3f}"
    return str(value)


def print_rows(rows: list[dict]) -> None:
    """Rows with the same keys as a table."""
    texts = [[show(value) for value in row.values()] for row in rows]
    lines = [list(rows[0]), *texts]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def without_nan(value: object) -> object:
    """The same rows with None for each NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def markdown_rows(rows: list[dict]) -> str:
    """Rows with the same keys as a Markdown table. Differences have signs."""
    return markdown_table(
        [
            {
                name.replace("_", " "): show(value, "+" if is_difference(name) else "")
                for name, value in row.items()
            }
            for row in rows
        ]
    )


def is_difference(column: str) -> bool:
    """Whether the numbers of a column are differences."""
    return column in ("gain", "difference") or column.startswith("to_")


def section(content: dict) -> str:
    """One study in Markdown: what was sampled, then its tables, each below its caption."""
    s = content["settings"]
    parts = [
        f"Problems: {s['num_problems']} of {s['problems']}, {s['split']}. Samples per problem: "
        f"{s['n']}. Temperature {s['temperature']}, seed {s['seed']}. Intervals are 95%, over "
        "problems; differences are paired."
    ]
    for table in content["tables"]:
        parts += [table["caption"], markdown_rows(table["rows"])]
    return "\n\n".join(parts)


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Rejection sampling", section)
