"""RECURSIVE.md and the figures of `study_recursive.py`, made from its results/recursive/*.json."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from shared.evaluation.plots import COLORS, accuracy_axis, save_figure, use_style
from shared.evaluation.results import markdown_table, save_result, with_interval

FOLDER = "recursive"
X_LABELS = {"stories": "events in the story", "tasks": "orders in the list"}


def save_study(chapter: Path, name: str, head: dict, rows: list[dict]) -> None:
    """Write the rows of a study, its figure where it has one, and RECURSIVE.md anew; print the
    table. `head` has a title, a caption and settings."""
    save_result(chapter, f"{FOLDER}/{name}", head | {"rows": rows})
    print(markdown_table(shown(rows)))
    write_recursive_page(chapter)


def write_recursive_page(chapter: Path) -> Path:
    """Make RECURSIVE.md and the figures from all results; returns the page's path."""
    parts = ["# Recursive language models: results", "Written by `study_recursive.py`."]
    for path in sorted((chapter / "results" / FOLDER).glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        settings_line = ", ".join(f"{key} {value}" for key, value in content["settings"].items())
        caption = f"{settings_line}. Intervals are 95%. {content['caption']}"
        parts += [f"## {content['title']}", caption]
        parts += [markdown_table(shown(content["rows"]))]
        if path.stem in X_LABELS:
            figure = plot_lengths(content["rows"], X_LABELS[path.stem])
            save_figure(figure, path.with_suffix(".png"))
            parts += [f"![accuracy against length](results/{FOLDER}/{path.stem}.png)"]
    page = chapter / "RECURSIVE.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def shown(rows: list[dict]) -> list[dict[str, str]]:
    """The rows as texts, an accuracy with its interval in one cell."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [
        {
            column.replace("_", " "): cell(row, column)
            for column in columns
            if column not in ("low", "high")
        }
        for row in rows
    ]


def markdown_of(rows: list[dict], columns: tuple[str, ...]) -> str:
    """Some columns of the rows as a Markdown table; `accuracy` brings its interval."""
    kept = {*columns, "low", "high"}
    return markdown_table(shown([{k: v for k, v in row.items() if k in kept} for row in rows]))


def cell(row: dict, column: str) -> str:
    """One cell; nothing where the row has no such column."""
    value = row.get(column)
    if value is None:
        return ""
    if column == "accuracy":
        return with_interval(value, row["low"], row["high"])
    if isinstance(value, list):
        return with_interval(*value, sign="+")
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def plot_lengths(rows: list[dict], label: str) -> Figure:
    """Accuracy against length, a line with its interval for each technique."""
    use_style()
    figure, axes = plt.subplots()
    names = list(dict.fromkeys(row["name"] for row in rows))
    for name, color in zip(names, COLORS):
        own = sorted((row for row in rows if row["name"] == name), key=lambda row: row["length"])
        x, y, low, high = ([row[k] for row in own] for k in ("length", "accuracy", "low", "high"))
        axes.plot(x, y, "-o", markersize=4, color=color, label=name)
        axes.fill_between(x, low, high, color=color, alpha=0.12, linewidth=0)
    lengths = sorted({row["length"] for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    axes.set_xlabel(f"{label} (logarithmic)")
    accuracy_axis(axes)
    axes.legend(fontsize=9)
    plt.close(figure)
    return figure
