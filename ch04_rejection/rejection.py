"""Rejection sampling: draw solutions until a verifier accepts one, or the budget ends.

    python ch04_rejection/rejection.py --verifier both --limit 400
    python ch04_rejection/rejection.py --compare --limit 400 --n 16           # all, on one pool
    python ch04_rejection/rejection.py --choose-threshold --split dev --limit 60

Verifiers, from weak to strong: "format" (a boxed answer), "arithmetic" (every equation holds),
"reward" (a reward model's score of the last step reaches a threshold), "both" of the latter.
Where nothing is accepted, what was drawn votes. `code_rejection.py` does the same with unit tests.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import comb

import torch

from ch04_rejection.budgets import print_rows, vote_curve, vote_of
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.answers import final_answer
from shared.arithmetic import equations
from shared.cli import (
    add_common_flags,
    evaluate_as_told,
    friendly_errors,
    model_config,
    print_result,
    run,
)
from shared.intervals import paired_difference, pass_at_k, wilson_interval
from shared.pool import (
    PooledProblem,
    Sample,
    is_right_answer,
    majority,
    most_frequent,
    sample_pool,
    to_pool,
)
from shared.scorers import ProcessRewardModel

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
VOTES = 20  # simulated for one problem where nothing is accepted
SEED_STEP = 1_000  # between the seeds of successive rounds, so that runs with seeds 0, 1, … differ
THRESHOLDS = {"reward": 0.85, "both": 0.75}  # chosen on dev problems: --choose-threshold
# Of a question and its solutions: which of them are accepted? It never sees the gold answer.
Verifier = Callable[[str, list[Completion]], list[bool]]


# --- Verifiers ------------------------------------------------------------------------------------


def well_formed(question: str, completions: list[Completion]) -> list[bool]:
    """The format: the solution came to its end and boxed an answer."""
    return [
        c.finish_reason == "stop" and "\\boxed" in c.text and final_answer(c) is not None
        for c in completions
    ]


def arithmetic(question: str, completions: list[Completion]) -> list[bool]:
    """The arithmetic of every step: well-formed, with equations, all of which hold.

    It knows nothing of the question: a solution that computes the wrong thing rightly passes.
    """
    accepted = []
    for is_fine, completion in zip(well_formed(question, completions), completions):
        claims = equations(completion.text) if is_fine else []
        accepted.append(bool(claims) and all(claim.is_right for claim in claims))
    return accepted


def rewarded(reward_model: ProcessRewardModel, threshold: float) -> Verifier:
    """The verifier that accepts well-formed solutions whose last step scores at least so much."""

    def verifier(question: str, completions: list[Completion]) -> list[bool]:
        steps = reward_model.step_scores(question, [c.text for c in completions])
        fine = well_formed(question, completions)
        return [is_fine and scores[-1] >= threshold for is_fine, scores in zip(fine, steps)]

    verifier.__name__ = f"reward >= {threshold:g}"  # what a run's settings call it
    return verifier


def both(first: Verifier, second: Verifier) -> Verifier:
    """The verifier that accepts what two others accept."""

    def verifier(question: str, completions: list[Completion]) -> list[bool]:
        pairs = zip(first(question, completions), second(question, completions))
        return [a and b for a, b in pairs]

    verifier.__name__ = f"{first.__name__} and {second.__name__}"
    return verifier


# --- The technique --------------------------------------------------------------------------------


def rejection_sampling(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = PARAMS,
    verifier: Verifier = arithmetic,
    batch: int = 1,
) -> Solution:
    """Draw `batch` solutions at a time until the verifier accepts one, at most n.

    The answer is that of the first accepted; where none is, the majority of all that were drawn.
    Larger batches take fewer rounds and draw more than they need.
    """
    messages = prompts.ask(problem.question)
    completions: list[Completion] = []
    accepted: list[bool] = []
    cost, trace = Cost(), []
    while len(completions) < n and not any(accepted):
        seed = params.seed + SEED_STEP * len(completions)
        own = replace(params, n=min(batch, n - len(completions)), seed=seed)
        (output,) = llm.chat(messages, own, enable_thinking=False)
        accepted += verifier(problem.question, output.completions)
        completions += output.completions
        cost += output.cost
        trace.append({"drawn": len(completions), "accepted": sum(accepted)})
    if verifier not in (well_formed, arithmetic):  # a reward model has read what was drawn
        read = sum(len(completion.token_ids) for completion in completions)
        cost += Cost(scored_tokens=read, forward_passes=len(completions))
    answers = [final_answer(completion) for completion in completions]
    passed = [answer for answer, is_accepted in zip(answers, accepted) if is_accepted]
    answer = passed[0] if passed else most_frequent(answers)
    return Solution(answer, completions, cost, [float(a) for a in accepted], trace)


# --- What follows for every budget from one pool of samples ---------------------------------------


def sample_and_score(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, reward_model: ProcessRewardModel
) -> Solution:
    """Sample n solutions, note the reward of each one's last step; answer with their majority."""
    solution = sample_pool(llm, problem, n=n, params=params, judged=False)
    texts = [completion.text for completion in solution.completions]
    steps = reward_model.step_scores(problem.question, texts)
    for completion, scores in zip(solution.completions, steps):
        completion.measures["reward"] = scores[-1]
    read = sum(len(completion.token_ids) for completion in solution.completions)
    solution.cost += Cost(scored_tokens=read, forward_passes=n)
    return solution


def noted_reward(threshold: float) -> Verifier:
    """As `rewarded`, for pooled samples, whose reward has been noted."""

    def verifier(question: str, samples: list[Sample]) -> list[bool]:
        fine = well_formed(question, samples)
        return [ok and s.measures["reward"] >= threshold for ok, s in zip(fine, samples)]

    verifier.__name__ = f"reward >= {threshold:g}"
    return verifier


def is_right(question: str, samples: list[Sample]) -> list[bool]:
    """The perfect verifier, which knows the right answer: no other can do better."""
    return [sample.is_right for sample in samples]


def verifiers(thresholds: dict[str, float] = THRESHOLDS) -> dict[str, Verifier]:
    """The chapter's verifiers for pooled samples, by name, and the perfect one."""
    return {
        "format": well_formed,
        "arithmetic": arithmetic,
        "reward": noted_reward(thresholds["reward"]),
        "both": both(arithmetic, noted_reward(thresholds["both"])),
        "perfect": is_right,
    }


@dataclass(frozen=True)
class Outcome:
    """Rejection sampling on one problem: the chance to be right, the chance that something is
    accepted, and the mean numbers of draws and of generated tokens."""

    right: float
    accepts: float
    draws: float
    tokens: float


def expected_draws(total: int, accepted: int, budget: int) -> float:
    """The mean number of draws until one is accepted or the budget ends.

    It is the sum over i < budget of the chance that the first i are all rejected: (1-p)^i by the
    geometric law, and C(rejected, i) / C(total, i) without bias from that many samples.
    """
    return sum(comb(total - accepted, i) / comb(total, i) for i in range(budget))


def mean_or_zero(numbers: list[float]) -> float:
    """The mean; 0 of nothing."""
    return statistics.mean(numbers) if numbers else 0.0


def expected_outcome(
    problem: PooledProblem, accepted: list[bool], budget: int, *, rng: random.Random
) -> Outcome:
    """What rejection sampling does on average over all orders of a problem's samples.

    The first accepted one is any of the accepted with equal chance: right as often as they are,
    which is the verifier's precision on this problem. Only the vote of the rejected is simulated.
    """
    taken = [s for s, is_in in zip(problem.samples, accepted) if is_in]
    rejected = [s for s, is_in in zip(problem.samples, accepted) if not is_in]
    total = len(problem.samples)
    accepts = pass_at_k(total, len(taken), budget)
    precision = mean_or_zero([float(s.is_right) for s in taken])
    votes = []
    for _ in range(VOTES if len(rejected) >= budget else 0):
        drawn = sorted(rng.sample(range(len(rejected)), budget))
        answer = majority([rejected[i] for i in drawn])
        votes.append(float(is_right_answer(answer, problem)))
    draws = expected_draws(total, len(taken), budget)
    tokens = accepts * mean_or_zero([s.num_tokens for s in taken])
    tokens += (draws - accepts) * mean_or_zero([s.num_tokens for s in rejected])
    right = accepts * precision + (1 - accepts) * mean_or_zero(votes)
    return Outcome(right, accepts, draws, tokens)


def measured_outcome(problem: PooledProblem, accepted: list[bool], budget: int) -> Outcome:
    """What rejection sampling did with a problem's samples in the order in which they came."""
    draws = next((i for i, is_in in enumerate(accepted[:budget], 1) if is_in), budget)
    drawn, has_accepted = problem.samples[:draws], accepted[draws - 1]
    answer = drawn[-1].answer if has_accepted else majority(drawn)
    right = float(is_right_answer(answer, problem))
    return Outcome(right, float(has_accepted), draws, sum(s.num_tokens for s in drawn))


def verdicts(pool: list[PooledProblem], verifier: Verifier) -> list[list[bool]]:
    """For each problem, which of its samples the verifier accepts."""
    return [verifier(problem.question, problem.samples) for problem in pool]


def outcomes(
    pool: list[PooledProblem], accepted: list[list[bool]], budget: int, *, measured: bool = False
) -> list[Outcome]:
    """The expected (or measured) outcome on every problem of a pool, given the verdicts.

    Raises ValueError for a budget below 1 or above the number of samples.
    """
    outcome = measured_outcome if measured else partial(expected_outcome, rng=random.Random(budget))
    return [outcome(problem, flags, budget) for problem, flags in zip(pool, accepted)]


# --- Tables and the choice of a threshold ---------------------------------------------------------


def quality(pool: list[PooledProblem], accepted: list[list[bool]]) -> dict[str, float]:
    """How good a verifier is over all samples of a pool; a share of nothing is not a number.

    acceptance      share of samples accepted
    precision       share of the accepted that are right
    false_accepts   share of the wrong that are accepted
    false_rejects   share of the right that are rejected
    """
    pairs = [pair for problem, flags in zip(pool, accepted) for pair in zip(flags, problem.samples)]

    def share(flags: list[bool]) -> float:
        return sum(flags) / len(flags) if flags else math.nan

    return {
        "acceptance": share([is_in for is_in, _ in pairs]),
        "precision": share([sample.is_right for is_in, sample in pairs if is_in]),
        "false_accepts": share([is_in for is_in, sample in pairs if not sample.is_right]),
        "false_rejects": share([not is_in for is_in, sample in pairs if sample.is_right]),
    }


def compare_quality(pool: list[PooledProblem], named: dict[str, Verifier]) -> list[dict]:
    """A row for each verifier: its mistakes, the draws until it accepts (at most all samples) by
    the geometric law and as they came, and the paired difference to a vote of all samples."""
    rows, n, vote = [], len(pool[0].samples), vote_curve(pool)[-1]
    for name, verifier in named.items():
        accepted = verdicts(pool, verifier)
        found = outcomes(pool, accepted, n)
        measured = outcomes(pool, accepted, n, measured=True)
        row = {"verifier": name, **quality(pool, accepted)}
        row["draws_by_law"] = statistics.mean(outcome.draws for outcome in found)
        row["draws_measured"] = float(statistics.mean(outcome.draws for outcome in measured))
        gain = paired_difference([outcome.right for outcome in found], vote)
        rows.append(row | dict(zip((f"to_vote_of_{n}", "gain_low", "gain_high"), gain)))
    return rows


def compare_budgets(pool: list[PooledProblem], named: dict[str, Verifier]) -> list[dict]:
    """A row for each verifier and budget: what it costs, how often it is right (in theory, and
    measured as the samples came), and the paired difference to a vote of as many tokens."""
    curve, n = vote_curve(pool), len(pool[0].samples)
    size = statistics.mean(sample.num_tokens for problem in pool for sample in problem.samples)
    rows = []
    for name, verifier in named.items():
        accepted = verdicts(pool, verifier)
        for budget in sorted({2**i for i in range(n.bit_length())} | {n}):
            found = outcomes(pool, accepted, budget)
            means = {
                part: statistics.mean(getattr(outcome, part) for outcome in found)
                for part in ("tokens", "accepts", "right")
            }
            low, high = wilson_interval(round(means["right"] * len(pool)), len(pool))
            measured = statistics.mean(
                outcome.right for outcome in outcomes(pool, accepted, budget, measured=True)
            )
            vote = vote_of(curve, means["tokens"] / size)
            gain = paired_difference([outcome.right for outcome in found], vote)
            row = {"verifier": name, "budget": budget, **means, "low": low, "high": high}
            row |= {"measured": measured, "vote": statistics.mean(vote)}
            rows.append(row | dict(zip(("gain", "gain_low", "gain_high"), gain)))
    return rows


def compare_thresholds(pool: list[PooledProblem], budget: int) -> list[dict]:
    """A row for each threshold on the reward, alone and with the arithmetic: the verifier's quality
    and what rejection sampling makes of it."""
    rows = []
    for name in THRESHOLDS:
        for threshold in (i / 20 for i in range(8, 20)):
            verifier = verifiers(dict.fromkeys(THRESHOLDS, threshold))[name]
            accepted = verdicts(pool, verifier)
            row = {"verifier": name, "threshold": threshold, **quality(pool, accepted)}
            found = outcomes(pool, accepted, budget)
            row["tokens"] = statistics.mean(outcome.tokens for outcome in found)
            rows.append(row | {"right": statistics.mean(outcome.right for outcome in found)})
    return rows


def best_threshold(rows: list[dict], name: str) -> float:
    """The most accurate threshold; of equals the lowest, which takes the fewest draws."""
    rows = [row for row in rows if row["verifier"] == name]
    return max(rows, key=lambda row: (round(row["right"], 9), -row["threshold"]))["threshold"]


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    names = ("format", "arithmetic", "reward", "both")
    add("--verifier", choices=names, default="both", help="what accepts a solution")
    add("--threshold", type=float, help="least reward; None: as chosen on dev (THRESHOLDS)")
    add("--batch", type=int, default=1, help="solutions drawn at a time")
    add("--reward-model", default="tiny", metavar="R", help="tiny, a folder or a hub id")
    add("--compare", action="store_true", help="all verifiers and budgets on one pool of samples")
    add("--choose-threshold", action="store_true", help="try thresholds on dev problems")
    parser.set_defaults(n=16, max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Draw until accepted; or sample a pool and compare verifiers, or thresholds, on it."""
    args = parse_args()
    on_pool = args.compare or args.choose_threshold
    with friendly_errors():
        if args.choose_threshold and args.split == "test":
            raise ValueError("thresholds are chosen on dev problems: add --split dev")
        if args.batch < 1:
            raise ValueError(f"--batch must be at least 1, not {args.batch}")
        verifier = {"format": well_formed, "arithmetic": arithmetic}.get(args.verifier)
        if on_pool or verifier is None:
            dtype = getattr(torch, args.dtype or "float32")
            reward_model = ProcessRewardModel.from_folder(args.reward_model, args.device, dtype)
        if on_pool:
            options = {"reward_model": reward_model}
            evaluation = evaluate_as_told(sample_and_score, args, options)
    if not on_pool:
        if verifier is None:
            chosen = THRESHOLDS[args.verifier]
            verifier = rewarded(reward_model, chosen if args.threshold is None else args.threshold)
            verifier = both(arithmetic, verifier) if args.verifier == "both" else verifier
        run(rejection_sampling, args, verifier=verifier, batch=args.batch)
        return
    pool = [] if evaluation.num_errors else to_pool(evaluation)
    if pool and args.choose_threshold:
        rows = compare_thresholds(pool, args.n)
        print_rows(rows)
        print("choose", ", ".join(f"{name} {best_threshold(rows, name)}" for name in THRESHOLDS))
    elif pool:
        print_rows(compare_quality(pool, verifiers()))
        print_rows(compare_budgets(pool, verifiers()))
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
