"""Rejection sampling: draw solutions until a verifier accepts one, or the budget ends.

    python ch04_rejection/rejection.py --verifier both --limit 400
    python ch04_rejection/rejection.py --compare --limit 400                  # all, on one pool
    python ch04_rejection/rejection.py --predict --limit 400                  # then draw for real
    python ch04_rejection/rejection.py --choose-threshold --split dev --limit 60

Verifiers, from weak to strong: "format" (a boxed answer), "arithmetic" (every equation holds),
"reward" (a reward model's score of the last step reaches a threshold), "both" of the latter.
Where nothing is accepted, what was drawn votes. `code_rejection.py` does the same with unit tests.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import comb

import numpy as np
import torch

from ch04_rejection.budgets import print_rows, vote_curve, vote_of
from shared import LLM, Completion, Cost, Problem, SamplingParams, Solution, prompts
from shared.errors import UserError, setting_up
from shared.evaluation.cli import (
    add_common_flags,
    evaluate_as_told,
    friendly_errors,
    model_config,
    print_result,
)
from shared.evaluation.evaluate import Evaluation
from shared.evaluation.intervals import paired_difference, pass_at_k, wilson_interval
from shared.evaluation.pool import (
    PooledProblem,
    Sample,
    accuracy_at,
    is_right_answer,
    majority,
    sample_pool,
    to_pool,
)
from shared.grading.answers import final_answer
from shared.grading.arithmetic import equations
from shared.grading.voting import most_frequent
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.process_reward import ProcessRewardModel
from shared.scores import checked_scores

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
VOTES = 20  # simulated for one problem where nothing is accepted
SEED_STEP = 1_000  # between the seeds of successive rounds, so that runs with seeds 0, 1, … differ
THRESHOLDS = {"reward": 0.85, "both": 0.75}  # chosen on dev problems: --choose-threshold
QUALITIES = ("acceptance", "precision", "false_accepts", "false_rejects")  # see `quality`
# Of a question and its solutions: which of them are accepted? It never sees the gold answer.
# Where models read the solutions, its attribute `reads` says how many (see `reading_cost`).
Verifier = Callable[[str, list[Completion]], list[bool]]


# --- Verifiers ------------------------------------------------------------------------------------


def well_formed(question: str, completions: list[Completion]) -> list[bool]:
    """The format: the solution came to its end and boxed an answer."""
    return [
        c.finish_reason == "stop" and "\\boxed" in c.text and final_answer(c) is not None
        for c in completions
    ]


@lru_cache(maxsize=100_000)  # samples of a pool are judged again and again
def all_hold(text: str) -> bool:
    """Whether a text has equations, and all of them hold."""
    claims = equations(text)
    return bool(claims) and all(claim.is_right for claim in claims)


def arithmetic(question: str, completions: list[Completion]) -> list[bool]:
    """The arithmetic of every step: well-formed, with equations, all of which hold.

    It knows nothing of the question: a solution that computes the wrong thing rightly passes.
    """
    fine = well_formed(question, completions)
    return [is_fine and all_hold(c.text) for is_fine, c in zip(fine, completions)]


def rewarded(reward_model: ProcessRewardModel, threshold: float) -> Verifier:
    """The verifier that accepts well-formed solutions whose last step scores at least so much, from
    0 to 1 (Cobbe 2021)."""

    def verifier(question: str, completions: list[Completion]) -> list[bool]:
        """The reward model's score of each last step, held against the threshold."""
        steps = reward_model.step_scores(question, [c.text for c in completions])
        rewards = checked_scores([each[-1] for each in steps], "the reward", len(completions))
        fine = well_formed(question, completions)
        return [is_fine and score >= threshold for is_fine, score in zip(fine, rewards)]

    verifier.__name__ = f"reward >= {threshold:g}"  # what a run's settings call it
    verifier.reads = 1
    return verifier


def both(first: Verifier, second: Verifier) -> Verifier:
    """The verifier that accepts what two others accept; it costs what both cost."""

    def verifier(question: str, completions: list[Completion]) -> list[bool]:
        """What both accept."""
        pairs = zip(first(question, completions), second(question, completions))
        return [a and b for a, b in pairs]

    verifier.__name__ = f"{first.__name__} and {second.__name__}"
    verifier.reads = sum(getattr(each, "reads", 0) for each in (first, second))
    return verifier


def reading_cost(verifier: Verifier, completions: list[Completion]) -> Cost:
    """What it costs a verifier's models to read these solutions; nothing where it has no model."""
    reads = getattr(verifier, "reads", 0)
    num_tokens = sum(len(completion.token_ids) for completion in completions)
    return Cost(scored_tokens=reads * num_tokens, forward_passes=reads * len(completions))


# --- The technique --------------------------------------------------------------------------------


def first_accepted(completions: list[Completion], accepted: list[bool]) -> str | None:
    """The answer of the first accepted solution; where none is, the majority of all."""
    answers = [final_answer(completion) for completion in completions]
    passed = [answer for answer, is_accepted in zip(answers, accepted) if is_accepted]
    return passed[0] if passed else most_frequent(answers)


def rejection_sampling(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 16,
    params: SamplingParams = PARAMS,
    verifier: Verifier = arithmetic,
    batch: int = 1,
    instruction: str = prompts.STEP_BY_STEP,
    choose: Callable[[list[Completion], list[bool]], str | None] = first_accepted,
) -> Solution:
    """Draw `batch` solutions at a time until the verifier accepts one, at most n.

    `choose` makes the answer of all that was drawn and the verdicts on it. Larger batches take
    fewer rounds and draw more than they need. Raises ValueError for n or batch below 1.
    (Cobbe 2021: verifiers; Stroebl 2024: resampling until an imperfect one accepts)
    """
    if min(n, batch) < 1:
        raise ValueError(f"n and batch must be at least 1, not {n} and {batch}")
    messages = prompts.ask(problem.question, instruction)
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
    cost += reading_cost(verifier, completions)
    answer = choose(completions, accepted)
    return Solution(answer, completions, cost, [float(a) for a in accepted], trace)


# --- What follows for every budget from one pool of samples ---------------------------------------


def sample_and_score(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, reward_model: ProcessRewardModel
) -> Solution:
    """Sample n solutions, note the reward of each one's last step; answer with their majority."""
    solution = sample_pool(llm, problem, n=n, params=params, judged=False)
    texts = [completion.text for completion in solution.completions]
    steps = reward_model.step_scores(problem.question, texts)
    rewards = checked_scores([each[-1] for each in steps], "the reward", n)
    for completion, score in zip(solution.completions, rewards):
        completion.measures["reward"] = score
    read = sum(len(completion.token_ids) for completion in solution.completions)
    solution.cost += Cost(scored_tokens=read, forward_passes=n)
    return solution


def noted_reward(threshold: float) -> Verifier:
    """As `rewarded`, for pooled samples, whose reward has been noted."""

    def verifier(question: str, samples: list[Sample]) -> list[bool]:
        """Each noted reward held against the threshold. Raises ValueError where there is none."""
        if not all("reward" in sample.measures for sample in samples):
            raise ValueError("a pool without rewards: make one with sample_and_score (--compare)")
        noted = [sample.measures["reward"] for sample in samples]
        rewards = checked_scores(noted, "the noted reward", len(samples))
        fine = well_formed(question, samples)
        return [is_fine and score >= threshold for is_fine, score in zip(fine, rewards)]

    verifier.__name__ = f"reward >= {threshold:g}"
    return verifier


def is_right(question: str, samples: list[Sample]) -> list[bool]:
    """The perfect verifier, which knows the right answer: no other can do better."""
    return [sample.is_right for sample in samples]


def verifiers(
    thresholds: dict[str, float] = THRESHOLDS, reward: Callable[[float], Verifier] = noted_reward
) -> dict[str, Verifier]:
    """The chapter's verifiers by name, and the perfect one: for pooled samples, or with `reward`
    partial(rewarded, reward_model) for solutions that are being drawn."""
    return {
        "format": well_formed,
        "arithmetic": arithmetic,
        "reward": reward(thresholds["reward"]),
        "both": both(arithmetic, reward(thresholds["both"])),
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
    """The mean number of draws until one is accepted or the budget ends, from 1 to the budget.

    It is the sum over i < budget of the chance that the first i are all rejected: (1-p)^i by the
    geometric law, and C(rejected, i) / C(total, i) without bias from that many samples (as pass@k,
    Chen 2021). Raises ValueError unless 0 <= accepted <= total and 1 <= budget <= total.
    """
    if not (0 <= accepted <= total and 1 <= budget <= total):
        raise ValueError(f"no such draws: {total=}, {accepted=}, {budget=}")
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
        answer = majority(rng.sample(rejected, budget))  # in random order, which decides a tie
        votes.append(float(is_right_answer(answer, problem)))
    draws = expected_draws(total, len(taken), budget)
    tokens = accepts * mean_or_zero([s.num_tokens for s in taken])
    tokens += (draws - accepts) * mean_or_zero([s.num_tokens for s in rejected])
    right = accepts * precision + (1 - accepts) * mean_or_zero(votes)
    return Outcome(right, accepts, draws, tokens)


def verdicts(pool: list[PooledProblem], verifier: Verifier) -> list[list[bool]]:
    """For each problem, which of its samples the verifier accepts."""
    return [verifier(problem.question, problem.samples) for problem in pool]


def outcomes(pool: list[PooledProblem], accepted: list[list[bool]], budget: int) -> list[Outcome]:
    """The expected outcome on every problem of a pool, given the verdicts.

    Raises ValueError for a budget below 1 or above the number of samples.
    """
    rng = random.Random(budget)
    return [
        expected_outcome(problem, flags, budget, rng=rng) for problem, flags in zip(pool, accepted)
    ]


def drawn_outcomes(evaluation: Evaluation) -> list[Outcome]:
    """What a run of `rejection_sampling` did, problem by problem."""
    return [
        Outcome(float(r.correct), float(any(r.scores)), len(r.completions), r.generated_tokens)
        for r in evaluation.records
    ]


# --- Tables and the choice of a threshold ---------------------------------------------------------


def quality_counts(pool: list[PooledProblem], accepted: list[list[bool]]) -> np.ndarray:
    """Of each problem, what is counted for each of the QUALITIES and of how many samples;
    [problems, 4, 2]"""
    rows = []
    for problem, flags in zip(pool, accepted):
        total, taken = len(flags), sum(flags)
        right = sum(sample.is_right for sample in problem.samples)
        kept = sum(s.is_right for s, is_in in zip(problem.samples, flags) if is_in)
        false_accepts, false_rejects = (taken - kept, total - right), (right - kept, right)
        rows.append([(taken, total), (kept, taken), false_accepts, false_rejects])
    return np.array(rows, dtype=float)


def quality(pool: list[PooledProblem], accepted: list[list[bool]]) -> dict[str, float]:
    """How good a verifier is over all samples of a pool; a share of nothing is not a number.

    acceptance      share of samples accepted
    precision       share of the accepted that are right
    false_accepts   share of the wrong that are accepted
    false_rejects   share of the right that are rejected
    """
    part, whole = quality_counts(pool, accepted).sum(axis=0).T
    with np.errstate(invalid="ignore"):
        return dict(zip(QUALITIES, (part / whole).tolist()))


def quality_intervals(
    pool: list[PooledProblem], accepted: list[list[bool]], *, samples: int = 1_000, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Each quality with its 95% interval, low and high (bootstrap, Efron 1979, percentiles).

    Problems are drawn with replacement, not samples: those of one problem are alike.
    """
    counts = quality_counts(pool, accepted)
    chosen = np.random.default_rng(seed).integers(len(pool), size=(samples, len(pool)))
    part, whole = np.moveaxis(counts[chosen].sum(axis=1), -1, 0)  # [samples, 4] each
    with np.errstate(invalid="ignore"):
        low, high = np.nanquantile(part / whole, [0.025, 0.975], axis=0).tolist()
    found = quality(pool, accepted)
    return {name: (found[name], *bounds) for name, *bounds in zip(QUALITIES, low, high)}


def compare_quality(pool: list[PooledProblem], named: dict[str, Verifier]) -> list[dict]:
    """A row for each verifier: its quality, the mean number of draws until it accepts (at most all
    samples), and the paired difference to a vote of all samples; with 95% intervals."""
    rows, n = [], len(pool[0].samples)
    vote = accuracy_at(pool, majority, n)
    for name, verifier in named.items():
        accepted = verdicts(pool, verifier)
        found = outcomes(pool, accepted, n)
        row = {"verifier": name, **quality_intervals(pool, accepted)}
        row["draws"] = statistics.mean(outcome.draws for outcome in found)
        gain = paired_difference([outcome.right for outcome in found], vote)
        rows.append(row | {f"to_vote_of_{n}": gain})
    return rows


def compare_budgets(pool: list[PooledProblem], named: dict[str, Verifier]) -> list[dict]:
    """A row for each verifier and budget (1, 2, 4, ... up to all samples): the generated tokens a
    problem, how often something is accepted and how often the answer is right, and the paired
    difference to a vote of as many tokens; with 95% intervals.

    Raises ValueError where a problem has fewer samples than the first one.
    """
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
            vote = vote_of(curve, means["tokens"] / size)
            gain = paired_difference([outcome.right for outcome in found], vote)
            row = {"verifier": name, "budget": budget, **means, "low": low, "high": high}
            rows.append(row | {"vote": statistics.mean(vote), "gain": gain})
    return rows


def compare_to_run(predicted: list[Outcome], measured: list[Outcome]) -> list[dict]:
    """A row for each part of an outcome: its mean over the problems as predicted from one pool of
    samples and as measured with others, and the paired difference with its 95% interval."""
    rows = []
    for part in ("accepts", "draws", "tokens", "right"):
        a, b = ([float(getattr(each, part)) for each in one] for one in (measured, predicted))
        row = {"a problem": part, "predicted": statistics.mean(b), "measured": statistics.mean(a)}
        rows.append(row | {"difference": paired_difference(a, b)})
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
    """The command line. Raises UserError for values that make no sense and for flags that would
    have no effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add = parser.add_argument
    names = ("format", "arithmetic", "reward", "both")
    add("--verifier", choices=names, help="what accepts a solution; None: both")
    add("--threshold", type=float, help="least reward; None: as chosen on dev (THRESHOLDS)")
    add("--batch", type=int, help="solutions drawn at a time; None: 1")
    add("--reward-model", metavar="R", help="a folder or a hub id; None: the shipped one")
    modes = parser.add_mutually_exclusive_group()
    for mode, text in {
        "compare": "all verifiers and budgets on one pool of samples",
        "predict": "from a pool (which --out keeps) what drawing with the next seed does",
        "choose-threshold": "try thresholds on a pool of dev problems",
    }.items():
        modes.add_argument(f"--{mode}", dest="mode", action="store_const", const=mode, help=text)
    parser.set_defaults(n=16, max_tokens=PARAMS.max_tokens)
    args = parser.parse_args()
    if args.mode == "choose-threshold" and args.split == "test":
        raise UserError("thresholds are chosen on dev problems: add --split dev")
    if args.batch is not None and args.batch < 1:
        raise UserError(f"--batch must be at least 1, not {args.batch}")
    every_verifier = args.mode in ("compare", "choose-threshold")
    no_reward = args.verifier in ("format", "arithmetic")
    for name, has_no_effect in {
        "verifier": every_verifier,
        "threshold": every_verifier or no_reward,
        "batch": args.mode is not None,
        "reward_model": no_reward and args.mode is None,
    }.items():
        if has_no_effect and getattr(args, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} has no effect with the other flags")
    return args


def main() -> None:
    """Draw until accepted; or sample a pool, and compare verifiers or thresholds on it, or predict
    from it what drawing does."""
    with friendly_errors():
        args = parse_args()
        name, mode, settings = args.verifier or "both", args.mode, {}
        least = THRESHOLDS if args.threshold is None else dict.fromkeys(THRESHOLDS, args.threshold)
        pool, reward = [], noted_reward
        if mode or name in THRESHOLDS:
            dtype = getattr(torch, args.dtype or "float32")
            folder = args.reward_model or "tiny"
            with setting_up():
                reward_model = ProcessRewardModel.from_folder(folder, args.device, dtype)
            reward = partial(rewarded, reward_model)
            settings["reward_weights"] = weights_fingerprint(reward_model)
        if mode:
            options = {"reward_model": reward_model}
            evaluation = evaluate_as_told(sample_and_score, args, options, settings)
            pool = [] if evaluation.num_errors else to_pool(evaluation)
        if mode == "predict":
            args.seed, args.out = args.seed + 1, None  # the run has samples of its own
        if not mode or (mode == "predict" and pool):
            options = {"verifier": verifiers(least, reward)[name], "batch": args.batch or 1}
            evaluation = evaluate_as_told(rejection_sampling, args, options, settings)
    if pool and mode == "choose-threshold":
        rows = compare_thresholds(pool, args.n)
        print_rows(rows)
        print("choose", ", ".join(f"{name} {best_threshold(rows, name)}" for name in THRESHOLDS))
    elif pool and mode == "compare":
        print_rows(compare_quality(pool, verifiers()))
        print_rows(compare_budgets(pool, verifiers()))
    elif pool and not evaluation.num_errors:
        predicted = outcomes(pool, verdicts(pool, verifiers(least)[name]), args.n)
        print_rows(compare_to_run(predicted, drawn_outcomes(evaluation)))
    print_result(evaluation, None if args.base_url else model_config(args.model))
    if evaluation.total_failure or (mode and evaluation.num_errors):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
