"""The ladder: every technique of the book on the same problems, accuracy against compute.

    python ch07_combine/ladder.py                                   # the shipped model
    python ch07_combine/ladder.py --model DIR --problems gym:gsm_symbolic --limit 50 --n 8

Prints a table, and writes ladder.json and ladder.png into --out. An interrupted run goes on where
it stopped. Each rung costs more than the one below it; the last column says by how much it beats
chain of thought, on the same problems, with the 95% interval of the difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt

from shared import (
    LLM,
    Problem,
    SamplingParams,
    Solution,
    load_problems,
    prompts,
)
from shared.answers import final_answer, normalize_answer
from shared.cli import add_common_flags, friendly_errors, load_llm, sampling_params
from shared.evaluate import Evaluation, compare, evaluate
from shared.plots import plot_accuracy_against_tokens, save_figure, use_style

GREEDY = SamplingParams(temperature=0, max_tokens=700)


def direct_answer(llm: LLM, problem: Problem, *, params: SamplingParams = GREEDY) -> Solution:
    """Ask for the answer alone: the model has no room to work anything out."""
    (output,) = llm.chat(
        prompts.ask(problem.question, prompts.DIRECT), params, enable_thinking=False
    )
    (completion,) = output.completions
    return Solution(final_answer(completion), [completion], output.cost)


def chain_of_thought(llm: LLM, problem: Problem, *, params: SamplingParams = GREEDY) -> Solution:
    """Ask for the steps first (zero-shot chain of thought, Kojima 2022)."""
    (output,) = llm.chat(prompts.ask(problem.question), params, enable_thinking=False)
    (completion,) = output.completions
    return Solution(final_answer(completion), [completion], output.cost)


def self_consistency(llm: LLM, problem: Problem, *, params: SamplingParams) -> Solution:
    """Sample `params.n` chains of thought and take the most frequent answer (Wang 2022)."""
    (output,) = llm.chat(prompts.ask(problem.question), params, enable_thinking=False)
    answers = [final_answer(completion) for completion in output.completions]
    votes = Counter(normalize_answer(answer) for answer in answers if answer is not None)
    winner = max(votes, key=votes.get, default=None)  # a tie goes to the answer seen first
    return Solution(winner, output.completions, output.cost, trace=[{"votes": dict(votes)}])


def rungs(params: SamplingParams) -> dict[str, partial]:
    """The techniques from cheap to dear, each ready to be evaluated.

    Raises ValueError unless `params.n` is a power of 2.
    """
    if params.n & (params.n - 1):
        raise ValueError(f"n must be a power of 2, so that the votes can double, not {params.n}")
    greedy = replace(params, n=1, temperature=0)
    ladder = {
        "direct answer": partial(direct_answer, params=greedy),
        "chain of thought": partial(chain_of_thought, params=greedy),
    }
    n = 4
    while n <= params.n:
        votes = partial(self_consistency, params=replace(params, n=n))
        ladder[f"self-consistency, {n} votes"] = votes
        n *= 2
    return ladder


def climb(llm: object, problems: list[Problem], ladder: dict, out: Path) -> dict[str, Evaluation]:
    """Evaluate every rung on the same problems; finished ones are read back from `out`."""
    evaluations = {}
    settings = {"weights": weights_fingerprint(llm)} if isinstance(llm, LLM) else {}
    for number, (name, technique) in enumerate(ladder.items(), 1):
        print(f"{name} ...", file=sys.stderr)
        file = out / f"{number}_{name.replace(', ', '_').replace(' ', '_')}.jsonl"
        evaluations[name] = evaluate(technique, llm, problems, out=file, settings=settings)
    return evaluations


def weights_fingerprint(llm: LLM) -> str:
    """A short hash of a few weights: a retrained model must not read back an old ladder."""
    embeddings = llm.model.model.embed_tokens.weight[:64].float().cpu()
    return hashlib.sha256(embeddings.numpy().tobytes()).hexdigest()[:12]


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
    add("--n", type=int, default=16, help="most samples a question, a power of 2")
    add("--out", type=Path, default=Path("runs/ladder"), metavar="DIR", help="folder to write to")
    parser.set_defaults(limit=200, max_tokens=700)
    return parser.parse_args()


def main() -> None:
    """Climb, print, draw."""
    args = parse_args()
    with friendly_errors():
        ladder = rungs(sampling_params(args))
        problems = load_problems(args.problems, split=args.split, limit=args.limit)
        llm = load_llm(args)
        args.out.mkdir(parents=True, exist_ok=True)
        rows = table(climb(llm, problems, ladder, args.out))
    print_table(rows)
    if any(row["errors"] for row in rows):
        print("questions that failed:", {row["name"]: row["errors"] for row in rows})
    title = f"{llm.name} on {len(problems)} problems ({args.problems})"
    draw(rows, title, args.out / "ladder.png")
    settings = {name: str(value) for name, value in vars(args).items() if name != "out"}
    content = json.dumps({"settings": settings, "rungs": rows}, indent=1)
    (args.out / "ladder.json").write_text(content + "\n", encoding="utf-8")
    print(f"wrote {args.out / 'ladder.json'} and {args.out / 'ladder.png'}")


if __name__ == "__main__":
    main()
