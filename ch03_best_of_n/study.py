"""Compare all scorers, and both ways to choose, on one pool of samples.

    python ch03_best_of_n/study.py --limit 400 --n 16    # samples, then compares every scorer
    python ch03_best_of_n/study.py --pool shared/pools/qwen2.5-coder-0.5b_gsm_symbolic.jsonl
    python ch03_best_of_n/study.py --tables              # only RESULTS.md, from results/*.json

Prints a table: each scorer, its AUC, its accuracy, and the differences to a majority vote and to
one sample. Writes it to results/NAME.json, draws results/NAME.png, and makes RESULTS.md from all
results. Where a recorded pool has no rewards, only the scorers without a second model are compared.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ch03_best_of_n.best_of_n import METHODS, PARAMS
from ch03_best_of_n.figures import plot_scorers
from ch03_best_of_n.measures import (
    LOGARITHMS,
    MEASURES,
    OWN_MEASURES,
    auc_within,
    one_sample,
    oracle,
    ranked_by,
    sample_and_measure,
)
from shared.errors import setting_up
from shared.evaluation.cli import (
    add_common_flags,
    add_reward_model_flag,
    evaluate_from_flags,
    friendly_errors,
    load_reward_model,
    print_result,
)
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.intervals import paired_bootstrap, paired_difference, wilson_interval
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.pool import PooledProblem, accuracy_at, majority, to_pool
from shared.evaluation.results import markdown_table, save_result, with_interval, write_page

CHAPTER = Path(__file__).parent
DIFFERENCES = {"gain": "minus the vote", "over_one": "minus one sample"}


def compare_scorers(pool: list[PooledProblem], measures: tuple[str, ...] = MEASURES) -> list[dict]:
    """One row for each way to choose among all samples of a pool: accuracy, and the paired
    differences to the vote (`gain`) and to one sample (`over_one`), each with its 95% interval.

    `auc` is None where it is undefined.
    """
    n = len(pool[0].samples)
    ways = {("majority vote", ""): majority, (f"oracle: pass@{n}", ""): oracle}
    for measure in measures:
        ways |= {(measure, method): ranked_by(measure, way) for method, way in METHODS.items()}
    one = one_sample(pool)
    vote = accuracy_at(pool, majority, n)
    accuracy, low, high = paired_difference(one, [0.0] * len(pool))
    row = {"name": "one sample", "method": "", "auc": None}
    row |= {"accuracy": accuracy, "low": low, "high": high}
    rows = [row | against("gain", paired_difference(one, vote)) | against("over_one", (0, 0, 0))]
    for (name, method), choose in ways.items():
        right = accuracy_at(pool, choose, n)
        low, high = wilson_interval(round(sum(right)), len(pool))
        gain = paired_bootstrap(right, vote)
        quality = auc_within(pool, name) if method else math.nan
        row = {"name": name, "method": method, "auc": None if math.isnan(quality) else quality}
        row |= {"accuracy": sum(right) / len(pool), "low": low, "high": high}
        row |= against("gain", (gain.difference, gain.low, gain.high))
        rows.append(row | against("over_one", paired_difference(right, one)))
    return rows


def against(name: str, difference: tuple[float, float, float]) -> dict[str, float]:
    """A difference with its interval, as three entries of a row."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), difference))


# --- Tables ---------------------------------------------------------------------------------------


def print_table(rows: list[dict]) -> None:
    """The comparison as text: percent, and differences in points."""
    heads = ("scorer", "method", "AUC", "accuracy", "minus the vote", "minus one sample")
    print("{:<15}{:<9}{:<6}{:<21}{:<23}{}".format(*heads))
    for row in rows:
        quality = "" if row["auc"] is None else f"{row['auc']:.2f}"
        accuracy = in_points(row["accuracy"], row["low"], row["high"])
        differences = [
            in_points(row[name], row[f"{name}_low"], row[f"{name}_high"], sign="+")
            for name in ("gain", "over_one")
        ]
        print(
            f"{row['name']:<15}{row['method']:<9}{quality:<6}{accuracy:<21}"
            f"{differences[0]:<23}{differences[1]}"
        )


def in_points(value: float, low: float, high: float, sign: str = "") -> str:
    """A share or a difference in percent with its interval: `28.0 [20.1, 37.5]`."""
    value, low, high = (f"{100 * each + 0.0:{sign}.1f}" for each in (value, low, high))
    return f"{value} [{low}, {high}]"


def section(content: dict) -> str:
    """One comparison in Markdown, a scorer per row."""
    settings, lines = content["settings"], {}
    for row in content["rows"]:
        quality = "" if row["auc"] is None else f"{row['auc']:.3f}"
        line = lines.setdefault(row["name"], {"scorer": row["name"], "AUC": quality})
        method = row["method"] or "best"  # the vote and the oracle choose in one way only
        line[method] = with_interval(row["accuracy"], row["low"], row["high"])
        for name, what in DIFFERENCES.items():
            values = (row[name], row[f"{name}_low"], row[f"{name}_high"])
            line[f"{method}, {what}"] = with_interval(*values, sign="+")
    columns = ("", *(f", {what}" for what in DIFFERENCES.values()))
    heads = ["scorer", "AUC", *(f"{method}{column}" for method in METHODS for column in columns)]
    table = markdown_table(
        [{head: line.get(head, "") for head in heads} for line in lines.values()]
    )
    return (
        f"{settings['num_problems']} problems, {settings['n']} samples per problem, temperature "
        f"{settings['temperature']}, seed {settings['seed']}. Intervals are 95%; differences are "
        f"paired.\n\n{table}"
    )


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Best-of-N", section)


# --- The command line -----------------------------------------------------------------------------


def study(evaluation: Evaluation, measures: tuple[str, ...], name: str, chapter: Path) -> None:
    """Compare scorers on a pool; print the table, write it and draw accuracy against n."""
    pool, settings = to_pool(evaluation), evaluation.settings
    rows = compare_scorers(pool, measures)
    print_table(rows)
    title = f"{settings['model']}, {len(pool)} problems ({settings['problems']})"
    save_result(chapter, name, {"title": title, "settings": settings, "rows": rows})
    use_style()
    drawn = [measure for measure in measures if measure in (*OWN_MEASURES, "reward_last")]
    figure = plot_scorers(pool, drawn, f"{title}; bands: 95% intervals")
    save_figure(figure, chapter / "results" / f"{name}.png")
    print(f"wrote {write_results(chapter)}")


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add_reward_model_flag(parser)
    add = parser.add_argument
    add("--pool", type=Path, metavar="FILE.jsonl", help="study these samples; None: draw some")
    add("--tables", action="store_true", help="only make RESULTS.md again")
    add("--name", help="of the result; None: model and problems, or the pool's")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    parser.set_defaults(n=16, max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Compare on new samples or on recorded ones, or only write the tables."""
    args = parse_args()
    if args.tables:
        print(f"wrote {write_results(args.chapter)}")
        return
    if args.pool:
        with friendly_errors():
            with setting_up():
                evaluation = load_evaluation(args.pool)
            completions = [each for record in evaluation.records for each in record.completions]
            is_rewarded = all(LOGARITHMS["reward_last"] in each for each in completions)
            measures = MEASURES if is_rewarded else OWN_MEASURES
            study(evaluation, measures, args.name or args.pool.stem, args.chapter)
        return
    with friendly_errors():
        reward_model, settings = load_reward_model(args)
        options = {"reward_model": reward_model}
        evaluation = evaluate_from_flags(sample_and_measure, args, options, settings)
    if not evaluation.num_errors:
        name = f"{Path(args.model).name}_{Path(args.problems).name}".replace(":", "_")
        study(evaluation, MEASURES, args.name or name, args.chapter)
    print_result(evaluation, args)
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
