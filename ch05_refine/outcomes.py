"""What becomes of right and wrong drafts: the study of recorded refinements.

    python ch05_refine/outcomes.py refine.jsonl --summary compared.json

prints the tables of `refine.py --compare` again from its records, and writes the figures' numbers.

    pool = to_pool(load_evaluation("refine.jsonl"))     # or of an evaluation that has just been run
    count_outcomes(pool, "reward", rounds=3)            # {"kept": …, "broken": …, …}
    print_table(compare_ways(pool, ways_of(pool), rounds=3))

`refine.py` writes its records so that no model is needed here. A text may have been sampled for
several ways to refine at once. Its measure "reward/2" says that the way named "reward" sampled it
in round 2; the measure is 1 if it was accepted as the new draft then, else 0.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path
from statistics import mean

from shared.evaluate import load_evaluation
from shared.intervals import paired_bootstrap, wilson_interval
from shared.pool import PooledProblem, Sample, majority, read_pool, to_pool

OUTCOMES = ("kept", "broken", "repaired", "unrepaired")
Drawn = dict[str, list[Sample]]  # by question: samples to vote with


def ways_of(pool: list[PooledProblem]) -> list[str]:
    """The names of all ways to refine that a pool holds."""
    names = (name for p in pool for s in p.samples for name in s.measures if name.endswith("/0"))
    return list(dict.fromkeys(name.removesuffix("/0") for name in names))


def draft_after(problem: PooledProblem, way: str, rounds: int) -> Sample:
    """The draft that a way holds after so many rounds; 0 is the first draft.

    Raises ValueError for a way that the records do not hold.
    """
    for number in range(rounds, -1, -1):
        for sample in problem.samples:
            if sample.measures.get(f"{way}/{number}") == 1:
                return sample
    raise ValueError(f"the records hold no way to refine that is called {way!r}")


def tokens_after(problem: PooledProblem, way: str, rounds: int) -> int:
    """What a way has generated after so many rounds, as if it had been the only one."""
    names = {f"{way}/{number}" for number in range(rounds + 1)}
    return sum(
        sample.num_tokens * len(names & sample.measures.keys()) for sample in problem.samples
    )


def is_right_after(pool: list[PooledProblem], way: str, rounds: int) -> list[bool]:
    """For each problem whether the draft is right after so many rounds."""
    return [draft_after(problem, way, rounds).is_right for problem in pool]


def count_outcomes(pool: list[PooledProblem], way: str, rounds: int) -> dict[str, int]:
    """How many right drafts were kept right or broken, how many wrong ones repaired or not."""
    names = dict(zip([(True, True), (True, False), (False, True), (False, False)], OUTCOMES))
    before, after = is_right_after(pool, way, 0), is_right_after(pool, way, rounds)
    counts = Counter(names[pair] for pair in zip(before, after))
    return {name: counts[name] for name in OUTCOMES}


def score_of(sample: Sample, gate: str) -> float:
    """A solution's score by the name of a gate."""
    if gate == "likelihood":
        return math.exp(sample.measures["logprob"] / sample.num_tokens)
    return sample.measures[gate]


def drawn_samples(pool: list[PooledProblem]) -> Drawn:
    """The independent samples of each question, in the order of sampling; of a pool without
    refinements (`shared.pool`) that is all."""
    if not ways_of(pool):
        return {problem.question: problem.samples for problem in pool}
    return {p.question: [s for s in p.samples if "sample" in s.measures] for p in pool}


def samples_for(tokens: float, drawn: Drawn) -> int:
    """How many samples cost as much as `tokens` a problem, to the nearest one; at least one."""
    samples = [sample for each in drawn.values() for sample in each]
    most = min(len(each) for each in drawn.values())
    return min(most, max(1, round(tokens / mean(sample.num_tokens for sample in samples))))


def vote_is_right(pool: list[PooledProblem], drawn: Drawn, n: int) -> list[bool]:
    """For each problem whether the majority of its first n samples is right."""
    samples = [drawn[problem.question][:n] for problem in pool]
    voted = [majority(each) for each in samples]
    return [any(s.is_right for s in each if s.answer == a) for each, a in zip(samples, voted)]


def best_is_right(pool: list[PooledProblem], drawn: Drawn, n: int, gate: str) -> list[bool]:
    """For each problem whether the one of its first n samples that a gate scores highest is."""
    samples = [drawn[problem.question][:n] for problem in pool]
    return [max(each, key=lambda s: score_of(s, gate)).is_right for each in samples]


def compare_ways(
    pool: list[PooledProblem],
    ways: list[str],
    rounds: int,
    drawn: Drawn | None = None,
) -> list[dict]:
    """One row for the draft and for each way: accuracy, the paired gain over the draft, what became
    of right and wrong drafts, tokens, and samples at the same cost.

    The best single sample is chosen by the gate that begins the way's name, if one does.
    `drawn` None: the samples in the pool itself, if there are any.
    """
    drawn = drawn_samples(pool) if drawn is None else drawn
    rows = [{"name": "the draft"} | row_of(pool, ways[0], 0)]
    rows += [{"name": way} | row_of(pool, way, rounds) for way in ways]
    if not all(drawn.get(problem.question) for problem in pool):
        return rows
    for row in rows:
        n = samples_for(row["tokens"], drawn)
        others = {"vote": vote_is_right(pool, drawn, n)}
        gate = row["name"].partition(",")[0]
        if gate == "likelihood" or gate in next(iter(drawn.values()))[0].measures:
            others["best"] = best_is_right(pool, drawn, n, gate)
        row["n"] = n
        for name, other in others.items():
            gain = paired_bootstrap(row["right"], other)
            row[name] = mean(other)
            row[f"above {name}"] = (gain.difference, gain.low, gain.high)
    return rows


def row_of(pool: list[PooledProblem], way: str, rounds: int) -> dict:
    """A way's accuracy with its interval, gain over the draft, outcomes, and tokens a problem."""
    right = is_right_after(pool, way, rounds)
    gain = paired_bootstrap(right, is_right_after(pool, way, 0))
    return {
        "right": right,
        "accuracy": mean(right),
        "interval": wilson_interval(sum(right), len(right)),
        "gain": (gain.difference, gain.low, gain.high),
        **count_outcomes(pool, way, rounds),
        "tokens": mean(tokens_after(problem, way, rounds) for problem in pool),
    }


def print_table(rows: list[dict]) -> None:
    """The comparison as text: what refinement does to drafts, then samples at equal cost."""
    print(f"{'':<20}{'accuracy  95% interval':<26}{'above the draft':<26}", end="")
    print("  ".join(OUTCOMES), " tokens")
    for row in rows:
        counts = "  ".join(f"{row[name]:>{len(name)}}" for name in OUTCOMES)
        interval = "[{:.3f}, {:.3f}]".format(*row["interval"])
        print(f"{row['name']:<20}{row['accuracy']:<10.3f}{interval:<16}", end="")
        print(f"{difference(row['gain']):<26}{counts}{row['tokens']:>8.0f}")
    if "n" not in rows[0]:
        return
    print(f"\n{'at equal cost':<20}{'n':<4}{'vote':<8}{'above the vote':<26}", end="")
    print(f"{'best':<8}above the best sample by the same gate")
    for row in rows:
        print(f"{row['name']:<20}{row['n']:<4}{row['vote']:<8.3f}", end="")
        print(f"{difference(row['above vote']):<26}", end="")
        print(f"{row['best']:<8.3f}{difference(row['above best'])}" if "best" in row else "")


def difference(gain: tuple[float, float, float]) -> str:
    """A difference and its interval as text."""
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gain)


def summarize(pool: list[PooledProblem], rounds: int, gate: str = "reward") -> dict:
    """The numbers of the figures, JSON-ready: each way after 0, 1, ... rounds, and 1, 2, ...
    samples with their vote and the best of them by a gate."""
    drawn = drawn_samples(pool)
    ways = {
        way: [row_of(pool, way, number) for number in range(rounds + 1)] for way in ways_of(pool)
    }
    for row in (row for rows in ways.values() for row in rows):
        del row["right"]  # one a problem: they would make the file large
    samples = [
        {
            "tokens": mean(sum(s.num_tokens for s in each[:n]) for each in drawn.values()),
            "vote": mean(vote_is_right(pool, drawn, n)),
            "best": mean(best_is_right(pool, drawn, n, gate)),
        }
        for n in range(1, min(map(len, drawn.values())) + 1)
    ]
    return {"problems": len(pool), "ways": ways, "samples": samples}


def main() -> None:
    """Print the tables of recorded refinements; write the numbers of their figures if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("records", type=Path, help="the --out of refine.py --compare")
    add("--pool", metavar="FILE.jsonl", help="take the samples for the vote from this file")
    add("--summary", type=Path, metavar="FILE.json", help="write the numbers of the figures here")
    args = parser.parse_args()
    evaluation = load_evaluation(args.records)
    pool, rounds = to_pool(evaluation), evaluation.settings["rounds"]
    drawn = drawn_samples(read_pool(args.pool)) if args.pool else None
    print_table(compare_ways(pool, ways_of(pool), rounds, drawn))
    print(evaluation.summary_line())
    if args.summary:
        text = json.dumps(summarize(pool, rounds), indent=1)
        args.summary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
