"""The figures of the chapter. The same thing has the same color in every figure of the book."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter
from torch import Tensor

from ch02_self_consistency.rules import (
    mean_and_half,
    passes,
    share_of_leader,
    vote_accuracy,
    vote_credit,
)
from ch02_self_consistency.self_consistency import probability_ahead
from shared.decoder.sampler import keep_min_p, keep_top_k, keep_top_p
from shared.evaluation.plots import accuracy_axis
from shared.evaluation.pool import PooledProblem

COLORS = {
    "greedy": "#7f7f7f",
    "majority": "#1f77b4",
    "weighted": "#17becf",
    "ceiling": "#bbbbbb",
    "right": "#2ca02c",
    "wrong": "#d62728",
    "adaptive": "#e377c2",
    "tie": "#bcbd22",
}


def plot_line(
    axes: Axes, x: Sequence[float], lists: Sequence[list[float]], label: str, color: str, **style
) -> None:
    """Plot the mean of each list over its x, with a band for the 95% interval over problems."""
    points = [mean_and_half(shares) for shares in lists]
    axes.plot(x, [mean for mean, _ in points], marker="o", color=color, label=label, **style)
    low, high = zip(*((mean - half, mean + half) for mean, half in points))
    axes.fill_between(x, low, high, alpha=0.15, color=color, linewidth=0)


def plot_accuracy_against_n(
    pool: list[PooledProblem], axes: Axes, greedy: float | None = None
) -> None:
    """Plot the majority of n samples and the ceiling pass@n; optionally greedy's accuracy."""
    sizes = sizes_of(pool)
    chances = [passes(pool, k) for k in sizes]
    plot_line(axes, sizes, chances, "any right (pass@n)", COLORS["ceiling"], linestyle="--")
    lists = [vote_accuracy(pool, n) for n in sizes]
    plot_line(axes, sizes, lists, "majority of n", COLORS["majority"])
    name_line(axes, sizes[-1], fmean(chances[-1]), "any right (pass@n)", "#777777")
    name_line(axes, sizes[-1], fmean(lists[-1]), "majority of n", COLORS["majority"])
    if greedy is not None:
        axes.axhline(greedy, color=COLORS["greedy"], linewidth=1.2)
        place = {"xytext": (8, -8), "textcoords": "offset points", "va": "center"}
        axes.annotate("greedy", (sizes[-1], greedy), color=COLORS["greedy"], **place)
    axes.set_xscale("log", base=2, subs=[])
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.set_xlim(0.9, sizes[-1] * 2.3)  # room for the names of the lines
    axes.set_xlabel("samples per problem")
    accuracy_axis(axes)


def name_line(axes: Axes, x: float, y: float, name: str, color: str, up: float = 0) -> None:
    """Write the name of a line to the right of its last point, some points of type higher."""
    place = {"xytext": (8, up), "textcoords": "offset points", "va": "center"}
    axes.annotate(name, (x, y), color=color, **place)


def sizes_of(pool: list[PooledProblem]) -> list[int]:
    """The numbers of samples at which a curve has its points."""
    return [n for n in (1, 2, 4, 8, 16) if n <= len(pool[0].samples)]


def toy_vote(n: int, wrong: int, right: float = 0.4, repeats: int = 50_000) -> float:
    """How often a vote of n is right if a sample is right with probability `right` and otherwise
    ends at one of `wrong` wrong answers, all equally likely. Chance breaks ties."""
    weights = [right] + [(1 - right) / wrong] * wrong
    votes = np.random.default_rng(0).multinomial(n, weights, size=repeats)  # column 0: right
    leads = votes == votes.max(axis=1, keepdims=True)
    return float((leads[:, 0] / leads.sum(axis=1)).mean())


def plot_toy_votes(axes: Axes) -> None:
    """Plot how often a toy vote is right, for 1, 2, 5 and 20 wrong answers."""
    sizes = (1, 2, 4, 8, 16, 32)
    for wrong, shade in ((1, 0.35), (2, 0.5), (5, 0.75), (20, 1.0)):
        shares = [toy_vote(n, wrong) for n in sizes]
        axes.plot(sizes, shares, "o-", color=COLORS["majority"], alpha=shade)
        name = f"{wrong} wrong answer{'s' if wrong > 1 else ''}"
        up = {5: -7, 20: -1}.get(wrong, 0)
        name_line(axes, sizes[-1], shares[-1], name, COLORS["majority"], up)
    axes.set_xscale("log", base=2, subs=[])
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.set_xlim(0.9, 90)
    axes.set(
        xlabel="samples that vote", title="Toy vote: each sample is right with probability 0.4"
    )
    accuracy_axis(axes)


def plot_posteriors(axes: Axes, counts: Sequence[tuple[int, int]]) -> None:
    """Plot the posterior of the leader's share after three (first, second) votes, the flattest
    first; shade above 1/2. The names stand left of the rising lines, where they cross nothing."""
    shares = [i / 400 for i in range(401)]
    for (first, second), alpha, place in zip(counts, (0.4, 0.7, 1.0), (80, 196, 280)):
        heights = [q**first * (1 - q) ** second for q in shares]
        area = sum(heights) / 400
        density = [height / area for height in heights]
        axes.plot(shares, density, color=COLORS["majority"], alpha=alpha)
        above = [q >= 0.5 for q in shares]
        axes.fill_between(
            shares, density, where=above, color=COLORS["majority"], alpha=0.12, linewidth=0
        )
        axes.annotate(
            f"{first} : {second}, P = {probability_ahead({'a': first, 'b': second}):.2f}",
            (shares[place], density[place]),
            xytext=(-6, 4),
            textcoords="offset points",
            ha="right",
        )
    axes.axvline(0.5, color="#000000", linewidth=0.8, linestyle=":")
    axes.set(xlabel="true share q of the leader", ylabel="density", xlim=(0, 1), ylim=(0, None))
    axes.set_title("What the votes say about q; shaded area P: the leader is truly ahead")


def plot_stopping(
    axes: Axes,
    fixed: dict[int, tuple[list[float], list[float]]],
    adaptive: dict[float, tuple[list[float], list[float]]],
) -> None:
    """Plot accuracy against tokens: votes of a fixed size, and adaptive ones by threshold.

    Both map a size or a threshold to (accuracy, tokens) of each problem.
    """
    for results, color in ((fixed, "majority"), (adaptive, "adaptive")):
        points = [(fmean(tokens), fmean(shares)) for shares, tokens in results.values()]
        axes.plot(*zip(*points), "o-", color=COLORS[color])
        below = color == "majority"
        for i, (key, point) in enumerate(zip(results, points)):
            axes.annotate(
                f"vote of {key}" if below else f"P ≥ {key:g}",
                point,
                xytext=(6, -11) if below else (0, 20 if i % 2 else 8),  # neighbors do not overlap
                textcoords="offset points",
                ha="left" if below else "center",
                fontsize=9,
                color=COLORS[color],
            )
    axes.margins(x=0.2, y=0.2)  # room for the labels
    axes.set(xlabel="generated tokens per problem", xlim=(0, None), ylabel="accuracy")
    axes.set_title("Stopping early against votes of a fixed size")
    axes.yaxis.set_major_locator(MultipleLocator(0.05))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def plot_agreement(pool: list[PooledProblem], axes: Axes) -> None:
    """Plot how many votes are right, tied with the right answer among the leaders, and wrong, by
    the share of samples that agree."""
    edges = (0.0, 0.2, 0.4, 0.6, 0.8)
    counts = {"right": [0] * len(edges), "tie": [0] * len(edges), "wrong": [0] * len(edges)}
    for problem in pool:
        share = share_of_leader(problem.samples)
        place = max(i for i, edge in enumerate(edges) if share >= edge)
        credit = vote_credit(problem.samples, problem)
        counts["right" if credit == 1 else "tie" if credit else "wrong"][place] += 1
    bottom = [0] * len(edges)
    labels = {"right": "right", "tie": "tie with the right answer", "wrong": "wrong"}
    for name, label in labels.items():
        bars = axes.bar(range(len(edges)), counts[name], bottom=bottom, color=COLORS[name])
        bars.set_label(label)
        texts = [str(count) if count else "" for count in counts[name]]
        axes.bar_label(bars, texts, label_type="center", color="white", fontsize=10)
        bottom = [low + count for low, count in zip(bottom, counts[name])]
    names = [f"{edge:.0%} to {edge + 0.2:.0%}" for edge in edges]
    axes.set_xticks(range(len(edges)), names)
    axes.set(xlabel="share of the samples that agree with the vote", ylabel="problems")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper right")


def plot_filters(logits: Tensor, names: list[str], title: str, axes: Axes) -> None:
    """Plot the probabilities of the first tokens as they are, and after three filters.

    `logits` is one row [1, vocabulary]; `names` are the tokens to show.
    """
    kept = {
        "all": logits,
        "top-k 2": keep_top_k(logits, torch.tensor([[2]])),
        "top-p 0.9": keep_top_p(logits, torch.tensor([[0.9]])),
        "min-p 0.2": keep_min_p(logits, torch.tensor([[0.2]])),
    }
    for i, (label, row) in enumerate(kept.items()):
        places = [place + 0.2 * i for place in range(len(names))]
        axes.bar(places, row.softmax(dim=-1)[0, : len(names)].tolist(), 0.2, label=label)
    axes.set_xticks([place + 0.3 for place in range(len(names))], names)
    axes.set(xlabel="next token", ylabel="probability", title=title, ylim=(0, 1))
    axes.legend()
