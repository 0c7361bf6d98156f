"""The chapter's figures: `draw_...` functions draw an idea, `plot_...` functions draw numbers."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import PercentFormatter

from shared.evaluation.intervals import wilson_interval
from shared.evaluation.plots import accuracy_axis

CHAIN, DIRECT, RIGHT, WRONG = "#ff7f0e", "#8c564b", "#2ca02c", "#d62728"
FIRST, GREY, OTHER = "#bcbd22", "#EEEEEE", "#555555"


def box(ax: Axes, x: float, text: str, y: float, width: float, color: str) -> None:
    """A rounded box of height 0.5 with centered text; (x, y) is its lower left corner."""
    shape = FancyBboxPatch((x, y), width, 0.5, boxstyle="round,pad=0.04", facecolor=color)
    ax.add_patch(shape)
    text_color = "white" if color == DIRECT else "black"
    ax.text(x + width / 2, y + 0.25, text, ha="center", va="center", color=text_color, fontsize=9.5)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0) -> None:
    """An arrow between two points, curved by `bend`."""
    style = {"arrowstyle": "-|>", "color": OTHER, "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", end, start, arrowprops=style)


def draw_idea() -> Figure:
    """The direct answer leaps from question to answer; a chain goes there in small steps."""
    figure, ax = plt.subplots(figsize=(9.5, 3.3))
    ax.set(xlim=(0, 9.5), ylim=(0, 3.3), aspect="equal")
    ax.axis("off")
    question = "1976 pens, gets 202,\nbuys 178 more"
    ax.text(0, 3.05, "direct answer: all sums at once", color=DIRECT, fontsize=11)
    box(ax, 0.1, question, 2.3, 1.8, GREY)
    arrow(ax, (1.95, 2.55), (7.65, 2.55))
    box(ax, 7.7, "2356?", 2.3, 1.6, DIRECT)
    ax.text(4.8, 2.62, "one leap, nothing written down", ha="center", va="bottom", fontsize=9.5)
    ax.text(
        0, 1.6, "chain of thought: each step is read again by the next", color=CHAIN, fontsize=11
    )
    box(ax, 0.1, question, 0.8, 1.8, GREY)
    for x, text in [(2.6, "1976+202=2178"), (5.15, "2178+178=2356")]:
        box(ax, x, text, 0.8, 1.6, CHAIN)
    box(ax, 7.7, "answer 2356", 0.8, 1.6, CHAIN)
    for start, end in [(1.95, 2.55), (4.25, 5.1), (6.8, 7.65)]:
        arrow(ax, (start, 1.05), (end, 1.05))
    for start, end in [(1.0, 5.9), (1.0, 8.3), (3.4, 8.3)]:
        arrow(ax, (start, 0.74), (end, 0.74), bend=0.16)
    ax.text(4.6, -0.05, "every token may attend to all earlier text", ha="center", fontsize=9.5)
    return figure


def draw_passes() -> Figure:
    """One column of layers per generated token: few for a direct answer, many for a chain."""
    figure, axes = plt.subplots(
        1, 2, figsize=(9.5, 3.0), gridspec_kw={"width_ratios": [4, 13]}, layout="constrained"
    )
    texts = ("3659", "1784-400=1384")
    titles = ("direct answer: 4 passes", "one line of the chain: 13 passes")
    for ax, text, title, color in zip(axes, texts, titles, (DIRECT, CHAIN)):
        ax.set(xlim=(-0.6, len(text) - 0.4), ylim=(-0.95, 5.1))
        ax.axis("off")
        ax.set_title(title, color=color)
        for x, token in enumerate(text):
            for layer in range(4):
                ax.add_patch(plt.Rectangle((x - 0.3, layer), 0.6, 0.7, facecolor=color, alpha=0.6))
            ax.text(x, 4.25, token, ha="center", fontsize=13)
            if x + 1 < len(text):  # what was predicted is what the next pass reads
                arrow(ax, (x + 0.2, 4.2), (x + 0.9, 0.0), bend=-0.15)
        arrow(ax, (0, -0.85), (0, 0.0))
        before = "after the prompt" if ax is axes[0] else "after the prompt and the plan"
        ax.text(0.15, -0.7, before, fontsize=9.5, color=OTHER)
    axes[1].text(12.3, -0.7, "4 layers per pass", ha="right", fontsize=9.5, color=OTHER)
    return figure


def plot_by_changes(counts: dict[str, dict[int, tuple[int, int]]]) -> Figure:
    """Accuracy over the number of changes, from {name: {changes: (right, total)}}.

    The names are "step by step" and "direct answer"; each line is labelled at its end. A dashed
    line shows p**changes with the p that meets the last point of "step by step".
    """
    figure, ax = plt.subplots(figsize=(6.6, 3.8))
    for name, color in (("step by step", CHAIN), ("direct answer", DIRECT)):
        points = counts[name]
        shares = [right / total for right, total in points.values()]
        bounds = [wilson_interval(*point) for point in points.values()]
        low = [share - bound[0] for share, bound in zip(shares, bounds)]
        high = [bound[1] - share for share, bound in zip(shares, bounds)]
        ax.errorbar(list(points), shares, [low, high], fmt="o-", capsize=3, color=color)
        x, y = max(points), shares[-1]
        ax.annotate(name, (x, y), (9, 0), textcoords="offset points", color=color, va="center")
    lengths = list(counts["step by step"])
    right, total = counts["step by step"][lengths[-1]]
    p = (right / total) ** (1 / lengths[-1])
    ax.plot(lengths, [p**n for n in lengths], "--", color=OTHER)
    middle = lengths[len(lengths) // 2]
    label = f"$p^{{\\,changes}}$ with p = {p:.2f}"
    ax.annotate(label, (middle, p**middle), (-95, -22), textcoords="offset points", color=OTHER)
    ax.set_xticks(lengths)
    ax.set_xlim(min(lengths) - 0.3, max(lengths) + 1.7)
    ax.set_xlabel("gains and losses in the problem")
    accuracy_axis(ax)
    ax.set_ylim(-0.03, 1)
    return figure


def plot_probabilities(curves: dict[str, tuple[Sequence[int], Sequence[float]]]) -> Figure:
    """Mean probabilities over the number of changes, from {name: (changes, probabilities)}.

    Left, single steps; right, on a logarithmic axis, the whole chain and the direct answer. The
    names are those of `mean_curves`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.8, 3.7), layout="constrained")
    places = {
        "a step within a change": (axes[0], RIGHT, 20),
        "the first step of a change": (axes[0], FIRST, -16),
        "the whole right chain": (axes[1], CHAIN, -16),
        "the direct answer": (axes[1], DIRECT, 12),
    }
    for name, (ax, color, above) in places.items():
        lengths, means = curves[name]
        ax.plot(lengths, means, "o-", color=color)
        label = {"textcoords": "offset points", "color": color, "ha": "right"}
        ax.annotate(name, (lengths[-1], means[-1]), (-4, above), **label)
        ax.set_xticks(lengths)
        ax.set_xlabel("gains and losses in the problem")
    axes[0].set(ylim=(0.7, 1.05), yticks=[0.7, 0.8, 0.9, 1])
    axes[0].set_ylabel("mean probability")
    axes[1].set_yscale("log")
    axes[1].set_ylim(top=2)
    axes[1].set_ylabel("mean probability (log scale)")
    return figure


def plot_budgets(points: dict[int, tuple[int, int]], whole: tuple[int, int]) -> Figure:
    """Accuracy of forced answers over the budget, {tokens: (right, total)}; `whole` is uncut."""
    figure, ax = plt.subplots(figsize=(6.6, 3.6))
    shares = [right / total for right, total in points.values()]
    bounds = [wilson_interval(*point) for point in points.values()]
    low = [share - bound[0] for share, bound in zip(shares, bounds)]
    high = [bound[1] - share for share, bound in zip(shares, bounds)]
    ax.errorbar(list(points), shares, [low, high], fmt="o-", capsize=3, color=CHAIN)
    full = whole[0] / whole[1]
    ax.axhline(full, color=CHAIN, linestyle=":")
    ax.annotate("whole chain", (min(points), full), (0, 5), textcoords="offset points", color=CHAIN)
    ax.set_xlabel("tokens before the answer is forced")
    ax.set_xticks(list(points))
    accuracy_axis(ax)
    ax.set_ylim(-0.03, 1)
    return figure


def plot_confidences(groups: dict[str, tuple[list[float], list[float]]]) -> Figure:
    """Confidences, {kind of reply: (of right answers, of wrong answers)}; one panel each."""
    figure, axes = plt.subplots(1, len(groups), figsize=(8.4, 3.2), sharex=True)
    bins = [i / 20 for i in range(21)]
    for ax, (name, (right, wrong)) in zip(axes, groups.items()):
        labels = [f"right ({len(right)})", f"wrong ({len(wrong)})"]
        ax.hist([right, wrong], bins=bins, stacked=True, color=[RIGHT, WRONG], label=labels)
        ax.set_title(name)
        ax.set_xlabel("confidence of the answer")
        ax.legend(loc="upper center")
    axes[0].set_ylabel("branches")
    return figure


def plot_methods(rows: list[dict], title: str) -> Figure:
    """One bar per method with its 95% interval, and its generated tokens per problem next to it.

    A row is {name, accuracy, low, high, tokens_per_problem} (`Evaluation.row`).
    """
    figure, ax = plt.subplots(figsize=(7.5, 1.1 + 0.48 * len(rows)))
    colors = {"cot": CHAIN, "chain of thought": CHAIN, "direct": DIRECT, "prefilled": DIRECT}
    names = [row["name"] for row in rows]
    shares = [row["accuracy"] for row in rows]
    errors = [
        [row["accuracy"] - row["low"] for row in rows],
        [row["high"] - row["accuracy"] for row in rows],
    ]
    shown = [colors.get(name, "#ffbb78") for name in names]  # variants of a chain are paler
    ax.barh(names, shares, xerr=errors, color=shown, capsize=3, height=0.6)
    for i, row in enumerate(rows):
        text = f"{row['accuracy']:.1%}, {row['tokens_per_problem']:.0f} tokens"
        ax.text(row["high"] + 0.02, i, text, va="center", fontsize=9.5)
    ax.invert_yaxis()
    ax.set_xlim(0, min(1.3, max(row["high"] for row in rows) + 0.3))
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("accuracy, with 95% interval, and generated tokens per problem")
    ax.set_title(title)
    return figure
