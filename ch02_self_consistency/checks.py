"""The checks of exercises 1 to 5 in `exercises.ipynb`; `pool_checks.py` has the others.

    check_leaders(leaders)    prints that all is well, or stops and says what is wrong

Every check uses small inputs that were worked out by hand, and no model. Each message names the
input, the result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from shared.evaluation.exercise_checks import call, check_number, close
from shared.evaluation.pool import PooledProblem, Sample

Votes = dict[str, float]


def sample(answer: str | None, num_tokens: int = 5, logprob: float = -1.0) -> Sample:
    """A sample with this answer; right if the answer is 4."""
    return Sample("", answer, answer == "4", num_tokens, "stop", {"logprob": logprob})


def problem(*answers: str | None, gold: str = "4") -> PooledProblem:
    """A problem whose right answer is 4, perhaps spelled otherwise, with one sample per answer."""
    return PooledProblem("?", gold, 1, [sample(answer) for answer in answers])


# --- 1. Who leads? --------------------------------------------------------------------------------

LEADERS: list[tuple[Votes, list[str], str]] = [  # votes, leaders, what to think of
    ({"7": 2, "8": 1}, ["7"], "one answer has more votes than the other"),
    ({"8": 1, "7": 2}, ["7"], "the leader need not come first"),
    ({"8": 2, "7": 2, "9": 1}, ["8", "7"], "both have two votes"),
    ({"9": 1, "8": 3, "10": 3, "7": 3}, ["8", "10", "7"], "three answers have three votes each"),
    ({"7": 1, "8": 1}, ["7", "8"], "a leader needs only as many votes as any other answer"),
    ({"7": 3, "8": 2, "9": 2}, ["7"], "a tie for second place is not a tie for the lead"),
    ({"7": 5, "8": 4, "9": 1}, ["7"], "a leader has the most votes, not more than the average"),
    ({"5": 0.5, "3": 1.5, "6": 1.5}, ["3", "6"], "weighted votes need not be whole numbers"),
    ({"3": 1.3, "6": 1.2}, ["3"], "1.2 votes are fewer than 1.3: do not round weighted votes"),
    ({"3": 0.5, "6": 0.5}, ["3", "6"], "weighted votes may all be below 1"),
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
        assert result == expected, (
            f"{case} returned {result}, not {expected}: {leaders_hint(result, expected, hint)}"
        )
    print("Exercise 1 is right.")


def leaders_hint(result: list, expected: list[str], hint: str) -> str:
    """What a wrong list of leaders looks like."""
    if expected and not result:
        return f"some answer always leads, and it need not have half of the votes. {hint}"
    if len(result) == len(expected) and set(map(str, result)) == set(expected):
        return "these are the leaders; keep the order of the dictionary"
    return hint


# --- 2. A better tie rule -------------------------------------------------------------------------

LENGTHS: list[tuple[list[tuple[str | None, int]], str | None, str]] = [
    ([("3", 9), ("4", 5)], "4", "a tie: the samples of 4 are shorter"),
    ([("4", 5), ("3", 9)], "4", "a tie: the samples of 4 are shorter"),
    ([("3", 900), ("3", 900), ("4", 5)], "3", "3 has more votes, so length must not matter"),
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
    ([("3", 9), ("4", 8), ("5", 1)], "5", "three answers are tied: compare all of their lengths"),
    (
        [("3", 10), ("3", 11), ("4", 10), ("4", 10)],
        "4",
        "compare exact mean lengths (10.5 and 10), without rounding",
    ),
    (
        [("3", 10), ("3", 10), ("3", 40), ("4", 40), ("4", 22), ("4", 8)],
        "3",
        "compare mean lengths (20 and 23.3): add all lengths, then divide by their number",
    ),
    (
        [("8", 7), ("7", 7)],
        "8",
        "equal votes and equal lengths: the answer seen first wins",
    ),
    (
        [("3", 7), ("4", 7)],
        "3",
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
    (
        [("7", 5), ("$1000", 9), ("1000", 9)],
        "$1000",
        "$1000 and 1000 are one answer with two votes: compare normal forms",
    ),
    (
        [("1,000", 9), ("1000", 9), ("1000", 9), ("7", 5)],
        "1,000",
        "1,000 was seen first: return the first spelling, not the most frequent one",
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
        assert result is None or isinstance(result, str), (
            f"{case}: return an answer, which is a string, not a {type(result).__name__}"
        )
        assert result == expected, f"{case}: you return {result!r}, not {expected!r}: {hint}"
    print("Exercise 2 is right.")


# --- 3. Is the gain real? -------------------------------------------------------------------------

PAIRS: list[tuple[list[float], list[float], tuple[float, float, float], str]] = [
    (
        [1, 0, 1, 1, 0],
        [0, 0, 1, 0, 1],
        (0.2, -0.5334, 0.9334),
        "the differences are 1, 0, 0, 1 and -1; go 1.96 of their standard errors to either side",
    ),
    ([0, 0, 1], [1, 1, 1], (-0.6667, -1.32, -0.0133), "A may be worse than B: keep the sign"),
    ([0.5, 0.25, 1.0], [0.25, 0.25, 0.5], (0.25, -0.0329, 0.5329), "shares need not be 0 or 1"),
    ([1, 1, 0, 0, 1], [1, 1, 0, 0, 1], (0.0, 0.0, 0.0), "the same results: no difference at all"),
    ([1, 1], [0, 0], (1.0, 1.0, 1.0), "every difference is 1, so the standard error is 0"),
    ([1, 1, 1, 0], [0, 0, 0, 0], (0.75, 0.26, 1.24), "the interval may reach above 1; keep it"),
]


def check_paired_interval(
    paired_interval: Callable[[list[float], list[float]], tuple[float, float, float]],
) -> None:
    """Exercise 3."""
    for a, b, expected, hint in PAIRS:
        case = f"paired_interval({a}, {b})"
        result = call(paired_interval, a, b, case=case)
        assert isinstance(result, tuple | list) and len(result) == 3, (
            f"{case}: return three numbers, (mean, low, high), not {result!r}"
        )
        numbers = tuple(check_number(number, case) for number in result)
        if not all(abs(n - e) < 1e-4 for n, e in zip(numbers, expected)):
            shown = ", ".join(f"{number:.4f}" for number in numbers)
            raise AssertionError(
                f"{case} returned ({shown}), not {expected}: "
                + paired_hint(a, b, numbers, expected, hint)
            )
    print("Exercise 3 is right.")


def paired_hint(
    a: list[float],
    b: list[float],
    result: tuple[float, float, float],
    expected: tuple[float, float, float],
    hint: str,
) -> str:
    """What a wrong interval looks like."""
    mean, low, high = result
    differences = np.subtract(a, b)
    n, spread = len(a), differences.std(ddof=1)
    exact = differences.mean() + np.array([0, -1, 1]) * 1.96 * spread / math.sqrt(n)
    if any(np.allclose(result, exact.round(digits), rtol=0, atol=1e-9) for digits in (1, 2, 3)):
        return "these are rounded; return the numbers as they are"
    if np.allclose(sorted(result), sorted(exact)) and not math.isclose(mean, exact[0]):
        return "the numbers are right, but their order is (mean, low, high)"
    if not math.isclose(mean, differences.mean(), abs_tol=1e-9):
        return "the mean is that of the differences, a minus b, over all problems"
    if np.allclose(result, np.clip(expected, -1, 1), atol=1e-4):
        return "the interval may reach below -1 or above 1: do not cut it"
    if not math.isclose(high - mean, mean - low, abs_tol=1e-9) or high < low:
        return "low is the mean minus the half-width, high is the mean plus the half-width"
    halves = {
        "this treats A and B as if they had solved different problems. Take the standard deviation "
        "of the differences": 1.96 * math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / n),
        "divide by n - 1 in the standard deviation (statistics.stdev)": 1.96
        * differences.std()
        / math.sqrt(n),
        "divide the standard deviation by the square root of n": 1.96 * spread,
        "divide the standard deviation by the square root of n, not by n": 1.96 * spread / n,
        "divide by the square root of n, not of n - 1: stdev has taken care of that": 1.96
        * spread
        / math.sqrt(n - 1),
        "half the width is 1.96 standard errors": spread / math.sqrt(n),
        "half the width is 1.96 standard errors, not 2": 2 * spread / math.sqrt(n),
        "this is an interval of one standard deviation; take 1.96 standard errors": spread,
    }
    found = [text for text, half in halves.items() if math.isclose(half, high - mean, rel_tol=1e-3)]
    return (found + [hint])[0]


# --- 4. Plug-in estimate of pass@k ----------------------------------------------------------------

PLUG_IN = [  # n, c, k, the estimate, what to think of
    (8, 2, 2, 7 / 16, "two samples both fail with probability 3/4 times 3/4"),
    (8, 2, 1, 0.25, "one sample is right with probability c / n"),
    (8, 8, 3, 1.0, "every sample was right"),
    (8, 0, 3, 0.0, "no sample was right"),
    (4, 1, 4, 175 / 256, "k equals n: four samples all fail with probability (3/4)^4"),
    (10, 3, 2, 0.51, "two samples both fail with probability 0.7 times 0.7"),
    (3, 1, 2, 5 / 9, "do not round: the share of right samples is 1/3"),
    (2, 1, 5, 31 / 32, "k may be larger than n, because this formula draws with replacement"),
]


def check_plug_in(plug_in: Callable[[int, int, int], float]) -> None:
    """Exercise 4."""
    for n, c, k, expected, hint in PLUG_IN:
        case = f"plug_in({n}, {c}, {k})"
        result = check_number(call(plug_in, n, c, k, case=case), case)
        if not close(result, expected):
            raise AssertionError(
                f"{case} returned {result:.6g}, not {expected:.6g}: "
                + plug_in_hint(n, c, k, result, expected, hint)
            )
    print("Exercise 4 is right.")


def plug_in_hint(n: int, c: int, k: int, result: float, expected: float, hint: str) -> str:
    """What a wrong estimate looks like."""
    share = c / n
    if any(close(result, round(expected, digits)) for digits in (2, 3, 4)):
        return "this is rounded; return the number as it is"
    if result == 1 and c < n:
        return (
            f"1 would mean that a right sample is certain. Each of the {k} samples fails with "
            f"probability {n - c}/{n}, so all of them can fail"
        )
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


# --- 5. More than two answers ---------------------------------------------------------------------

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
    ({"7": 1.4, "8": 0.6, "9": 0.6, "6": 0.6}, 0.4243, "votes may be weights: do not round 1.4"),
    ({"7": 2.6, "8": 0.4, "9": 0.4, "6": 0.4}, 0.7028, "votes may be weights: do not round 2.6"),
]


def check_probability_ahead_dirichlet(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Exercise 5."""
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
            f"{case} returned {result:.3f}, but about {expected:.3f} is right: "
            + dirichlet_hint(votes, result, expected, hint)
        )
        assert is_untouched, (
            f"{case}: your function draws from Python's global random numbers. Make your own "
            "generator, random.Random(seed)"
        )
    check_seed(probability_ahead_dirichlet)
    check_draws(probability_ahead_dirichlet)
    check_leader(probability_ahead_dirichlet)
    print("Exercise 5 is right.")


def dirichlet_hint(votes: Votes, result: float, expected: float, hint: str) -> str:
    """What a wrong probability looks like, found by making the mistakes ourselves."""
    if any(count % 1 for count in votes.values()):
        return hint  # these cases come last, and only rounding fails on them alone
    counts = np.array(sorted(votes.values(), reverse=True), dtype=float)

    def shares(prior: float) -> np.ndarray:
        gammas = np.random.default_rng(0).standard_gamma(counts + prior, size=(20_000, len(counts)))
        return gammas / gammas.sum(axis=1, keepdims=True)

    def ahead(drawn: np.ndarray) -> float:
        return float((drawn.argmax(axis=1) == 0).mean())

    flat = shares(1)
    rivals = [float((flat[:, 0] > flat[:, i]).mean()) for i in range(1, len(counts))]
    mistakes = {
        "each parameter is count + 1; this looks like the count itself": ahead(shares(1e-9)),
        "each parameter is count + 1; this looks like count + 0.5": ahead(shares(0.5)),
        "you compare with the runner-up only, but all rivals take part": (rivals or [1.0])[0],
        "this looks like the product over single rivals. They are not independent: draw all shares "
        "together": math.prod(rivals),
        "the leader needs the largest share, not more than half of all": float(
            (flat[:, 0] > 0.5).mean()
        ),
        "the leader needs the largest share, not more than the average share": float(
            (flat[:, 0] > 1 / len(counts)).mean()
        ),
        "this is the leader's share of the votes; draw shares at random": counts[0] / counts.sum(),
    }
    off = {text: abs(value - result) for text, value in mistakes.items()}
    likely = [t for t in off if off[t] < 0.02 and abs(mistakes[t] - expected) > 0.02]
    return min(likely, key=off.get, default=hint)


def check_seed(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Raise AssertionError unless the seed, and nothing else, decides the result."""
    votes = {"7": 3, "8": 2, "9": 2}
    case = f"probability_ahead_dirichlet({votes}, draws=500, seed=...)"
    results = []
    for seed in range(6):
        first, second = (
            call(probability_ahead_dirichlet, votes, case=case, draws=500, seed=seed)
            for _ in range(2)
        )
        assert first == second, (
            f"{case}: two calls with seed={seed} gave {first} and {second}; use seed"
        )
        results.append(first)
    assert len(set(results)) > 1, f"{case}: six seeds gave the same {results[0]}; use seed"
    case = f"probability_ahead_dirichlet({votes}) without draws and seed"
    first, second = (call(probability_ahead_dirichlet, votes, case=case) for _ in range(2))
    assert first == second, f"{case}: two calls gave {first} and {second}; the default seed is 0"


def check_draws(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Raise AssertionError unless `draws` is the number of draws."""
    two, three = {"7": 3, "8": 2}, {"7": 3, "8": 2, "9": 2}
    cases = [(three, 7, seed) for seed in range(6)] + [(three, 1009, 0), (two, 7, 0)]
    for votes, draws, seed in cases:
        case = f"probability_ahead_dirichlet({votes}, draws={draws}, seed={seed})"
        wins = draws * check_number(
            call(probability_ahead_dirichlet, votes, case=case, draws=draws, seed=seed), case
        )
        assert abs(wins - round(wins)) < 1e-6, (
            f"{case} returned {wins / draws:.4f}, which is not a multiple of 1/{draws}: use "
            "exactly `draws` draws and divide by their number"
        )


def check_leader(probability_ahead_dirichlet: Callable[..., float]) -> None:
    """Raise AssertionError if the winner of most draws is counted instead of the leader."""
    votes = {"7": 1, "8": 1, "9": 1, "6": 1}
    case = f"probability_ahead_dirichlet({votes}, draws=5, seed=...)"
    results = [
        call(probability_ahead_dirichlet, votes, case=case, draws=5, seed=seed)
        for seed in range(200)
    ]
    mean = sum(results) / len(results)
    assert abs(mean - 0.25) < 0.08, (
        f"{case}: the mean over 200 seeds is {mean:.2f}, not about 0.25. Count the draws in which "
        "the leader of the votes is the largest, not those of the answer that is the largest most "
        "often"
    )
