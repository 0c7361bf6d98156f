"""The ladder: every technique of the book on the same problems, accuracy against compute.

    python ch07_combine/ladder.py                                   # the shipped model
    python ch07_combine/ladder.py --model DIR --problems gym:gsm_symbolic --limit 50 --n 8

The rungs are the functions of the chapters. A reward model is the scorer of best-of-N, the judge of
steps in beam search, the gate of refinement, and a second verifier beside the arithmetic in
rejection sampling: the shipped model has one, for others name it with --reward-model.

Prints a table, and writes ladder.json and ladder.png into --out. An interrupted run resumes where
it stopped. The last column of the table says by how much a rung beats chain of thought, on the same
problems, with the 95% interval of the difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt

from ch01_cot.cot import chain_of_thought, direct_answer
from ch02_self_consistency.self_consistency import self_consistency
from ch03_best_of_n.best_of_n import best_of_n, weighted_answer
from ch04_rejection.rejection import (
    THRESHOLDS,
    ArithmeticHolds,
    Both,
    RewardAtLeast,
    rejection_sampling,
)
from ch05_refine.refine import self_refine
from ch06_search.search import beam_search
from ch06_search.tree import PARAMS as STEPS
from ch06_search.values import reward_value
from shared import Problem, SamplingParams
from shared.evaluation.cli import (
    add_common_flags,
    friendly_errors,
    load_reward_model,
    recorded_flags,
    set_up,
)
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation, compare
from shared.evaluation.plots import plot_accuracy_against_tokens, save_figure, use_style
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.scorers import Likelihood, Reward


def rungs(
    params: SamplingParams, reward_model: ProcessRewardModel | None, has_tokenizer: bool = True
) -> dict[str, partial]:
    """The techniques, cheapest first, each ready to be evaluated; `params.n` is the most samples
    that one may draw. Without a reward model there is neither search nor best-of-N, and no search
    without a tokenizer, as on a server: steps are continued as token ids."""
    greedy = replace(params, n=1, temperature=0)
    few, most = max(1, params.n // 4), params.n
    verifier, gate = ArithmeticHolds(), Likelihood()
    if reward_model:
        verifier = Both(ArithmeticHolds(), RewardAtLeast(reward_model, THRESHOLDS["both"]))
        gate = Reward(reward_model)
    ladder = {
        "direct answer": partial(direct_answer, params=greedy),
        "chain of thought": partial(chain_of_thought, params=greedy),
        "gated refinement": partial(self_refine, params=params, gate=gate),
        f"self-consistency of {few}": partial(self_consistency, n=few, params=params),
    }
    if reward_model and has_tokenizer:
        hotter = replace(params, temperature=STEPS.temperature)  # whatever --temperature says
        step_end = reward_model.step_end
        options = {"value": reward_value(reward_model), "step_end": step_end}
        ladder[f"beam search of {few}"] = partial(beam_search, n=few, params=hotter, **options)
    ladder |= {
        f"rejection, up to {most} draws": partial(
            rejection_sampling, n=most, params=params, verifier=verifier
        ),
        f"self-consistency of {most}": partial(self_consistency, n=most, params=params),
    }
    if reward_model:
        ladder[f"weighted best of {most}"] = partial(
            best_of_n, n=most, params=params, scorer=Reward(reward_model), choose=weighted_answer
        )
    return ladder


def climb(
    llm: object,
    problems: list[Problem],
    ladder: dict,
    out: Path,
    settings: dict,
    num_threads: int,
) -> dict[str, Evaluation]:
    """Evaluate every rung on the same problems; finished ones are read back from `out`."""
    evaluations = {}
    for number, (name, technique) in enumerate(ladder.items(), 1):
        print(f"{name} ...", file=sys.stderr)
        file = out / f"{number}_{name.replace(', ', '_').replace(' ', '_')}.jsonl"
        evaluations[name] = evaluate(
            technique, llm, problems, out=file, settings=settings, num_threads=num_threads
        )
    return evaluations


def table(evaluations: dict[str, Evaluation]) -> list[dict]:
    """One row a rung: accuracy, cost, and the paired difference to chain of thought."""
    rows = []
    for name, evaluation in evaluations.items():
        gain = compare(evaluation, evaluations["chain of thought"])
        row = evaluation.row(name) | {
            "problems": len(evaluation.records),
            "forward_passes": evaluation.cost.forward_passes,
            "seconds": evaluation.seconds,
            "errors": evaluation.num_errors,
            "gain": gain.difference,
            "gain_low": gain.low,
            "gain_high": gain.high,
        }
        rows.append(row)
    return rows


def print_table(rows: list[dict]) -> None:
    """The ladder as text."""
    print(
        f"{'technique':<28}{'accuracy':>9}  {'95% interval':<16}{'tokens/problem':>14}"
        f"{'seconds':>9}  against chain of thought"
    )
    for row in rows:
        print(
            f"{row['name']:<28}{row['accuracy']:>9.3f}  [{row['low']:.3f}, {row['high']:.3f}]  "
            f"{row['tokens_per_problem']:>14.0f}{row['seconds']:>9.1f}  "
            f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
        )


def draw(rows: list[dict], title: str, path: Path) -> None:
    """The ladder as a picture."""
    use_style()
    figure, axes = plt.subplots(figsize=(7.5, 4.5))
    plot_accuracy_against_tokens(rows, axes)
    axes.set_title(title)
    save_figure(figure, path)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, conflict_handler="resolve")
    add_common_flags(parser)
    add = parser.add_argument
    add("--n", type=int, default=16, help="most samples per question")
    add("--reward-model", metavar="R", help="a folder or a hub id; None: the shipped model's own")
    add("--out", type=Path, default=Path("runs/ladder"), metavar="DIR", help="folder to write to")
    parser.set_defaults(limit=60, max_tokens=700)
    return parser.parse_args()


def main() -> None:
    """Climb, print, draw."""
    args = parse_args()
    with friendly_errors():
        params, problems, llm = set_up(args)
        settings, reward_model = recorded_flags(args), None
        if args.reward_model or args.model == "tiny":
            reward_model, weights = load_reward_model(args)
            settings |= weights
        args.out.mkdir(parents=True, exist_ok=True)
        ladder = rungs(params, reward_model, has_tokenizer=not args.base_url)
        evaluations = climb(llm, problems, ladder, args.out, settings, args.threads)
    rows = table(evaluations)
    print_table(rows)
    flags = {name: str(value) for name, value in vars(args).items() if name != "out"}
    content = json.dumps({"settings": flags, "rungs": rows}, indent=1)
    (args.out / "ladder.json").write_text(content + "\n", encoding="utf-8")
    for name, evaluation in evaluations.items():
        if evaluation.failures:
            print(f"{name}: {evaluation.failures}")
    if failures := {e.total_failure for e in evaluations.values() if e.total_failure}:
        sys.exit(f"no picture: all questions of a rung failed: {'; '.join(failures)}")
    title = f"{llm.name} on {len(problems)} problems ({args.problems})"
    draw(rows, title, args.out / "ladder.png")
    print(f"wrote {args.out / 'ladder.json'} and {args.out / 'ladder.png'}")


if __name__ == "__main__":
    main()
