"""The figures of the chapter: one tree, the comparison, and the games."""

from __future__ import annotations

import itertools
from collections import Counter
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ch06_search import game24
from shared.evaluation.plots import COLORS, accuracy_axis
from shared.grading.answers import extract_answer


def plot_tree(trace: list[dict], title: str) -> Figure:
    """The tree of one search, from left to right. A node is colored by its score, gray if it was
    not scored; pruned ones are crosses, finished ones squares. The finished path with the highest
    score is a thick line. Where a node has several children, their steps are written out."""
    positions, on_path = layout(trace), best_path(trace)
    siblings = Counter(node["parent"] for node in trace)
    num_ends = len(trace) - len(siblings.keys() - {0})  # each has a row of its own
    figure, axes = plt.subplots(figsize=(13, max(3.6, 1.2 + 0.45 * num_ends)))
    for node in trace:
        (x0, y0), (x1, y1) = positions[node["parent"]], positions[node["node"]]
        thick = node["node"] in on_path
        color, width = ("#000000", 2.5) if thick else ("#AAAAAA", 0.9)
        axes.plot([x0, x1], [y0, y1], color=color, lw=width)
        draw_node(axes, node, (x1, y1), is_inner=node["node"] in siblings)
        if siblings[node["parent"]] > 1 and not node["is_finished"]:
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
            axes.text(x1 + 0.2, y1 + 0.14, node["step"], fontsize=8.5, va="bottom", bbox=paper)
        if node["is_finished"]:
            answer = extract_answer(node["step"]) or "no answer"
            axes.text(x1 + 0.15, y1, answer, fontsize=9, va="center")
    for marker, label in (("o", "continued"), ("x", "pruned"), ("s", "finished, with its answer")):
        axes.scatter([], [], c="#666666", marker=marker, label=label)
    axes.plot([], [], color="#000000", lw=2.5, label="highest score in the end")
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    figure.colorbar(scale, ax=axes, label="score (grey: not scored)", pad=0.01)
    deepest = max(depth for depth, _ in positions.values())
    axes.set(xlabel="step (line of the solution)", yticks=[], title=title, xlim=(-0.3, deepest + 1))
    axes.margins(y=0.15)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=4)
    return figure


def draw_node(axes: Axes, node: dict, place: tuple[float, float], *, is_inner: bool) -> None:
    """The mark of one node."""
    marker = "s" if node["is_finished"] else "o" if is_inner else "x"
    size = 60 if node["is_finished"] else 30
    if node["score"] is None:
        axes.scatter(*place, color="#BBBBBB", marker=marker, s=size, zorder=3)
    else:
        colors = {"c": [node["score"]], "cmap": "viridis", "vmin": 0, "vmax": 1}
        axes.scatter(*place, **colors, marker=marker, s=size, zorder=4)


def layout(trace: list[dict]) -> dict[int, tuple[int, float]]:
    """(depth, height) of every node; a parent is at the mean height of its children."""
    children: dict[int, list[int]] = {}
    depths = {0: 0}
    for node in trace:
        children.setdefault(node["parent"], []).append(node["node"])
        depths[node["node"]] = depths[node["parent"]] + 1
    height, positions = itertools.count(), {}

    def settle(number: int) -> float:
        """Position a node and all below it; returns its height."""
        below = [settle(child) for child in children.get(number, [])]
        y = mean(below) if below else float(next(height))
        positions[number] = (depths[number], y)
        return y

    settle(0)
    return positions


def best_path(trace: list[dict]) -> set[int]:
    """The nodes on the finished path with the highest score."""
    by_number, on_path = {node["node"]: node for node in trace}, set()
    finished = [node for node in trace if node["is_finished"]]
    step = max(finished, key=lambda node: node["score"])
    while step:
        on_path.add(step["node"])
        step = by_number.get(step["parent"])
    return on_path


BESIDE = {  # where a name stands: its offset from the last point in points, and its alignment
    "beam": ((8, -6), "left"),
    "dvts": ((-9, 4), "right"),
    "best-first": ((8, -5), "left"),
    "mcts": ((-9, -3), "right"),
    "lookahead": ((9, -8), "left"),
}


def plot_compared(content: dict) -> Figure:
    """Accuracy against generated tokens: searches as points, rivals as curves."""
    figure, axes = plt.subplots(figsize=(8.2, 4.8))
    for style, name, label in (
        ("-", "best-of-N, weighted", "best-of-N\n(weighted vote)"),
        ("--", "self-consistency", "majority vote"),
    ):
        rows = [row for row in content["rivals"] if row["name"] == name]
        xs, ys = zip(*((row["tokens_per_problem"], row["accuracy"]) for row in rows))
        axes.plot(xs, ys, style, color="#000000")
        axes.text(xs[-1] * 1.04, ys[-1], label, va="center", fontsize=9)
    names = list(dict.fromkeys(row["name"] for row in content["searches"]))
    for color, marker, name in zip(COLORS, "osD^vP", names):
        rows = [row for row in content["searches"] if row["name"] == name]
        xs, ys = zip(*((row["tokens_per_problem"], row["accuracy"]) for row in rows))
        axes.plot(xs, ys, marker + ":", color=color, lw=1)
        place = max(range(len(xs)), key=lambda i: xs[i])
        offset, side = BESIDE.get(name, ((8, 0), "left"))
        axes.annotate(
            name, (xs[place], ys[place]), offset, textcoords="offset points",
            color=color, fontsize=10, ha=side, va="center",
        )  # fmt: skip
    row = min(content["searches"], key=lambda row: abs(row["n"] - 8))  # one interval as an example
    span = [[row["accuracy"] - row["low"]], [row["high"] - row["accuracy"]]]
    axes.errorbar(row["tokens_per_problem"], row["accuracy"], span, color=COLORS[0], capsize=3)
    axes.set_xscale("log")
    ticks = [300, 600, 1200, 2400, 4800]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set_xlabel("generated tokens per problem (logarithmic)")
    accuracy_axis(axes)
    axes.set(xlim=(260, 13_000), ylim=(0.44, 0.92))
    axes.set_title(
        f"Searches with one reward model, {content['settings']['num_problems']} problems"
    )
    return figure


def plot_judges(num_games: int = 40) -> Figure:
    """Share of games solved against the breadth, for judges that err more or less."""
    games, breadths = game24.draw_games(num_games), (1, 2, 5, 10, 25, 50)
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axes, checks_end in zip(panels, (False, True)):
        for color, error in zip(COLORS, (0.0, 0.02, 0.05, 0.1, 0.2)):
            judge = game24.erring_judge(error)
            shares = [
                game24.share_solved(games, judge, breadth=b, checks_end=checks_end)
                for b in breadths
            ]
            axes.plot(breadths, shares, "o-", color=color, label=f"errs in {error:.0%}")
        axes.set_xscale("log")
        axes.set_xticks(breadths, map(str, breadths))
        axes.minorticks_off()
        axes.set_xlabel("breadth: states kept at each step")
        axes.set_title("the end is checked exactly" if checks_end else "the judge names the winner")
    accuracy_axis(panels[0])
    panels[0].set(ylim=(-0.02, 1.04), ylabel="games of 24 solved")
    panels[1].legend(title="the judge", fontsize=9, loc="lower right")
    return figure
