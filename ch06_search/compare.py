"""Every search against best-of-N and self-consistency, at equal numbers of generated tokens.

    python ch06_search/compare.py --limit 400 --records runs/search

One pool of whole solutions serves both rivals: what they answer with n of its samples follows for
every n. A search is compared with the n that costs as many generated tokens, problem by problem.
Writes a small JSON file that the notebook draws. An interrupted run with --records goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

from ch06_search.search import METHODS, PARAMS, Node, Value, weighted_vote
from ch06_search.values import StepReader
from shared import LLM, Problem, SamplingParams, Solution, load_problems, prompts
from shared.answers import answers_match, final_answer
from shared.cli import HelpFormatter, friendly_errors
from shared.evaluate import Evaluation, evaluate
from shared.intervals import paired_difference, wilson_interval
from shared.pool import Choose, PooledProblem, Sample, accuracy_at, majority, to_pool
from shared.scorers import ProcessRewardModel

POOL_SIZE = 24  # samples a problem, enough for the dearest search
WHOLE = SamplingParams(temperature=0.6, max_tokens=700)  # for rivals, as in the earlier chapters
SIZES = {"beam": (4, 8, 16)}  # n of a search; the others:
OTHER_SIZES = (8,)


def sample_and_score(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, value: Value
) -> Solution:
    """Sample n whole solutions and note the value of each; answer with their weighted vote."""
    asked = prompts.ask(problem.question)
    (output,) = llm.chat(asked, replace(params, n=n), enable_thinking=False)
    completions = output.completions
    scores, cost = value(llm, problem.question, [Node(c.token_ids, c.text) for c in completions])
    for completion, score in zip(completions, scores):
        completion.measures["value"] = score
    answer = weighted_vote([final_answer(completion) for completion in completions], scores)
    return Solution(answer, completions, output.cost + cost, scores)


def weighted(samples: list[Sample]) -> str | None:
    """Weighted best-of-N on pooled samples."""
    return weighted_vote([s.answer for s in samples], [s.measures["value"] for s in samples])


def oracle(samples: list[Sample]) -> str | None:
    """A right answer if there is one."""
    return next((sample.answer for sample in samples if sample.is_right), None)


RIVALS: dict[str, Choose] = {"best-of-N, weighted": weighted, "self-consistency": majority}


def samples_for(pool: list[PooledProblem], tokens_per_problem: float) -> float:
    """How many samples a problem cost so many generated tokens on average."""
    return tokens_per_problem / mean(mean(s.num_tokens for s in p.samples) for p in pool)


def accuracy_at_any(pool: list[PooledProblem], choose: Choose, n: float) -> list[float]:
    """`accuracy_at` for each problem, between two whole numbers of samples on the line from one to
    the other. Raises ValueError where n is not from 1 to the pool's size."""
    if not 1 <= n <= len(pool[0].samples):
        raise ValueError(f"{n:.1f} samples are not within the pool's 1 to {len(pool[0].samples)}")
    below, above = (accuracy_at(pool, choose, whole(n)) for whole in (math.floor, math.ceil))
    share = n - math.floor(n)
    return [(1 - share) * low + share * high for low, high in zip(below, above)]


def compare(evaluation: Evaluation, pool: list[PooledProblem], name: str) -> dict:
    """One search as a row: accuracy, cost, and its lead over each rival at equal tokens.

    `covered` is the share of problems with a right answer among the finished paths, and
    `rival_covered` among as many tokens of whole solutions: no vote can do better.
    """
    records, cost = evaluation.records, evaluation.cost
    row = evaluation.row(name) | {
        "n": evaluation.settings["n"],
        "paths": mean(len(record.completions) for record in records),
        "reused": cost.reused_tokens / cost.prompt_tokens,
        "scored_per_problem": cost.scored_tokens / len(records),
        "seconds": evaluation.seconds,
        "rival_n": samples_for(pool, evaluation.row(name)["tokens_per_problem"]),
    }
    found = [any(answers_match(c["answer"], r.gold) for c in r.completions) for r in records]
    row["covered"] = mean(found)
    row["rival_covered"] = mean(accuracy_at_any(pool, oracle, row["rival_n"]))
    for rival, choose in RIVALS.items():
        theirs = accuracy_at_any(pool, choose, row["rival_n"])
        gain, low, high = paired_difference([record.correct for record in records], theirs)
        row[rival] = {"gain": gain, "low": low, "high": high}
    return row


def curve(pool: list[PooledProblem], choose: Choose, name: str) -> list[dict]:
    """A rival's accuracy with its interval for each number of samples."""
    rows = []
    for n in range(1, len(pool[0].samples) + 1):
        accuracy = mean(accuracy_at(pool, choose, n))
        low, high = wilson_interval(round(accuracy * len(pool)), len(pool))
        tokens = n / samples_for(pool, 1)
        row = {"name": name, "n": n, "accuracy": accuracy, "low": low, "high": high}
        rows.append(row | {"tokens_per_problem": tokens})
    return rows


def print_table(rows: list[dict]) -> None:
    """The searches as text."""
    print(
        f"{'search':<12}{'n':>3}  {'accuracy  95% interval':<26}{'tokens':>7}{'paths':>7}", end=""
    )
    print(
        f"{'reused':>8}{'covered':>9}{'pool':>7}  "
        + "".join(f"{'against ' + rival:<30}" for rival in RIVALS)
    )
    for row in rows:
        gains = (row[rival] for rival in RIVALS)
        print(
            f"{row['name']:<12}{row['n']:>3}  {row['accuracy']:<10.3f}"
            f"[{row['low']:.3f}, {row['high']:.3f}]  {row['tokens_per_problem']:>7.0f}"
            f"{row['paths']:>7.1f}{row['reused']:>8.1%}"
            f"{row['covered']:>9.3f}{row['rival_covered']:>7.3f}  "
            + "".join(f"{g['gain']:+.3f} [{g['low']:+.3f}, {g['high']:+.3f}]       " for g in gains)
        )


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--problems", default="word", help="word or word:hard: what the reward model was made for")
    add("--split", default="test", help="test or dev")
    add("--limit", type=int, default=400, metavar="K", help="use the first K problems")
    add("--seed", type=int, default=0, help="of sampling")
    add("--threads", type=int, default=64, help="questions worked on at the same time")
    add("--records", type=Path, metavar="DIR", help="keep every record here, and go on from it")
    add("--out", type=Path, default=Path("ch06_search/compared.json"), help="the table, as JSON")
    return parser.parse_args()


def main() -> None:
    """Sample the rivals' pool, run every search, compare."""
    args = parse_args()
    with friendly_errors():
        problems = load_problems(args.problems, split=args.split, limit=args.limit)
        llm, value = LLM("tiny"), StepReader(ProcessRewardModel.from_folder())

        def measured(name: str, technique: partial) -> Evaluation:
            print(f"{name} ...", file=sys.stderr)
            out = args.records and args.records / f"{name}.jsonl"
            return evaluate(technique, llm, problems, out=out, num_threads=args.threads)

        whole = replace(WHOLE, seed=args.seed)
        technique = partial(sample_and_score, n=POOL_SIZE, params=whole, value=value)
        pool = to_pool(measured("pool", technique))
        rows = []
        for name, method in METHODS.items():
            for n in SIZES.get(name, OTHER_SIZES):
                params = replace(PARAMS, seed=args.seed)
                technique = partial(method, n=n, value=value, params=params)
                rows.append(compare(measured(f"{name}_{n}", technique), pool, name))
    print_table(rows)
    curves = [row for name, choose in RIVALS.items() for row in curve(pool, choose, name)]
    content = {"problems": args.problems, "split": args.split, "limit": len(problems)}
    content |= {"searches": rows, "rivals": curves}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
