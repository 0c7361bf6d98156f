"""The figures of the chapter, drawn from pools of samples and from the rows of the tables."""

from __future__ import annotations

import statistics

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ch04_rejection.code_study import Draw, compare_budgets
from ch04_rejection.quality import pooled_verifiers, quality, verdicts
from ch04_rejection.theory import mean_tokens, vote_curve
from shared.evaluation.intervals import wilson_interval
from shared.evaluation.plots import COLORS, accuracy_axis
from shared.evaluation.pool import PooledProblem

NAME_COLORS = dict(zip(("format", "arithmetic", "reward", "both"), COLORS)) | {"perfect": "#777777"}


def plot_budgets(pool: list[PooledProblem], rows: list[dict], title: str) -> Figure:
    """Accuracy against generated tokens: each verifier's budgets, the vote, the oracle."""
    figure, axes = plt.subplots(figsize=(8, 4.8))
    size, curve = mean_tokens(pool), vote_curve(pool)
    counts = [2**i for i in range(len(curve).bit_length())]
    votes = [statistics.mean(curve[n - 1]) for n in counts]
    bounds = np.array([wilson_interval(round(v * len(pool)), len(pool)) for v in votes])
    tokens = [n * size for n in counts]
    axes.plot(tokens, votes, "--", marker="o", markersize=4, color="#000000", label="majority vote")
    axes.fill_between(tokens, *bounds.T, color="#000000", alpha=0.08, linewidth=0)
    for name in dict.fromkeys(row["verifier"] for row in rows):
        own = [row for row in rows if row["verifier"] == name]
        x, y, low, high = ([row[key] for row in own] for key in ("tokens", "right", "low", "high"))
        style, label = (":", "perfect (oracle)") if name == "perfect" else ("-", name)
        axes.plot(x, y, style, marker="o", markersize=4, color=NAME_COLORS[name], label=label)
        if name in ("arithmetic", "both"):
            axes.fill_between(x, low, high, color=NAME_COLORS[name], alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(tokens, [f"{t:.0f}" for t in tokens])
    axes.minorticks_off()
    axes.set(xlabel="generated tokens per problem (logarithmic)", title=title)
    accuracy_axis(axes)
    axes.legend(loc="lower right", fontsize=9)
    return figure


def plot_thresholds(pool: list[PooledProblem], rows: list[dict]) -> Figure:
    """Left: precision against acceptance. Right: what rejection sampling makes of it."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
    for name, color in (("reward", COLORS[2]), ("both", COLORS[3])):
        own = [row for row in rows if row["verifier"] == name and row["acceptance"] > 0.005]
        label = name if name == "reward" else "reward and arithmetic"
        for axes, x, y in ((left, "acceptance", "precision"), (right, "tokens", "right")):
            points = [(row[x], row[y]) for row in own]
            axes.plot(*zip(*points), "-o", markersize=4, color=color, label=label)
        for row in own:
            for axes, at, shown in (
                (left, (row["acceptance"], row["precision"]), (0.5, 0.75, 0.85)),
                (right, (row["tokens"], row["right"]), (0.5, 0.85)),
            ):
                if row["threshold"] in shown:
                    offset = (-30, -12) if name == "reward" else (4, 7)
                    text = f"{row['threshold']:g}"
                    axes.annotate(text, at, xytext=offset, textcoords="offset points", color=color)
    for name, mark in (("format", "s"), ("arithmetic", "D")):
        at = quality(pool, verdicts(pool, pooled_verifiers()[name]))
        left.plot(at["acceptance"], at["precision"], mark, color="#000000", label=name)
    size = mean_tokens(pool)
    votes = [statistics.mean(shares) for shares in vote_curve(pool)]
    right.plot(
        [size * n for n in range(1, len(votes) + 1)], votes, "--", color="#000000", label="vote"
    )
    left.set(xlabel="share of samples accepted", xlim=(0, 1.02), title="the verifier")
    left.xaxis.set_major_formatter("{x:.0%}")
    right.set(
        xlabel="generated tokens per problem", title=f"rejection sampling, budget {len(votes)}"
    )
    accuracy_axis(left)
    accuracy_axis(right)
    left.set_ylabel("share of these that is right (precision)")
    left.set_ylim(0.3, 1.02)
    left.legend(loc="lower left", fontsize=9)
    right.legend(loc="lower right", fontsize=9)
    return figure


def plot_code(draws: list[list[Draw]]) -> Figure:
    """Tasks solved against the budget, and how the accepted programs divide, task by task."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
    table = compare_budgets(draws)
    names = {"pass_at_k": "perfect verifier (pass@k)", "rejection": "visible tests as verifier"}
    for (key, label), color, style in zip(names.items(), ("#777777", COLORS[1]), (":", "-")):
        solved = [row[key] / len(draws) for row in table]
        left.plot([row["budget"] for row in table], solved, f"o{style}", color=color, label=label)
    left.axhline(table[0]["one_draw"] / len(draws), ls="--", color="#000000", label="one draw")
    left.set_xscale("log", base=2)
    left.set_xticks([row["budget"] for row in table], [str(row["budget"]) for row in table])
    left.set(xlabel="budget, programs drawn (logarithmic)", title="tasks solved")
    accuracy_axis(left)
    left.set_ylim(0, 0.6)
    left.legend(fontsize=9)
    counts = [(sum(a and b for a, b in d), sum(a and not b for a, b in d)) for d in draws]
    counts = sorted((c for c in counts if sum(c)), reverse=True)
    true, false = [a for a, _ in counts], [b for _, b in counts]
    positions = range(len(counts))
    right.bar(positions, true, color=COLORS[2], label="and right")
    right.bar(positions, false, bottom=true, color=COLORS[1], label="and wrong (false accept)")
    right.set(xlabel="tasks with an accepted program", title="programs that pass the visible tests")
    right.set(ylabel="of 16 drawn", xticks=[], ylim=(0, 18))
    right.legend(fontsize=9)
    return figure
