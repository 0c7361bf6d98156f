"""The pictures of the chapter. The same thing has the same color in every figure of the book."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ch05_refine.outcomes import OUTCOMES

COLORS = {
    "draft": "#7f7f7f",
    "ungated": "#000000",
    "likelihood": "#a5a600",
    "judge": "#9467bd",
    "reward": "#2ca02c",
    "reward, no stop": "#006d2c",
    "majority vote": "#1f77b4",
    "right": "#2ca02c",
    "wrong": "#d62728",
}
STYLES = {"reward, no stop": "--"}  # the two that share a gate are told apart in grey too
MARKERS = {"ungated": "o", "likelihood": "s", "judge": "D", "reward": "^", "reward, no stop": "v"}


# --- The idea -------------------------------------------------------------------------------------


def draw_idea() -> Figure:
    """The loop: draft, critique, revision, gate, and where it ends."""
    figure, axes = plt.subplots(figsize=(9.4, 2.5))
    axes.set(xlim=(0, 10), ylim=(0, 2.6))
    axes.axis("off")
    boxes = (  # x, what it says, color of the edge
        (0.9, "draft\n(greedy)", COLORS["draft"]),
        (3.6, "critique\n“Which step is wrong?”", "#333333"),
        (6.5, "revision\n“Solve it again …”", "#333333"),
        (9.0, "gate: is its score\nnot lower?", COLORS["reward"]),
    )
    for x, words, color in boxes:
        box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": color, "lw": 1.6}
        axes.text(x, 1.3, words, ha="center", va="center", bbox=box, fontsize=10)
    for left, right in ((1.35, 2.6), (4.6, 5.7), (7.3, 8.1)):
        draw_arrow(axes, (left, 1.3), (right, 1.3))
    draw_arrow(axes, (9.0, 1.75), (0.9, 1.75), bend=0.08)
    draw_arrow(axes, (3.6, 0.85), (3.6, 0.4))
    notes = {
        2.45: "yes: the revision becomes the draft      no: the draft stays",
        0.2: "finds nothing wrong: stop, and answer as the draft does",
    }
    for (y, words), x in zip(notes.items(), (4.95, 3.6)):
        axes.text(x, y, words, ha="center", va="center", fontsize=9.5)
    return figure


def draw_arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0
) -> None:
    """An arrow between two points."""
    style = {"arrowstyle": "->", "color": "#555555", "lw": 1.3}
    axes.annotate("", end, start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"})


# --- Right and wrong drafts, round by round -------------------------------------------------------


def plot_lines(
    lines: dict[str, Sequence[float]], styles: dict[str, tuple[str, str]], title: str
) -> Figure:
    """Accuracy after 0, 1, ... rounds; each line has its name at its end.

    lines     by name: accuracies
    styles    by name: color, and style as "o-"
    """
    figure, axes = plt.subplots(figsize=(7.0, 3.6))
    longest = max(map(len, lines.values())) - 1
    for name, values in lines.items():
        color, style = styles[name]
        axes.plot(range(len(values)), values, style, color=color)
    axes.set(xlabel="rounds", title=title, xticks=range(longest + 1))
    axes.set_xlim(-0.1, longest * 1.4)
    percent_axis(axes, [value for values in lines.values() for value in values])
    ends = {name: (len(values) - 1, values[-1]) for name, values in lines.items()}
    name_ends(axes, ends, {name: color for name, (color, _) in styles.items()})
    return figure


def name_ends(axes: Axes, ends: dict[str, tuple[float, float]], colors: dict[str, str]) -> None:
    """Write names beside the right ends of lines, moved apart vertically where they would touch."""
    gap = 0.055 * float(np.ptp(axes.get_ylim()))  # least distance of two names
    places: dict[str, float] = {}
    for name, (_, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        lowest = max(places.values(), default=-1.0) + gap
        places[name] = max(y, lowest)
    for name, y in places.items():
        x, end = ends[name]
        link = {"arrowstyle": "-", "color": colors[name], "lw": 0.6} if abs(y - end) > 0.005 else {}
        axes.annotate(
            name,
            (x, end),
            xytext=(x + 0.04 * np.ptp(axes.get_xlim()), y),
            va="center",
            fontsize=9.5,
            color=colors[name],
            arrowprops=link or None,
        )


def percent_axis(axes: Axes, values: Sequence[float]) -> None:
    """An accuracy axis that starts and ends a little outside the values."""
    axes.set_ylabel("accuracy")
    axes.set_ylim(max(0.0, min(values) - 0.05), min(1.0, max(values) + 0.05))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def plot_rounds(summary: dict, ways: list[str]) -> Figure:
    """Accuracy after each round (left), and against tokens beside independent samples."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.6), sharey=True)
    samples, ends = summary["samples"], {}
    for way in ways:
        rows, color = summary["ways"][way], COLORS.get(way, "#555555")
        style = {"color": color, "marker": MARKERS.get(way, "."), "ls": STYLES.get(way, "-")}
        accuracy = [row["accuracy"] for row in rows]
        left.plot(range(len(rows)), accuracy, markersize=5, **style)
        right.plot([row["tokens"] for row in rows], accuracy, markersize=5, **style)
        ends[way] = len(rows) - 1, accuracy[-1]
    spent = [row["tokens"] for row in samples]
    best_name = f"best of n by {summary['gate']}"
    others = {"vote": ("vote of n samples", COLORS["majority vote"], "--")}
    others["best"] = (best_name, COLORS.get(summary["gate"], "#555555"), ":")
    sample_ends = {}
    for key, (name, color, style) in others.items():
        if samples and all(key in row for row in samples):
            right.plot(spent, [row[key] for row in samples], style, color=color)
            late = [row[key] for row in samples if row["tokens"] >= 0.65 * spent[-1]]
            sample_ends[name] = spent[-1], max(late)  # above the line, along the whole name
    last = max(x for x, _ in ends.values())
    left.set(xlabel="rounds of critique and revision", xticks=range(last + 1))
    left.set_xlim(-0.1, last * 1.42)
    right.set_xlabel("generated tokens per problem")
    if samples:
        right.set_xlim(0, max(spent) * 1.03)
    for name, color, _ in others.values():
        if name in sample_ends:
            place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "right"}
            right.annotate(name, sample_ends[name], color=color, fontsize=9.5, **place)
    left.set_title("after each round")
    right.set_title("against cost, beside independent samples")
    values = [row["accuracy"] for way in ways for row in summary["ways"][way]]
    values += [row[key] for row in samples for key in others if key in row]
    percent_axis(left, values)
    name_ends(left, ends, {way: COLORS.get(way, "#555555") for way in ways})
    figure.suptitle(f"{summary['problems']} problems, the same greedy drafts")
    return figure


# --- Where drafts go ------------------------------------------------------------------------------


def plot_flow(axes: Axes, counts: dict[str, int], title: str) -> None:
    """Right drafts (above) and wrong ones as bands from the draft to the answer."""
    green, red = COLORS["right"], COLORS["wrong"]
    total = sum(counts.values())
    right_before = (counts["kept"] + counts["broken"]) / total
    right_after = (counts["kept"] + counts["repaired"]) / total
    gap = 0.14  # between right (above) and wrong (below): room for two labels
    bands = {  # name: top on the left, top on the right, color
        "kept": (1 + gap, 1 + gap, green),
        "broken": (1 + gap - counts["kept"] / total, 1 - right_after, red),
        "repaired": (1 - right_before, 1 + gap - counts["kept"] / total, green),
        "unrepaired": (
            1 - right_before - counts["repaired"] / total,
            1 - right_after - counts["broken"] / total,
            red,
        ),
    }
    x = np.linspace(0, 1, 60)
    rise = 1 / (1 + np.exp(-16 * (x - 0.6)))  # late: the names stand on the left
    for name, (left, right, color) in bands.items():
        height = counts[name] / total
        top = left + (right - left) * rise
        axes.fill_between(x, top - height, top, color=color, alpha=0.35, linewidth=0)
        label_band(axes, name, counts[name], left - height / 2, height)
    for left, share in ((-0.04, right_before), (1.0, right_after)):
        axes.bar(left, share, 0.04, 1 + gap - share, align="edge", color=green)
        axes.bar(left, 1 - share, 0.04, 0, align="edge", color=red)
    for left, share, side in ((-0.07, right_before, "right"), (1.07, right_after, "left")):
        axes.text(left, 1 + gap - share / 2, f"right\n{share:.0%}", ha=side, va="center")
        axes.text(left, (1 - share) / 2, f"wrong\n{1 - share:.0%}", ha=side, va="center")
    axes.set(title=title, xlim=(-0.35, 1.35), ylim=(-0.02, 1.02 + gap))
    axes.axis("off")


def label_band(axes: Axes, name: str, count: int, middle: float, height: float) -> None:
    """Write a band's name in it, or, where it is thin, into the gap above or below it."""
    if not count:
        return
    words = f"{name} {count}"
    if height >= 0.09:
        axes.text(0.03, middle, words, ha="left", va="center", fontsize=9)
        return
    above = name == "repaired"
    y = middle + (height / 2 + 0.012) * (1 if above else -1)
    axes.text(0.03, y, words, ha="left", va="bottom" if above else "top", fontsize=9)


def plot_flows(summary: dict, ways: list[str]) -> Figure:
    """Where each way leads the same drafts."""
    figure, grid = plt.subplots(1, len(ways), figsize=(3.6 * len(ways), 3.7))
    for axes, way in zip(np.atleast_1d(grid), ways):
        last = summary["ways"][way][-1]
        plot_flow(axes, {name: last[name] for name in OUTCOMES}, way)
    rounds = len(summary["ways"][ways[0]]) - 1
    after = "1 round" if rounds == 1 else f"{rounds} rounds"
    title = f"From the draft (left) to the answer after {after} (right)"
    figure.suptitle(f"{title}, {summary['problems']} problems")
    return figure
