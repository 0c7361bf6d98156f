"""The training loop of the shipped models: optimizers, schedule, log, and a state to resume from.

Hidden matrices are trained with Muon (Jordan 2024), everything else with AdamW; matrix products
are computed in bfloat16, weights are kept in float32. The learning rate falls linearly to zero:
a model that is stopped early samples much worse than it answers greedily.
"""

from __future__ import annotations

import csv
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Batch = TypeVar("Batch")

WARMUP_STEPS = 100
LOG_EVERY = 50  # steps
SAVE_EVERY = 250
LOG_COLUMNS = ("stage", "step", "loss", "seconds")  # loss: mean of, seconds: for, LOG_EVERY steps


def optimize(
    model: nn.Module,
    loss_of: Callable[[Batch], Tensor],
    batches: Iterator[Batch],
    folder: Path,
    *,
    stage: str,
    num_steps: int,
    learning_rate: float,
) -> None:
    """Take `num_steps` steps on the loss of batches, saving and logging to `folder`.

    Resumes an earlier run, on the batches that it had not seen yet (`batches` starts from the
    first, as it did then).
    """
    optimizers = make_optimizers(model, learning_rate)
    start = restore(folder / f"{stage}.state.safetensors", model, optimizers)
    forget_log(folder / "log.csv", stage, start)
    began, losses = time.time(), []
    for step, batch in enumerate(itertools.islice(batches, start, num_steps), start):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_at(step, num_steps)
        loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % LOG_EVERY == 0 or step + 1 == num_steps:
            mean, seconds = sum(losses) / len(losses), time.time() - began
            row = [stage, step + 1, f"{mean:.4f}", f"{seconds:.0f}"]
            append_log(folder / "log.csv", row)
            print(*row, flush=True)
            began, losses = time.time(), []
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == num_steps:
            save(folder / f"{stage}.state.safetensors", model, optimizers, step + 1)


def make_optimizers(model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embedding, norms and heads."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = [p for name, p in trained.items() if p.ndim == 2 and ".layers." in name]
    others = [p for name, p in trained.items() if p.ndim != 2 or ".layers." not in name]
    muon = torch.optim.Muon(
        matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)]


def learning_rate_at(step: int, num_steps: int) -> float:
    """Share of the peak rate: a short warm-up, then a straight line down to zero."""
    return min((step + 1) / WARMUP_STEPS, 1.0) * (1 - step / num_steps)


def append_log(path: Path, row: list) -> None:
    """Add a row, under a header if the file is new."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([LOG_COLUMNS, row] if is_new else [row])


def forget_log(path: Path, stage: str, start: int) -> None:
    """Drop the rows of a killed run that came after its last save: they will be written again."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    kept = [row for row in rows if row[0] != stage or int(row[1]) <= start]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *kept])


def save(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    """Write weights and optimizer state to one safetensors file (no pickle), all or nothing."""
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{j}.{key}": value for key, value in state.items()}
    tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(tensors, path.with_suffix(".tmp"), metadata={"step": str(step)})
    path.with_suffix(".tmp").replace(path)


def restore(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> int:
    """Load what `save` wrote; the number of steps done (0 where there is no file)."""
    if not path.exists():
        return 0
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    for i, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimizer.{i}."):
                _, _, j, key = name.split(".")
                state.setdefault(int(j), {})[key] = tensor
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return step


def export(model: nn.Module, folder: Path) -> None:
    """Write model.safetensors under the hub's names (a tied head is stored once)."""
    tensors = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def plot_losses(folder: Path, title: str) -> None:
    """Draw log.csv as loss.png."""
    import matplotlib.pyplot as plt

    with (folder / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows])
    axes.set(xlabel="step", ylabel="loss (nats)", yscale="log", title=title)
    figure.savefig(folder / "loss.png", dpi=120, bbox_inches="tight")
    plt.close(figure)


def round_up(number: int, multiple: int) -> int:
    """The next multiple: shapes that recur need no new matrix-product kernels."""
    return -(-number // multiple) * multiple
