"""The figures of the chapter. The same thing has the same color in all of them."""

from __future__ import annotations

import math
import statistics

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ch04_rejection.code_study import Draw, compare_budgets
from ch04_rejection.quality import pooled_verifiers, quality, verdicts
from ch04_rejection.rejection import THRESHOLDS
from ch04_rejection.theory import mean_tokens, vote_curve
from shared.evaluation.intervals import wilson_interval
from shared.evaluation.plots import COLORS, accuracy_axis
from shared.evaluation.pool import PooledProblem

NAME_COLORS = {  # what other chapters draw too has their colors
    "one draw": "#7f7f7f",
    "vote": "#1f77b4",
    "tests": COLORS[6],
    "format": COLORS[5],
    "arithmetic": COLORS[4],
    "reward": "#0e7c86",
    "both": COLORS[3],
    "perfect": "#999999",
    "right": "#2ca02c",  # in bars always full
    "wrong": "#d62728",  # in bars always hatched
}
LABELS = {"both": "arithmetic and reward", "perfect": "perfect verifier", "vote": "majority vote"}


# --- The idea -------------------------------------------------------------------------------------


def draw_idea() -> Figure:
    """The loop as a diagram: draw, verify, stop at a yes; at the end of the budget, a fallback."""
    figure, axes = plt.subplots(figsize=(8.5, 2.9))
    axes.set(xlim=(0, 10), ylim=(0, 4))
    axes.axis("off")
    boxes = {
        "question": (0.9, 3.0),
        "draw one\nsolution": (3.1, 3.0),
        "verifier": (5.5, 3.0),
        "answer: this solution": (8.6, 3.0),
        "budget spent?": (5.5, 0.8),
        "fallback,\nsuch as a vote": (8.6, 0.8),
    }
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "#555555"}
    for text, place in boxes.items():
        axes.text(*place, text, ha="center", va="center", bbox=box)
    arrows = [
        ((1.6, 3.0), (2.4, 3.0), "", "black"),
        ((3.9, 3.0), (4.85, 3.0), "", "black"),
        ((6.15, 3.0), (7.2, 3.0), "yes", NAME_COLORS["right"]),
        ((5.5, 2.5), (5.5, 1.25), "no", NAME_COLORS["wrong"]),
        ((6.4, 0.8), (7.6, 0.8), "yes", "black"),
        ((4.55, 0.8), (3.1, 2.35), "no", "black"),
    ]
    for start, end, text, color in arrows:
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": color})
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        offset = (-10, -4) if text == "no" else (0, 5)
        axes.annotate(text, middle, offset, textcoords="offset points", color=color, ha="center")
    return figure


# --- Labels at the ends of lines ------------------------------------------------------------------


def label_ends(axes: Axes, ends: dict[str, tuple[float, float]], gap: float) -> None:
    """Write each line's name right of its last point, at least `gap` (in data units) apart.

    A thin line leads from a label that had to move to its point.
    """
    lowest_free = -np.inf
    for name, (x, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        height = max(y, lowest_free)
        lowest_free = height + gap
        axes.annotate(
            LABELS.get(name, name),
            (x, y),
            (1.03, height),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=NAME_COLORS[name],
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": NAME_COLORS[name], "lw": 0.5, "alpha": 0.6},
        )


# --- Accuracy against tokens ----------------------------------------------------------------------


def plot_budgets(pool: list[PooledProblem], rows: list[dict], title: str) -> Figure:
    """Accuracy against generated tokens: each verifier's budgets, the vote, the perfect one."""
    figure, axes = plt.subplots(figsize=(8.5, 4.8))
    size, curve = mean_tokens(pool), vote_curve(pool)
    counts = [2**i for i in range(len(curve).bit_length())]
    votes = [statistics.mean(curve[n - 1]) for n in counts]
    tokens = [n * size for n in counts]
    bounds = [wilson_interval(round(vote * len(pool)), len(pool)) for vote in votes]
    lines = {"vote": (tokens, votes, bounds)}
    for name in dict.fromkeys(row["verifier"] for row in rows):
        own = [row for row in rows if row["verifier"] == name]
        x, y = [row["tokens"] for row in own], [row["right"] for row in own]
        lines[name] = (x, y, [(row["low"], row["high"]) for row in own])
    for name, (x, y, bounds) in lines.items():
        style = {"perfect": ":", "vote": "--"}.get(name, "-")
        marker = "s" if name == "format" else "o"  # all of its points lie on top of each other
        size_of_marker = 8 if name == "format" else 4
        axes.plot(x, y, style, marker=marker, markersize=size_of_marker, color=NAME_COLORS[name])
        if name in ("vote", "both"):
            low, high = zip(*bounds)
            axes.fill_between(x, low, high, color=NAME_COLORS[name], alpha=0.13, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(tokens, [f"{t:.0f}" for t in tokens])
    axes.minorticks_off()
    axes.set_xlim(tokens[0] * 0.9, tokens[-1] * 1.05)
    axes.set(xlabel="generated tokens per problem (logarithmic)", title=title)
    accuracy_axis(axes)
    lowest = min(low for row in rows for low in (row["low"], row["right"]))
    highest = max(row["right"] for row in rows)
    bottom, top = math.floor(lowest * 10) / 10, math.ceil(highest * 10) / 10
    axes.set_ylim(bottom, top)
    ends = {name: (x[-1], y[-1]) for name, (x, y, _) in lines.items()}
    label_ends(axes, ends, gap=0.06 * (top - bottom))
    return figure


# --- Thresholds -----------------------------------------------------------------------------------


def plot_thresholds(pool: list[PooledProblem], rows: list[dict]) -> Figure:
    """Left: precision against acceptance. Right: accuracy against tokens of rejection sampling."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8))
    for name in THRESHOLDS:
        own = [row for row in rows if row["verifier"] == name and row["acceptance"] > 0.005]
        plot_one_verifier(left, own, "acceptance", "precision", (10, -4))
        plot_one_verifier(right, own, "tokens", "right", (-10, 8) if name == "both" else (10, -6))
    for name, place in (("format", (-12, -4)), ("arithmetic", (12, 4))):
        at = quality(pool, verdicts(pool, pooled_verifiers()[name]))
        point, color = (at["acceptance"], at["precision"]), NAME_COLORS[name]
        left.plot(*point, "s", markersize=7, color=color, clip_on=False, zorder=3)
        side = "right" if place[0] < 0 else "left"
        left.annotate(
            name, point, place, textcoords="offset points", color=color, ha=side, va="center"
        )
    size, votes = mean_tokens(pool), [statistics.mean(each) for each in vote_curve(pool)]
    tokens = [size * n for n in range(1, len(votes) + 1)]
    right.plot(tokens, votes, "--", color=NAME_COLORS["vote"])
    half = len(votes) // 2
    right.annotate(
        "majority vote",
        (tokens[half], votes[half]),
        (8, -14),
        textcoords="offset points",
        color=NAME_COLORS["vote"],
    )
    left.set(xlabel="share of samples accepted", xlim=(0, 1.02), title="the verifier")
    left.xaxis.set_major_formatter("{x:.0%}")
    right.set(xlabel="generated tokens per problem", xlim=(0, None))
    right.set_title(f"rejection sampling, budget {len(votes)}")
    accuracy_axis(left)
    accuracy_axis(right)
    left.set(ylabel="precision", ylim=(0.4, 1.02))
    right.set_ylim(0.4, 1)
    return figure


def plot_one_verifier(axes: Axes, rows: list[dict], x: str, y: str, place: tuple[int, int]) -> None:
    """A curve over thresholds: some of them as numbers, a ring at the chosen one, and its name.

    The name stands at the lowest threshold, moved to `place` (in points).
    """
    if not rows:
        return
    name = rows[0]["verifier"]
    color, is_upper = NAME_COLORS[name], name == "both"
    axes.plot([row[x] for row in rows], [row[y] for row in rows], "-o", markersize=4, color=color)
    axes.annotate(
        LABELS.get(name, name).replace(" and ", "\nand "),
        (rows[0][x], rows[0][y]),
        place,
        textcoords="offset points",
        ha="left" if place[0] > 0 else "right",
        va="center",
        fontsize=9,
        color=color,
    )
    for row in rows:
        if row["threshold"] in (0.6, 0.75, 0.85):
            axes.annotate(
                f"{row['threshold']:g}",
                (row[x], row[y]),
                (4, 6) if is_upper else (-4, -7),
                textcoords="offset points",
                ha="left" if is_upper else "right",
                va="bottom" if is_upper else "top",
                fontsize=9,
                color=color,
            )
        if row["threshold"] == THRESHOLDS[name]:
            axes.plot(row[x], row[y], "o", markersize=12, fillstyle="none", color=color)


# --- Unit tests -----------------------------------------------------------------------------------


def plot_code(draws: list[list[Draw]]) -> Figure:
    """Tasks solved against the budget, and how the accepted programs divide, task by task."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), width_ratios=(5, 4))
    table, total = compare_budgets(draws), len(draws)
    budgets = [row["budget"] for row in table]
    lines = {"perfect": "pass_at_k", "tests": "rejection", "one draw": "one_draw"}
    solved = {name: [row[key] for row in table] for name, key in lines.items()}
    styles = {"perfect": ":o", "tests": "-o", "one draw": "--"}
    words = {"perfect": "perfect verifier\n(pass@k)", "tests": "three visible\ntests"}
    for name, values in solved.items():
        left.plot(budgets, values, styles[name], markersize=4, color=NAME_COLORS[name])
        left.text(
            budgets[-1] * 1.12,
            values[-1],
            words.get(name, name),
            color=NAME_COLORS[name],
            va="center",
            fontsize=9,
        )
    left.set_xscale("log", base=2)
    left.set_xticks(budgets, [str(budget) for budget in budgets])
    left.set(xlabel="budget: programs drawn (logarithmic)", ylabel=f"tasks solved, of {total}")
    left.set(xlim=(0.9, budgets[-1] * 2.6), ylim=(0, max(solved["perfect"]) * 1.1))
    counts = [(sum(a and b for a, b in d), sum(a and not b for a, b in d)) for d in draws]
    counts = sorted((c for c in counts if sum(c)), reverse=True)
    true, false = [a for a, _ in counts], [b for _, b in counts]
    positions = range(len(counts))
    right.bar(positions, true, color=NAME_COLORS["right"], label="right")
    style = {"color": NAME_COLORS["wrong"], "hatch": "////", "edgecolor": "white", "linewidth": 0}
    right.bar(positions, false, bottom=true, label="wrong (false accepts)", **style)
    right.set(xlabel=f"the {len(counts)} tasks with an accepted program", xticks=[])
    right.set(ylabel=f"programs that pass the visible tests, of {len(draws[0])}")
    right.set_ylim(0, len(draws[0]) * 1.02)
    right.grid(axis="x", visible=False)
    right.legend(fontsize=9)
    return figure
