"""Drawings of the toy tree of `toy.py`, and of systematic resampling."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ch06_search.toy import Steps, TinyTree, answer_of
from shared.evaluation.plots import COLORS

RIGHT, WRONG, BLACK, FAINT = "#2ca02c", "#d62728", "#000000", "#BBBBBB"
GOLD = "33"  # the right answer of the toy problem


def draw_tree(tree: TinyTree, title: str = "", notes: dict[Steps, str] | None = None) -> Figure:
    """The toy tree from left to right. What was written is black, with its number in the order of
    writing; the rest is grey. If nothing was written, the whole tree is black. Finished paths are
    green if they are right, else red.

    `notes` stand under a step, in place of how often it is written and its score.
    """
    figure, axes = plt.subplots(figsize=(9.5, 3.9))
    places = positions(tree)
    axes.text(*places[()], "question", ha="center", va="center")
    for path, (x, y) in places.items():
        if path:
            x0, y0 = places[path[:-1]]
            is_shown = path in tree.written or not tree.written
            color, width = (BLACK, 1.6) if is_shown else (FAINT, 0.8)
            axes.plot([x0 + 0.29, x - 0.29], [y0, y], color=color, lw=width)
            draw_step(axes, tree, path, (x, y), notes)
    axes.set(xlim=(-0.3, 3.35), ylim=(-0.6, 7.6), title=title)
    axes.axis("off")
    return figure


def draw_steps(steps: dict[Steps, tuple[float, float]]) -> Figure:
    """The whole toy tree, before any search."""
    return draw_tree(TinyTree(steps))


def positions(tree: TinyTree) -> dict[Steps, tuple[float, float]]:
    """Depth and height of each path; the first finished path is at the top."""
    heights = itertools.count(7, -1)
    places = {}

    def settle(path: Steps) -> float:
        """Position a path and all below it; returns its height."""
        below = [settle(child) for child in tree.children(path)]
        height = sum(below) / len(below) if below else float(next(heights))
        places[path] = (float(len(path)), height)
        return height

    settle(())
    return places


def draw_step(
    axes: Axes,
    tree: TinyTree,
    path: Steps,
    place: tuple[float, float],
    notes: dict[Steps, str] | None,
) -> None:
    """The text of one step, and a note below it."""
    (x, y), (share, score) = place, tree.steps[path]
    is_shown = path in tree.written or not tree.written
    color = BLACK if is_shown else FAINT
    if is_shown and not tree.children(path):
        color = RIGHT if answer_of(path) == GOLD else WRONG
    number = f"{tree.written.index(path) + 1}.  " if path in tree.written else ""
    weight = "bold" if is_shown else "normal"
    axes.text(x, y + 0.2, number + path[-1], ha="center", va="center", color=color, weight=weight)
    note = f"written {share:.0%}, score {score:.2f}" if notes is None else notes.get(path, "")
    axes.text(x, y - 0.25, note, ha="center", va="center", color=color, fontsize=8.5)


def draw_resampling(names: list[str], weights: list[float], start: float) -> Figure:
    """Systematic resampling: the weights side by side on a line, and evenly spaced points.

    `start`, from 0 to 1, is the one random number: where in its interval each point lies.
    """
    figure, axes = plt.subplots(figsize=(8.5, 2.1))
    edges = [0.0, *itertools.accumulate(weight / sum(weights) for weight in weights)]
    points = [(i + start) / len(names) for i in range(len(names))]
    for color, name, left, right in zip(COLORS, names, edges, edges[1:]):
        copies = sum(left <= point < right for point in points)
        axes.barh(0, right - left, left=left, height=0.5, color=color, alpha=0.5, ec="white")
        axes.text((left + right) / 2, 0, name, ha="center", va="center")
        text = f"share {right - left:.2f}\n{copies} {'copy' if copies == 1 else 'copies'}"
        axes.text((left + right) / 2, -0.35, text, ha="center", va="top", fontsize=9)
    for i, point in enumerate(points, 1):
        arrow = {"arrowstyle": "-|>", "color": "#000000"}
        axes.annotate("", (point, 0.25), (point, 0.75), arrowprops=arrow)
        axes.text(point, 0.78, f"point {i}", ha="center", va="bottom", fontsize=9)
    for edge in range(len(names) + 1):
        axes.plot([edge / len(names)] * 2, [0.27, 0.45], color="#888888", lw=1.2)
    axes.set(xlim=(-0.02, 1.02), ylim=(-1.0, 1.05))
    axes.axis("off")
    return figure
