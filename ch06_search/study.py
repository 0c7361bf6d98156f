"""Every search against best-of-N and self-consistency, at equal numbers of generated tokens.

    python ch06_search/compare.py --limit 400 --records runs/search

One pool of whole solutions serves both rivals: what they answer with n of its samples follows for
every n. A search is compared with the n that costs as many generated tokens, problem by problem.
Two controls show what the judging of steps is worth: beam search that prunes by a coin, and a plain
vote of the paths that a beam search has finished. Writes a small JSON file that the notebook draws.
An interrupted run with --records goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import mean

from ch03_best_of_n.best_of_n import weighted_answer
from ch06_search.search import METHODS, PARAMS, Node, Value, beam_search
from shared import LLM, Cost, Problem, SamplingParams, Solution, load_problems, prompts
from shared.errors import UserError, setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.evaluate import Evaluation, evaluate
from shared.evaluation.evaluate import compare as compare_runs
from shared.evaluation.intervals import paired_difference, wilson_interval
from shared.evaluation.pool import (
    Choose,
    PooledProblem,
    Sample,
    accuracy_at,
    is_right_answer,
    majority,
    to_pool,
)
from shared.grading.answers import final_answer
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.step_reader import StepReader

POOL_SIZE = 24  # samples a problem, enough for the dearest search
WHOLE = SamplingParams(temperature=0.6, max_tokens=700)  # for rivals, as in the earlier chapters
SIZES = {"beam": (4, 8, 16)}  # n of a search; the others:
OTHER_SIZES = (8,)
COIN_SIZE = 8
PAIRS = [  # of controls, and what each adds to the other at the same n
    ("beam", "beam, coin"),
    ("beam, plain vote", "beam, coin, plain vote"),
    ("beam", "beam, plain vote"),
    ("beam, coin", "beam, coin, plain vote"),
]


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
    answer = weighted_answer([final_answer(completion) for completion in completions], scores)
    return Solution(answer, completions, output.cost + cost, scores)


def coin_until_the_end(value: Value, seed: int = 0) -> Value:
    """A control: a random number for a partial solution, the same for the same text each time, and
    `value` for a finished one. Such a search prunes blindly and votes as the others do."""

    def coin_until_the_end(llm: LLM, question: str, nodes: list[Node]) -> tuple[list[float], Cost]:
        """Scores from 0 to 1, and what those of finished solutions cost."""
        finished = [node for node in nodes if node.is_finished]
        scores, cost = value(llm, question, finished) if finished else ([], Cost())
        known = dict(zip(finished, scores))
        coins = (random.Random(f"{seed} {question} {node.text}").random() for node in nodes)
        return [known.get(node, coin) for node, coin in zip(nodes, coins)], cost

    return coin_until_the_end


def weighted(samples: list[Sample]) -> str | None:
    """Weighted best-of-N on pooled samples. Raises ValueError where a value is no finite number."""
    values = [sample.measures.get("value") for sample in samples]
    return weighted_answer([sample.answer for sample in samples], values)


def oracle(samples: list[Sample]) -> str | None:
    """A right answer if there is one."""
    return next((sample.answer for sample in samples if sample.is_right), None)


RIVALS: dict[str, Choose] = {"best-of-N, weighted": weighted, "self-consistency": majority}


def samples_for(pool: list[PooledProblem], tokens_per_problem: float) -> float:
    """How many samples a problem cost so many generated tokens on average."""
    return tokens_per_problem / mean(mean(s.num_tokens for s in p.samples) for p in pool)


def accuracy_at_any(pool: list[PooledProblem], choose: Choose, n: float) -> list[float]:
    """`accuracy_at` for each problem, between two whole numbers of samples on the line from one to
    the other. Raises UserError where n is not from 1 to the pool's size."""
    if not 1 <= n <= len(pool[0].samples):
        raise UserError(
            f"{n:.1f} samples are not within the pool's 1 to {len(pool[0].samples)}: see --pool"
        )
    below, above = (accuracy_at(pool, choose, whole(n)) for whole in (math.floor, math.ceil))
    share = n - math.floor(n)
    return [(1 - share) * low + share * high for low, high in zip(below, above)]


def revoted(evaluation: Evaluation, choose: Choose) -> Evaluation:
    """The same search, but with another choice among its finished paths."""
    records = [
        replace(record, correct=is_right_answer(choose(problem.samples), problem))
        for record, problem in zip(evaluation.records, to_pool(evaluation))
    ]
    return replace(evaluation, records=records)


def compare(evaluation: Evaluation, pool: list[PooledProblem], name: str) -> dict:
    """One search as a row: accuracy, cost, and its lead over each rival at equal tokens.

    `covered` is the share of problems with a right answer among those that vote, and
    `rival_covered` among as many tokens of whole solutions: no vote can do better.
    """
    records, cost, settings = evaluation.records, evaluation.cost, evaluation.settings
    row = evaluation.row(name) | {
        "n": settings["n"],
        "branch": settings.get("branch"),
        "paths": mean(len(record.completions) for record in records),
        "reused": cost.reused_tokens / cost.prompt_tokens,
        "scored_per_problem": cost.scored_tokens / len(records),
        "seconds": evaluation.seconds,
        "rival_n": samples_for(pool, evaluation.row(name)["tokens_per_problem"]),
        "covered": mean(any(s.is_right for s in p.samples) for p in to_pool(evaluation)),
    }
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
        f"{'search':<23}{'n':>3}  {'accuracy  95% interval':<26}{'tokens':>7}{'paths':>7}", end=""
    )
    print(
        f"{'reused':>8}{'covered':>9}{'pool':>7}  "
        + "".join(f"{'against ' + rival:<30}" for rival in RIVALS)
    )
    for row in rows:
        gains = (row[rival] for rival in RIVALS)
        print(
            f"{row['name']:<23}{row['n']:>3}  {row['accuracy']:<10.3f}"
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
    add("--pool", type=int, default=POOL_SIZE, help="whole solutions a problem, for the rivals")
    add("--threads", type=int, default=64, help="questions worked on at the same time")
    add("--records", type=Path, metavar="DIR", help="keep every record here, and go on from it")
    add("--out", type=Path, default=Path("ch06_search/compared.json"), help="the table, as JSON")
    return parser.parse_args()


def main() -> None:
    """Sample the rivals' pool, run every search and the controls, compare."""
    args = parse_args()
    params, whole = replace(PARAMS, seed=args.seed), replace(WHOLE, seed=args.seed)
    with friendly_errors():
        with setting_up():
            problems = load_problems(args.problems, split=args.split, limit=args.limit)
            reward_model = ProcessRewardModel.from_folder()
        settings = {"reward_model": weights_fingerprint(reward_model)}

        def measured(
            name: str, technique: Callable, wrap: Callable[[Value], Value] = lambda value: value
        ) -> Evaluation:
            """A technique's run, with a model and a reader that know nothing of earlier runs."""
            print(f"{name} ...", file=sys.stderr)
            out = args.records and args.records / f"{name}.jsonl"
            technique = partial(technique, value=wrap(StepReader(reward_model)))
            options = {"out": out, "settings": settings, "num_threads": args.threads}
            run = evaluate(technique, LLM("tiny"), problems, **options)
            if run.num_errors:
                raise UserError(f"{name}: {run.failures}")
            return run

        pool_run = measured("pool", partial(sample_and_score, n=args.pool, params=whole))
        runs = {
            (name, n): measured(f"{name}_{n}", partial(method, n=n, params=params))
            for name, method in METHODS.items()
            for n in SIZES.get(name, OTHER_SIZES)
        }
        controls = {
            ("beam, coin", COIN_SIZE): measured(
                f"coin_{COIN_SIZE}",
                partial(beam_search, n=COIN_SIZE, params=params),
                partial(coin_until_the_end, seed=args.seed),
            )
        }
        for (name, n), run in [*runs.items(), *controls.items()]:
            if name.startswith("beam"):
                controls[f"{name}, plain vote", n] = revoted(run, majority)
        pool, both = to_pool(pool_run), runs | controls
        rows, control_rows = (
            [compare(run, pool, name) for (name, _), run in some.items()]
            for some in (runs, controls)
        )
    differences = [
        {"n": n, "a": name, "b": other} | asdict(compare_runs(both[name, n], both[other, n]))
        for name, other in PAIRS
        for n in SIZES["beam"]
        if (name, n) in both and (other, n) in both
    ]
    print_table(rows + control_rows)
    for pair in differences:
        print("n {n}: {a} over {b}: {difference:+.3f} [{low:+.3f}, {high:+.3f}]".format(**pair))
    curves = [row for name, choose in RIVALS.items() for row in curve(pool, choose, name)]
    content = {"problems": args.problems, "split": args.split, "limit": len(problems)}
    content |= {"model": "tiny", "search_temperature": params.temperature}
    content |= {"rival_temperature": whole.temperature, "seed": args.seed, **settings}
    content |= {"searches": rows, "controls": control_rows, "differences": differences}
    content["rivals"] = curves
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
