"""Where does judging the steps pay? Harder problems, small budgets, early stopping, exact checks.

    python ch06_search/study_regimes.py --records runs/regimes    # ten minutes of one quiet core
    python ch06_search/study_regimes.py --tables                  # only RESULTS.md, from results/

Dev problems, and few of them: a map of where to look, not a result to report. Each search stands
beside whole solutions that cost the same generated tokens, with the same reward model. With early
stopping both sides draw until a path scores at least the threshold: a beam search at a time, or a
whole solution at a time. Writes results/regimes.json and RESULTS.md.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

from ch06_search.equal_tokens import compare
from ch06_search.particles import particle_filter
from ch06_search.search import PARAMS, beam_search
from ch06_search.study import CHAPTER, WHOLE, SplitValue, measured, sample_and_score
from ch06_search.tables import section, write_results
from ch06_search.values import ArithmeticValue
from shared import load_problems
from shared.errors import setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.intervals import paired_difference
from shared.evaluation.pool import PooledProblem, Sample, is_right_answer, to_pool
from shared.evaluation.results import save_result
from shared.grading.voting import most_frequent
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.step_reader import StepReader

SETS = {"word": 40, "word:hard": 25}  # how many dev problems of each
ATTEMPTS = 3  # beam searches of 4, one after another, with early stopping
REPEATS = 30  # random orders of a problem's whole solutions

Attempt = tuple[list[Sample], float]  # finished paths, and the tokens that they cost
Outcome = tuple[bool, float]  # whether the answer is right, and the tokens spent


# --- Early stopping -------------------------------------------------------------------------------


def stop_early(
    problem: PooledProblem, attempts: list[Attempt], threshold: float, measure: str
) -> Outcome:
    """Make one attempt after another until a path with an answer scores `threshold` or more; all
    paths found so far vote, weighted by their scores."""
    found: list[Sample] = []
    spent = 0.0
    for samples, tokens in attempts:
        found, spent = found + samples, spent + tokens
        if any(s.answer is not None and s.measures[measure] >= threshold for s in samples):
            break
    weights = [sample.measures[measure] for sample in found]
    answer = most_frequent([sample.answer for sample in found], weights, "the score")
    return is_right_answer(answer, replace(problem, samples=found)), spent


def searches_until(runs: list[Evaluation], threshold: float) -> list[Outcome]:
    """For each problem: the runs' searches one after another, with early stopping."""
    pools = [to_pool(run) for run in runs]
    costs = [[record.generated_tokens for record in run.records] for run in runs]
    return [
        stop_early(
            problem,
            [(pool[i].samples, cost[i]) for pool, cost in zip(pools, costs)],
            threshold,
            "weight",
        )
        for i, problem in enumerate(pools[0])
    ]


def samples_until(pool: list[PooledProblem], limit: int, threshold: float) -> list[Outcome]:
    """For each problem: whole solutions one at a time, at most `limit`, with early stopping. The
    mean over random orders: how often the answer is right, and the tokens spent."""
    rng = random.Random(limit)
    outcomes = []
    for problem in pool:
        draws = [rng.sample(problem.samples, limit) for _ in range(REPEATS)]
        attempts = [[([sample], sample.num_tokens) for sample in draw] for draw in draws]
        ends = [stop_early(problem, each, threshold, "value") for each in attempts]
        outcomes.append(tuple(fmean(values) for values in zip(*ends)))
    return outcomes


def at_equal_tokens(
    pool: list[PooledProblem], tokens: float, threshold: float
) -> tuple[list[float], float]:
    """The rival's accuracy on each problem when it spends `tokens` per problem on average, and the
    limit of draws at which it does: on the line between two whole limits, or at the last one."""
    size = len(pool[0].samples)
    below, spent_below = [0.0] * len(pool), 0.0
    for limit in range(1, size + 1):
        outcomes = samples_until(pool, limit, threshold)
        right, spent = [right for right, _ in outcomes], fmean(spent for _, spent in outcomes)
        if spent >= tokens:
            share = (tokens - spent_below) / (spent - spent_below)
            return [(1 - share) * a + share * b for a, b in zip(below, right)], limit - 1 + share
        below, spent_below = right, spent
    return below, float(size)


# --- The study ------------------------------------------------------------------------------------


def plain_row(regime: str, run: Evaluation, pool: list[PooledProblem]) -> dict:
    """A search beside weighted best-of-N at equal tokens."""
    row = compare(run, pool, regime)
    gain = row["best-of-N, weighted"]
    return {
        "regime": regime,
        "tokens": row["tokens_per_problem"],
        "accuracy": row["accuracy"],
        "rival": row["accuracy"] - gain["gain"],
        "covered": row["covered"],
        "rival_covered": row["rival_covered"],
        **gain,
    }


def early_row(
    regime: str, runs: list[Evaluation], pool: list[PooledProblem], threshold: float
) -> dict:
    """Beam searches with early stopping beside whole solutions with early stopping."""
    outcomes = searches_until(runs, threshold)
    tokens, right = fmean(spent for _, spent in outcomes), [float(ok) for ok, _ in outcomes]
    theirs, _ = at_equal_tokens(pool, tokens, threshold)
    gain, low, high = paired_difference(right, theirs)
    row = {"regime": regime, "tokens": tokens, "accuracy": fmean(right), "rival": fmean(theirs)}
    return row | {"gain": gain, "low": low, "high": high}


def reweighted_row(regime: str, run: Evaluation, pool: list[PooledProblem]) -> dict:
    """`plain_row` of particles whose different paths vote once each, weighted by their scores."""
    records = []
    for record, problem in zip(run.records, to_pool(run)):
        answer = most_frequent([s.answer for s in problem.samples], record.scores, "the score")
        records.append(replace(record, correct=is_right_answer(answer, problem)))
    return plain_row(regime, replace(run, records=records), pool)


def study(name: str, args: argparse.Namespace) -> list[dict]:
    """All rows of one set of problems."""
    with setting_up():
        problems = load_problems(name, split="dev", limit=args.limit or SETS[name])
        reward_model = ProcessRewardModel.from_folder()

    def run(label: str, technique, **options) -> Evaluation:
        """One technique's run, under a name of its own."""
        file = f"{name.replace(':', '_')}_{label}"
        options["value"] = options.get("value", StepReader(reward_model))
        return measured(file, partial(technique, **options), problems, {}, args)

    pool = to_pool(run("pool", sample_and_score, n=args.pool, params=WHOLE))
    beams = [
        run(f"beam_4_{i}", beam_search, n=4, params=replace(PARAMS, seed=i))
        for i in range(ATTEMPTS)
    ]
    exact = SplitValue(ArithmeticValue(), StepReader(reward_model))
    particles = run("particles_8", particle_filter, n=8)
    rows = [
        plain_row("beam of 2", run("beam_2", beam_search, n=2), pool),
        plain_row("beam of 4", beams[0], pool),
        plain_row("beam of 8", run("beam_8", beam_search, n=8), pool),
        plain_row(
            "beam of 8 pruned by arithmetic", run("exact_8", beam_search, n=8, value=exact), pool
        ),
        early_row("beams of 4, early stopping", beams, pool, args.threshold),
        plain_row("8 particles, a vote each", particles, pool),
        reweighted_row("8 particles, weighted vote", particles, pool),
    ]
    return [{"problems": name, "num_problems": len(problems)} | row for row in rows]


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--limit", type=int, metavar="K", help=f"dev problems of each set, instead of {SETS}")
    add("--pool", type=int, default=16, help="whole solutions per problem, for the rivals")
    add("--threshold", type=float, default=0.8, help="the score at which to stop early")
    add("--threads", type=int, default=64, help="questions worked on at the same time")
    add("--records", type=Path, metavar="DIR", help="keep every record here, and resume from it")
    add("--tables", action="store_true", help="only make RESULTS.md again")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Try every regime, and write down what came out."""
    args = parse_args()
    with friendly_errors():
        if not args.tables:
            rows = [row for name in SETS for row in study(name, args)]
            settings = {"model": "tiny", "split": "dev"}
            settings |= {"threshold": args.threshold, "pool": args.pool}
            content = {"title": "Where search pays", "settings": settings, "regimes": rows}
            save_result(args.chapter, "regimes", content)
            print(section(content))
        print(f"wrote {write_results(args.chapter)}")


if __name__ == "__main__":
    main()
