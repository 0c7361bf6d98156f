"""The figures of the combinations and of the compute-optimal choice. The same technique has the
same color in every figure of the chapter."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.ticker import LogLocator, NullFormatter

from shared.evaluation.plots import accuracy_axis

COLORS = {
    "greedy": "#7f7f7f",
    "vote": "#1f77b4",
    "weighted best": "#17becf",
    "checked odds": "#2ca02c",
    "beam search": "#9467bd",
    "adaptive consistency": "#8fb8de",
    "rejection sampling": "#bcbd22",
    "sample until sure": "#d62728",
    "sample until sure, 4 at a time": "#ff9896",
    "escalate": "#e69f00",
    "escalate with search": "#8c564b",
    "pass rate": "#000000",
    "reward": "#d62728",
    "agreement": "#e377c2",
}
LINES = ("vote", "weighted best", "checked odds")  # of techniques with n samples
CURVES = (
    "adaptive consistency",
    "rejection sampling",
    "sample until sure",
    "sample until sure, 4 at a time",
    "escalate",
    "escalate with search",
)
TITLES = {
    "tokens_per_problem": "generated tokens per problem",
    "steps_per_problem": "tokens generated one after another (waiting)",
}


def family_of(name: str) -> str:
    """ "weighted best of 8" -> "weighted best"; a name without a size is its own family."""
    return name.rpartition(" of ")[0] or name


# --- The idea -------------------------------------------------------------------------------------


def draw_cascade(stages: list[tuple[str, str]], exits: list[str]) -> Figure:
    """A row of boxes, one for each stage (its name, and what it costs); from each an arrow leads
    down to an answer, with the share of problems that leave there."""
    figure, axes = plt.subplots(figsize=(9, 2.9))
    axes.set(xlim=(-0.2, 3 * len(stages)), ylim=(-1.9, 1.1))
    axes.axis("off")
    for i, ((name, price), share) in enumerate(zip(stages, exits)):
        x = 3 * i
        box = FancyBboxPatch((x, -0.4), 2, 0.9, boxstyle="round,pad=0.08", fc="white", ec="#777777")
        axes.add_patch(box)
        axes.text(x + 1, 0.15, name, ha="center", va="center")
        axes.text(x + 1, -0.2, price, ha="center", va="center", fontsize=9, color="#777777")
        axes.add_patch(arrow((x + 1, -0.5), (x + 1, -1.4), COLORS["checked odds"]))
        axes.text(x + 1.1, -0.95, share, va="center", fontsize=9, color=COLORS["checked odds"])
        axes.text(x + 1, -1.65, "answer", ha="center", va="center")
        if i + 1 < len(stages):
            axes.add_patch(arrow((x + 2.12, 0.05), (x + 2.9, 0.05), "#333333"))
            axes.text(x + 2.5, 0.3, "not sure", ha="center", fontsize=9, color="#333333")
    return figure


def arrow(start: tuple[float, float], end: tuple[float, float], color: str) -> FancyArrowPatch:
    """An arrow from one point to another."""
    return FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=color)


# --- Combinations ---------------------------------------------------------------------------------


def plot_frontier(content: dict) -> Figure:
    """Accuracy against tokens, and against the steps that a user waits for; from
    results/combine.json."""
    figure, both = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    for axes, key in zip(both, ("tokens_per_problem", "steps_per_problem")):
        for name in LINES:
            own = [row for row in content["singles"] if family_of(row["name"]) == name]
            draw_line(axes, own, key, name, "--")
        for name in CURVES:
            draw_line(axes, content["curves"].get(name, []), key, name, "-")
        others = [r for r in content["singles"] if family_of(r["name"]) not in LINES]
        for row in others:
            axes.plot(row[key], row["accuracy"], "s", color=COLORS[family_of(row["name"])])
            axes.annotate(
                row["name"],
                (row[key], row["accuracy"]),
                xytext=(6, -10),
                textcoords="offset points",
                fontsize=8,
            )
        log_axis(axes, TITLES[key])
        accuracy_axis(axes)
        axes.set_ylim(0.4, 1)
    reference = content["goals"]["reference"]
    x, y = reference["tokens_per_problem"], reference["accuracy"]
    both[0].plot(x, y, "o", ms=9, mfc="none", color=COLORS["vote"])
    both[0].annotate(
        "vote of 16", (x, y), xytext=(8, -12), textcoords="offset points", color=COLORS["vote"]
    )
    both[1].set_ylabel("")
    handles, names = both[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncol=5, fontsize=8)
    return figure


def log_axis(axes: Axes, label: str) -> None:
    """A logarithmic x axis with the numbers 1, 2, 5, 10, ... written out."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def draw_line(axes: Axes, rows: list[dict], key: str, name: str, style: str) -> None:
    """One technique's accuracy, from its cheapest setting to its dearest."""
    rows = sorted(rows, key=lambda row: row["tokens_per_problem"])
    if rows:
        xs, ys = [row[key] for row in rows], [row["accuracy"] for row in rows]
        axes.plot(xs, ys, style, marker="o", markersize=3, color=COLORS[name], label=name)


# --- Compute-optimal choice -----------------------------------------------------------------------


def plot_policies(content: dict) -> Figure:
    """Accuracy against tokens: the best single technique for each budget, the policies, and
    sampling until sure, which decides as it goes; from results/policy.json."""
    figure, axes = plt.subplots(figsize=(7.5, 4.6))
    single = [(row["single"]["tokens"], row["single"]["accuracy"]) for row in content["rows"]]
    axes.plot(*zip(*sorted(single)), "--", marker="o", ms=4, color=COLORS["vote"])
    ends = {"one technique for all": (sorted(single)[-1], COLORS["vote"])}
    sure = sorted((r["tokens_per_problem"], r["accuracy"]) for r in content["until_sure"])
    axes.plot(*zip(*sure), ":", color=COLORS["escalate"])
    ends["sampling until sure"] = sure[-1], COLORS["escalate"]
    for name, label in (
        ("pass rate", "difficulty known"),
        ("reward", "predicted by reward"),
        ("agreement", "predicted by agreement"),
    ):
        policies = (row["policies"][name] for row in content["rows"])
        points = sorted((each["tokens"], each["accuracy"]) for each in policies if each)
        if points:
            axes.plot(*zip(*points), "-", marker="o", ms=4, color=COLORS[name])
            ends[label] = points[-1], COLORS[name]
    end = max(x for (x, _), _ in ends.values())
    place = min(y for (_, y), _ in ends.values()) - 0.09
    for label, ((_, y), color) in sorted(ends.items(), key=lambda item: item[1][0][1]):
        place = max(place + 0.035, y - 0.05)
        axes.text(end * 1.08, place, label, color=color, va="center", fontsize=9)
    log_axis(axes, TITLES["tokens_per_problem"])
    axes.set_xlim(right=end * 3)
    accuracy_axis(axes)
    axes.set_ylim(0.4, 1)
    return figure


def plot_map(content: dict) -> Figure:
    """From (difficulty, budget) to the winning technique; the number is its accuracy on test
    problems."""
    cells = content["map"]
    budgets = sorted({cell["budget"] for cell in cells})
    bins = sorted({cell["bin"] for cell in cells})
    figure, axes = plt.subplots(figsize=(1.45 * len(budgets) + 1.2, 0.85 * len(bins) + 1))
    for cell in cells:
        x, y = budgets.index(cell["budget"]), cell["bin"]
        family, _, count = cell["name"].rpartition(" of ")
        color = COLORS[family or count]
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=color, alpha=0.35, edgecolor="white"))
        words = f"{family}\nof {count}" if family else count
        words = "one sample" if cell["name"] == "vote of 1" else words
        text = f"{words}\n{cell['accuracy']:.0%}"
        axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=8)
    axes.set(xlim=(0, len(budgets)), ylim=(0, bins[-1] + 1))
    axes.set_xticks([i + 0.5 for i in range(len(budgets))], [f"{b:,.0f}" for b in budgets])
    names = [{0: "hardest fifth", bins[-1]: "easiest fifth"}.get(b, "") for b in bins]
    axes.set_yticks([b + 0.5 for b in bins], names)
    axes.set_xlabel("budget: generated tokens per problem")
    axes.grid(False)
    return figure
