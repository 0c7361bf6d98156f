"""The figures of the chapter. The same thing has the same color in every figure of the book."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ch03_best_of_n.best_of_n import METHODS, weighted_answer
from ch03_best_of_n.measures import oracle, ranked_by, score_of
from shared.evaluation.intervals import auc
from shared.evaluation.plots import accuracy_axis
from shared.evaluation.pool import Choose, PooledProblem, accuracy_at, majority

COLORS = {
    "one sample": "#7f7f7f",
    "majority vote": "#1f77b4",
    "best, reward": "#2ca02c",
    "weighted, reward": "#17becf",
    "judge": "#9467bd",
    "any right (pass@n)": "#bbbbbb",
    "right": "#2ca02c",
    "wrong": "#d62728",
    "length": "#e377c2",
    "likelihood": "#bcbd22",
    "certainty": "#8c6d31",
    "coin": "#000000",
}
SIZES = (1, 2, 4, 8, 16, 32)
TITLES = {  # what the axis of a histogram shows
    "length": "length (tokens)",
    "likelihood": "likelihood",
    "certainty": "self-certainty (nats)",
    "judge": "judge: P(Yes)",
    "reward_last": "reward of the last step",
    "reward_min": "lowest reward of a step",
}


# --- The idea -------------------------------------------------------------------------------------


def draw_idea(answers: Sequence[str], scores: Sequence[float], gold: str) -> Figure:
    """One question, a box per sample with its answer and score, and what three rules choose."""
    figure, axes = plt.subplots(figsize=(8.5, 3.1))
    axes.set(xlim=(0, 10), ylim=(-0.2, len(answers) + 0.2))
    axes.axis("off")
    middle = len(answers) / 2
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "#777777"}
    axes.text(0.7, middle, "question", ha="center", va="center", bbox=box)
    for i, (answer, score) in enumerate(zip(answers, scores)):
        y = len(answers) - i - 0.5
        color = COLORS["right" if answer == gold else "wrong"]
        axes.annotate("", (2.3, y), (1.4, middle), arrowprops={"arrowstyle": "->", "color": "#777"})
        axes.text(2.4, y, f"sample {i + 1}: {answer}", va="center", color=color)
        axes.barh(y, 1.6 * score, left=4.3, height=0.55, color=color, alpha=0.6)
        axes.text(4.4 + 1.6 * score, y, f"{score:.2f}", va="center", fontsize=9)
    axes.text(4.3, len(answers) + 0.05, "score", va="bottom", fontsize=10)
    chosen = {
        "majority vote": most_common(answers),
        "best, reward": answers[int(np.argmax(scores))],
        "weighted, reward": weighted_answer(list(answers), list(scores)),
    }
    names = ("majority vote: counts", "best-of-N: the highest bar", "weighted: adds the bars")
    for i, (name, (rule, answer)) in enumerate(zip(names, chosen.items())):
        y = len(answers) - (i + 0.5) * len(answers) / 3
        axes.text(6.7, y, f"{name} → {answer}", va="center", color=COLORS[rule])
    return figure


def most_common(answers: Sequence[str]) -> str | None:
    """The majority vote of these answers."""
    return weighted_answer(list(answers), [1.0] * len(answers))


# --- One problem ----------------------------------------------------------------------------------


def plot_step_scores(solutions: dict[str, tuple[Sequence[float], bool]]) -> Figure:
    """The reward after each step of some solutions: name -> (scores, whether it ends right)."""
    figure, axes = plt.subplots()
    for name, (scores, is_right) in solutions.items():
        color, style = (COLORS["right"], "-") if is_right else (COLORS["wrong"], "--")
        axes.plot(range(1, len(scores) + 1), scores, style, marker="o", markersize=4, color=color)
        axes.annotate(
            name,
            (len(scores), scores[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
    longest = max(len(scores) for scores, _ in solutions.values())
    axes.set(xlabel="step (line of the solution)", ylabel="reward of the step")
    axes.set(ylim=(-0.02, 1), xlim=(0.5, longest * 1.25))
    return figure


# --- Many problems --------------------------------------------------------------------------------


def plot_histograms(pool: list[PooledProblem], measures: Sequence[str]) -> Figure:
    """How each of six measures is distributed over right and over wrong samples."""
    figure, grid = plt.subplots(2, 3, figsize=(10, 5.6))
    samples = [sample for problem in pool for sample in problem.samples]
    for axes, measure in zip(grid.flat, measures):
        scores = {
            kind: [score_of(sample, measure) for sample in samples if sample.is_right == is_right]
            for kind, is_right in (("wrong", False), ("right", True))
        }
        bins = np.histogram_bin_edges(scores["right"] + scores["wrong"], bins=30)
        for kind, values in scores.items():
            axes.hist(values, bins, density=True, alpha=0.55, color=COLORS[kind], label=kind)
        axes.set(title=f"AUC {auc(scores['right'], scores['wrong']):.2f}", yticks=[])
        axes.set_xlabel(TITLES.get(measure, measure))
    grid[0, 0].legend()
    figure.supylabel("share of samples (density)")
    return figure


def plot_curve(
    axes: Axes,
    pool: list[PooledProblem],
    choose: Choose,
    name: str,
    color: str,
    style: str = "-",
    band: bool = True,
) -> float:
    """Draw accuracy against n, with its 95% interval over problems as a band; the last accuracy."""
    counts = [n for n in SIZES if n <= len(pool[0].samples)]
    shares = [accuracy_at(pool, choose, n, repeats=10) for n in counts]
    means = [mean(each) for each in shares]
    axes.plot(counts, means, style, marker="o", markersize=4, color=color, label=name)
    if band:
        halves = [1.96 * stdev(each) / math.sqrt(len(each)) for each in shares]
        low, high = ([m + sign * h for m, h in zip(means, halves)] for sign in (-1, 1))
        axes.fill_between(counts, low, high, color=color, alpha=0.15, linewidth=0)
    return means[-1]


def finish(axes: Axes, ends: dict[str, tuple[float, str]], largest: int) -> None:
    """Set up both axes, and write each line's name at its end without overlaps."""
    axes.set_xscale("log", base=2)
    counts = [n for n in SIZES if n <= largest]
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.minorticks_off()
    axes.set_xlim(0.9, largest * 3.2)  # room for the names of the lines
    axes.set_xlabel("n, samples per problem")
    lowest_free = 0.0
    for name, (height, color) in sorted(ends.items(), key=lambda item: item[1][0]):
        place = max(height, lowest_free)
        lowest_free = place + 0.048
        color = "#777777" if name == "any right (pass@n)" else color
        axes.text(largest * 1.12, place, name, color=color, va="center", fontsize=9)
    accuracy_axis(axes)


def plot_scorers(pool: list[PooledProblem], measures: Sequence[str], title: str) -> Figure:
    """Every scorer between the vote and pass@n: best-of-n left, weighted right.

    Bands (95% intervals) only for the vote and the reward model: others would hide them.
    """
    figure, both = plt.subplots(1, 2, figsize=(11, 4.8), sharey=True)
    largest = len(pool[0].samples)
    for axes, (method, choose) in zip(both, METHODS.items()):
        ways = {"any right (pass@n)": (oracle, ":"), "majority vote": (majority, "--")}
        ways |= {measure: (ranked_by(measure, choose), "-") for measure in measures}
        ends = {}
        for name, (way, style) in ways.items():
            is_reward = name.startswith("reward")
            color = COLORS[f"{method}, reward"] if is_reward else COLORS[name]
            band = is_reward or name == "majority vote"
            ends[name] = plot_curve(axes, pool, way, name, color, style, band), color
        finish(axes, ends, largest)
        axes.set_title({"best": "best-of-n", "weighted": "vote weighted by the score"}[method])
    figure.suptitle(title)
    return figure


def plot_ways(pool: list[PooledProblem], ways: dict[str, Choose], title: str) -> Figure:
    """Accuracy of some rules against n; each name is a key of COLORS."""
    figure, axes = plt.subplots(figsize=(7.5, 4.4))
    ends = {}
    for name, way in ways.items():
        style = "--" if name == "majority vote" else "-"
        ends[name] = plot_curve(axes, pool, way, name, COLORS[name], style), COLORS[name]
    finish(axes, ends, len(pool[0].samples))
    axes.set_title(title)
    return figure
