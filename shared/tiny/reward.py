"""Train the shipped process reward model: which beginnings of a solution lead to the answer?

    python -m shared.tiny.reward rollouts --policy runs/review --out runs/reward --problems 1200
    python -m shared.tiny.reward drafts --policy runs/review --out runs/reward --problems 40000
    python -m shared.tiny.reward train --policy runs/review --out runs/reward

`rollouts` samples solutions of training problems, cuts each after some of its steps, lets the
policy finish each beginning several times, and writes down how often that ended in the right
answer (Math-Shepherd, Wang 2023). `drafts` samples many more solutions, of which only the outcome
is known. `train` starts from the policy's decoder and adds a scalar head; it fits those shares,
then whether all is right so far, then the shares again. Killed, each goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from shared import prompts
from shared.answers import answers_match, extract_answer
from shared.checkpoint import load_model
from shared.llm import LLM
from shared.model import Qwen
from shared.prefill import pad_right
from shared.sampler import SamplingParams
from shared.scorers import ProcessRewardModel, encode_steps
from shared.tiny.drafts import first_wrong_step, sample_drafts, training_problem, write_drafts
from shared.tiny.optimize import export, optimize, plot_losses, round_up
from shared.tokenizer import Tokenizer

ROLLOUT_SEED = 1  # another stream of problems than the drafts that the policy was trained on
DRAFT_SEED = 2  # and another one, for solutions without rollouts
ROLLOUTS = 4
LABELS = 4  # steps of a solution, drawn at random, that rollouts are made from
Example = tuple[list[int], list[int], list[float]]  # token ids, where steps end, their labels
PEAK_RATE = 2e-3
MORE_LAYERS = 2
BATCH = 32  # solutions
POOL = 1024  # solutions that are sorted by length before they are cut into batches
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


def with_outcomes(tokenizer: Tokenizer, record: dict) -> Example:
    """A solution whose label at each step is the share of successes from there.

    A solution is itself a rollout from each of its steps: where no others were made, its own
    outcome is the label.
    """
    problem = training_problem(record["seed"], record["index"])
    ids, ends = encode_steps(tokenizer, problem.question, record["text"])
    outcome = float(record["is_right"])
    shares = record.get("shares", [None] * len(ends))
    return ids, ends, [outcome if share is None else share for share in shares[: len(ends)]]


def with_step_labels(tokenizer: Tokenizer, record: dict) -> Example:
    """A solution whose label at each step says whether all is right so far: less noisy than how a
    beginning happened to end, and for these problems known."""
    problem = training_problem(record["seed"], record["index"])
    ids, ends = encode_steps(tokenizer, problem.question, record["text"])
    lines = record["text"].split("\n")
    is_right = record["is_right"]
    wrong = len(lines) if is_right else lines.index(first_wrong_step(problem, record["text"]))
    return ids, ends, [float(step < wrong) for step in range(len(ends))]


def batches(examples: list[Example], rng: random.Random) -> Iterator[list]:
    """Batches of solutions of similar length."""
    while True:
        pool = sorted(rng.sample(examples, min(POOL, len(examples))), key=lambda e: len(e[0]))
        cut = [pool[i : i + BATCH] for i in range(0, len(pool), BATCH)]
        rng.shuffle(cut)
        yield from cut


def reward_loss(model: ProcessRewardModel, batch: list) -> Tensor:
    """Cross-entropy of the shares of success at the ends of all steps."""
    width = round_up(max(len(ids) for ids, _, _ in batch), 16)
    ids = F.pad(pad_right([ids for ids, _, _ in batch], torch.device("cpu")), (0, width))
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(ids[:, :width])  # [B, T, hidden]
    logits = model.score(hidden.float())[..., 0]  # [B, T]
    rows = [row for row, (_, ends, _) in enumerate(batch) for _ in ends]
    ends = [end for _, ends, _ in batch for end in ends]
    shares = torch.tensor([share for _, _, shares in batch for share in shares])
    return F.binary_cross_entropy_with_logits(logits[rows, ends], shares)


def extended(base: Qwen, tokenizer: Tokenizer) -> ProcessRewardModel:
    """The policy's decoder, frozen, with a few layers more and a scalar head, which are trained.

    What the policy expected at each token is only known after its last layer: the layers on top
    can compare that with the token that came. New layers change nothing at first.
    """
    num_layers = base.config.num_layers
    config = replace(base.config, num_layers=num_layers + MORE_LAYERS)
    model = ProcessRewardModel(config, tokenizer).requires_grad_(False)
    model.model.load_state_dict(base.model.state_dict(), strict=False)
    for layer in model.model.layers[num_layers:]:
        layer.requires_grad_(True)
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    model.model.norm.requires_grad_(True)
    model.score.requires_grad_(True)
    torch.nn.init.zeros_(model.score.weight)
    torch.nn.init.zeros_(model.score.bias)
    return model


PHASES = (("steps", with_step_labels, 500), ("outcomes", with_outcomes, 1_500))


def fit(policy: Path, out: Path, seed: int) -> None:
    """Fit a scalar head on top of the policy's decoder, phase by phase."""
    torch.manual_seed(seed)
    tokenizer = Tokenizer.from_folder(policy)
    model = extended(load_model(policy, "cpu", torch.float32), tokenizer)
    records = read_records(out)
    for phase, label, num_steps in PHASES:
        examples = [label(tokenizer, record) for record in records]
        optimize(
            model,
            lambda batch: reward_loss(model, batch),
            batches(examples, random.Random(f"{phase}/{seed}")),
            out,
            stage=phase,
            num_steps=num_steps,
            learning_rate=PEAK_RATE,
        )
    export(model, out)
    plot_losses(out, f"batches of {BATCH} solutions; loss of a step's share of successes")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(policy / name, out / name)
    hub = json.loads((policy / "config.json").read_text(encoding="utf-8"))
    hub["num_hidden_layers"] += MORE_LAYERS
    (out / "config.json").write_text(json.dumps(hub, indent=1) + "\n", encoding="utf-8")


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
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.stage == "train":
        fit(args.policy, args.out, args.seed)
    else:
        collect(args.policy, args.out, args.stage, args.problems)


if __name__ == "__main__":
    main()
