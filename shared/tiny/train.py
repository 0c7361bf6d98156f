"""Train the shipped model from scratch on two CPU cores (or one): about an hour in all.

    python -m shared.tiny.train base --out runs/base                     # easy numbers
    python -m shared.tiny.train full --base runs/base --out runs/full    # the full ranges
    python -m shared.tiny.train final --base runs/full --out runs/final  # + judging and revising
    python -m shared.tiny.train review --base runs/final --out runs/review    # more of that

Killed runs go on where they last saved. Progress goes to `log.csv`, its picture to `loss.png`.
Hidden matrices are trained with Muon (Jordan 2024), everything else with AdamW; matrix products
are computed in bfloat16, weights are kept in float32. The learning rate falls linearly to zero:
a model that is stopped early samples much worse than it answers greedily.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shared.checkpoint import load_model
from shared.llm import LLM
from shared.model import ModelConfig, Qwen
from shared.tiny.documents import BASE, FINAL, LARGER, REVIEW, Document, draw_documents
from shared.tiny.drafts import read_drafts, sample_drafts, write_drafts
from shared.tiny.vocabulary import train_vocabulary
from shared.tokenizer import Tokenizer

HUB_CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "torch_dtype": "float32",
}
TOKENS_PER_BATCH = 8_000  # padding included
POOL = 1024  # documents that are sorted by length before they are cut into batches
WARMUP_STEPS = 100
SAVE_EVERY = 250  # steps
STEPS = {"base": 6_000, "full": 1_000, "final": 800, "review": 1_000}
PEAK_RATES = {"base": 5e-3, "full": 2e-3, "final": 1e-3, "review": 1.5e-3}
RECIPES = {"base": BASE, "full": LARGER, "final": FINAL, "review": REVIEW}
NUM_DRAFTS = 5_000
FOLDER_FILES = (
    "config.json",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
)
IGNORED = -100  # cross_entropy's mark for targets that are not learned from


def new_model(folder: Path, seed: int) -> Qwen:
    """Write config.json and generation_config.json beside the vocabulary; return a random model."""
    tokenizer = Tokenizer.from_folder(folder)
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = HUB_CONFIG | {"vocab_size": tokenizer.vocab_size, "eos_token_id": end}
    generation = {"eos_token_id": [end, pad], "pad_token_id": pad}
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    torch.manual_seed(seed)
    model = Qwen(ModelConfig.from_dict(config))
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.02 if "embed" in name else weight.shape[1] ** -0.5)
    return model


def batches(documents: Iterator[Document], rng: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of similar length: token ids [B, T] and targets [B, T], IGNORED where not trained."""
    while True:
        pool = sorted(itertools.islice(documents, POOL), key=lambda document: len(document.ids))
        cut: list[list[Document]] = [[]]
        for document in pool:
            if (len(cut[-1]) + 1) * round_up(len(document.ids), 16) > TOKENS_PER_BATCH:
                cut.append([])
            cut[-1].append(document)
        rng.shuffle(cut)
        yield from map(pad_batch, cut)


def pad_batch(documents: list[Document]) -> tuple[Tensor, Tensor]:
    """Pad on the right; the target of each position is the next token, if it is trained."""
    width = round_up(max(len(document.ids) for document in documents), 16)
    ids = torch.zeros(len(documents), width, dtype=torch.long)
    targets = torch.full_like(ids, IGNORED)
    for row, document in enumerate(documents):
        tokens, trained = torch.tensor(document.ids), torch.tensor(document.trained)
        ids[row, : len(tokens)] = tokens
        targets[row, : len(tokens) - 1] = tokens[1:].where(trained[1:], IGNORED)
    return ids, targets


def round_up(number: int, multiple: int) -> int:
    """The next multiple: shapes that recur need no new matrix-product kernels."""
    return -(-number // multiple) * multiple


def learned_positions(targets: Tensor) -> Tensor:
    """Indices into targets [B * T] of what is learned, filled up with ignored ones."""
    is_learned = (targets.flatten() != IGNORED).int()
    count = round_up(int(is_learned.sum()), 512)
    return is_learned.argsort(descending=True)[:count]


def make_optimizers(model: nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embedding and the norms."""
    is_matrix = {name: p.ndim == 2 and ".layers." in name for name, p in model.named_parameters()}
    matrices = [p for name, p in model.named_parameters() if is_matrix[name]]
    others = [p for name, p in model.named_parameters() if not is_matrix[name]]
    muon = torch.optim.Muon(
        matrices, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)]


def learning_rate_at(step: int, num_steps: int) -> float:
    """Share of the peak rate: a short warm-up, then a straight line down to zero."""
    return min((step + 1) / WARMUP_STEPS, 1.0) * (1 - step / num_steps)


def train(
    model: Qwen,
    documents: Iterator[Document],
    folder: Path,
    *,
    stage: str,
    num_steps: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Train for `num_steps` batches, saving and logging to `folder`; resumes an earlier run."""
    optimizers = make_optimizers(model, learning_rate)
    start = restore(folder / f"{stage}.state.safetensors", model, optimizers)
    stream = batches(documents, random.Random(seed))
    stream = itertools.islice(stream, start, None)  # the same batches as before the interruption
    began, losses = time.time(), []
    for step, (ids, targets) in enumerate(itertools.islice(stream, num_steps - start), start):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_at(step, num_steps)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(ids).flatten(0, 1)  # [B * T, hidden]
            learned = learned_positions(targets)
            logits = model.lm_head(hidden[learned])  # [learned, V]
        loss = F.cross_entropy(logits.float(), targets.flatten()[learned])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            row = (
                stage,
                step + 1,
                f"{sum(losses) / len(losses):.4f}",
                f"{time.time() - began:.0f}",
            )
            append_csv(folder / "log.csv", ("stage", "step", "loss", "seconds"), row)
            print(*row, flush=True)
            losses = []
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == num_steps:
            save(folder / f"{stage}.state.safetensors", model, optimizers, step + 1)


def append_csv(path: Path, header: tuple, row: tuple) -> None:
    """Add a row, under a header if the file is new."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, row] if is_new else [row])


def save(path: Path, model: Qwen, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    """Write weights and optimizer state to one safetensors file (no pickle), all or nothing."""
    tensors = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{j}.{key}": value for key, value in state.items()}
    tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(tensors, path.with_suffix(".tmp"), metadata={"step": str(step)})
    path.with_suffix(".tmp").replace(path)


def restore(path: Path, model: Qwen, optimizers: list[torch.optim.Optimizer]) -> int:
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


def export(model: Qwen, folder: Path) -> None:
    """Write model.safetensors under the hub's names (the tied head is stored once)."""
    tensors = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def plot_losses(folder: Path) -> None:
    """Draw log.csv as loss.png."""
    import matplotlib.pyplot as plt

    with (folder / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows])
    axes.set(xlabel="step (batches of 8,000 tokens)", ylabel="loss (nats a trained token)")
    axes.set_yscale("log")
    figure.savefig(folder / "loss.png", dpi=120, bbox_inches="tight")


def train_base(folder: Path, num_steps: int, seed: int) -> None:
    """From nothing to a model that solves problems."""
    if not (folder / "vocab.json").exists():
        train_vocabulary(folder, seed=seed)
    tokenizer = Tokenizer.from_folder(folder)
    model = new_model(folder, seed)
    documents = draw_documents(random.Random(seed), tokenizer, BASE, [])
    train(
        model,
        documents,
        folder,
        stage="base",
        num_steps=num_steps,
        learning_rate=PEAK_RATES["base"],
        seed=seed,
    )
    export(model, folder)


def train_further(base: Path, folder: Path, stage: str, num_steps: int, seed: int) -> None:
    """Go on from another stage's model: "full" on larger numbers, the others on drafts too."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FOLDER_FILES:
        shutil.copy(base / name, folder / name)
    drafts = []
    if stage in ("final", "review"):
        if stage == "review":
            shutil.copy(base / "drafts.jsonl", folder / "drafts.jsonl")
        if not (folder / "drafts.jsonl").exists():
            sampled = sample_drafts(LLM(str(base), device="cpu"), range(NUM_DRAFTS), seed=seed)
            write_drafts(folder / "drafts.jsonl", sampled)
        drafts = read_drafts(folder / "drafts.jsonl", seed)
    model = load_model(base, "cpu", torch.float32).requires_grad_(True).train()
    tokenizer = Tokenizer.from_folder(base)
    rng = random.Random(f"{stage}/{seed}")
    train(
        model,
        draw_documents(rng, tokenizer, RECIPES[stage], drafts),
        folder,
        stage=stage,
        num_steps=num_steps,
        learning_rate=PEAK_RATES[stage],
        seed=seed,
    )
    export(model, folder)


def main() -> None:
    """Run one stage of the recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=tuple(STEPS))
    parser.add_argument("--out", type=Path, required=True, help="folder of this stage")
    parser.add_argument("--base", type=Path, help="folder of the stage before; not for base")
    parser.add_argument("--steps", type=int, help=f"batches (default: {STEPS})")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    num_steps = args.steps or STEPS[args.stage]
    if args.stage == "base":
        train_base(args.out, num_steps, args.seed)
    elif args.base is None:
        parser.error(f"the {args.stage} stage needs --base, the folder of the stage before")
    else:
        train_further(args.base, args.out, args.stage, num_steps, args.seed)
    plot_losses(args.out)


if __name__ == "__main__":
    main()
