"""The figures of the chapter, drawn from pools of samples (see rules.py)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from ch02_self_consistency.rules import mean_and_half, passes
from shared.evaluation.plots import accuracy_axis
from shared.evaluation.pool import PooledProblem, accuracy_at, majority


def plot_line(
    axes: Axes, x: Sequence[float], lists: Sequence[list[float]], label: str, **style: str
) -> None:
    """The mean of each list over its x, with a band for the 95% interval over problems."""
    points = [mean_and_half(shares) for shares in lists]
    means, halves = zip(*points)
    (line,) = axes.plot(x, means, marker="o", label=label, **style)
    low = [mean - half for mean, half in points]
    high = [mean + half for mean, half in points]
    axes.fill_between(x, low, high, alpha=0.15, color=line.get_color(), linewidth=0)


def plot_sample_axis(axes: Axes, most: int = 16) -> None:
    """Make x the number of samples, up to `most`, and y the accuracy."""
    ticks = [2**i for i in range(most.bit_length())]
    axes.set_xscale("log", base=2, subs=[])
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlabel("samples a problem")
    accuracy_axis(axes)


def plot_accuracy_against_n(
    pools: dict[float, list[PooledProblem]], axes: Axes, ceiling: float = 0.6
) -> None:
    """A curve for the vote at each temperature, and pass@k of the pool at temperature `ceiling`."""
    for temperature, some in sorted(pools.items()):
        sizes = sizes_of(some)
        lists = [accuracy_at(some, majority, n) for n in sizes]
        plot_line(axes, sizes, lists, f"majority, T = {temperature} ({len(some)} problems)")
    sizes = sizes_of(pools[ceiling])
    chances = [passes(pools[ceiling], k) for k in sizes]
    name = f"pass@k, T = {ceiling}"
    plot_line(axes, sizes, chances, name, color="#777777", linestyle=":")
    plot_sample_axis(axes, sizes[-1])


def sizes_of(pool: list[PooledProblem]) -> list[int]:
    """The numbers of samples at which a curve has its points."""
    return [n for n in (1, 2, 4, 8, 16) if n <= len(pool[0].samples)]
