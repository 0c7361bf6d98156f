"""Compare the votes of the chapter with one greedy solution and with each other, on one pool.

    python ch02_self_consistency/study.py --limit 400    # samples, then compares
    python ch02_self_consistency/study.py --pool FILE.jsonl --greedy FILE.jsonl    # recorded runs
    python ch02_self_consistency/study.py --tables       # only RESULTS.md, from results/*.json

Prints and writes: the majority against greedy decoding, other rules against the majority, and what
stopping early saves. The numbers go to results/NAME.json, accuracy against n to results/NAME.png,
and all results to RESULTS.md.
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
    mean_and_half,
    passes,
    stopped_votes,
)
from ch02_self_consistency.self_consistency import SAMPLING, self_consistency
from shared.errors import setting_up
from shared.evaluation.cli import add_common_flags, evaluate_as_told, friendly_errors
from shared.evaluation.evaluate import Evaluation, compare, load_evaluation
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.pool import PooledProblem, accuracy_at, majority, sample_pool, to_pool
from shared.evaluation.results import markdown_table, save_result, with_interval, write_page

CHAPTER = Path(__file__).parent
SIZES = (4, 8, 16)
THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.99)
RULES = {
    "by probability": by_probability,
    "by probability per token": partial(by_probability, per_token=True),
    "by ranks of certainty": by_certainty,
    "DeepConf, half of the samples": by_confidence,
}


# --- The comparisons ------------------------------------------------------------------------------


def compare_with_greedy(vote: Evaluation, greedy: Evaluation) -> list[dict]:
    """A row for greedy decoding, and one for the vote with the paired difference."""
    gain = compare(vote, greedy)
    first, second = greedy.row("greedy chain of thought"), vote.row(f"majority of {samples(vote)}")
    paired = {"gain": gain.difference, "gain_low": gain.low, "gain_high": gain.high}
    return [first, second | paired]


def samples(evaluation: Evaluation) -> int:
    """How many samples a problem has."""
    return len(evaluation.records[0].completions)


def compare_rules(pool: list[PooledProblem]) -> list[dict]:
    """For each number of samples: the majority, pass@k, and each rule's difference to the vote."""
    rows = []
    for n in (size for size in SIZES if size <= len(pool[0].samples)):
        vote = accuracy_at(pool, majority, n)
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
    """For each threshold, and for smaller fixed votes: tokens saved, and the accuracy lost to the
    full vote in the same random orders."""
    n = len(pool[0].samples)
    runs = {f"sure to {threshold}": adaptive_votes(pool, threshold) for threshold in THRESHOLDS}
    for count in (size for size in (4, 8, 10, 12) if size < n):
        runs[f"fixed vote of {count}"] = stopped_votes(pool, lambda answers, count=count: count)
    full, all_tokens = runs[f"all {n}"] = stopped_votes(pool, len)
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
        f"{settings['seed']}. Intervals are 95%, differences paired."
    )
    tables = [greedy_table(content["greedy"])] if content["greedy"] else []
    tables += [rules_table(content["rules"]), stopping_table(content["stopping"])]
    return "\n\n".join([intro, *tables])


def greedy_table(rows: list[dict]) -> str:
    """The vote against greedy decoding."""
    lines = []
    for row in rows:
        line = {"technique": row["name"]}
        line["accuracy"] = with_interval(row["accuracy"], row["low"], row["high"])
        line["tokens per problem"] = f"{row['tokens_per_problem']:.0f}"
        line["minus greedy"] = ""
        if "gain" in row:
            gain = row["gain"], row["gain_low"], row["gain_high"]
            line["minus greedy"] = with_interval(*gain, sign="+")
        lines.append(line)
    return markdown_table(lines)


def rules_table(rows: list[dict]) -> str:
    """A row for each rule, a column for each number of samples."""
    lines: dict[str, dict] = {}
    for row in rows:
        line = lines.setdefault(row["name"], {"on the same samples": row["name"]})
        sign = "+" if "minus" in row["name"] else ""
        text = with_interval(row["mean"], row["low"], row["high"], sign=sign)
        line[f"{row['n']} samples"] = text
    return markdown_table(list(lines.values()))


def stopping_table(rows: list[dict]) -> str:
    """What stopping early saves and loses."""
    note = (
        "Stopping early, with every problem's samples in ten random orders. Ties go to the answer "
        "drawn first, so the full vote can differ from the one above."
    )
    table = markdown_table(
        [
            {
                "stop": row["name"],
                "tokens saved": f"{row['saved']:.0%}",
                "accuracy": f"{row['accuracy']:.3f}",
                f"minus all {row['n']}": with_interval(
                    row["mean"], row["low"], row["high"], sign="+"
                ),
            }
            for row in rows
        ]
    )
    return f"{note}\n\n{table}"


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Self-consistency", section)


# --- The command line -----------------------------------------------------------------------------


def study(vote: Evaluation, greedy: Evaluation | None, name: str | None, chapter: Path) -> None:
    """Make all comparisons; print the tables, write them, and draw accuracy against n."""
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
    temperature = settings["temperature"]
    plot_accuracy_against_n({temperature: pool}, axes, ceiling=temperature)
    if greedy:
        axes.axhline(greedy.accuracy, color="#000000", linestyle="--", label="greedy")
    axes.set_title(f"{title}; bands: 95% intervals")
    axes.legend()
    save_figure(figure, chapter / "results" / f"{name}.png")
    print(f"wrote {write_results(chapter)}")


def run_both(args: argparse.Namespace) -> tuple[Evaluation, Evaluation]:
    """The pool that the flags describe, and greedy decoding on the same problems."""
    beside = args.out and str(Path(args.out).with_suffix(".greedy.jsonl"))
    one = argparse.Namespace(**{**vars(args), "n": 1, "temperature": 0.0, "out": beside})
    greedy = evaluate_as_told(self_consistency, one, {})
    return evaluate_as_told(sample_pool, args, {"judged": False}), greedy


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    add("--pool", type=Path, metavar="FILE.jsonl", help="study these samples; None: draw some")
    add("--greedy", type=Path, metavar="FILE.jsonl", help="with --pool: a run of one solution each")
    add("--tables", action="store_true", help="only make RESULTS.md again")
    add("--name", help="of the result; None: the model's and the problems'")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    parser.set_defaults(n=16, max_tokens=SAMPLING.max_tokens)
    args = parser.parse_args()
    if args.greedy and not args.pool:
        parser.error("--greedy is for --pool: without it, greedy decoding is run")
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
