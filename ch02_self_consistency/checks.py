"""The checks of the exercises in `exercises.ipynb`.

    check_leaders(leaders)    prints that all is well, or stops and says what is wrong

Every check uses small inputs that were worked out by hand, and no model. Each message names the
input, the result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

from shared.evaluation.exercise_checks import call, check_number, close
from shared.evaluation.pool import PooledProblem, Sample

Votes = dict[str, float]
Pool = list[PooledProblem]


def sample(answer: str | None, num_tokens: int = 5, logprob: float = -1.0) -> Sample:
    """A sample with this answer; right if the answer is 4."""
    return Sample("", answer, answer == "4", num_tokens, "stop", {"logprob": logprob})


def problem(*answers: str | None) -> PooledProblem:
    """A problem whose right answer is 4, with one sample per answer."""
    return PooledProblem("?", "4", 1, [sample(answer) for answer in answers])


# --- 1. Who leads? --------------------------------------------------------------------------------

LEADERS: list[tuple[Votes, list[str], str]] = [  # votes, leaders, what to think of
    ({"7": 2, "8": 1}, ["7"], "one answer has more votes than the other"),
    ({"8": 1, "7": 2}, ["7"], "the leader need not come first"),
    ({"8": 2, "7": 2, "9": 1}, ["8", "7"], "both have two votes; keep the order of the dictionary"),
    ({"9": 1, "8": 3, "10": 3, "7": 3}, ["8", "10", "7"], "three answers have three votes each"),
    ({"7": 1, "8": 1}, ["7", "8"], "a leader needs only as many votes as any other answer"),
    ({"7": 3, "8": 2, "9": 2}, ["7"], "a tie for second place is not a tie for the lead"),
    ({"5": 0.5, "3": 1.5, "6": 1.5}, ["3", "6"], "weighted votes need not be whole numbers"),
    ({"12": 1, "3": 4, "12.5": 4}, ["3", "12.5"], "answers are names, not numbers"),
    ({}, [], "without votes there is no leader: return an empty list"),
]


def check_leaders(leaders: Callable[[Votes], list[str]]) -> None:
    """Exercise 1."""
    for votes, expected, hint in LEADERS:
        case = f"leaders({votes})"
        result = call(leaders, votes, case=f"{case} should return {expected}")
        assert isinstance(result, list), (
            f"{case}: return a list of answers, not a {type(result).__name__}"
        )
        assert result == expected, f"{case} returned {result}, not {expected}: {hint}"
    print("Exercise 1 is right.")


# --- 2. A better tie rule -------------------------------------------------------------------------

LENGTHS: list[tuple[list[tuple[str | None, int]], str | None, str]] = [
    ([("3", 9), ("4", 5)], "4", "a tie: the samples of 4 are shorter"),
    ([("4", 5), ("3", 9)], "4", "a tie: the samples of 4 are shorter"),
    ([("3", 90), ("3", 90), ("4", 5)], "3", "3 has more votes, so length must not matter"),
    (
        [("3", 9), ("3", 9), ("4", 8), ("4", 8), ("5", 1)],
        "4",
        "only the leaders take part in the tie; 5 is short but has one vote",
    ),
    (
        [("3", 1), ("3", 99), ("4", 40), ("4", 40)],
        "4",
        "compare mean lengths (50 and 40), not the shortest samples",
    ),
    (
        [("4", 1), ("4", 60), ("3", 35), ("3", 35)],
        "4",
        "compare mean lengths (30.5 and 35), not the longest samples",
    ),
    (
        [("3", 10), ("3", 11), ("3", 90), ("4", 20), ("4", 20), ("4", 20)],
        "4",
        "compare mean lengths (37 and 20), not medians",
    ),
    (
        [("8", 7), ("7", 7)],
        "8",
        "equal votes and equal lengths: the answer seen first wins",
    ),
    (
        [("1,000", 9), ("7", 5), ("1000", 9)],
        "1,000",
        "1,000 and 1000 are one answer with two votes. Return its first spelling",
    ),
    (
        [("1,000", 9), ("1000", 1), ("7", 6), ("7", 6)],
        "1,000",
        "the mean length of an answer counts all of its spellings: (9 + 1) / 2 = 5 is below 6",
    ),
    ([(None, 1), (None, 1), ("4", 9)], "4", "a sample without an answer has no vote"),
    ([("3", 10), ("4", 11), (None, 1), (None, 2)], "3", "samples without an answer do not count"),
    ([(None, 5)], None, "no sample has an answer: return None"),
    ([], None, "there are no samples: return None"),
]


def check_vote_by_length(vote_by_length: Callable[[list[Sample]], str | None]) -> None:
    """Exercise 2."""
    for pairs, expected, hint in LENGTHS:
        case = f"samples with (answer, tokens) {pairs}"
        samples = [sample(answer, tokens) for answer, tokens in pairs]
        result = call(
            vote_by_length, samples, case=f"{case}, expected {expected!r}", returns_none=True
        )
        if expected is not None:
            assert result is not None, (
                f"{case}: your function returned None, not {expected!r}. Is a `return` missing? "
                f"And: {hint}"
            )
        assert result == expected, f"{case}: you return {result!r}, not {expected!r}: {hint}"
    print("Exercise 2 is right.")


# --- 3. Plug-in estimate of pass@k ----------------------------------------------------------------

PLUG_IN = [  # n, c, k, the estimate, what to think of
    (8, 2, 2, 7 / 16, "two samples both fail with probability 3/4 times 3/4"),
    (8, 2, 1, 0.25, "one sample is right with probability c / n"),
    (8, 8, 3, 1.0, "every sample was right"),
    (8, 0, 3, 0.0, "no sample was right"),
    (4, 1, 4, 175 / 256, "k equals n: four samples all fail with probability (3/4)^4"),
    (10, 3, 2, 0.51, "two samples both fail with probability 0.7 times 0.7"),
    (2, 1, 5, 31 / 32, "k may be larger than n, because this formula draws with replacement"),
]


def check_plug_in(plug_in: Callable[[int, int, int], float]) -> None:
    """Exercise 3."""
    for n, c, k, expected, hint in PLUG_IN:
        case = f"plug_in({n}, {c}, {k})"
        result = check_number(call(plug_in, n, c, k, case=case), case)
        if not close(result, expected):
            raise AssertionError(
                f"{case} returned {result:.4f}, not {expected:.4f}: "
                + plug_in_hint(n, c, k, result, hint)
            )
    print("Exercise 3 is right.")


def plug_in_hint(n: int, c: int, k: int, result: float, hint: str) -> str:
    """What a wrong estimate looks like."""
    share = c / n
    mistakes = {
        "This is the unbiased estimator. Here the share c / n is used as if it were the true "
        "probability": 1 - math.comb(n - c, k) / max(math.comb(n, k), 1),
        "This is the probability that all k samples are wrong": (1 - share) ** k,
        "This is the probability that all k samples are right": share**k,
        "This is k times c / n, the expected number of right samples": k * share,
        "The exponent is k, the number of samples drawn": 1 - (1 - share) ** n,
        "This is the probability that not all k samples are right": 1 - share**k,
    }
    found = [text for text, wrong in mistakes.items() if close(result, wrong)]
    return (found + [hint])[0]


# --- 4. More than two answers ---------------------------------------------------------------------

DIRICHLET: list[tuple[Votes, float, str]] = [  # votes, exact probability, what to think of
    (
        {"7": 5, "8": 2},
        0.8554,
        "with two answers it equals probability_ahead; each parameter is count+1",
    ),
    ({"8": 2, "7": 5}, 0.8554, "the leader is the answer with the most votes, not the first one"),
    ({"7": 4, "8": 1, "9": 1, "6": 1}, 0.7533, "all rivals take part, not only the runner-up"),
    ({"7": 1, "8": 1, "9": 1, "6": 1}, 0.25, "four equal answers: each is largest 1/4 of the time"),
    ({"8": 1, "7": 3, "9": 3}, 0.4568, "a tie for the lead: follow the first leader only"),
    ({"7": 3}, 1.0, "without a rival the leader is always the largest"),
]


def check_probability_ahead_dirichlet(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Exercise 4."""
    for votes, expected, hint in DIRICHLET:
        case = f"probability_ahead_dirichlet({votes}, draws=4000, seed=0)"
        before = random.getstate()
        result = call(probability_ahead_dirichlet, votes, case=case, draws=4000, seed=0)
        is_untouched = random.getstate() == before
        random.setstate(before)
        result = check_number(result, case)
        assert result <= 1 or expected > 1, (
            f"{case} returned {result:g}: return a share of the draws, not their number"
        )
        assert abs(result - expected) < 0.03, (
            f"{case} returned {result:.3f}, but about {expected:.3f} is right: {hint}"
        )
        assert is_untouched, (
            f"{case}: your function draws from Python's global random numbers. Make your own "
            "generator, random.Random(seed)"
        )
    check_seed(probability_ahead_dirichlet)
    check_draws(probability_ahead_dirichlet)
    print("Exercise 4 is right.")


def check_seed(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Raise AssertionError unless the seed, and nothing else, decides the result."""
    votes = {"7": 3, "8": 2, "9": 2}
    case = f"probability_ahead_dirichlet({votes}, draws=500, seed=...)"
    results = [
        call(probability_ahead_dirichlet, votes, case=case, draws=500, seed=seed)
        for seed in (1, 1, 2, 3, 4, 5)
    ]
    assert results[0] == results[1], f"{case}: two calls with seed=1 gave {results[:2]}; use seed"
    assert len(set(results)) > 1, f"{case}: five seeds gave the same {results[0]}; use seed"


def check_draws(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Raise AssertionError unless `draws` is the number of draws."""
    votes = {"7": 3, "8": 2, "9": 2}
    for seed in range(6):
        case = f"probability_ahead_dirichlet({votes}, draws=7, seed={seed})"
        wins = 7 * check_number(
            call(probability_ahead_dirichlet, votes, case=case, draws=7, seed=seed), case
        )
        assert abs(wins - round(wins)) < 1e-6, (
            f"{case} returned {wins / 7:.4f}, which is not a multiple of 1/7: use exactly `draws` "
            "draws and divide by their number"
        )


# --- 5. The cheapest threshold --------------------------------------------------------------------

EARLY = problem(*"4444")  # is right however early the vote stops
LATE = problem(*"334444")  # is right only with all six samples
LUCKY = problem(*"443333")  # is right only if the vote stops early
SPLIT = problem(*"343333")  # is never right
LONG = problem(*"33344444")  # is right only with all eight samples

CHEAPEST: list[tuple[Pool, list[float], int, tuple[float, int] | None, str]] = [
    ([EARLY, LATE], [0.5, 0.99], 0, (0.99, 10), "0.5 stops too early: one right vote is lost"),
    ([EARLY, LATE], [0.5, 0.99], 1, (0.5, 4), "loss=1 allows one lost vote, and 0.5 is cheaper"),
    ([EARLY, LATE], [0.99, 0.5], 1, (0.5, 4), "look at every threshold, not only the first good"),
    ([EARLY], [0.8, 0.5], 0, (0.8, 2), "equally cheap: the higher threshold is the safer choice"),
    ([EARLY], [0.5, 0.8], 0, (0.8, 2), "equally cheap: the higher threshold is the safer choice"),
    ([LATE, LUCKY], [0.5, 0.99], 0, (0.5, 4), "count right votes in all: one is lost, one is won"),
    ([LATE, LATE, LONG], [0.5, 0.99], 2, (0.99, 20), "three right votes are lost, but loss is 2"),
    ([LATE, LATE, LONG], [0.5, 0.99], 3, (0.5, 6), "three right votes are lost, and loss is 3"),
    ([SPLIT, EARLY], [0.5, 0.99], 0, (0.5, 4), "compare with the full vote, not with all problems"),
    ([LATE], [0.5, 0.6], 0, None, "no threshold is acceptable: return None"),
    ([EARLY], [], 0, None, "there are no thresholds: return None"),
]


def check_cheapest(cheapest: Callable[..., tuple[float, int] | None]) -> None:
    """Exercise 5."""
    for pool, thresholds, loss, expected, hint in CHEAPEST:
        answers = ["".join(s.answer for s in p.samples) for p in pool]
        case = f"cheapest, samples {answers} (4 is right), thresholds {thresholds}, loss={loss}"
        result = call(
            cheapest,
            pool,
            thresholds,
            case=f"{case}: {hint}",
            loss=loss,
            returns_none=expected is None,
        )
        if expected is not None:
            assert isinstance(result, tuple) and len(result) == 2, (
                f"{case}: return (threshold, samples drawn), not {result!r}"
            )
        assert result == expected, f"{case}: you return {result}, not {expected}. " + cheapest_hint(
            result, expected, hint
        )
    case = "cheapest without loss, one vote is lost: loss should be 1 if it is not given"
    result = call(cheapest, [EARLY, LATE], [0.5], case=case)
    assert result == (0.5, 4), f"{case}; you return {result}"
    print("Exercise 5 is right.")


def cheapest_hint(
    result: tuple[float, int] | None, expected: tuple[float, int] | None, hint: str
) -> str:
    """What a wrong choice looks like."""
    if result is None or expected is None:
        return hint[0].upper() + hint[1:]
    if result == expected[::-1]:
        return "The threshold comes first, the number of samples second"
    if result[0] == expected[0]:
        return "The threshold is right, but count the samples drawn, in batches of 2"
    return hint[0].upper() + hint[1:]


# --- 6. Knowing when not to answer ----------------------------------------------------------------

UNSURE = problem(*"3453")  # agreement 2 of 4, wrong
SURE = problem(*"4443")  # 3 of 4, right
HALF = problem(*"4435")  # 2 of 4, right
FOOLED = problem(*"33334")  # 4 of 5, wrong
SMALL = problem("4", "4")  # 2 of 2, right
SILENT = problem("4", None, None, None)  # 1 of 4, right
EMPTY = problem(None, None)  # nothing to vote for

SELECTIVE: list[tuple[Pool, float, float, str]] = [
    ([UNSURE, SURE, HALF], 1.0, 2 / 3, "all three are answered, and two votes are right"),
    ([UNSURE, SURE, HALF], 1 / 3, 1.0, "one is answered: the one with three equal answers"),
    ([UNSURE, SURE, HALF], 0.01, 1.0, "answer at least one problem"),
    ([UNSURE, SURE, HALF], 0.6, 0.5, "0.6 times 3 is 1.8, so 2 are answered; the two others tie, "
     "and the one that comes first in the pool is taken"),
    ([HALF, SURE, UNSURE], 0.6, 1.0, "0.6 times 3 is 1.8, so 2 are answered; the two others tie, "
     "and the one that comes first in the pool is taken"),
    ([UNSURE, SURE, HALF], 0.45, 1.0, "0.45 times 3 is 1.35, which rounds to 1"),
    ([SURE, FOOLED], 0.5, 0.0, "4 of 5 samples agree in one problem, 3 of 4 in the other"),
    ([problem(*"33333344"), SMALL, FOOLED], 1 / 3, 1.0, "agreement is a share: 2 of 2 is the most"),
    ([problem(*"3334444"), FOOLED, SMALL], 2 / 3, 0.5, "agreement is a share: 2 of 2, 4 of 5, 4 of "
     "7. It does not look at which answer is right"),
    ([SILENT, problem("3", "3", "3", "4")], 0.5, 0.0, "a sample without an answer agrees with no "
     "other: 1 of 4 is less than 3 of 4"),
    ([EMPTY, SURE], 0.5, 1.0, "None is not an answer: nothing agrees in a problem without answers"),
    ([EMPTY, SURE], 1.0, 0.5, "a vote without any answer is wrong, but it counts as a problem"),
    ([problem(*"44356"), problem(*"43434")], 0.5, 1.0, "the share of the leader counts"),
]  # fmt: skip


def check_selective_accuracy(selective_accuracy: Callable[[Pool, float], float]) -> None:
    """Exercise 6."""
    for pool, coverage, expected, hint in SELECTIVE:
        answers = [[s.answer for s in p.samples] for p in pool]
        case = f"selective_accuracy, samples {answers} (4 is right), coverage {coverage:.2f}"
        result = check_number(call(selective_accuracy, pool, coverage, case=case), case)
        assert close(result, expected), (
            f"{case}: you return {result:.3f}, not {expected:.3f}: {hint}"
        )
    check_is_blind(selective_accuracy)
    print("Exercise 6 is right.")


def check_is_blind(selective_accuracy: Callable[[Pool, float], float]) -> None:
    """Raise AssertionError if the choice of problems depends on which samples are right."""
    pool = [problem(*"43333"), problem(*"44433"), problem(*"55554")]
    case = "selective_accuracy of problems with agreement 4, 3 and 4 of 5, coverage 0.67"
    result = check_number(call(selective_accuracy, pool, 0.67, case=case), case)
    assert close(result, 0.0), (
        f"{case}: the most certain two are both wrong, so 0 is right, not {result:.3f}. Agreement "
        "must not look at which samples are right"
    )


# --- 7. Beat agreement ----------------------------------------------------------------------------

SAMPLES = [
    [sample("4", 10, -1.0), sample("4", 12, -2.0), sample("3", 15, -9.0)],
    [sample("7", 20, -3.0), sample("8", 22, -4.0), sample("9", 25, -5.0)],
    [sample(None, 700, -90.0), sample("4", 12, -2.0)],
    [sample(None, 700, -90.0), sample(None, 700, -80.0)],
    [sample("5", 12, -2.0)],
]


def check_trust(trust: Callable[[list[Sample]], float]) -> None:
    """Exercise 7: the rules of the game. How good the measure is, the notebook prints."""
    results = []
    for samples in SAMPLES:
        answers = [s.answer for s in samples]
        case = f"trust(samples with the answers {answers})"
        state = random.getstate()
        result = check_number(call(trust, samples, case=case), case)
        again = check_number(call(trust, samples, case=case), case)
        random.setstate(state)
        assert result == again, f"{case} returned {result}, then {again}: it must not be random"
        opposite = [replace(s, is_right=not s.is_right) for s in samples]
        blind = check_number(call(trust, opposite, case=case), case)
        assert blind == result, (
            f"{case} depends on `is_right`, which nobody knows when a question is answered"
        )
        results.append(result)
    assert len(set(results)) > 1, "trust returns the same number for all problems: it sorts nothing"
    assert results[0] > results[3], (
        "two of three samples agree in one problem, and no sample has an answer in another: the "
        "first deserves more trust"
    )
    print("Exercise 7 follows the rules.")
