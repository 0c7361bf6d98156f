"""The recipe at several lengths: which model would a smaller training budget have bought?

    python -m shared.tiny.lengths --out runs/lengths    # six models, about three quiet hours

Each model runs through all four stages of `train.py`, every stage with the same share of its steps
and of its drafts, and ends with the learning rate at zero. A checkpoint from the middle of one long
run would not do: its learning rate has not come down yet, and a shorter run would have ended better
(Hoffmann 2022, section 3.1). The end of each stage is kept as well.

Run the same command again to resume. `OUT/<share>/<stage>` is a model folder, and
`OUT/<share>/<stage>/training.json` says what its training has cost up to there.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

from shared.evaluation.flops import estimate_flops
from shared.loading.checkpoint import read_config
from shared.solution import Cost
from shared.text import prompts
from shared.text.tokenizer import Tokenizer
from shared.tiny.drafts import read_drafts
from shared.tiny.train import NUM_DRAFTS, STEPS, train_base, train_further

SHARES = ("1/32", "1/16", "1/8", "1/4", "1/2", "1")
MIN_DRAFTS = 100  # of the shortest runs: a review needs drafts that differ


def train_length(folder: Path, share: Fraction, seed: int) -> None:
    """Train one model for a share of the recipe; stages that are finished are left alone."""
    before: Path | None = None
    spent = {"steps": 0, "tokens": 0, "flops": 0.0}
    for stage, steps in STEPS.items():
        own = folder / stage
        own.mkdir(parents=True, exist_ok=True)
        record = own / "training.json"
        if not record.exists():
            num_steps = max(1, round(share * steps))
            if before is None:
                train_base(own, num_steps, seed)
            else:
                num_drafts = max(MIN_DRAFTS, round(share * NUM_DRAFTS))
                train_further(before, own, stage, num_steps, seed, num_drafts)
            counted = json.loads((own / f"{stage}.flops.json").read_text(encoding="utf-8"))
            total = {name: spent[name] + counted[name] for name in spent}
            if stage == "final":  # the model of the stage before has sampled its drafts
                total["flops"] += draft_flops(own, seed)
            record.write_text(json.dumps(total, indent=1) + "\n", encoding="utf-8")
        spent = json.loads(record.read_text(encoding="utf-8"))
        before = own


def draft_flops(folder: Path, seed: int) -> float:
    """What the drafts in a stage's folder have cost to sample (those that were cut short, which are
    not kept, are left out)."""
    tokenizer = Tokenizer.from_folder(folder)
    drafts = read_drafts(folder / "drafts.jsonl", seed)
    cost = Cost()
    for draft in drafts:
        asked = tokenizer.encode_chat(prompts.ask(draft.problem.question))
        written = len(tokenizer.encode(draft.text)) + 1  # the end of the turn
        cost += Cost(generated_tokens=written, prompt_tokens=len(asked), num_prompts=1)
    return estimate_flops(read_config(folder), cost, len(drafts))


def main() -> None:
    """Train all lengths in the order in which they are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of all models")
    parser.add_argument("--shares", nargs="+", default=SHARES, help="of the recipe's steps")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for share in map(Fraction, args.shares):
        name = str(share).replace("/", "_")
        print(f"share {share} of the recipe", flush=True)
        train_length(args.out / name, share, args.seed)


if __name__ == "__main__":
    main()
