"""The pictures of the study: where drafts go, and accuracy against rounds and tokens."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from ch05_refine.outcomes import OUTCOMES
from shared.evaluation.plots import COLORS, accuracy_axis


def plot_flow(axes: plt.Axes, counts: dict[str, int], title: str) -> None:
    """Right drafts (above) and wrong ones as bands from the draft to the answer."""
    green, red = COLORS[2], COLORS[1]
    total = sum(counts.values())
    right_before = (counts["kept"] + counts["broken"]) / total
    right_after = (counts["kept"] + counts["repaired"]) / total
    gap = 0.08  # between right (above) and wrong (below)
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
    rise = 1 / (1 + np.exp(-12 * (x - 0.5)))
    for name, (left, right, color) in bands.items():
        height = counts[name] / total
        top = left + (right - left) * rise
        axes.fill_between(x, top - height, top, color=color, alpha=0.45, linewidth=0)
        if counts[name]:
            x_label = 0.16 if name in ("broken", "repaired") else 0.5
            middle = np.interp(x_label, x, top) - height / 2
            label = f"{name} {counts[name]}"
            axes.text(x_label, middle, label, ha="center", va="center", fontsize=9)
    for left, share in ((-0.03, right_before), (1.0, right_after)):
        axes.bar(left, share, 0.03, 1 + gap - share, align="edge", color=green)
        axes.bar(left, 1 - share, 0.03, 0, align="edge", color=red)
    for left, share, side in ((-0.05, right_before, "right"), (1.05, right_after, "left")):
        axes.text(left, 1 + gap - share / 2, f"right\n{share:.0%}", ha=side, va="center")
        axes.text(left, (1 - share) / 2, f"wrong\n{1 - share:.0%}", ha=side, va="center")
    axes.set(title=title, xlim=(-0.3, 1.3))
    axes.axis("off")


def plot_flows(summary: dict, ways: list[str]) -> plt.Figure:
    """Where each way leads the same drafts."""
    figure, grid = plt.subplots(1, len(ways), figsize=(3.6 * len(ways), 3.6))
    for axes, way in zip(grid, ways):
        last = summary["ways"][way][-1]
        plot_flow(axes, {name: last[name] for name in OUTCOMES}, way)
    rounds = len(summary["ways"][ways[0]]) - 1
    title = f"From the draft (left) to the answer after {rounds} rounds (right)"
    figure.suptitle(f"{title}, {summary['problems']} problems")
    return figure


def plot_rounds(summary: dict, ways: list[str]) -> plt.Figure:
    """Accuracy after each round (left), and against tokens beside independent samples."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    for way, color, marker in zip(ways, COLORS[1:], "osD^v"):
        rows = summary["ways"][way]
        rounds, accuracy = range(len(rows)), [row["accuracy"] for row in rows]
        style = {"color": color, "marker": marker, "label": way}
        left.plot(rounds, accuracy, **style)
        low, high = zip(*(row["interval"] for row in rows))
        left.fill_between(rounds, low, high, color=color, alpha=0.08, linewidth=0)
        right.plot([row["tokens"] for row in rows], accuracy, **style)
    samples = summary["samples"]
    spent = [row["tokens"] for row in samples]
    votes = [row["vote"] for row in samples]
    right.plot(spent, votes, "--", color="#000000", label="vote of n samples")
    if all("best" in row for row in samples):
        best = [row["best"] for row in samples]
        right.plot(spent, best, ":", color=COLORS[0], label=f"best of n by {summary['gate']}")
    left.set(xlabel="rounds of critique and revision", xticks=rounds)
    left.set_title("against rounds (bands: 95% intervals)")
    accuracy_axis(left)
    right.set_xlabel("generated tokens per problem")
    right.set_title("against cost, beside independent samples")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(f"{summary['problems']} problems, the same greedy drafts")
    return figure
