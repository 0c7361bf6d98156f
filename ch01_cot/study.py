"""Compare every method with the direct answer, on the same problems.

    python ch01_cot/study.py --limit 400                   # the methods of cot.py
    python ch01_cot/study.py --runs direct=FILE.jsonl cot=FILE.jsonl    # what cot.py --out wrote
    python ch01_cot/study.py --tables                      # only RESULTS.md, from results/*.json

Prints a table and writes it to results/NAME.json, draws accuracy and tokens in results/NAME.png,
and makes RESULTS.md from all results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ch01_cot.cot import GREEDY, METHODS
from ch01_cot.figures import plot_methods
from ch01_cot.flags import at_least, number_of_samples
from shared.errors import UserError, setting_up
from shared.evaluation.cli import add_common_flags, evaluate_from_flags, friendly_errors
from shared.evaluation.evaluation import Evaluation, compare, load_evaluation
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.results import markdown_table, save_result, with_interval, write_page

CHAPTER = Path(__file__).parent
STUDIED = [name for name in METHODS if name != "thinking"]  # which needs a Qwen3


def comparison(evaluations: dict[str, Evaluation]) -> list[dict]:
    """A row for each method, with the paired difference to the first one on the same problems."""
    baseline, *_ = evaluations
    rows = []
    for name, evaluation in evaluations.items():
        gain = compare(evaluation, evaluations[baseline])
        row = evaluation.row(name) | {"baseline": baseline, "gain": gain.difference}
        rows.append(row | {"gain_low": gain.low, "gain_high": gain.high})
    return rows


def print_comparison(evaluations: dict[str, Evaluation]) -> None:
    """One line per method, with the paired difference to the first one on the same problems."""
    baseline, *_ = evaluations
    print(f"{'method':<16}accuracy  95% interval    tokens/problem  minus {baseline}")
    for row in comparison(evaluations):
        print(
            f"{row['name']:<16}{row['accuracy']:>8.3f}  [{row['low']:.3f}, {row['high']:.3f}]"
            f"{row['tokens_per_problem']:>16.0f}  "
            f"{with_interval(row['gain'], row['gain_low'], row['gain_high'], sign='+')}"
        )


def section(content: dict) -> str:
    """One comparison in Markdown."""
    rows = [
        {
            "method": row["name"],
            "accuracy [95% interval]": with_interval(row["accuracy"], row["low"], row["high"]),
            "tokens per problem": f"{row['tokens_per_problem']:.0f}",
            f"minus {row['baseline']}, paired": with_interval(
                row["gain"], row["gain_low"], row["gain_high"], sign="+"
            ),
        }
        for row in content["rows"]
    ]
    settings = content["settings"]
    return (
        f"Split {settings['split']}, temperature {settings['temperature']}, at most "
        f"{settings['max_tokens']} tokens.\n\n{markdown_table(rows)}"
    )


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Chain of thought", section)


def read_runs(named: list[str]) -> dict[str, Evaluation]:
    """Recorded runs, given as NAME=FILE. Raises UserError for another form or an unusable file."""
    runs = {}
    for text in named:
        name, sign, path = text.partition("=")
        if not sign:
            raise UserError(f"--runs takes NAME=FILE.jsonl, not {text!r}")
        with setting_up():
            runs[name] = load_evaluation(path)
    return runs


def run_methods(args: argparse.Namespace) -> dict[str, Evaluation]:
    """Every method on the problems that the flags name; each has a file of its own for --out."""
    n, out = args.n, args.out and Path(args.out)
    evaluations = {}
    for name in STUDIED:
        args.n = 1 if name == "prefilled" else number_of_samples(name, n)  # it has one reply
        args.out = out and out.with_stem(f"{out.stem}_{name}")
        evaluations[name] = evaluate_from_flags(METHODS[name][0], args, {})
    return evaluations


def study(evaluations: dict[str, Evaluation], name: str | None, chapter: Path) -> None:
    """Compare the runs with the first one; print the table, write it, draw the picture."""
    print_comparison(evaluations)
    settings = next(iter(evaluations.values())).settings
    model, problems = (Path(settings[key]).name for key in ("model", "problems"))
    name = name or f"{model}_{problems}".replace(":", "_")
    title = f"{model}, {settings['num_problems']} problems ({problems})"
    shown = ("model", "problems", "split", "num_problems", "temperature", "max_tokens", "seed")
    content = {"title": title, "settings": {key: settings[key] for key in shown}}
    save_result(chapter, name, content | {"rows": comparison(evaluations)})
    use_style()
    figure = plot_methods([e.row(name) for name, e in evaluations.items()], title)
    save_figure(figure, chapter / "results" / f"{name}.png")
    print(f"wrote {write_results(chapter)}")


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, conflict_handler="resolve")
    add_common_flags(parser)
    add = parser.add_argument
    add("--n", type=at_least(1), help="samples, or branches of cot-decoding. None: 1, or 10")
    add("--runs", nargs="+", metavar="NAME=FILE", help="compare these; None: run every method")
    add("--tables", action="store_true", help="only make RESULTS.md again")
    add("--name", help="of the result; None: the model's and the problems'")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    parser.set_defaults(temperature=GREEDY.temperature, max_tokens=GREEDY.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Compare new runs or recorded ones, or only write the tables."""
    args = parse_args()
    if args.tables:
        print(f"wrote {write_results(args.chapter)}")
        return
    with friendly_errors():
        evaluations = read_runs(args.runs) if args.runs else run_methods(args)
        failures = {name: e.failures for name, e in evaluations.items() if e.failures}
        if not failures:
            study(evaluations, args.name, args.chapter)
    for name, failure in failures.items():
        print(f"{name}: {failure}")
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
