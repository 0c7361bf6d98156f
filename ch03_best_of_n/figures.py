"""The figures of the chapter, drawn from a pool of samples (see measures.py)."""

from __future__ import annotations

import math
from statistics import mean, stdev

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ch03_best_of_n.best_of_n import METHODS
from ch03_best_of_n.measures import oracle, ranked_by, score_of
from shared.evaluation.intervals import auc
from shared.evaluation.plots import COLORS, accuracy_axis
from shared.evaluation.pool import Choose, PooledProblem, accuracy_at, majority


def plot_histograms(pool: list[PooledProblem], measures: list[str]) -> Figure:
    """How each of six measures is distributed over right and over wrong samples."""
    figure, grid = plt.subplots(2, 3, figsize=(10, 5.6))
    samples = [sample for problem in pool for sample in problem.samples]
    for axes, measure in zip(grid.flat, measures):
        right = [score_of(sample, measure) for sample in samples if sample.is_right]
        wrong = [score_of(sample, measure) for sample in samples if not sample.is_right]
        bins = np.histogram_bin_edges(right + wrong, bins=30)
        for scores, color, name in ((wrong, COLORS[1], "wrong"), (right, COLORS[2], "right")):
            axes.hist(scores, bins, density=True, alpha=0.55, color=color, label=name)
        axes.set(title=f"{measure}: AUC {auc(right, wrong):.2f}", yticks=[])
    grid[0, 0].legend()
    figure.supxlabel("score (tokens for length, nats for certainty, else a probability)")
    figure.supylabel("share of samples (density)")
    return figure


def plot_curve(
    axes: Axes,
    pool: list[PooledProblem],
    choose: Choose,
    name: str,
    color: str,
    style: str = "-",
    tokens: float = 1,
) -> None:
    """Accuracy against n (times `tokens`), with its 95% interval over problems as a band."""
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= len(pool[0].samples)]
    shares = [accuracy_at(pool, choose, n, repeats=10) for n in counts]
    means = [mean(each) for each in shares]
    halves = [1.96 * stdev(each) / math.sqrt(len(each)) for each in shares]
    places = [n * tokens for n in counts]
    axes.plot(places, means, style, marker="o", markersize=4, color=color, label=name)
    low, high = ([m + sign * h for m, h in zip(means, halves)] for sign in (-1, 1))
    axes.fill_between(places, low, high, color=color, alpha=0.12, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(places, [f"{place:.0f}" for place in places])
    accuracy_axis(axes)


def plot_scorers(pool: list[PooledProblem], measures: list[str], title: str) -> Figure:
    """Every scorer between the vote and the oracle: best-of-N left, weighted right."""
    figure, both = plt.subplots(1, 2, figsize=(11, 4.8), sharey=True)
    for axes, (method, choose) in zip(both, METHODS.items()):
        plot_curve(axes, pool, oracle, "oracle (pass@n)", "#777777", ":")
        for measure, color in zip(measures, COLORS):
            plot_curve(axes, pool, ranked_by(measure, choose), measure, color)
        plot_curve(axes, pool, majority, "majority vote", "#000000", "--")
        axes.set(xlabel="n, samples a problem (logarithmic)", title=f"{method} of n")
    both[0].legend(fontsize=8, loc="best")
    figure.suptitle(title)
    return figure


def plot_tokens(pool: list[PooledProblem], ways: dict[str, Choose], title: str) -> Figure:
    """Accuracy against the tokens generated for a problem."""
    figure, axes = plt.subplots()
    samples = [sample for problem in pool for sample in problem.samples]
    tokens = mean(sample.num_tokens for sample in samples)
    for (name, choose), color in zip(ways.items(), ("#000000", *COLORS)):
        plot_curve(axes, pool, choose, name, color, tokens=tokens)
    axes.set(xlabel="generated tokens a problem (logarithmic)", title=title)
    axes.legend()
    return figure


def plot_over_optimisation(pool: list[PooledProblem], measures: list[str]) -> Figure:
    """What is optimised (left) and what is wanted (right), against n."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2))
    samples = [sample for problem in pool for sample in problem.samples]
    counts = [n for n in (1, 2, 4, 8, 16) if n <= len(pool[0].samples)]
    for measure, color in zip(measures, COLORS):
        scores = [score_of(sample, measure) for sample in samples]
        tops = [mean_of_highest(pool, measure, n) for n in counts]
        heights = [(top - mean(scores)) / stdev(scores) for top in tops]
        left.plot(counts, heights, "o-", color=color, label=measure)
        plot_curve(right, pool, ranked_by(measure), measure, color)
    left.set_xscale("log", base=2)
    left.set_xticks(counts, [str(n) for n in counts])
    for axes in (left, right):
        axes.set_xlabel("n, samples a problem (logarithmic)")
    left.set(ylabel="highest score of n (standard deviations)", title="what is optimised")
    right.set_title("what is wanted (bands: 95% intervals)")
    left.legend()
    return figure


def mean_of_highest(pool: list[PooledProblem], measure: str, n: int) -> float:
    """The highest score among n samples of a problem, on average over all groups of n."""
    return mean(
        max(score_of(sample, measure) for sample in problem.samples[i : i + n])
        for problem in pool
        for i in range(0, len(problem.samples), n)
    )
