"""Make the shipped process reward model: which beginnings of a solution lead to the answer?

    python -m shared.tiny.reward rollouts --policy runs/review --out runs/reward --problems 1200
    python -m shared.tiny.reward drafts --policy runs/review --out runs/reward --problems 5000
    python -m shared.tiny.reward train --base runs/full --out runs/reward

`rollouts` samples solutions of training problems, cuts each after some of its steps, lets the
policy finish each beginning several times, and writes down how often that ended in the right
answer (Math-Shepherd, Wang 2023). `drafts` samples many more solutions, of which only the outcome
is known. After a crash, both resume where they stopped. `train` takes the decoder of an earlier
training stage, which is not the network that writes the answers, and fits a scalar head to those
shares.
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
from torch import Tensor

from shared import prompts
from shared.decoder.generate import pad_right
from shared.grading.answers import answers_match, extract_answer
from shared.llm import LLM
from shared.loading.checkpoint import load_model
from shared.rewards.process_reward import LineRewardModel, encode_steps
from shared.sampling_params import SamplingParams
from shared.text.tokenizer import Tokenizer
from shared.tiny.drafts import sample_drafts, training_problem, write_drafts
from shared.tiny.optimize import export

ROLLOUT_SEED = 1  # another stream of problems than the drafts that the policy was trained on
DRAFT_SEED = 2  # and another one, for solutions without rollouts
ROLLOUTS = 4
LABELS = 4  # steps of a solution, drawn at random, that rollouts are made from
Example = tuple[list[int], list[int], list[float]]  # token ids, where steps end, their labels
BATCH = 32  # solutions
CHUNKS = {"rollouts": 100, "drafts": 1_000}  # problems a file


def rollout_starts(llm: LLM, draft: dict) -> dict[int, list[int]]:
    """For some steps of a draft, the prompt that lets the model go on after that step."""
    lines = draft["text"].split("\n")
    rng = random.Random(f"{draft['index']} {draft['text']}")
    steps = sorted(rng.sample(range(len(lines) - 1), min(LABELS, len(lines) - 1)))
    asked = prompts.ask(training_problem(ROLLOUT_SEED, draft["index"]).question)
    starts = {}
    for step in steps:
        prefilled = {"role": "assistant", "content": "\n".join(lines[: step + 1]) + "\n"}
        starts[step] = llm.tokenizer.encode_chat([*asked, prefilled], continue_final_message=True)
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


def labelled(tokenizer: Tokenizer, record: dict) -> Example:
    """Token ids of a solution, where its steps end, and each step's share of successes.

    A solution is itself a rollout from each of its steps: where no others were made, its own
    outcome is the label.
    """
    problem = training_problem(record["seed"], record["index"])
    ids, ends = encode_steps(tokenizer, problem.question, record["text"])
    outcome = float(record["is_right"])
    shares = record.get("shares", [None] * len(ends))
    return ids, ends, [outcome if share is None else share for share in shares[: len(ends)]]


@torch.no_grad()
def features_and_labels(model: LineRewardModel, examples: list[Example]) -> tuple[Tensor, Tensor]:
    """What the head sees at the end of every step [steps, hidden + 1], and its label [steps]."""
    features, labels = [], []
    examples = sorted(examples, key=lambda example: len(example[0]))
    for first in range(0, len(examples), BATCH):
        batch = examples[first : first + BATCH]
        ids = pad_right([ids for ids, _, _ in batch], torch.device("cpu"))
        first_ends = torch.tensor([ends[0] for _, ends, _ in batch])
        seen = model.features(ids, first_ends)  # [B, T, hidden + 1]
        features += [row[ends] for row, (_, ends, _) in zip(seen, batch)]
        labels += [torch.tensor(shares) for _, _, shares in batch]
    return torch.cat(features), torch.cat(labels)


def fit(base: Path, out: Path) -> None:
    """Fit the scalar head to the shares of success; the decoder stays as it is."""
    tokenizer = Tokenizer.from_folder(base)
    decoder = load_model(base, "cpu", torch.float32).model
    model = LineRewardModel(decoder.config, tokenizer).requires_grad_(False)
    model.model.load_state_dict(decoder.state_dict())
    examples = [labelled(tokenizer, record) for record in read_records(out)]
    features, labels = features_and_labels(model, examples)
    center, scale = features.mean(dim=0), features.std(dim=0)
    head = torch.nn.Linear(features.shape[1], 1)  # on features of mean 0 and deviation 1
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=100, line_search_fn="strong_wolfe")
    standard = (features - center) / scale

    def loss() -> Tensor:
        """Cross-entropy of all labels, and its gradient."""
        optimizer.zero_grad()
        value = F.binary_cross_entropy_with_logits(head(standard)[:, 0], labels)
        value.backward()
        return value

    print(f"{len(labels)} steps; loss before {loss().item():.4f}", flush=True)
    optimizer.step(loss)
    print(f"loss after {loss().item():.4f}")
    with torch.no_grad():
        model.score.weight.copy_(head.weight / scale)
        model.score.bias.copy_(head.bias - (head.weight * center / scale).sum())
    export(model, out)
    for name in ("config.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(base / name, out / name)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("rollouts", "drafts", "train"))
    parser.add_argument("--policy", type=Path, help="folder of the model that solves")
    parser.add_argument("--base", type=Path, help="train: folder of the decoder to put the head on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--problems", type=int, default=1_000, help="training problems to solve")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.stage == "train":
        fit(args.base, args.out)
    else:
        collect(args.policy, args.out, args.stage, args.problems)


if __name__ == "__main__":
    main()
