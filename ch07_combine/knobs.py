"""The two knobs: train longer, or think longer? Both costs are known here to the operation.

    python -m shared.tiny.lengths --out runs/lengths              # trains the models, hours
    python ch07_combine/knobs.py --lengths runs/lengths --limit 100     # measures them
    python ch07_combine/knobs.py --figure                         # only draws results/knobs.png

The models are the shipped recipe at several lengths. Each answers the same problems greedily, and
with votes of 1, 4, 16 and 64 samples. The problems are test problems of a seed of their own: none
was used for training, or for choosing anything. Writes results/knobs.json; an interrupted run
resumes from --records.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

from ch01_cot.cot import chain_of_thought
from ch07_combine.knobs_figure import plot_knobs
from shared import LLM, Cost, Problem, SamplingParams
from shared.decoder.model import ModelConfig
from shared.errors import UserError, setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.flops import estimate_flops
from shared.evaluation.intervals import wilson_interval
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.pool import accuracy_at, majority, sample_pool, to_pool
from shared.evaluation.problems import load_problems
from shared.evaluation.results import save_result

CHAPTER = Path(__file__).parent
PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
PROBLEM_SEED = 7  # of the test problems; the rest of the book reports on seed 0
SIZES = (1, 4, 16, 64)
LEVELS = (0.3, 0.5, 0.7)  # accuracies that are reached in several ways
STAGES = ("base", "full", "final", "review")
LAST = STAGES[-1]  # the stage that ends the recipe
ROWS = 256  # samples that live at the same time


# --- Measuring one model --------------------------------------------------------------------------


def measure(
    folder: str, problems: list[Problem], sizes: Sequence[int], records: Path | None, name: str
) -> dict:
    """Accuracy and inference FLOPs per problem: of one greedy solution, and of votes of `sizes`."""
    llm, n = LLM(folder), max(sizes)

    def run(part: str, technique: partial, rows: int) -> Evaluation:
        """The evaluation of one technique, resumed if it is recorded."""
        out = records and records / f"{name}_{part}.jsonl"
        threads = max(1, ROWS // rows)
        evaluation = evaluate(technique, llm, problems, out=out, num_threads=threads)
        if evaluation.num_errors:
            raise UserError(f"{name}: {evaluation.failures}")
        return evaluation

    greedy = run("greedy", partial(chain_of_thought, params=replace(PARAMS, temperature=0)), 1)
    sampled = run("pool", partial(sample_pool, n=n, params=PARAMS, judged=False), n)
    config, pool = llm.model.config, to_pool(sampled)
    prompt_tokens = mean(record.prompt_tokens for record in sampled.records)
    tokens = mean(sample.num_tokens for problem in pool for sample in problem.samples)
    votes = [
        with_cost(accuracy_at(pool, majority, size), config, prompt_tokens, tokens, size)
        for size in sizes
    ]
    right = [float(record.correct) for record in greedy.records]
    written = greedy.cost.generated_tokens / len(problems)
    return {"greedy": with_cost(right, config, prompt_tokens, written, 1), "votes": votes}


def with_cost(
    shares: list[float], config: ModelConfig, prompt_tokens: float, tokens: float, n: int
) -> dict:
    """Accuracy with its interval, and what n solutions of this many tokens cost per problem."""
    accuracy = mean(shares)
    low, high = wilson_interval(round(sum(shares)), len(shares))
    cost = Cost(prompt_tokens=round(prompt_tokens), num_prompts=1)
    cost += Cost(generated_tokens=round(n * tokens))
    flops = estimate_flops(config, cost, n)
    return {"n": n, "accuracy": accuracy, "low": low, "high": high, "flops": flops}


# --- Comparing the knobs --------------------------------------------------------------------------


def flops_to_reach(votes: list[dict], accuracy: float) -> float | None:
    """The inference FLOPs per problem at which a model's votes first reach an accuracy; None where
    they never do. Between two sizes, accuracy grows with the logarithm of the FLOPs."""
    if votes[0]["accuracy"] >= accuracy:
        return votes[0]["flops"]
    for smaller, larger in zip(votes, votes[1:]):
        if smaller["accuracy"] < accuracy <= larger["accuracy"]:
            gain = larger["accuracy"] - smaller["accuracy"]
            share = (accuracy - smaller["accuracy"]) / gain
            return smaller["flops"] * (larger["flops"] / smaller["flops"]) ** share
    return None


def break_even(cheap: dict, dear: dict, accuracy: float) -> float | None:
    """After how many questions is the longer training of `dear` the cheaper way to an accuracy?

    None where one of the two models cannot reach it, infinity where `dear` saves nothing per
    question.
    """
    each = [flops_to_reach(model["votes"], accuracy) for model in (cheap, dear)]
    if None in each:
        return None
    saved = each[0] - each[1]
    extra = dear["training_flops"] - cheap["training_flops"]
    return extra / saved if saved > 0 else math.inf


def break_even_rows(models: list[dict], levels: Sequence[float] = LEVELS) -> list[dict]:
    """Each model against the one that was trained longest, for each accuracy both can reach."""
    longest = max(models, key=lambda model: model["training_flops"])
    rows = []
    for accuracy in levels:
        for model in models:
            questions = break_even(model, longest, accuracy)
            if model is longest or questions is None:
                continue
            reached = {
                "cheap_flops": flops_to_reach(model["votes"], accuracy),
                "dear_flops": flops_to_reach(longest["votes"], accuracy),
                "questions": questions if math.isfinite(questions) else None,
            }
            row = {"accuracy": accuracy, "cheap": model["name"], "dear": longest["name"]}
            rows.append(row | reached)
    return rows


# --- The command line -----------------------------------------------------------------------------


def found_models(lengths: Path) -> list[dict]:
    """The trained models in a folder of `shared.tiny.lengths`, the least trained first: every
    length, and of the longest one also the ends of its stages."""
    models = []
    for own in sorted(lengths.iterdir()):
        for stage in STAGES:
            record = own / stage / "training.json"
            if record.exists() and (stage == LAST or own.name == "1"):
                spent = json.loads(record.read_text(encoding="utf-8"))
                name = own.name.replace("_", "/") + ("" if stage == LAST else f", after {stage}")
                training = {"training_flops": spent["flops"], "training_tokens": spent["tokens"]}
                model = {"name": name, "folder": str(own / stage), "is_length": stage == LAST}
                models.append(model | training)
    if not models:
        raise UserError(f"no finished model in {lengths}: see python -m shared.tiny.lengths")
    return sorted(models, key=lambda model: model["training_flops"])


def study(args: argparse.Namespace) -> dict:
    """Measure all models that are there."""
    with setting_up():
        problems = load_problems("word", split="test", limit=args.limit, seed=PROBLEM_SEED)
        models = found_models(args.lengths)
        if args.records:
            args.records.mkdir(parents=True, exist_ok=True)
    for model in models:
        name = model["name"].replace("/", "_").replace(", ", "_").replace(" ", "_")
        folder = model.pop("folder")
        model |= measure(folder, problems, args.sizes, args.records, name)
        print(model["name"], [round(vote["accuracy"], 3) for vote in model["votes"]], flush=True)
    settings = {"problems": "word", "split": "test", "problem_seed": PROBLEM_SEED}
    settings |= {"num_problems": len(problems), "temperature": PARAMS.temperature}
    settings |= {"seed": PARAMS.seed}
    lengths = [model for model in models if model["is_length"]]
    return {
        "title": "The two knobs",
        "settings": settings,
        "models": models,
        "break_even": break_even_rows(lengths),
    }


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--lengths", type=Path, default=Path("runs/lengths"), help="folder of the trained models")
    add("--limit", type=int, default=100, metavar="K", help="use the first K problems")
    add("--sizes", type=int, nargs="+", default=list(SIZES), help="of the votes")
    add("--records", type=Path, metavar="DIR", help="keep every record here, and resume from it")
    add("--figure", action="store_true", help="only draw results/knobs.png again")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Measure, write, draw."""
    args = parse_args()
    with friendly_errors():
        path = args.chapter / "results" / "knobs.json"
        if not args.figure:
            path = save_result(args.chapter, "knobs", study(args))
        with setting_up():
            content = json.loads(path.read_text(encoding="utf-8"))
        use_style()
        figure = plot_knobs(content)
        print(f"wrote {save_figure(figure, path.with_suffix('.png'))}")


if __name__ == "__main__":
    main()
