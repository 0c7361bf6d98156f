"""The chapter's tables in Markdown: those of `study.py`, and those of the notebook."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

from ch02_self_consistency.rules import (
    adaptive_votes,
    leaders_that_stayed,
    mean_and_half,
    passes,
    share_of_leader,
    signed,
    vote_accuracy,
)
from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.pool import POOLS_FOLDER, PooledProblem, read_pool
from shared.evaluation.results import markdown_table, with_interval


def greedy_table(rows: list[dict]) -> str:
    """The vote compared with greedy decoding."""
    greedy, vote, gain = rows
    lines = [
        {
            "technique": row["name"],
            "accuracy": with_interval(row["mean"], row["low"], row["high"]),
            "tokens per problem": f"{row['tokens']:.0f}",
            "minus greedy": "",
        }
        for row in (greedy, vote)
    ]
    lines[1]["minus greedy"] = with_interval(gain["mean"], gain["low"], gain["high"], sign="+")
    return markdown_table(lines)


def rules_table(rows: list[dict]) -> str:
    """One row per rule and one column per number of samples."""
    lines: dict[str, dict] = {}
    for row in rows:
        line = lines.setdefault(row["name"], {"on the same samples": row["name"]})
        sign = "+" if "minus" in row["name"] else ""
        text = with_interval(row["mean"], row["low"], row["high"], sign=sign)
        line[f"{row['n']} samples"] = text
    return markdown_table(list(lines.values()))


def stopping_table(rows: list[dict]) -> str:
    """What stopping early saves and loses."""
    return markdown_table(
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


def calibration_table(pool: list[PooledProblem]) -> str:
    """How often early leaders lead all samples and are right, by the probability to be ahead."""
    early = leaders_that_stayed(pool)
    n = len(pool[0].samples)
    rows = []
    for low, high in pairwise((0.5, 0.6, 0.8, 0.9, 0.95, 1.01)):
        some = [row for row in early if low <= row[0] < high]
        shares = [f"{fmean(column):.2f}" for column in zip(*some)] or [""] * 3
        titles = ("P(ahead)", "early votes", "mean P", f"leads all {n}", "is right")
        rows.append(dict(zip(titles, [f"{low} to {min(high, 1)}", str(len(some)), *shares])))
    return markdown_table(rows)


def summary_table(
    techniques: dict[str, tuple[list[float], float, float]], greedy: list[float]
) -> str:
    """A row per technique: name -> (accuracy on each problem, samples, tokens per problem)."""
    lines = []
    for name, (shares, samples, tokens) in techniques.items():
        mean, half = mean_and_half(shares)
        gain = signed([share - other for share, other in zip(shares, greedy)])
        texts = [name, f"{mean:.3f} ± {half:.3f}", f"{samples:.1f}", f"{tokens:.0f}", gain]
        titles = ["technique", "accuracy", "samples", "tokens per problem", "minus greedy"]
        lines.append(dict(zip(titles, texts)))
    return markdown_table(lines)


def recorded_run(name: str) -> tuple[list[PooledProblem], list[float]]:
    """The pool of a recorded run in `shared/pools`, and 1 or 0 for each greedy solution."""
    greedy = load_evaluation(POOLS_FOLDER / f"{name}_cot.jsonl").records
    return read_pool(POOLS_FOLDER / f"{name}.jsonl"), [float(record.correct) for record in greedy]


def recorded_row(name: str) -> dict[str, str]:
    """The vote on a recorded run, compared with greedy decoding: the cells of a table's row."""
    pool, greedy = recorded_run(name)
    n = len(pool[0].samples)
    votes, single = vote_accuracy(pool, n), passes(pool, 1)
    _, tokens = adaptive_votes(pool, 0.95)
    saved = 1 - fmean(tokens) / fmean(sum(s.num_tokens for s in p.samples) for p in pool)
    return {
        "recorded run": name,
        "greedy": f"{fmean(greedy):.3f}",
        "one sample": f"{fmean(single):.3f}",
        "majority": f"{fmean(votes):.3f} (of {n})",
        "minus one sample": signed([vote - other for vote, other in zip(votes, single)]),
        "minus greedy": signed([vote - other for vote, other in zip(votes, greedy)]),
        "pass@n": f"{fmean(passes(pool, n)):.3f}",
        "agreement": f"{fmean(share_of_leader(p.samples) for p in pool):.0%}",
        "tokens saved at P >= 0.95": f"{saved:.0%}",
    }
