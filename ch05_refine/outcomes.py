"""What becomes of right and wrong drafts: the study of recorded refinements.

    pool = to_pool(load_evaluation("refine.jsonl"))     # or of an evaluation that has just been run
    count_outcomes(pool, "reward", rounds=3)            # {"kept": …, "broken": …, …}
    compare_ways(pool, ways_of(pool), rounds=3)         # a row for each way, with intervals

`study.py` writes its records so that no model is needed here. The trace of a problem has an entry
for each round of each way to refine, which refers to texts by their indices among the completions
(several ways may share a text; round 0 is the first draft):

    {"way": "reward", "round": 2, "accepted": true, "critique": 5, "solution": 6}

"accepted" says whether the solution is the new draft; it is null where the critique found nothing.
An entry {"samples": [8, 9]} names the independent samples. Tokens are always generated ones:
prompts and the reading of a gate come on top.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import astuple
from pathlib import Path
from statistics import mean

from shared.errors import UserError
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.intervals import paired_bootstrap, wilson_interval
from shared.evaluation.pool import PooledProblem, Sample, majority, read_pool, to_pool
from shared.files.typed_json import matches
from shared.scores import checked

OUTCOMES = ("kept", "broken", "repaired", "unrepaired")
ROUND = {
    "way": str,
    "round": int,
    "accepted": bool,
    "critique": int | None,
    "solution": int | None,
}  # an entry of the trace
Drawn = dict[str, list[Sample]]  # by question: samples to vote with


def ways_of(pool: list[PooledProblem]) -> list[str]:
    """The names of all ways to refine that a pool holds."""
    names = (entry["way"] for problem in pool for entry in problem.trace if "way" in entry)
    return list(dict.fromkeys(names))


def rounds_of(problem: PooledProblem, way: str, last: int | None = None) -> list[dict]:
    """The rounds of a way in the trace of a problem, up to round `last`.

    Raises UserError for a way that the records do not hold.
    """
    rounds = [entry for entry in problem.trace if entry.get("way") == way]
    if not rounds:
        raise UserError(f"the records hold no way to refine that is called {way!r}")
    return [entry for entry in rounds if last is None or entry["round"] <= last]


def draft_after(problem: PooledProblem, way: str, rounds: int) -> Sample:
    """The draft that a way holds after a number of rounds; 0 is the first draft."""
    accepted = [entry for entry in rounds_of(problem, way, rounds) if entry["accepted"]]
    return problem.samples[accepted[-1]["solution"]]


def first_critique(problem: PooledProblem, way: str) -> Sample:
    """What was said of the first draft. Raises ValueError where nothing was."""
    for entry in rounds_of(problem, way):
        if entry["critique"] is not None:
            return problem.samples[entry["critique"]]
    raise ValueError(f"the way {way!r} has criticized nothing")


def ends_at_once(problem: PooledProblem, way: str) -> bool:
    """Whether a way left the first draft as it was: the critique found nothing, the test passed."""
    return all(e["solution"] is None for e in rounds_of(problem, way) if e["round"] == 1)


def tokens_after(problem: PooledProblem, way: str, rounds: int) -> int:
    """The tokens a way has generated after a number of rounds, as if it had been the only one."""
    entries = rounds_of(problem, way, rounds)
    indices = [entry[name] for entry in entries for name in ("critique", "solution")]
    return sum(problem.samples[index].num_tokens for index in indices if index is not None)


def is_right_after(pool: list[PooledProblem], way: str, rounds: int) -> list[bool]:
    """For each problem whether the draft is right after this many rounds."""
    return [draft_after(problem, way, rounds).is_right for problem in pool]


def count_outcomes(pool: list[PooledProblem], way: str, rounds: int) -> dict[str, int]:
    """How many right drafts were kept right or broken, how many wrong ones repaired or not."""
    names = dict(zip([(True, True), (True, False), (False, True), (False, False)], OUTCOMES))
    before, after = is_right_after(pool, way, 0), is_right_after(pool, way, rounds)
    counts = Counter(names[pair] for pair in zip(before, after))
    return {name: counts[name] for name in OUTCOMES}


# --- Independent samples at equal cost ------------------------------------------------------------


def drawn_samples(pool: list[PooledProblem]) -> Drawn:
    """The independent samples of each question, in the order of sampling; of a pool without
    refinements (`shared.evaluation.pool`) that is all."""
    if not ways_of(pool):
        return {problem.question: problem.samples for problem in pool}
    return {
        p.question: [p.samples[i] for entry in p.trace for i in entry.get("samples", [])]
        for p in pool
    }


def read_drawn(path: str | Path, questions: list[str]) -> Drawn:
    """The samples of these questions from a pool's file. Raises UserError where there are none."""
    drawn = drawn_samples(read_pool(path))
    missing = sum(not drawn.get(question) for question in questions)
    if missing:
        raise UserError(f"{path} has no samples of {missing} of the {len(questions)} problems")
    return {question: drawn[question] for question in questions}


def tokens_of(drawn: Drawn) -> list[float]:
    """The tokens per problem of the first 1, 2, ... samples, as far as every problem has them."""
    most = min(map(len, drawn.values()), default=0)
    return [
        mean(sum(s.num_tokens for s in each[:n]) for each in drawn.values())
        for n in range(1, most + 1)
    ]


def samples_for(tokens: float, drawn: Drawn) -> int | None:
    """How many samples generate at most `tokens` tokens per problem.

    None where even one generates more, or where one more than there are might be had.
    """
    spent = tokens_of(drawn)
    n = sum(each <= tokens for each in spent)
    is_short = 0 < n == len(spent) and tokens >= spent[-1] * (n + 1) / n
    return None if is_short else n or None


def score_of(sample: Sample, gate: str) -> float:
    """A solution's score by the name of a gate. Raises UserError where none is recorded, and
    ValueError for one that is not a finite number."""
    name = "logprob" if gate == "likelihood" else gate
    if name not in sample.measures:
        raise UserError(f"the records hold no score by the name of {gate!r}")
    score = checked(sample.measures[name], f"{gate} of the sample {sample.text[:40]!r}")
    return math.exp(score / sample.num_tokens) if gate == "likelihood" else score


def is_scored(drawn: Drawn, gate: str) -> bool:
    """Whether a gate has scored the samples."""
    return gate == "likelihood" or all(gate in s.measures for each in drawn.values() for s in each)


def vote_is_right(pool: list[PooledProblem], drawn: Drawn, n: int) -> list[bool]:
    """For each problem whether the majority of its first n samples is right."""
    samples = [drawn[problem.question][:n] for problem in pool]
    voted = [majority(each) for each in samples]
    return [any(s.is_right for s in each if s.answer == a) for each, a in zip(samples, voted)]


def best_is_right(pool: list[PooledProblem], drawn: Drawn, n: int, gate: str) -> list[bool]:
    """For each problem whether the one of its first n samples that a gate scores highest is.

    Raises UserError where the gate has not scored them.
    """
    samples = [drawn[problem.question][:n] for problem in pool]
    return [max(each, key=lambda s: score_of(s, gate)).is_right for each in samples]


# --- The comparison -------------------------------------------------------------------------------


def compare_ways(
    pool: list[PooledProblem],
    ways: list[str],
    rounds: int,
    drawn: Drawn | None = None,
) -> list[dict]:
    """One row for the draft and for each way: what `row_of` says and, at equal cost, samples.

    n             as many samples as generate no more tokens than the way; None as in `samples_for`
    vote, best    accuracy of their majority, and of the one that scores highest by the gate that
                  begins the way's name, if one does
    above vote, above best    the way's accuracy minus that, as `gain_of`

    `drawn` None: the samples in the pool itself; the last three are left out where there are none.
    Raises UserError for a way that the records do not hold.
    """
    drawn = drawn_samples(pool) if drawn is None else drawn
    rows = [{"name": "the draft"} | row_of(pool, ways[0], 0)]
    rows += [{"name": way} | row_of(pool, way, rounds) for way in ways]
    drawn = {problem.question: drawn.get(problem.question, []) for problem in pool}
    if not all(drawn.values()):
        return rows
    for row in rows:
        row["n"] = n = samples_for(row["tokens"], drawn)
        others = {"vote": vote_is_right(pool, drawn, n)} if n else {}
        gate = row["name"].partition(",")[0]
        if n and is_scored(drawn, gate):
            others["best"] = best_is_right(pool, drawn, n, gate)
        for name, other in others.items():
            row |= {name: mean(other), f"above {name}": gain_of(row["right"], other)}
    return rows


def row_of(pool: list[PooledProblem], way: str, rounds: int) -> dict:
    """A way's accuracy with its interval, gain over the draft, outcomes, and tokens per problem."""
    right = is_right_after(pool, way, rounds)
    return {
        "right": right,
        "accuracy": mean(right),
        "interval": wilson_interval(sum(right), len(right)),
        "gain": gain_of(right, is_right_after(pool, way, 0)),
        **count_outcomes(pool, way, rounds),
        "tokens": mean(tokens_after(problem, way, rounds) for problem in pool),
    }


def gain_of(right: list[bool], other: list[bool]) -> tuple[float, float, float, float]:
    """The paired difference in accuracy, its 95% interval, and the p-value (`PairedComparison`)."""
    return astuple(paired_bootstrap(right, other))


def refined_pool(evaluation: Evaluation) -> list[PooledProblem]:
    """The problems of a comparison, without those that ended in an error.

    Raises UserError where none is left, and for records of anything else.
    """
    pairs = zip(to_pool(evaluation), evaluation.records)
    pool = [problem for problem, record in pairs if record.error is None]
    if not pool:
        raise UserError(evaluation.failures)
    if not ways_of(pool):
        raise UserError("there are no ways to refine here: these come from study.py")
    for problem in pool:
        check_trace(problem)
    return pool


def check_trace(problem: PooledProblem) -> None:
    """Raise UserError unless the trace is that of refinements, and all its indices exist."""
    size = len(problem.samples)
    for entry in problem.trace:
        hints = {"samples": list[int]} if "samples" in entry else ROUND
        is_entry = all(name in entry and matches(entry[name], hint) for name, hint in hints.items())
        indices = entry.get("samples", [entry.get("critique"), entry.get("solution")])
        is_whole = is_entry and all(index is None or index < size for index in indices)
        if not is_whole or entry.get("accepted") and entry["solution"] is None:
            raise UserError(f"the trace of {problem.question[:40]!r}... has a wrong entry: {entry}")


def summarize(
    pool: list[PooledProblem], rounds: int, gate: str = "reward", drawn: Drawn | None = None
) -> dict:
    """The numbers of the figures, JSON-ready.

    gate            whose best samples are counted
    ways            each way after 0, 1, ... rounds, as `row_of`
    ends at once    for each way with how many right and wrong drafts it did (`ends_at_once`)
    samples         1, 2, ... samples: tokens, their vote, and the best of them if the gate scored
                    them; `drawn` None: those in the pool itself
    """
    drawn = drawn_samples(pool) if drawn is None else drawn
    ways = {
        way: [row_of(pool, way, number) for number in range(rounds + 1)] for way in ways_of(pool)
    }
    for row in (row for rows in ways.values() for row in rows):
        del row["right"]  # one per problem: they would make the file large
    at_once = {way: Counter({"right": 0, "wrong": 0}) for way in ways}
    for way, counts in at_once.items():
        for problem in pool:
            kind = "right" if draft_after(problem, way, 0).is_right else "wrong"
            counts[kind] += ends_at_once(problem, way)
    samples = []
    for n, tokens in enumerate(tokens_of(drawn), 1):
        samples.append({"tokens": tokens, "vote": mean(vote_is_right(pool, drawn, n))})
        if is_scored(drawn, gate):
            samples[-1]["best"] = mean(best_is_right(pool, drawn, n, gate))
    return {
        "problems": len(pool),
        "gate": gate,
        "ways": ways,
        "ends at once": at_once,
        "samples": samples,
    }
