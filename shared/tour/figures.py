"""The figures of the tour (`tour.ipynb`), drawn with matplotlib.

`draw_...` functions draw an idea, `plot_...` functions draw numbers. Throughout, the prompt is
blue, generated tokens are orange, and what a cache keeps is green.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from shared.evaluation.plots import COLORS

PROMPT, GENERATED, CACHED = COLORS[0], COLORS[1], COLORS[2]
GREY, NEUTRAL = "#EEEEEE", "#444444"


def blank(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure without axes, in which one unit is one inch."""
    figure, ax = plt.subplots(figsize=(width, height))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    return figure, ax


def box(
    ax: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    text: str = "",
    color: str = GREY,
    text_color: str = "black",
    **text_options: object,
) -> None:
    """A rounded box with centered text; (x, y) is its lower left corner."""
    pad = 0.04
    ax.add_patch(
        FancyBboxPatch(
            (x + pad, y + pad),
            width - 2 * pad,
            height - 2 * pad,
            boxstyle=f"round,pad={pad}",
            facecolor=color,
            edgecolor="#555555",
            linewidth=0.8,
        )
    )
    center = (x + width / 2, y + height / 2)
    ax.text(*center, text, ha="center", va="center", color=text_color, **text_options)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **style: object) -> None:
    """An arrow between two points."""
    options = {"arrowstyle": "-|>", "color": "#555555", "linewidth": 1.2, **style}
    ax.annotate("", end, start, arrowprops=options)


# --- Ideas ----------------------------------------------------------------------------------------


def draw_loop() -> Figure:
    """From text to the next token, and around again; ids and tokens are the shipped model's."""
    figure, ax = blank(9.2, 2.2)
    stages = [
        ("text", "“… 3*14=”", PROMPT),
        ("token ids", "[… 18, 9, 16, 19, 28]", PROMPT),
        ("hidden states", "128 numbers\nper token", NEUTRAL),
        ("logits", "one number per\npossible token", NEUTRAL),
        ("next token", "19 = “4”", GENERATED),
    ]
    width, gap = 1.25, 0.72
    for i, (name, example, color) in enumerate(stages):
        x = 0.03 + i * (width + gap)
        box(ax, x, 0.6, width, 0.65, name, color, "white", fontsize=11)
        ax.text(x + width / 2, 0.5, example, ha="center", va="top", fontsize=9, color="#444444")
        if i:
            arrow(ax, (x - gap, 0.92), (x, 0.92))
    for i, step in enumerate(("tokenizer", "decoder", "head", "sampler")):
        x = 0.03 + width + gap / 2 + i * (width + gap)
        ax.text(x, 1.0, step, ha="center", va="bottom", fontsize=8.5)
    first, last = (0.03 + width / 2 + i * (width + gap) for i in (1, 4))
    ax.plot([last, last, first], [1.25, 1.75, 1.75], color=GENERATED, linewidth=1.6)
    arrow(ax, (first, 1.75), (first, 1.25), color=GENERATED, linewidth=1.6)
    text = "append the new token and go around again, until the model writes its end token"
    ax.text((first + last) / 2, 1.82, text, ha="center", va="bottom", color=GENERATED, fontsize=10)
    return figure


def draw_attention(weights: Tensor, queries: Sequence[str], keys: Sequence[str]) -> Figure:
    """Attention weights [T, S] as a table: a row per query, in which the shares add up to 1."""
    figure, ax = plt.subplots(figsize=(1.6 + 0.75 * len(keys), 1.2 + 0.55 * len(queries)))
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, shares in enumerate(weights.tolist()):
        for column, share in enumerate(shares):
            if column > row + len(keys) - len(queries):
                ax.add_patch(
                    Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=GREY, hatch="///", ec="w")
                )
            else:
                color = "white" if share > 0.5 else "black"
                ax.text(column, row, f"{share:.2f}", ha="center", va="center", color=color)
    label_table(ax, queries, keys)
    return figure


def label_table(ax: Axes, queries: Sequence[str], keys: Sequence[str]) -> None:
    """Name the rows and columns of a table of attention weights."""
    ax.set_xticks(range(len(keys)), keys)
    ax.set_yticks(range(len(queries)), queries)
    ax.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    ax.set_title("attends to (keys)", fontsize=10)
    ax.set_ylabel("token that is read (query)", fontsize=10)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def draw_head_groups(num_heads: int = 4) -> Figure:
    """Query heads that share key/value heads: all separate, in groups, one for all."""
    figure, ax = blank(9, 2.5)
    kinds = [("multi-head", num_heads), ("grouped-query", num_heads // 2), ("multi-query", 1)]
    for panel, (kind, num_kv_heads) in enumerate(kinds):
        left = 0.1 + panel * 3.1
        shared_by = num_heads // num_kv_heads
        ax.text(left + 1.3, 2.45, kind, ha="center", va="top", fontsize=12)
        for head in range(num_heads):
            x = left + head * 0.66
            box(ax, x, 1.45, 0.6, 0.5, f"q{head}", NEUTRAL, "white")
            x_kv = left + (head // shared_by + 0.5) * shared_by * 0.66 - 0.03
            arrow(ax, (x + 0.3, 1.45), (x_kv, 0.95))
        for kv_head in range(num_kv_heads):
            x = left + (kv_head + 0.5) * shared_by * 0.66 - 0.33
            box(ax, x, 0.45, 0.6, 0.5, f"k{kv_head} v{kv_head}", CACHED, "white", fontsize=9)
        text = f"cache: {num_kv_heads} key/value head" + "s" * (num_kv_heads > 1)
        ax.text(left + 1.3, 0.3, text, ha="center", va="top", fontsize=10)
    return figure


def draw_turns(turned: Sequence[Tensor], titles: Sequence[str]) -> tuple[Figure, Axes]:
    """One 2-D vector at successive positions [positions, 2] in each panel; an empty last panel."""
    figure, axes = plt.subplots(1, len(turned) + 1, figsize=(10, 3.2))
    for ax, vectors, title in zip(axes, turned, titles):
        is_crowded = (vectors[1] - vectors[0]).norm() < 0.3
        for position, (x, y) in enumerate(vectors.tolist()):
            color = plt.get_cmap("viridis")(0.9 * position / len(vectors))
            arrow(ax, (0, 0), (x, y), color=color, linewidth=1.8)
            if not is_crowded or position in (0, len(vectors) - 1):
                ax.text(1.18 * x, 1.18 * y, position, ha="center", va="center", color=color)
        ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", xticks=[], yticks=[])
        ax.set_title(title, fontsize=11)
        ax.spines[:].set_visible(False)
    return figure, axes[-1]


def draw_intervals(names: Sequence[str], rows: dict[str, Sequence[float]], u: float) -> Figure:
    """The unit interval cut into one piece per token, for each row; a line where u falls.

    Probabilities need not add up to 1: the rest is drawn in grey at the end.
    """
    figure, ax = plt.subplots(figsize=(9, 0.7 + 0.6 * len(rows)))
    for y, shares in enumerate(rows.values()):
        left = 0.0
        for i, (name, share) in enumerate(zip(names, shares)):
            ax.barh(y, share, left=left, color=COLORS[i % len(COLORS)], edgecolor="white")
            if share > 0.06:
                ax.text(left + share / 2, y, name, ha="center", va="center", color="white")
            left += share
        ax.barh(y, 1 - left, left=left, color="#BBBBBB")
    ax.axvline(u, color="black", linestyle="--", linewidth=1.4)
    ax.text(u, -0.55, f"u = {u}", ha="center", va="bottom")
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.55), xlabel="cumulative probability")
    ax.grid(False)
    return figure


def draw_cache(prompt: int = 5, generated: int = 4) -> Figure:
    """Which tokens each forward pass reads, without a cache and with one."""
    figure, ax = blank(9, 3.1)
    size = 0.36
    for panel, title in enumerate(("without a cache", "with a cache")):
        left = 0.75 + 4.6 * panel
        ax.text(left + 4.5 * size, 2.98, title, ha="center", va="top", fontsize=12)
        num_read = 0
        for step in range(generated):
            y = 2.25 - step * 0.45
            ax.text(left - 0.1, y + size / 2, f"pass {step + 1}", ha="right", va="center")
            for place in range(prompt + step):
                is_read = panel == 0 or place >= prompt + step - 1 or step == 0
                num_read += is_read
                color = (PROMPT if place < prompt else GENERATED) if is_read else "#CFE8DF"
                box(ax, left + place * size, y, size, size, "", color)
            x = left + (prompt + step) * size
            ax.text(x + size / 2, y + size / 2, "?", ha="center", va="center", fontsize=12)
        text = f"{num_read} tokens read for {generated} new ones"
        ax.text(left + 4.5 * size, 0.62, text, ha="center", va="top", fontsize=11)
    names = ((PROMPT, "prompt, read"), (GENERATED, "generated, read"), ("#CFE8DF", "kept in cache"))
    for i, (color, name) in enumerate(names):
        box(ax, 1.6 + 2.2 * i, 0.05, 0.22, 0.22, "", color)
        ax.text(1.9 + 2.2 * i, 0.16, name, va="center", fontsize=10)
    return figure


def draw_batch(rows: int = 4) -> Figure:
    """Time runs to the right: the fixed cost of a step is paid once per step, not once per row."""
    figure, ax = blank(9, 2.4)
    fixed, per_row, y = 1.35, 0.3, 1.55
    ax.text(0.05, y + 0.62, f"{rows} rows, one after the other", fontsize=11, va="bottom")
    for row in range(rows):
        x = 0.05 + row * (fixed + per_row)
        box(ax, x, y, fixed, 0.5, "fixed cost", "#999999", "white", fontsize=10)
        box(ax, x + fixed, y, per_row, 0.5, str(row), GENERATED, "white")
    y = 0.45
    ax.text(0.05, y + 0.62, f"{rows} rows in one batch", fontsize=11, va="bottom")
    box(ax, 0.05, y, fixed, 0.5, "fixed cost", "#999999", "white", fontsize=10)
    for row in range(rows):
        x = 0.05 + fixed + row * per_row
        box(ax, x, y, per_row, 0.5, str(row), GENERATED, "white")
    end = 0.05 + fixed + rows * per_row
    ax.text(end + 0.15, y + 0.25, "the same arithmetic, in less time", va="center", fontsize=10)
    arrow(ax, (0.05, 0.2), (6.7, 0.2))
    ax.text(6.8, 0.2, "time", va="center", fontsize=10)
    return figure


def draw_rows(prompt: int = 6, lengths: Sequence[int] = (3, 5, 2, 4), slots: int = 12) -> Figure:
    """The slots of a cache: one prompt read once, copied to several rows, then continued."""
    figure, ax = blank(9, 2.5)
    size = 0.3

    def draw_row(x: float, y: float, generated: int) -> None:
        """One row of slots; those beyond the generated tokens are empty."""
        for slot in range(slots):
            color = PROMPT if slot < prompt else GENERATED
            used = slot < prompt + generated
            box(ax, x + slot * size, y, size, size, "", color if used else "white")

    ax.text(0.05, 2.3, "1. prefill: one row", fontsize=11)
    draw_row(0.05, 1.2, 0)
    ax.text(4.95, 2.3, "2. select([0, 0, 0, 0]), then decode: four rows", fontsize=11)
    for row, generated in enumerate(lengths):
        draw_row(4.95, 1.8 - row * 0.4, generated)
        arrow(ax, (3.75, 1.35), (4.9, 1.95 - row * 0.4))
    names = ((PROMPT, "prompt"), (GENERATED, "generated"), ("white", "empty slot"))
    for i, (color, name) in enumerate(names):
        box(ax, 2.4 + 1.7 * i, 0.05, 0.22, 0.22, "", color)
        ax.text(2.7 + 1.7 * i, 0.16, name, va="center", fontsize=10)
    return figure


# --- Numbers --------------------------------------------------------------------------------------


def plot_weights(weights: Tensor, queries: Sequence[str], keys: Sequence[str]) -> Figure:
    """Attention weights [T, S] of a real head, without numbers; `keys` may be many."""
    figure, ax = plt.subplots(figsize=(11, 0.9 + 0.34 * len(queries)))
    image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    label_table(ax, queries, keys)
    ax.tick_params(axis="x", rotation=90, labelsize=9)
    ax.tick_params(axis="y", labelsize=10)
    for line in range(1, len(queries)):
        ax.axhline(line - 0.5, color="#DDDDDD", linewidth=0.6)
    figure.colorbar(image, ax=ax, pad=0.01, label="weight")
    return figure


def plot_distances(ax: Axes, scores: dict[str, tuple[Sequence[int], Sequence[float]]]) -> None:
    """Scores q·k against the distance of two positions: name -> (distances, scores)."""
    for i, (name, (distances, values)) in enumerate(scores.items()):
        ax.plot(distances, values, marker="ox+"[i % 3], linestyle="", label=name, fillstyle="none")
    ax.set(xlabel="distance between query and key", ylabel="score q·k")
    ax.legend(title="position of the key", fontsize=9, title_fontsize=9)


def plot_next_tokens(panels: dict[str, list[tuple[str, float]]]) -> Figure:
    """The most likely next tokens, best first: a panel per title with (token, probability)."""
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 2.6), squeeze=False)
    for ax, (title, tokens) in zip(axes[0], panels.items()):
        names, shares = zip(*tokens)
        bars = ax.barh(range(len(names)), shares, color=GENERATED)
        ax.bar_label(bars, [f"{share:.3f}" for share in shares], padding=3, fontsize=9)
        ax.set_yticks(range(len(names)), names)
        ax.set(xlim=(0, 1.15), xticks=[0, 0.5, 1], xlabel="probability", title=title)
        ax.title.set_fontsize(11)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
    return figure


def plot_next_token_times(ax: Axes, times: Sequence[Sequence[float]], title: str) -> None:
    """Time per new token against the length of the text; rows are (length, without, with)."""
    lengths, without, cached = zip(*times)
    for values, name, color in (
        (without, "without a cache", COLORS[1]),
        (cached, "with a cache", COLORS[2]),
    ):
        values = [1000 * value for value in values]
        ax.plot(lengths, values, marker="o", color=color)
        ax.annotate(
            name,
            (lengths[-1], values[-1]),
            xytext=(-6, 7),
            textcoords="offset points",
            ha="right",
            color=color,
        )
    ax.set(xlim=(0, 1.04 * lengths[-1]), ylim=(0, 1.15 * max(without) * 1000))
    ax.set(xlabel="tokens in the text so far", ylabel="ms per new token", title=title)


def plot_step_times(steps: Sequence[Sequence[float]], title: str) -> Figure:
    """Time per decode step, and tokens per second, against rows; `steps` is (rows, seconds)."""
    rows, seconds = zip(*steps)
    panels = (
        ("ms per step", [1000 * value for value in seconds]),
        ("tokens per second", [count / value for count, value in steps]),
    )
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    figure.suptitle(title, fontsize=12)
    for ax, (name, values) in zip(axes, panels):
        ax.plot(rows, values, marker="o", color=GENERATED)
        ax.set_xscale("log", base=2)
        ax.set_xticks(rows, rows)
        ax.set(xlabel="rows in the batch", ylabel=name, ylim=(0, 1.1 * max(values)))
    return figure


def draw_probabilities(pieces: Sequence[str], probabilities: Sequence[float]) -> Figure:
    """A text with each token shaded by the probability that the model gave it: unsure is orange."""
    lines: list[list[tuple[str, float]]] = [[]]
    for piece, probability in zip(pieces, probabilities):
        lines[-1].append((piece.replace("\n", "⏎"), probability))
        if "\n" in piece:
            lines.append([])
    lines = [line for line in lines if line]
    columns = 2 if len(lines) > 12 else 1
    per_column = -(-len(lines) // columns)
    figure, ax = blank(9, 0.1 + 0.27 * per_column)
    unsure = plt.get_cmap("Oranges_r")
    for number, line in enumerate(lines):
        x = 0.05 + 4.6 * (number // per_column)
        y = 0.27 * (per_column - 1 - number % per_column) + 0.05
        for piece, probability in line:
            width = 0.09 * len(piece) + 0.05
            color = unsure(0.35 + 0.65 * probability) if probability < 0.99 else "white"
            ax.add_patch(Rectangle((x, y), width, 0.24, facecolor=color, edgecolor="#DDDDDD"))
            place = (x + width / 2, y + 0.11)
            ax.text(*place, piece.strip(" "), ha="center", va="center", family="monospace", size=10)
            x += width
    return figure
