"""Train the shipped process reward model: which beginnings of a solution lead to the answer?

    python -m shared.tiny.reward rollouts --policy runs/full --out runs/reward
    python -m shared.tiny.reward train --policy runs/full --out runs/reward

`rollouts` samples solutions of training problems, cuts each after some of its steps, lets the
policy finish each beginning several times, and writes down how often that ended in the right
answer (Math-Shepherd, Wang 2023); killed, it goes on where it was. `train` starts from the
policy's decoder, adds a scalar head, and fits those shares: a few minutes.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from shared import prompts
from shared.answers import answers_match, extract_answer
from shared.checkpoint import load_model
from shared.generate import pad_right
from shared.llm import LLM
from shared.sampler import SamplingParams
from shared.scorers import ProcessRewardModel, encode_steps
from shared.tiny.drafts import sample_drafts, training_problem, write_drafts
from shared.tiny.train import append_csv, learning_rate_at, make_optimizers, round_up
from shared.tokenizer import Tokenizer

ROLLOUT_SEED = 1  # another stream of problems than the drafts that the policy was trained on
DRAFT_SEED = 2  # and another one, for solutions without rollouts
ROLLOUTS = 4
LABELS = 4  # steps of a solution, drawn at random, that rollouts are made from
CHUNKS = {"rollouts": 100, "drafts": 1_000}  # problems a file


def rollout_starts(llm: LLM, draft: dict) -> dict[int, list[int]]:
    """For some steps of a draft, the prompt that lets the model go on after that step."""
    lines = draft["text"].split("\n")
    rng = random.Random(f"{draft['index']} {draft['text']}")
    steps = sorted(rng.sample(range(len(lines) - 1), min(LABELS, len(lines) - 1)))
    asked = prompts.ask(training_problem(ROLLOUT_SEED, draft["index"]).question)
    starts = {}
    for step in steps:
        begun = {"role": "assistant", "content": "\n".join(lines[: step + 1]) + "\n"}
        starts[step] = llm.tokenizer.encode_chat([*asked, begun], continue_final_message=True)
    return starts


def collect_rollouts(llm: LLM, indices: range) -> list[dict]:
    """Solutions of problems, each with the share of successes after some of its steps."""
    drafts = sample_drafts(llm, indices, seed=ROLLOUT_SEED)
    starts = [rollout_starts(llm, draft) for draft in drafts]
    params = SamplingParams(n=ROLLOUTS, temperature=0.8, max_tokens=700, seed=ROLLOUT_SEED)
    outputs = iter(llm.generate([ids for each in starts for ids in each.values()], params))
    for draft, each in zip(drafts, starts):
        gold = str(training_problem(ROLLOUT_SEED, draft["index"]).answer)
        shares: list[float | None] = [None] * len(draft["text"].split("\n"))
        shares[-1] = float(draft["is_right"])
        for step in each:
            completions = next(outputs).completions
            right = [answers_match(extract_answer(c.text), gold) for c in completions]
            shares[step] = sum(right) / len(right)
        draft["shares"] = shares
    return drafts


def collect(policy: Path, out: Path, stage: str, num_problems: int) -> None:
    """Write the solutions of `num_problems` training problems, a file for every few of them."""
    llm, chunk = LLM(str(policy), device="cpu"), CHUNKS[stage]
    for first in range(0, num_problems, chunk):
        path, began = out / f"{stage}-{first:06}.jsonl", time.time()
        if path.exists():
            continue
        indices = range(first, first + chunk)
        if stage == "rollouts":
            write_drafts(path, collect_rollouts(llm, indices))
        else:
            write_drafts(path, sample_drafts(llm, indices, seed=DRAFT_SEED))
        print(f"{path.name}: {time.time() - began:.0f} s", flush=True)


def read_records(out: Path) -> list[dict]:
    """Solutions with rollouts, and drafts, which have none."""
    paths = sorted(out.glob("rollouts-*.jsonl")) + sorted(out.glob("drafts-*.jsonl"))
    if not paths:
        raise SystemExit(f"{out} has no solutions yet: run the stages rollouts and drafts first")
    return [
        json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()
    ]


def labelled(tokenizer: Tokenizer, record: dict) -> tuple[list[int], list[int], list[float]]:
    """Token ids of a solution, where its steps end, and each step's share of successes.

    A solution is itself a rollout from each of its steps: where no others were made, its own
    outcome is the label.
    """
    question = training_problem(record["seed"], record["index"]).question
    ids, ends = encode_steps(tokenizer, question, record["text"])
    outcome = float(record["is_right"])
    shares = record.get("shares", [None] * len(ends))
    return ids, ends, [outcome if share is None else share for share in shares[: len(ends)]]


def fit(
    policy: Path,
    out: Path,
    num_steps: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Fit the shares with a scalar head on a copy of the policy's decoder."""
    torch.manual_seed(seed)
    base, tokenizer = load_model(policy, "cpu", torch.float32), Tokenizer.from_folder(policy)
    model = ProcessRewardModel(base.config)
    model.model.load_state_dict(base.model.state_dict())
    torch.nn.init.zeros_(model.score.weight)
    torch.nn.init.zeros_(model.score.bias)
    examples = [labelled(tokenizer, record) for record in read_records(out)]
    rng, optimizers, losses = random.Random(seed), make_optimizers(model, learning_rate), []
    for step in range(num_steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * learning_rate_at(step, num_steps)
        batch = sorted(rng.sample(examples, 256), key=lambda example: len(example[0]))
        first = rng.randrange(0, 256, 32)
        batch = batch[first : first + 32]  # of similar length
        width = round_up(max(len(ids) for ids, _, _ in batch), 16)
        ids = F.pad(pad_right([ids for ids, _, _ in batch], base.device), (0, width))[:, :width]
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.model(ids)  # [B, T, hidden]
        logits = model.score(hidden.float())[..., 0]  # [B, T]
        rows = [row for row, (_, ends, _) in enumerate(batch) for _ in ends]
        ends = [end for _, ends, _ in batch for end in ends]
        shares = torch.tensor([share for _, _, shares in batch for share in shares])
        loss = F.binary_cross_entropy_with_logits(logits[rows, ends], shares)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            row = ("reward", step + 1, f"{sum(losses) / len(losses):.4f}")
            append_csv(out / "log.csv", ("stage", "step", "loss"), row)
            print(*row, flush=True)
            losses = []
    tensors = {
        name: p.detach().to(torch.float32).contiguous() for name, p in model.named_parameters()
    }
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(policy / name, out / name)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("rollouts", "drafts", "train"))
    parser.add_argument(
        "--policy", type=Path, required=True, help="folder of the model that solves"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--problems", type=int, default=1_000, help="training problems to solve")
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.stage == "train":
        fit(args.policy, args.out, args.steps, args.learning_rate, args.seed)
    else:
        collect(args.policy, args.out, args.stage, args.problems)


if __name__ == "__main__":
    main()
