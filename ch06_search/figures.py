"""The figures of the chapter: one tree, the comparison, the width of each search, the games."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

import matplotlib.pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from ch06_search import game24
from shared import LLM, Problem
from shared.evaluation.plots import COLORS, accuracy_axis
from shared.rewards.interfaces import Scorer


def plot_tree(trace: list[dict], title: str) -> Figure:
    """The tree of one search, from left to right: nodes coloured by score, pruned ones as crosses,
    the finished path with the highest score as a thick line."""
    positions, on_path = layout(trace), best_path(trace)
    parents = {node["parent"] for node in trace}
    figure, axes = plt.subplots(figsize=(10, 5.2))
    for node in trace:
        (x0, y0), (x1, y1) = positions[node["parent"]], positions[node["node"]]
        thick = node["node"] in on_path
        axes.plot(
            [x0, x1], [y0, y1], color="#000000" if thick else "#AAAAAA", lw=3 if thick else 0.9
        )
    for marker, chosen, label in (
        ("o", lambda n: n["node"] in parents, "continued"),
        ("x", lambda n: n["node"] not in parents and not n["is_finished"], "pruned"),
        ("s", lambda n: n["is_finished"], "finished"),
    ):
        shown = [node for node in trace if chosen(node)]
        size = 60 if marker == "s" else 30
        for scored in (False, True):
            nodes = [node for node in shown if (node["score"] is not None) == scored]
            if nodes:
                colors = {"color": "#BBBBBB"}
                if scored:
                    scores = [node["score"] for node in nodes]
                    colors = {"c": scores, "cmap": "viridis", "vmin": 0, "vmax": 1}
                where = zip(*(positions[node["node"]] for node in nodes))
                axes.scatter(*where, **colors, marker=marker, s=size, zorder=3 + scored)
        axes.scatter([], [], c="#666666", marker=marker, label=label)
    axes.plot([], [], color="#000000", lw=3, label="highest score in the end")
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    figure.colorbar(scale, ax=axes, label="score (grey: not asked)")
    axes.set(xlabel="step (line of the solution)", yticks=[], title=title)
    axes.grid(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncol=4)
    return figure


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


def plot_compared(content: dict) -> Figure:
    """Accuracy against generated tokens: searches as points, rivals as curves."""
    figure, axes = plt.subplots(figsize=(8.2, 4.6))
    for style, name in (("-", "best-of-N, weighted"), ("--", "self-consistency")):
        rows = [row for row in content["rivals"] if row["name"] == name]
        xs, ys = zip(*((row["tokens_per_problem"], row["accuracy"]) for row in rows))
        axes.plot(xs, ys, style, color="#000000", label=name)
    names = list(dict.fromkeys(row["name"] for row in content["searches"]))
    for color, marker, name in zip(COLORS, "osD^vP", names):
        rows = [row for row in content["searches"] if row["name"] == name]
        xs, ys = zip(*((row["tokens_per_problem"], row["accuracy"]) for row in rows))
        spans = [
            [r["accuracy"] - r["low"] for r in rows],
            [r["high"] - r["accuracy"] for r in rows],
        ]
        axes.errorbar(
            xs, ys, spans, fmt=marker + ":", color=color, capsize=2, lw=1, label=name, alpha=0.9
        )
    axes.set_xscale("log")
    ticks = [300, 600, 1200, 2400, 4800]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set_xlabel("generated tokens per problem (logarithmic)")
    accuracy_axis(axes)
    axes.set_title(
        f"Searches with one reward model, {content['settings']['num_problems']} problems"
    )
    axes.legend(loc="lower right", ncol=2, fontsize=9)
    return figure


def plot_width(
    llm: LLM, problems: list[Problem], value: Scorer, methods: dict[str, Callable], n: int
) -> Figure:
    """Different nodes at each depth, sampled and continued, averaged over the problems."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    asked = [(name, problem.without_answer()) for name in methods for problem in problems]
    with ThreadPoolExecutor(len(asked)) as pool:  # all at once, so that they share a batch
        found = [
            pool.submit(methods[name], llm, problem, n=n, value=value) for name, problem in asked
        ]
    traces = [(name, each.result().trace) for (name, _), each in zip(asked, found)]
    for color, searched in zip(COLORS, methods):
        sampled, kept = Counter(), Counter()
        for trace in (trace for name, trace in traces if name == searched):
            parents, depth = {node["parent"] for node in trace}, {0: 0}
            for node in trace:
                depth[node["node"]] = depth[node["parent"]] + 1
                sampled[depth[node["node"]]] += 1 / len(problems)
                kept[depth[node["node"]]] += (node["node"] in parents) / len(problems)
        depths = range(1, max(sampled) + 1)
        for axes, counts in ((left, sampled), (right, kept)):
            axes.plot(depths, [counts[d] for d in depths], color=color, label=searched)
    left.set(title="sampled", xlabel="depth (lines)", ylabel="different nodes per problem")
    right.set(title="continued", xlabel="depth (lines)")
    right.legend()
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
            axes.plot(breadths, shares, "o-", color=color, label=f"judge errs in {error:.0%}")
        axes.set_xscale("log")
        axes.set_xticks(breadths, map(str, breadths))
        axes.minorticks_off()
        axes.set_xlabel("breadth: states kept at each step")
        axes.set_title("the end is checked" if checks_end else "the judge decides in the end too")
    accuracy_axis(panels[0])
    panels[0].set_ylabel("games of 24 solved")
    panels[1].legend(fontsize=9, loc="lower right")
    return figure
