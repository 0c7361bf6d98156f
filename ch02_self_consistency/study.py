"""Compare the chapter's votes with greedy decoding and with each other, on the same samples.

    python ch02_self_consistency/study.py --limit 400    # sample, then compare
    python ch02_self_consistency/study.py --pool FILE.jsonl --greedy FILE.jsonl    # recorded runs
    python ch02_self_consistency/study.py --tables       # only RESULTS.md, from results/*.json

Compares the majority with greedy decoding and the other rules with the majority, and measures what
stopping early saves. Prints these tables and writes them to RESULTS.md. The numbers go to
results/NAME.json, and the curve of accuracy against n to results/NAME.png.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from statistics import fmean

import matplotlib.pyplot as plt

from ch02_self_consistency.figures import plot_accuracy_against_n
from ch02_self_consistency.rules import (
    adaptive_votes,
    by_certainty,
    by_confidence,
    by_probability,
    fixed_votes,
    mean_and_half,
    passes,
    vote_accuracy,
)
from ch02_self_consistency.self_consistency import SAMPLING, self_consistency
from ch02_self_consistency.tables import greedy_table, rules_table, stopping_table
from shared.errors import setting_up
from shared.evaluation.cli import add_common_flags, evaluate_from_flags, friendly_errors
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.pool import (
    PooledProblem,
    accuracy_at,
    sample_pool,
    to_pool,
)
from shared.evaluation.results import save_result, write_page

CHAPTER = Path(__file__).parent
SIZES = (4, 8, 16)
THRESHOLDS = (0.8, 0.9, 0.95, 0.99)
RULES = {
    "by probability": by_probability,
    "by probability per token": partial(by_probability, per_token=True),
    "by ranks of certainty": by_certainty,
    "DeepConf, half of the samples": by_confidence,
}


# --- The comparisons ------------------------------------------------------------------------------


def compare_with_greedy(vote: Evaluation, greedy: Evaluation) -> list[dict]:
    """A row for greedy decoding, one for the vote, and one for their paired difference.

    Raises ValueError unless both have the same problems in the same order.
    """
    if [r.question for r in vote.records] != [r.question for r in greedy.records]:
        raise ValueError("only evaluations on the same problems can be compared")
    n = len(vote.records[0].completions)
    right = [float(record.correct) for record in greedy.records]
    shares = vote_accuracy(to_pool(vote), n)
    rows = [
        interval_row("greedy chain of thought", 1, right) | {"tokens": tokens_of(greedy)},
        interval_row(f"majority of {n}", n, shares) | {"tokens": tokens_of(vote)},
    ]
    gains = [share - other for share, other in zip(shares, right)]
    return [*rows, interval_row("majority minus greedy", n, gains)]


def tokens_of(evaluation: Evaluation) -> float:
    """The generated tokens per problem."""
    return evaluation.cost.generated_tokens / len(evaluation.records)


def compare_rules(pool: list[PooledProblem]) -> list[dict]:
    """For each number of samples: the majority, pass@k, and each rule's difference to the vote."""
    rows = []
    for n in (size for size in SIZES if size <= len(pool[0].samples)):
        vote = vote_accuracy(pool, n)
        rows.append(interval_row("majority", n, vote))
        for name, rule in RULES.items():
            differences = [a - b for a, b in zip(accuracy_at(pool, rule, n), vote)]
            rows.append(interval_row(f"{name}, minus majority", n, differences))
        rows.append(interval_row("pass@k, the ceiling", n, passes(pool, n)))
    return rows


def interval_row(name: str, n: int, shares: list[float]) -> dict:
    """A mean over problems with its 95% interval."""
    mean, half = mean_and_half(shares)
    return {"name": name, "n": n, "mean": mean, "low": mean - half, "high": mean + half}


def compare_stopping(pool: list[PooledProblem]) -> list[dict]:
    """For each threshold and each smaller fixed vote: the tokens saved and the accuracy lost,
    against the vote of all samples."""
    n = len(pool[0].samples)
    runs = {f"stop at P >= {bound}": adaptive_votes(pool, bound) for bound in THRESHOLDS}
    for count in (size for size in (4, 8, 10, 12) if size < n):
        runs[f"fixed vote of {count}"] = fixed_votes(pool, count)
    full, all_tokens = runs[f"all {n}"] = fixed_votes(pool, n)
    rows = []
    for name, (shares, tokens) in runs.items():
        row = interval_row(name, n, [a - b for a, b in zip(shares, full)])
        saved = 1 - fmean(tokens) / fmean(all_tokens)
        rows.append(row | {"accuracy": fmean(shares), "saved": saved})
    return rows


# --- Tables ---------------------------------------------------------------------------------------


def section(content: dict) -> str:
    """One study in Markdown."""
    settings = content["settings"]
    intro = (
        f"Split {settings['split']}, temperature {settings['temperature']}, seed "
        f"{settings['seed']}. Intervals are 95% (1.96 standard errors), differences paired. A tie "
        "counts as the share of its leaders that are right. P is the probability that the leader "
        "is truly ahead (`probability_ahead`)."
    )
    tables = [greedy_table(content["greedy"])] if content["greedy"] else []
    tables += [rules_table(content["rules"]), stopping_table(content["stopping"])]
    return "\n\n".join([intro, *tables])


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Self-consistency", section)


# --- The command line -----------------------------------------------------------------------------


def study(vote: Evaluation, greedy: Evaluation | None, name: str | None, chapter: Path) -> None:
    """Make all comparisons, print and write the tables, and draw accuracy against n."""
    pool, settings = to_pool(vote), vote.settings
    model, problems = (Path(settings[key]).name for key in ("model", "problems"))
    title = f"{model}, {len(pool)} problems ({problems})"
    shown = ("model", "problems", "split", "num_problems", "n", "temperature", "max_tokens", "seed")
    content = {"title": title, "settings": {key: settings[key] for key in shown}}
    content["greedy"] = compare_with_greedy(vote, greedy) if greedy else []
    content |= {"rules": compare_rules(pool), "stopping": compare_stopping(pool)}
    print(section(content))
    name = name or f"{model}_{problems}".replace(":", "_")
    save_result(chapter, name, content)
    use_style()
    figure, axes = plt.subplots()
    plot_accuracy_against_n(pool, axes, greedy.accuracy if greedy else None)
    axes.set_title(f"{title}; bands: 95% intervals", fontsize=11)
    save_figure(figure, chapter / "results" / f"{name}.png")
    print(f"wrote {write_results(chapter)}")


def run_both(args: argparse.Namespace) -> tuple[Evaluation, Evaluation]:
    """Sample the pool that the flags describe, and run greedy decoding on the same problems."""
    beside = args.out and str(Path(args.out).with_suffix(".greedy.jsonl"))
    one = argparse.Namespace(**{**vars(args), "n": 1, "temperature": 0.0, "out": beside})
    greedy = evaluate_from_flags(self_consistency, one, {})
    return evaluate_from_flags(sample_pool, args, {"judged": False}), greedy


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    add("--pool", type=Path, metavar="FILE.jsonl", help="study these samples; None: sample now")
    add(
        "--greedy",
        type=Path,
        metavar="FILE.jsonl",
        help="with --pool: records of greedy decoding",
    )
    add("--tables", action="store_true", help="only write RESULTS.md again")
    add("--name", help="name of the result; None: made of model and problems")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    parser.set_defaults(n=16, max_tokens=SAMPLING.max_tokens)
    args = parser.parse_args()
    if args.greedy and not args.pool:
        parser.error("--greedy needs --pool: without a pool, greedy decoding is run as well")
    return args


def main() -> None:
    """Study new samples or recorded ones, or only write the tables."""
    args = parse_args()
    if args.tables:
        print(f"wrote {write_results(args.chapter)}")
        return
    with friendly_errors():
        if args.pool:
            with setting_up():
                vote = load_evaluation(args.pool)
                greedy = load_evaluation(args.greedy) if args.greedy else None
        else:
            vote, greedy = run_both(args)
        failures = [run.failures for run in (vote, greedy) if run and run.failures]
        if not failures:
            study(vote, greedy, args.name, args.chapter)
    for failure in failures:
        print(failure)
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
