"""Compare the combinations with the techniques that they are made of, at equal tokens.

    python ch07_combine/recording.py --split dev --limit 100 --records runs/combine
    python ch07_combine/recording.py --split test --limit 200 --records runs/combine
    python ch07_combine/study.py --records runs/combine
    python ch07_combine/study.py --tables              # only RESULTS.md and the figures

All thresholds are chosen on the dev recording, for three budgets: a quarter, a half and all of the
tokens of a vote of 16. Everything is reported on the test recording. Writes results/combine.json
and results/policy.json, their figures, and RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ch07_combine.figures import plot_frontier, plot_map, plot_policies
from ch07_combine.outcomes import (
    ODDS,
    ORDERS,
    PARAMS,
    VOTE,
    WEIGHTED,
    Outcome,
    families,
    other_combinations,
    replayed,
    single_techniques,
)
from ch07_combine.policy import arms_of, cases_of, study_policies
from ch07_combine.replay import POOLS, SEARCHES, Recorded, read_recording
from ch07_combine.tables import write_tables
from shared.errors import setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.intervals import paired_difference, wilson_interval
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.results import save_result

CHAPTER = Path(__file__).parent
BUDGETS = {"a quarter": 0.25, "a half": 0.5, "all": 1.0}  # shares of the tokens of REFERENCE
REFERENCE = "vote of 16"
GOAL = 0.92
SLACK = 1.02  # for the samples of an order are not all equally long
POLICY_SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)  # budgets of the policies, in samples
FIGURES = {
    "combine": {"": plot_frontier},
    "policy": {"": plot_policies, "_map": plot_map},
}
Sweep = dict[float, Outcome]  # a threshold -> what the technique does with it


# --- Choosing on dev, comparing on test -----------------------------------------------------------


def sweeps(recorded: list[Recorded], orders: int) -> dict[str, Sweep]:
    """Every family with every threshold."""
    return {
        name: {value: replayed(name, how, recorded, orders) for value, how in values.items()}
        for name, values in families(recorded).items()
    }


def choose_threshold(sweep: Sweep, budget: float) -> float | None:
    """The threshold with the highest accuracy among those within a budget of tokens per problem;
    ties go to the cheaper one. None if all are dearer."""
    within = [value for value in sweep if sweep[value].tokens_per_problem <= budget]

    def worth(value: float) -> tuple[float, float]:
        """Accuracy first, then few tokens."""
        return sweep[value].accuracy, -sweep[value].tokens_per_problem

    return max(within, key=worth, default=None)


def curve_of(name: str, singles: dict[str, Outcome]) -> list[Outcome]:
    """The outcomes of one technique with n samples, n rising."""
    own = [outcome for key, outcome in singles.items() if key.startswith(f"{name} of ")]
    return sorted(own, key=lambda outcome: outcome.tokens_per_problem)


def at_tokens(curve: Sequence[Outcome], tokens: float) -> list[float] | None:
    """How often a technique is right on each problem with this many tokens per problem: on the
    line between two sizes. None outside of the sizes that were measured."""
    for smaller, larger in zip(curve, curve[1:]):
        low, high = smaller.tokens_per_problem, larger.tokens_per_problem
        if low <= tokens <= high:
            share = (tokens - low) / (high - low)
            return [(1 - share) * a + share * b for a, b in zip(smaller.right, larger.right)]
    return None


def row_of(outcome: Outcome) -> dict:
    """Accuracy with its interval, tokens and waiting, per problem."""
    low, high = wilson_interval(round(sum(outcome.right)), len(outcome.right))
    return {
        "name": outcome.name,
        "accuracy": outcome.accuracy,
        "low": low,
        "high": high,
        "tokens_per_problem": outcome.tokens_per_problem,
        "scored_per_problem": mean(outcome.scored),
        "steps_per_problem": mean(outcome.steps),
        "requests_per_problem": mean(outcome.requests),
    }


def gain(outcome: Outcome, rival: Sequence[float] | None) -> dict | None:
    """The paired difference to a rival on the same problems; None where there is no rival."""
    if rival is None:
        return None
    difference, low, high = paired_difference(outcome.right, rival)
    return {"gain": difference, "low": low, "high": high}


def compared(outcome: Outcome, singles: dict[str, Outcome]) -> dict:
    """A row with the differences to a vote of 16, and to three rivals with as many tokens."""
    row = row_of(outcome)
    row["share_of_reference"] = outcome.tokens_per_problem / singles[REFERENCE].tokens_per_problem
    row["against_reference"] = gain(outcome, singles[REFERENCE].right)
    for rival in (VOTE, WEIGHTED, ODDS):
        theirs = at_tokens(curve_of(rival, singles), outcome.tokens_per_problem)
        row[f"against_{rival}"] = gain(outcome, theirs)
    return row


def study(dev: list[Recorded], test: list[Recorded], orders: int = ORDERS) -> dict:
    """All comparisons: thresholds from dev, numbers from test."""
    chosen_on, reported_on = sweeps(dev, orders), sweeps(test, orders)
    singles = {
        name: replayed(name, how, test, orders) for name, how in single_techniques(test).items()
    }
    reference = replayed(REFERENCE, single_techniques(dev)[REFERENCE], dev, orders)
    rows = []
    for name in (family for family in reported_on if family in chosen_on):
        for budget, share in BUDGETS.items():
            value = choose_threshold(chosen_on[name], share * reference.tokens_per_problem)
            if value is not None:
                row = compared(reported_on[name][value], singles)
                on_dev = chosen_on[name][value]
                row |= {"budget": budget, "threshold": value, "dev_accuracy": on_dev.accuracy}
                rows.append(row | {"dev_tokens": on_dev.tokens_per_problem})
    others = [
        compared(replayed(name, how, test, orders), singles)
        for name, how in other_combinations(test).items()
    ]
    curves = {
        name: [row_of(outcome) | {"threshold": value} for value, outcome in sweep.items()]
        for name, sweep in reported_on.items()
    }
    return {
        "title": "Combinations",
        "settings": settings(dev, test, orders),
        "singles": [row_of(outcome) for outcome in singles.values()],
        "chosen": rows,
        "others": others,
        "curves": curves,
        "goals": goals(rows, singles[REFERENCE]),
    }


def goals(rows: list[dict], reference: Outcome) -> dict:
    """The two goals: the accuracy of a vote of 16 with a quarter of its tokens, and 92% with at
    most its tokens. The candidates are the rows chosen for these budgets on dev problems; of them,
    the one with the highest dev accuracy is reported."""
    cheap, strong = (
        max(
            (row for row in rows if row["budget"] == budget),
            key=lambda row: row["dev_accuracy"],
            default=None,
        )
        for budget in ("a quarter", "all")
    )
    return {
        "reference": row_of(reference),
        "cheap": cheap,
        "cheap_is_met": cheap is not None
        and cheap["accuracy"] >= reference.accuracy
        and cheap["share_of_reference"] <= 0.25,
        "strong": strong,
        "strong_is_met": strong is not None
        and strong["accuracy"] >= GOAL
        and strong["share_of_reference"] <= 1,
    }


def settings(dev: list[Recorded], test: list[Recorded], orders: int) -> dict:
    """What decides the result."""
    return {
        "model": "tiny",
        "problems": "word",
        "num_dev": len(dev),
        "num_test": len(test),
        "samples": len(test[0].samples),
        "dev_samples": len(dev[0].samples),
        "orders": orders,
        "temperature": PARAMS.temperature,
        "seed": PARAMS.seed,
    }


# --- The command line -----------------------------------------------------------------------------


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--records", type=Path, default=Path("runs/combine"), metavar="DIR", help="recordings")
    add("--parts", nargs="+", default=[*POOLS, *SEARCHES], help="parts of the recordings to use")
    add("--orders", type=int, default=ORDERS, help="random orders in which samples are replayed")
    add("--tables", action="store_true", help="only make RESULTS.md and the figures again")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Compare and choose, or only write the page and the figures of what is there."""
    args = parse_args()
    with friendly_errors():
        if not args.tables:
            with setting_up():
                dev, test = (
                    read_recording(args.records, split, args.parts) for split in ("dev", "test")
                )
            content = study(dev, test, args.orders)
            save_result(args.chapter, "combine", content)
            chosen = policies(dev, test, args.orders)
            chosen["until_sure"] = content["curves"]["sample until sure"]
            save_result(args.chapter, "policy", chosen)
        print(f"wrote {write_tables(args.chapter)}")
        draw(args.chapter)


def policies(dev: list[Recorded], test: list[Recorded], orders: int) -> dict:
    """The compute-optimal choice at budgets of 1, 2, 4, ... samples per problem."""
    arms = arms_of(test)
    arms = {name: how for name, how in arms.items() if name in arms_of(dev)}
    cases = [cases_of(recorded, arms, orders) for recorded in (dev, test)]
    lengths = [len(sample.token_ids) for each in dev for sample in each.samples]
    most = min(len(dev[0].samples), len(test[0].samples))
    budgets = [SLACK * n * mean(lengths) for n in POLICY_SIZES if n <= most]
    content = study_policies(*cases, budgets)
    return content | {"settings": settings(dev, test, orders)}


def draw(chapter: Path) -> None:
    """The figures of the results that are there."""
    use_style()
    for name, plots in FIGURES.items():
        path = chapter / "results" / f"{name}.json"
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            for suffix, plot in plots.items():
                save_figure(plot(content), path.with_name(f"{name}{suffix}.png"))


if __name__ == "__main__":
    main()
