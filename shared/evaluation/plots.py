"""One plotting style for the whole book: readable in print, on a projector, and color-blind.

Nothing here opens a window, so the figures can be drawn on machines without a screen.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

# Okabe and Ito's palette: distinguishable with any color vision, and in gray by its lightness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
STYLE = {
    "figure.figsize": (7.0, 4.2),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 11,
    "axes.prop_cycle": mpl.cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def use_style() -> None:
    """Draw all following figures in the book's style."""
    mpl.rcParams.update(STYLE)


def accuracy_axis(ax: Axes) -> None:
    """Make y an accuracy from 0 to 100%: a cut axis would make small differences look large."""
    ax.set_ylabel("accuracy")
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))


def plot_accuracy_against_tokens(rows: list[dict], ax: Axes) -> list[Annotation]:
    """Draw techniques as points with 95% intervals over the tokens they generate; the labels.

    A row is {name, accuracy, low, high, tokens_per_problem} (`Evaluation.row`). Raises ValueError
    for no rows and for a point without tokens, which a logarithmic axis has no place for.
    """
    if not rows or any(row["tokens_per_problem"] <= 0 for row in rows):
        raise ValueError("every row needs tokens_per_problem above 0, and there must be one")
    for i, row in enumerate(rows):
        x, y = row["tokens_per_problem"], row["accuracy"]
        interval = [[y - row["low"]], [row["high"] - y]]
        ax.errorbar(x, y, interval, fmt="o", capsize=3, color=COLORS[i % len(COLORS)])
    tokens = [row["tokens_per_problem"] for row in rows]
    ax.set_xscale("log")
    ax.set_xlim(min(tokens) / 2, max(tokens) * 12)  # room for the labels
    ax.set_xlabel("generated tokens per problem (logarithmic)")
    accuracy_axis(ax)
    return label_points(ax, rows)


def label_points(ax: Axes, rows: list[dict]) -> list[Annotation]:
    """Write each name beside its point, at the nearest place where it covers nothing yet."""
    ax.figure.draw_without_rendering()  # settles the layout, from which the labels' places follow
    taken = [interval_box(ax, row) for row in rows]
    labels = []
    for i, row in enumerate(rows):
        label = ax.annotate(
            row["name"],
            (row["tokens_per_problem"], row["accuracy"]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=COLORS[i % len(COLORS)],
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6},
        )
        label.set_in_layout(False)  # else the layout, and with it every place, would change again
        taken.append(move_to_free_place(label, taken, ax.get_window_extent()))
        labels.append(label)
    return labels


def interval_box(ax: Axes, row: dict) -> Bbox:
    """The pixels that a row's point and interval cover."""
    x = row["tokens_per_problem"]
    (left, bottom), (right, top) = ax.transData.transform([(x, row["low"]), (x, row["high"])])
    return Bbox([[left - 5, bottom - 2], [right + 5, top + 2]])


def move_to_free_place(label: Annotation, taken: list[Bbox], inside: Bbox) -> Bbox:
    """Try places left and right, ever further above and below; the first free one wins.

    Returns the pixels that the text then covers. Where nothing is free, the last place stays.
    """
    places = itertools.product(range(0, 300, 3), ("left", "right"), (1, -1))
    for distance, alignment, direction in places:  # alignment: the text's edge at the point
        label.set_horizontalalignment(alignment)
        label.set_position((8 if alignment == "left" else -8, direction * distance))
        label.get_window_extent()  # moves the text; the returned box has its line in it
        box = Text.get_window_extent(label)
        is_inside = (inside.min <= box.min).all() and (box.max <= inside.max).all()
        if is_inside and not any(box.overlaps(other) for other in taken):
            break
    return box


def save_figure(fig: Figure, path: str | Path) -> Path:
    """Write a figure to a .png, .svg or .pdf file, making its folder; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, bbox_inches="tight")
    return path
