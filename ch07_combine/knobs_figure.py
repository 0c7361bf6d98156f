"""The figure of the two knobs: accuracy against training, against inference, and both at once."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.evaluation.plots import accuracy_axis

GREEDY = "#7f7f7f"


def plot_knobs(content: dict) -> Figure:
    """Three panels from the content of results/knobs.json."""
    models = [model for model in content["models"] if model["is_length"]]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2))
    plot_training(axes[0], models)
    plot_inference(axes[1], models)
    plot_levels(axes[2], models)
    return figure


def shades(count: int) -> list:
    """Colors from light to dark blue."""
    return [plt.cm.Blues(share) for share in np.linspace(0.35, 1.0, count)]


def plot_training(axes: Axes, models: list[dict]) -> None:
    """A line for each number of samples: more training moves to the right."""
    training = [model["training_flops"] for model in models]
    sizes = [vote["n"] for vote in models[0]["votes"]]
    lines = {"greedy": ([m["greedy"] for m in models], GREEDY)}
    for k, (size, color) in enumerate(zip(sizes, shades(len(sizes)))):
        name = "one sample" if size == 1 else f"vote of {size}"
        lines[name] = [model["votes"][k] for model in models], color
    for name, (points, color) in lines.items():
        heights = [point["accuracy"] for point in points]
        style = "--" if name == "greedy" else "-"
        axes.plot(training, heights, style, marker="o", markersize=4, color=color, label=name)
        low, high = ([point[end] for point in points] for end in ("low", "high"))
        axes.fill_between(training, low, high, color=color, alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlabel("training FLOPs")
    axes.set_title("knob 1: train longer")
    axes.legend(loc="upper left", fontsize=8)
    accuracy_axis(axes)


def plot_inference(axes: Axes, models: list[dict]) -> None:
    """A line for each model: more samples move to the right."""
    for model, color in zip(models, shades(len(models))):
        flops = [vote["flops"] for vote in model["votes"]]
        heights = [vote["accuracy"] for vote in model["votes"]]
        axes.plot(flops, heights, "-", marker="o", markersize=4, color=color)
        axes.annotate(
            model["name"],
            (flops[-1], heights[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=color,
        )
    axes.set_xscale("log")
    axes.set_xlabel("inference FLOPs per problem")
    axes.set_title("knob 2: sample more")
    axes.margins(x=0.12)
    accuracy_axis(axes)


def plot_levels(axes: Axes, models: list[dict]) -> None:
    """Lines of equal accuracy over both costs; every measured point is a dot."""
    points = [
        (math.log10(model["training_flops"]), math.log10(vote["flops"]), vote["accuracy"])
        for model in models
        for vote in model["votes"]
    ]
    training, inference, accuracy = map(np.array, zip(*points))
    axes.scatter(training, inference, c=accuracy, cmap="viridis", vmin=0, vmax=1, s=22)
    if len(models) > 1:
        levels = [level / 10 for level in range(1, 10)]
        lines = axes.tricontour(training, inference, accuracy, levels, cmap="viridis", vmin=0)
        axes.clabel(lines, fmt=lambda level: f"{level:.0%}", fontsize=8)
    axes.set_xlabel("training FLOPs")
    axes.set_ylabel("inference FLOPs per problem")
    axes.xaxis.set_major_locator(plt.MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda power, _: f"$10^{{{power:.1f}}}$")
    axes.yaxis.set_major_formatter(lambda power, _: f"$10^{{{power:.1f}}}$")
    axes.set_title("lines of equal accuracy")
