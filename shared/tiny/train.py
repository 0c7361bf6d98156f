"""Train the shipped model from scratch on two CPU cores (or one): about an hour in all.

    python -m shared.tiny.train base --out runs/base                     # easy numbers
    python -m shared.tiny.train full --base runs/base --out runs/full    # the full ranges
    python -m shared.tiny.train final --base runs/full --out runs/final  # + judging and revising
    python -m shared.tiny.train review --base runs/final --out runs/review    # more of that

A run that was killed resumes where it last saved. Progress goes to `log.csv`, its picture to
`loss.png`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen
from shared.llm import LLM
from shared.loading.checkpoint import load_model
from shared.text.tokenizer import Tokenizer
from shared.tiny.documents import BASE, FINAL, LARGER, REVIEW, Document, draw_documents
from shared.tiny.drafts import read_drafts, sample_drafts, write_drafts
from shared.tiny.optimize import export, optimize, plot_losses, round_up
from shared.tiny.vocabulary import train_vocabulary

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


def learned_positions(targets: Tensor) -> Tensor:
    """Indices into targets [B * T] of what is learned, filled up with ignored ones."""
    is_learned = (targets.flatten() != IGNORED).int()
    count = round_up(int(is_learned.sum()), 512)
    return is_learned.argsort(descending=True)[:count]


def next_token_loss(model: Qwen, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the learned tokens; the vocabulary head is applied to no others."""
    ids, targets = batch  # [B, T]
    learned = learned_positions(targets)
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(ids).flatten(0, 1)  # [B * T, hidden]
        logits = model.lm_head(hidden[learned])  # [learned, V]
    return F.cross_entropy(logits.float(), targets.flatten()[learned])


def train(
    model: Qwen,
    documents: Iterator[Document],
    folder: Path,
    *,
    stage: str,
    num_steps: int,
    seed: int,
) -> None:
    """Train on `num_steps` batches of documents and write the folder's model.safetensors."""
    optimize(
        model,
        lambda batch: next_token_loss(model, batch),
        batches(documents, random.Random(seed)),
        folder,
        stage=stage,
        num_steps=num_steps,
        learning_rate=PEAK_RATES[stage],
    )
    export(model, folder)
    plot_losses(folder, f"batches of {TOKENS_PER_BATCH:,} tokens; loss of a trained token")


def train_base(folder: Path, num_steps: int, seed: int) -> None:
    """From nothing to a model that solves problems."""
    if not (folder / "vocab.json").exists():
        train_vocabulary(folder, seed=seed)
    tokenizer = Tokenizer.from_folder(folder)
    model = new_model(folder, seed)
    documents = draw_documents(random.Random(seed), tokenizer, BASE, [])
    train(model, documents, folder, stage="base", num_steps=num_steps, seed=seed)


def train_further(base: Path, folder: Path, stage: str, num_steps: int, seed: int) -> None:
    """Start from another stage's model: "full" on larger numbers, the others on drafts too."""
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
    documents = draw_documents(rng, tokenizer, RECIPES[stage], drafts)
    train(model, documents, folder, stage=stage, num_steps=num_steps, seed=seed)


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


if __name__ == "__main__":
    main()
