"""The figures of the chapter. The same thing has the same color in every figure of the book."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from statistics import fmean, mean, stdev

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ch03_best_of_n.best_of_n import METHODS, weighted_answer
from ch03_best_of_n.measures import oracle, ranked_by, score_of, share_right_by_rank
from shared.evaluation.intervals import auc
from shared.evaluation.plots import accuracy_axis
from shared.evaluation.pool import Choose, PooledProblem, is_right_answer, majority

COLORS = {
    "one sample": "#7f7f7f",
    "majority vote": "#1f77b4",
    "reward_last": "#0e7c86",
    "judge": "#9467bd",
    "any right (pass@n)": "#bbbbbb",
    "right": "#2ca02c",  # always with a check mark, a full bar or a full line
    "wrong": "#d62728",  # always with a cross, a hatched bar or a dashed line
    "length": "#e377c2",
    "likelihood": "#bcbd22",
    "certainty": "#8c6d31",
}
HATCH = "////"
SIZES = (1, 2, 4, 8, 16, 32)
FEW = 240  # up to this many ordered draws are all made; of more, DRAWS random ones
DRAWS = 20
TITLES = {  # the name of a measure, and what the axis of its histogram shows
    "length": ("length", "tokens"),
    "likelihood": ("likelihood", "geometric mean of the probabilities"),
    "certainty": ("self-certainty", "nats per token"),
    "judge": ("judge", "share of Yes"),
    "reward_last": ("reward, last step", "estimated probability"),
    "reward_min": ("reward, lowest step", "estimated probability"),
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
        kind, mark = ("right", "✓") if answer == gold else ("wrong", "✗")
        look = {"color": COLORS[kind], "alpha": 0.6, "hatch": "" if kind == "right" else HATCH}
        axes.annotate("", (2.3, y), (1.4, middle), arrowprops={"arrowstyle": "->", "color": "#777"})
        axes.text(2.4, y, f"sample {i + 1}: {answer} {mark}", va="center", color=COLORS[kind])
        axes.barh(y, 1.6 * score, left=4.5, height=0.55, **look)
        axes.text(4.6 + 1.6 * score, y, f"{score:.2f}", va="center", fontsize=9)
    axes.text(4.5, len(answers) + 0.05, "score", va="bottom", fontsize=10)
    chosen = {
        "majority vote": ("counts the samples", most_common(answers)),
        "best-of-N": ("takes the longest bar", answers[int(np.argmax(scores))]),
        "weighted vote": ("adds the bars", weighted_answer(list(answers), list(scores))),
    }
    for i, (name, (what, answer)) in enumerate(chosen.items()):
        y = len(answers) - (i + 0.5) * len(answers) / 3
        color = COLORS["majority vote" if i == 0 else "reward_last"]
        mark = "✓" if answer == gold else "✗"
        axes.text(6.7, y, f"{name} {what}: {answer} {mark}", va="center", color=color)
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
            f"{name} {'✓' if is_right else '✗'}",
            (len(scores), scores[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
    longest = max(len(scores) for scores, _ in solutions.values())
    axes.set(xlabel="step (line of the solution)", ylabel="reward of the step")
    axes.set(ylim=(-0.02, 1), xlim=(0.5, longest + 0.5), xticks=range(1, longest + 1))
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
            look = {"histtype": "stepfilled", "alpha": 0.5, "edgecolor": COLORS[kind]}
            look |= {"hatch": HATCH} if kind == "wrong" else {"linewidth": 1.5}
            axes.hist(values, bins, density=True, color=COLORS[kind], label=kind, **look)
        name, unit = TITLES.get(measure, (measure, ""))
        axes.set(title=f"{name}: AUC {auc(scores['right'], scores['wrong']):.2f}", yticks=[])
        axes.set_xlabel(unit)
    grid[0, 0].legend()
    figure.supylabel("share of samples (density)")
    return figure


def accuracy_of_draws(pool: list[PooledProblem], choose: Choose, n: int) -> list[float]:
    """For each problem, how often `choose` is right with n of its samples in random order.

    All ordered draws where there are at most FEW, so that one sample is exact, and a vote of two
    is exactly as good as one sample. With all samples, their order is that of the run.
    """
    rng = random.Random(n)
    shares = []
    for problem in pool:
        if n == len(problem.samples):
            draws = [problem.samples]
        elif math.perm(len(problem.samples), n) <= FEW:
            draws = list(itertools.permutations(problem.samples, n))
        else:
            draws = [rng.sample(problem.samples, n) for _ in range(DRAWS)]
        shares.append(fmean(is_right_answer(choose(list(draw)), problem) for draw in draws))
    return shares


def plot_curve(
    axes: Axes, curve: list[list[float]], color: str, style: str = "-", band: bool = True
) -> float:
    """Draw accuracy against n, with its 95% interval over problems as a band; the last accuracy.

    `curve` has the accuracy on each problem for each of the SIZES that there are.
    """
    counts, means = SIZES[: len(curve)], [mean(each) for each in curve]
    axes.plot(counts, means, style, marker="o", markersize=4, color=color)
    if band:
        halves = [1.96 * stdev(each) / math.sqrt(len(each)) for each in curve]
        low, high = ([m + sign * h for m, h in zip(means, halves)] for sign in (-1, 1))
        axes.fill_between(counts, low, high, color=color, alpha=0.15, linewidth=0)
    return means[-1]


def curve_of(pool: list[PooledProblem], choose: Choose) -> list[list[float]]:
    """The accuracy on each problem, for each of the SIZES up to the number of samples."""
    counts = [n for n in SIZES if n <= len(pool[0].samples)]
    return [accuracy_of_draws(pool, choose, n) for n in counts]


def finish(axes: Axes, ends: dict[str, tuple[float, str]], largest: int) -> None:
    """Set up both axes, and write each line's name to the right of its end without overlaps."""
    axes.set_xscale("log", base=2)
    counts = [n for n in SIZES if n <= largest]
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.minorticks_off()
    axes.set_xlim(0.93, largest * 1.08)
    axes.set_xlabel("n, samples per problem")
    accuracy_axis(axes)
    name_lines(axes, ends, largest)


def name_lines(axes: Axes, ends: dict[str, tuple[float, str]], x: float, gap: float = 0.05) -> None:
    """Write names at the right edge, each joined to its line's end (x, height): name -> (height,
    color). Names keep `gap` between them and stay as close to their lines as this allows."""
    ordered = sorted(ends.items(), key=lambda item: item[1][0])
    for name, place in zip(
        (name for name, _ in ordered), spread([h for _, (h, _) in ordered], gap)
    ):
        height, color = ends[name]
        color = "#777777" if name == "any right (pass@n)" else color
        axes.annotate(
            name,
            (x, height),
            xytext=(1.05, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=color,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkB": 3},
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved apart to at least `gap`: groups that touch keep their mean."""
    groups: list[list[float]] = []  # each: its heights, ascending
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and lowest_of(groups[-1], gap) < highest_of(groups[-2], gap) + gap:
            last = groups.pop()
            groups[-1] += last
    return [lowest_of(group, gap) + i * gap for group in groups for i in range(len(group))]


def lowest_of(group: list[float], gap: float) -> float:
    """Where the lowest name of a group stands."""
    return mean(group) - gap * (len(group) - 1) / 2


def highest_of(group: list[float], gap: float) -> float:
    """Where the highest name of a group stands."""
    return mean(group) + gap * (len(group) - 1) / 2


def plot_scorers(pool: list[PooledProblem], measures: Sequence[str], title: str) -> Figure:
    """Every scorer between the vote and pass@n: best-of-n left, weighted right.

    Bands (95% intervals) only for the vote and the reward model: others would hide them.
    """
    figure, both = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    fixed = {
        "any right (pass@n)": curve_of(pool, oracle),
        "majority vote": curve_of(pool, majority),
    }
    styles = {"any right (pass@n)": ":", "majority vote": "--"}
    for axes, (method, choose) in zip(both, METHODS.items()):
        curves = fixed | {m: curve_of(pool, ranked_by(m, choose)) for m in measures}
        ends = {}
        for name, curve in curves.items():
            band = name in ("reward_last", "majority vote")
            end = plot_curve(axes, curve, COLORS[name], styles.get(name, "-"), band)
            ends[name] = end, COLORS[name]
        finish(axes, ends, len(pool[0].samples))
        axes.set_title({"best": "best-of-n", "weighted": "vote weighted by the score"}[method])
    figure.suptitle(title)
    return figure


def plot_ways(
    pool: list[PooledProblem], ways: dict[str, Choose], one_sample: float, title: str
) -> Figure:
    """Accuracy of some rules against n, and of one sample; each name is a key of COLORS."""
    figure, axes = plt.subplots(figsize=(7.5, 4.4))
    ends = {"one sample": (one_sample, COLORS["one sample"])}
    axes.axhline(one_sample, color=COLORS["one sample"], linewidth=1.2)
    for name, way in ways.items():
        style = "--" if name == "majority vote" else "-"
        ends[name] = plot_curve(axes, curve_of(pool, way), COLORS[name], style), COLORS[name]
    finish(axes, ends, len(pool[0].samples))
    axes.set_title(title)
    return figure


def plot_ranks(pool: list[PooledProblem], measures: Sequence[str], one_sample: float) -> Figure:
    """The share of right samples at each rank, from the highest score of a problem to the lowest.

    Rank 1 is what best-of-N takes, the mean over all ranks is one sample.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4.4))
    axes.axhline(one_sample, color=COLORS["one sample"], linewidth=1.2)
    largest = len(pool[0].samples)
    ends = {"one sample": (one_sample, COLORS["one sample"])}
    for measure in measures:
        shares = share_right_by_rank(pool, measure)
        color = COLORS[measure]
        axes.plot(range(1, largest + 1), shares, marker="o", markersize=4, color=color)
        ends[measure] = shares[-1], color
    accuracy_axis(axes)
    axes.set(xlabel="rank of the sample by its score (1: highest)", ylabel="right samples")
    axes.set(xlim=(0.7, largest + 0.3), xticks=range(1, largest + 1))
    name_lines(axes, ends, largest)
    return figure


# --- How a reward model is built ------------------------------------------------------------------


def draw_reward_model() -> Figure:
    """Solution -> decoder -> features -> head -> score, and below it where the labels come from."""
    figure, axes = plt.subplots(figsize=(9.5, 2.9))
    axes.set(xlim=(-0.05, 10.05), ylim=(0, 3))
    axes.axis("off")
    boxes = [  # left edge, width, text
        (0.0, 1.9, "question, and the\nsolution up to\nthe end of a line"),
        (2.4, 1.3, "decoder\n(fixed)"),
        (4.2, 2.2, "features\nhidden state: 128\nlog-likelihood: 1"),
        (6.9, 1.4, "head\n129 weights,\nsigmoid"),
        (8.8, 1.2, "score\n0 to 1"),
    ]
    arrow = {"arrowstyle": "-|>", "color": "#555555"}
    for i, (left, width, text) in enumerate(boxes):
        color = COLORS["reward_last"] if text.startswith(("head", "score")) else "#777777"
        place = (left, 1.75), width, 1.1
        axes.add_patch(plt.Rectangle(*place, facecolor="white", edgecolor=color))
        axes.text(left + width / 2, 2.3, text, ha="center", va="center", fontsize=10)
        if i:
            end = boxes[i - 1][0] + boxes[i - 1][1]
            axes.annotate("", (left, 2.3), (end, 2.3), arrowprops=arrow)
    axes.add_patch(plt.Rectangle((2.4, 0.15), 4, 0.9, facecolor="white", edgecolor="#777777"))
    label = "solver finishes from here 16 times:\nlabel = share of right answers"
    axes.text(4.4, 0.6, label, ha="center", va="center", fontsize=10)
    axes.annotate("", (2.4, 0.6), (0.95, 1.75), arrowprops=arrow)
    axes.annotate("", (9.4, 1.75), (6.4, 0.6), arrowprops=arrow)
    axes.text(8.3, 0.75, "training: make the\nscore fit the label", ha="left", fontsize=9)
    return figure
