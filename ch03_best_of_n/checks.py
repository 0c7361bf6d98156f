"""The checks of the exercises in `exercises.ipynb`.

    check_sharpened_answer(sharpened_answer)    prints that all is well, or stops and says why
    compare_on_unseen(my_rules, seen, unseen)   prints a comparison, within the budget

Every check uses small inputs that were worked out by hand, and no model. Each message names the
input, the result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import fmean

from ch03_best_of_n.best_of_n import weighted_answer
from ch03_best_of_n.measures import ranked_by
from shared.evaluation.exercise_checks import call, check_number, close
from shared.evaluation.intervals import paired_bootstrap
from shared.evaluation.pool import Choose, PooledProblem, Sample, is_right_answer

Answers = list[str | None]


def check_answer(result: object, expected: str | None, case: str, hint: str) -> None:
    """Raise AssertionError unless an answer is the expected one."""
    forgotten = result is None and expected is not None
    assert not forgotten, f"{case}: your function returned None. Is a `return` missing? {hint}"
    assert result == expected, f"{case} returned {result!r}, but it should be {expected!r}. {hint}"


def rounded(values: list[float]) -> list[float]:
    """Numbers to show in a message."""
    return [round(value, 3) for value in values]


# --- 1. Between the vote and the best -------------------------------------------------------------

ROOTS = "A power between 0 and 1 is allowed, and it is not rounded"
SHARPENED = [  # answers, scores, power, expected, what to think of
    (["2", "1", "2", None, "3"], [0.5, 0.8, 0.4, 0.9, 0.1], 0, "2", "Power 0 is the majority vote"),
    ([None, "7"], [0.9, 0.1], 1, "7", "A sample without an answer casts no vote"),
    (["2", "1", "2"], [0.5, 0.8, 0.4], 1, "2", "0.5 + 0.4 is more than 0.8"),
    (["1", "2", "2"], [0.9, 0.6, 0.2], 1, "1",
     "Power 1 leaves the scores as they are, and 0.9 is more than 0.6 + 0.2"),
    (["1", "2", "2"], [0.9, 0.4504, 0.4504], 1, "2", "0.9008 is more than 0.9. Do not round"),
    (["1", "2", "2"], [0.9, 0.5, 0.6], 2, "1",
     "0.81 is more than 0.25 + 0.36: raise each score (score ** power) before you add"),
    (["1", "2", "2", "2"], [0.85, 0.8, 0.8, 0.8], 10, "2",
     "0.85 ** 10 is 0.20, and 3 * 0.8 ** 10 is 0.32: also with a large power, add"),
    (["2", "1", "2", None, "3"], [0.5, 0.8, 0.4, 0.9, 0.1], 50, "1", "The highest score decides"),
    (["1", "2", "2"], [0.9, 0.4, 0.5], 0.5, "2", ROOTS),
    (["1", "2", "2"], [0.9, 0.35, 0.35], 0.5, "2", ROOTS),
    (["1", "2", "2"], [0.9, 0.1, 0.1], 0.5, "1", ROOTS),
    (["1", "2", "2"], [0.9, 0.5, 0.5], 1.5, "1", "The power 1.5 is not rounded, up or down"),
    (["1", "2", "2"], [0.9, 0.6, 0.6], 1.5, "2", "The power 1.5 is not rounded, up or down"),
    (["1", "2", "2"], [9.0, 5.0, 5.0], 1, "2", "Scores may be larger than 1"),
    (["1", "2", "2"], [9.0, 5.0, 5.0], 2, "1", "Scores may be larger than 1: 81 against 50"),
    (["1", "1,000", "1000"], [0.5, 0.3, 0.3], 1, "1,000",
     "1,000 and 1000 are one answer; return its first spelling"),
    (["1", "2"], [0.0, 0.0], 0, "1", "0 ** 0 is 1, and ties go to the first answer"),
    (["2", "1"], [0.5, 0.5], 1, "2", "Ties go to the first answer, not to the smallest"),
    (["2", "1", "2"], [0.25, 0.5, 0.25], 1, "2",
     "0.25 + 0.25 against 0.5 is a tie: it goes to the answer seen first, not to the best sample"),
    ([None, None], [0.9, 0.1], 2, None, "There is no answer to return"),
    ([], [], 2, None, "There is no answer to return"),
]  # fmt: skip


def check_sharpened_answer(sharpened: Callable[[Answers, list[float], float], str | None]) -> None:
    """Exercise 1."""
    for answers, scores, power, expected, hint in SHARPENED:
        case = f"sharpened_answer({answers}, {scores}, {power})"
        result = call(sharpened, answers, scores, power, case=case, returns_none=True)
        check_answer(result, expected, case, hint)
    for answers, power in ((["1"], -1), (["1", "2"], -0.5), ([], -1)):
        scores = [0.5] * len(answers)
        case = f"sharpened_answer({answers}, {scores}, {power})"
        check_refusal(lambda a=answers, s=scores, p=power: sharpened(a, s, p), case)
    print("Exercise 1 is right.")


# --- 2. A vote by ranks ---------------------------------------------------------------------------

EQUAL = "Of equal scores the first ranks higher; they do not share a rank"
ROUND = "The power need not be a whole number; do not round it"
RANKED = [  # answers, scores, power, expected, what to think of
    (["1", "2", "2", "3"], [9, 8, 7, 6], 1, "2",
     "The weights are 4, 3, 2, 1; they are not 3, 2, 1, 0, and not 1/1, 1/2, 1/3, 1/4"),
    (["1", "2", "2", "3"], [20.4, 20.1, 20.2, 20.3], 1, "1", "The weights are 4, 1, 2, 3"),
    (["1", "2", "2", "3"], [-1, -4, -3, -2], 1, "1", "Only the order counts, not the sign"),
    (["1", "2", "2", "3"], [400, 1, 200, 300], 1, "1", "The weights are 4, 1, 2, 3"),
    (["1", "2", "2"], [9, 2, 2], 0, "2", "Power 0 is the vote: every weight is 1"),
    (["1", "2", "2"], [9, 1, 2], 1, "1", "3 against 1 + 2 is a tie, and the best sample is first"),
    (["2", "2", "1"], [1, 2, 9], 1, "1",
     "1 + 2 against 3 is a tie: the answer of the best-ranked sample wins, not the first one seen"),
    (["3", "2", "2", "1", "1"], [1, 2, 5, 3, 4], 1, "2",
     "2 + 5 against 3 + 4 is a tie: the answer of the best-ranked sample wins"),
    (["1", "2", "2", "2"], [4, 3, 2, 1], 9, "1", "With a large power the best sample decides"),
    (["1", "2", "2"], [9, 1, 2], 0.5, "2", ROUND),
    (["2", "2", "1", "1", "2"], [3, 2, 5, 4, 1], 0.5, "1", ROUND),
    (["1", "2", "2", "3"], [9, 8, 7, 6], 1.5, "2", ROUND),
    (["1", "2", "3", "2", "3"], [9, 8, 7, 6, 5], 1.5, "1", ROUND),
    (["1", None, None, "2", "2"], [9, 8, 7, 6, 5], 0.8, "2",
     "None takes no rank from others: the weights are those of three samples"),
    (["1", None, "2", "2"], [9, 8, 7, 6], 1, "1",
     "Count only samples with an answer: the weights are 3 against 2 + 1"),
    (["2", "1", "2"], [5, 5, 5], 5, "2", EQUAL),
    (["1", "2", "3", "3"], [5, 7, 7, 1], 3, "2", EQUAL),
    (["9", "1", "1", "9"], [4, 4, 3, 3], 2, "9", EQUAL),
    (["5", "7"], [2, 2], 1, "5", EQUAL),
    (["1", "2", "2"], [2, 2, 1], 2, "1", EQUAL),
    (["2", "1", "2"], [1, 5, 5], 1, "1",
     "2 + 1 against 3 is a tie, and of the two scores 5 the earlier one ranks higher"),
    (["3", "2", "3,0", "2.0"], [1, 4, 2, 3], 1, "2", "2 and 2.0 are one answer"),
    (["1", "1,000", "1000"], [4, 3, 2], 0.1, "1,000", "1,000 and 1000 are one answer"),
    ([None], [1.0], 1, None, "There is no answer to return"),
    ([], [], 1, None, "There is no answer to return"),
]  # fmt: skip


def check_borda_answer(borda: Callable[..., str | None]) -> None:
    """Exercise 2."""
    for answers, scores, power, expected, hint in RANKED:
        case = f"borda_answer({answers}, {scores}, power={power})"
        result = call(borda, answers, scores, case=case, returns_none=True, power=power)
        check_answer(result, expected, case, hint)
    case = "borda_answer(['1', '2', '2', '2'], [4, 1, 1, 2])"
    result = call(borda, ["1", "2", "2", "2"], [4, 1, 1, 2], case=case, returns_none=True)
    check_answer(result, "2", case, "The power is 1 unless another one is given: 4 against 6")
    print("Exercise 2 is right.")


# --- 3. Best-of-n without drawing -----------------------------------------------------------------

DRAWN = [  # scores, is_right
    ([0.2, 0.9, 0.5, 0.4, 0.7], [True, False, True, False, True]),
    ([3.0, 1.0, 2.0], [False, True, True]),
    ([-4.0, -1.0, -2.0, -3.0], [True, True, False, False]),
    ([0.1, 0.2], [False, False]),
    ([5.0, 4.0, 3.0, 2.0, 1.0, 0.0], [False, False, True, True, False, True]),
    ([0.3], [True]),
]


def check_expected_best_of_n(
    expected_best: Callable[[list[float], list[bool], int], float],
) -> None:
    """Exercise 3: compared with all draws, one after the other."""
    cases = [(scores, right, n) for scores, right in DRAWN for n in range(1, len(scores) + 1)]
    results = []
    for scores, is_right, n in cases:
        case = f"expected_best_of_n({scores}, {is_right}, {n})"
        result = check_number(call(expected_best, scores, is_right, n, case=case), case)
        assert -1e-9 <= result <= 1 + 1e-9, (
            f"{case} returned {result:g}. A chance lies between 0 and 1: divide by the number of "
            "draws"
        )
        results.append(result)
    for (scores, is_right, n), result in zip(cases, results):
        expected = over_all_draws(scores, is_right, n)
        assert close(result, expected), (
            f"expected_best_of_n({scores}, {is_right}, {n}) returned {result:.6g}, but over all "
            f"draws it is {expected:.6g}. {draws_hint(cases, results)}"
        )
    print("Exercise 3 is right.")


def over_all_draws(
    scores: list[float],
    is_right: list[bool],
    n: int,
    *,
    replace: bool = False,
    best: Callable = max,
) -> float:
    """The share of draws of n samples in which the one with the highest score is right."""
    places = range(len(scores))
    draws = list(
        itertools.product(places, repeat=n) if replace else itertools.combinations(places, n)
    )
    return sum(is_right[best(draw, key=scores.__getitem__)] for draw in draws) / len(draws)


MISTAKES = {  # what a well-known mistake computes, and what to say of it
    "Do not round the result": lambda s, ok, n: round(over_all_draws(s, ok, n), 2),
    "Do not round the result; keep all digits": lambda s, ok, n: round(over_all_draws(s, ok, n), 4),
    "Sort the outcomes by score first: your result follows the order of the list": (
        lambda s, ok, n: over_all_draws(list(range(len(s))), ok, n)
    ),
    "That is the share of right samples, whatever n is": lambda s, ok, n: ok.count(True) / len(ok),
    "That is the chance that any of the n is right (pass@n)": (
        lambda s, ok, n: 1 - math.comb(ok.count(False), n) / math.comb(len(ok), n)
    ),
    "Sort from the lowest score: that is the chance of the worst of n": (
        lambda s, ok, n: over_all_draws(s, ok, n, best=min)
    ),
    "That is for draws with replacement": lambda s, ok, n: over_all_draws(s, ok, n, replace=True),
    "That is the outcome of the highest score of all N, whatever n is": (
        lambda s, ok, n: over_all_draws(s, ok, len(s))
    ),
}


def draws_hint(cases: list[tuple], results: list[float]) -> str:
    """The mistake that explains all results; a single one may fit several mistakes."""
    for hint, mistaken in MISTAKES.items():
        if all(close(result, mistaken(*case)) for case, result in zip(cases, results)):
            return hint
    return "Sort the outcomes by score; the one at place i needs n - 1 others from the i below it"


# --- 4. Two scorers -------------------------------------------------------------------------------


def toy_sample(certainty: float, judged: float, *, right: bool = False) -> Sample:
    """A sample with two measures."""
    return Sample("", "1", right, 5, "stop", {"certainty": certainty, "judge": judged})


COMBINED = [  # (certainty, judge) of each sample, expected, what to think of
    ([(20.0, 0.1), (20.1, 0.9), (20.2, 0.5)], [0.0, 0.75, 0.75], "Count the others: divide by 2"),
    ([(20.0, 0.5), (20.0, 0.1), (20.3, 0.3)], [0.5, 0.0, 0.75],
     "Only strictly lower ones count. Divide by the number of other samples, here 2, however many "
     "different scores there are"),
    ([(1.0, 0.2), (1.0, 0.2)], [0.0, 0.0], "Equal scores are not lower"),
    ([(1.0, 0.1), (2.0, 0.2), (2.0, 0.2)], [0.0, 0.5, 0.5],
     "Divide by the number of other samples, here 2, however many different scores there are"),
    ([(3.0, 0.3), (1.0, 0.1), (3.0, 0.3), (1.0, 0.1), (2.0, 0.2)], [0.75, 0.0, 0.75, 0.0, 0.5],
     "The first sample has 3 lower ones among 4 others; equal scores count one by one"),
    ([(1.0, 0.4), (2.0, 0.3), (3.0, 0.1), (4.0, 0.2)], [1 / 2, 1 / 2, 1 / 3, 2 / 3],
     "The shares are thirds. Do not round them"),
    ([(5.0, 0.2)], [0.0], "A sample without others has no lower one: the share is 0"),
    ([(1.0, 0.9), (2.0, 0.8), (3.0, 0.7), (9.0, 0.0)], [0.5] * 4, "Average both shares"),
    ([(-3.0, 0.4), (-1.0, 0.4), (-2.0, 0.6)], [0.0, 0.5, 0.75], "Negative scores are scores too"),
    ([], [], "Without samples there are no scores"),
]  # fmt: skip


def check_combined_scores(combined: Callable[[list[Sample], str, str], list[float]]) -> None:
    """Exercise 4."""
    for pairs, expected, hint in COMBINED:
        case = f"samples with (certainty, judge) {pairs}"
        samples = [toy_sample(*pair) for pair in pairs]
        values = combined_values(combined, samples, ("certainty", "judge"), case)
        assert all(0 <= value <= 1 + 1e-9 for value in values), (
            f"{case}: shares lie between 0 and 1, but you return {rounded(values)}. {hint}"
        )
        assert all(map(close, values, expected)), (
            f"{case} gave {rounded(values)}, but it should be {rounded(expected)}. {hint}"
        )
    samples = [toy_sample(20.0, 0.1), toy_sample(21.0, 0.9), toy_sample(22.0, 0.5)]
    samples = [replace(each, answer=answer) for each, answer in zip(samples, (None, "1", None))]
    case = "answers None, '1', None with (certainty, judge) (20, 0.1), (21, 0.9), (22, 0.5)"
    values = combined_values(combined, samples, ("certainty", "judge"), case)
    assert all(map(close, values, [0, 0.75, 0.75])), (
        f"{case} gave {rounded(values)}, but it should be [0, 0.75, 0.75]. A sample without an "
        "answer counts like any other"
    )
    for names, expected in ((("judge", "judge"), [0, 1, 0.5]), (("certainty",) * 2, [0, 0.5, 1])):
        case = f"combined_scores(samples, {names[0]!r}, {names[1]!r})"
        values = combined_values(combined, samples, names, case)
        assert all(map(close, values, expected)), (
            f"{case} gave {rounded(values)}, but it should be {expected}. Use both names"
        )
    noted = [{"logprob": -6.0, "log_reward_last": math.log(p)} for p in (0.2, 0.9, 0.5)]
    samples = [Sample("", "1", False, n, "stop", each) for n, each in zip((2, 6, 3), noted)]
    case = "combined_scores(samples, 'likelihood', 'reward_last')"  # exp(-3), exp(-1), exp(-2)
    advice = "The pool notes these two as logarithms: get both scores with score_of(sample, name)"
    try:
        values = combined_values(combined, samples, ("likelihood", "reward_last"), case)
    except AssertionError as error:
        raise AssertionError(f"{error}. {advice}") from error
    assert all(map(close, values, [0, 1, 0.5])), (
        f"{case} gave {rounded(values)}, but it should be [0, 1, 0.5]. {advice}"
    )
    samples = [toy_sample(20.0, 0.1), toy_sample(21.0, 0.9), toy_sample(22.0, 0.5)]
    case = "the same samples, one of them graded right"
    graded = [toy_sample(20.0, 0.1, right=True), *samples[1:]]
    results = [call(combined, each, "certainty", "judge", case=case) for each in (samples, graded)]
    assert results[0] == results[1], f"{case}: the score changes. A scorer must not see is_right"
    print("Exercise 4 is right.")


def combined_values(
    combined: Callable, samples: list[Sample], names: tuple[str, str], case: str
) -> list[float]:
    """The numbers that `combined` returns, one for each sample."""
    result = call(combined, samples, *names, case=case)
    assert isinstance(result, list) and len(result) == len(samples), (
        f"{case}: return a list with one score per sample, not {result!r}"
    )
    return [check_number(value, case) for value in result]


# --- 5. Calibration -------------------------------------------------------------------------------

CALIBRATED = [  # scores, right ones, number of bins, {score: expected}, what to think of
    ([0.1, 0.2, 0.3, 0.4], "0001", 1, {0.1: 1 / 3, 9: 1 / 3},
     "One group holds all samples: (1 + 1) / (4 + 2)"),
    ([0.1, 0.2, 0.3, 0.4], "0011", 2, {0.1: 1 / 4, 0.2: 1 / 4, 0.4: 3 / 4},
     "Two groups of two: (0 + 1) / (2 + 2) and (2 + 1) / (2 + 2)"),
    ([0.1, 0.2, 0.3, 0.4], "0011", 2, {0.3: 3 / 4},
     "The lowest score of a group belongs to this group: compare with <=, not with <"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {0.1: 1 / 4, 0.2: 1 / 4, 0.3: 3 / 4, 0.4: 3 / 4},
     "Sort scores and outcomes together, then cut"),
    ([0.0, 0.8, 0.9, 1.0], "0011", 2, {0.8: 1 / 4, 0.9: 3 / 4},
     "Groups hold equally many samples; their widths differ"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {-5: 1 / 4}, "A score below all is in the lowest group"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {0.25: 1 / 4, 0.29: 1 / 4},
     "Between two groups, take the lower one"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {99: 3 / 4}, "A score above all is in the highest group"),
    ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "000011", 3,
     {2.0: 1 / 4, 3.0: 1 / 4, 4.0: 1 / 4, 5.0: 3 / 4, 4.9: 1 / 4},
     "Three groups of two; the share is (right + 1) / (size + 2)"),
    ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "110001", 3, {1.0: 3 / 4, 3.0: 1 / 4, 6.0: 1 / 2},
     "Each group keeps its own share; it may fall as the score grows"),
    ([-3.0, -1.0, -2.0, -4.0], "0100", 2, {-1.0: 1 / 2, -2.0: 1 / 2, -3.0: 1 / 4},
     "Scores may be negative"),
    ([0.1, 0.5, 0.5, 0.9], "0101", 2, {0.1: 1 / 2, 0.5: 1 / 2, 0.9: 1 / 2},
     "Sort by the score alone: samples with equal scores keep the order of the list"),
    ([0.5, 0.9, 0.5, 0.1], "1001", 2, {0.1: 3 / 4, 0.4: 3 / 4, 0.5: 1 / 4},
     "Sort by the score alone; a score where two groups meet belongs to the upper one"),
    ([0.5, 0.5, 0.5, 0.5], "1000", 2, {0.5: 1 / 4, 0.6: 1 / 4, 0.4: 1 / 2},
     "Both groups begin at 0.5, and the last of them counts"),
    ([0.5, 0.7] * 20, "1" * 20 + "0" * 20, 4, {0.4: 11 / 12, 0.5: 1 / 12, 0.7: 1 / 12},
     "Samples with equal scores keep the order of the list: the sort must be stable "
     "(np.argsort is stable only with kind='stable')"),
]  # fmt: skip


def check_calibrate(
    calibrate: Callable[[list[float], list[bool], int], Callable[[float], float]],
) -> None:
    """Exercise 5."""
    for scores, outcomes, bins, expected, hint in CALIBRATED:
        is_right = [outcome == "1" for outcome in outcomes]
        probability = calibrated(calibrate, scores, is_right, bins)
        for score, right in expected.items():
            case = f"calibrate({scores}, {is_right}, {bins})({score})"
            result = check_number(call(probability, score, case=case), case)
            is_rounded = abs(result - right) < 0.006
            assert close(result, right), (
                f"{case} returned {result:.6g}, but it should be {right:.6g}. "
                + ("Do not round" if is_rounded else hint)
            )
    for size, bins in ((7, 2), (7, 3), (10, 4), (11, 3), (5, 5)):
        scores = [float(score) for score in range(size)]
        probability = calibrated(calibrate, scores, [False] * size, bins)
        case = f"calibrate with {size} scores, none of them right, and {bins} bins"
        shares = [check_number(call(probability, score, case=case), case) for score in scores]
        # With none right, a share is 1 / (size of the group + 2), which gives the size away.
        sizes = [round(1 / share) - 2 if share > 0 else -1 for share in shares]
        smallest, largest = size // bins, -(-size // bins)
        assert all(smallest <= each <= largest for each in sizes), (
            f"{case}: the groups of the samples have the sizes {sizes}, but each should have "
            f"{smallest} or {largest}. No sample is left out, and sizes differ by at most one"
        )
        assert math.isclose(sum(1 / each for each in sizes), bins), (
            f"{case}: the group sizes seen from the samples, {sizes}, do not fit {bins} groups"
        )
    for size, bins in ((2, 3), (0, 1), (3, 0)):
        case = f"calibrate with {size} samples and {bins} bins"
        check_refusal(lambda n=size, b=bins: calibrate([0.5] * n, [True] * n, b), case)
    print("Exercise 5 is right.")


def check_refusal(attempt: Callable[[], object], case: str) -> None:
    """Raise AssertionError unless the attempt raises a ValueError."""
    try:
        attempt()
    except ValueError:
        return
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"{case} must raise a ValueError, not {kind}") from error
    raise AssertionError(f"{case} must raise a ValueError")


def calibrated(
    calibrate: Callable, scores: list[float], is_right: list[bool], bins: int
) -> Callable[[float], float]:
    """The function that `calibrate` returns for copies of these lists."""
    case = f"calibrate({scores}, {is_right}, {bins})"
    probability = call(calibrate, scores, is_right, bins, case=case)
    assert callable(probability), f"{case}: return a function, not {type(probability).__name__}"
    return probability


# --- 6. Log-odds ----------------------------------------------------------------------------------


def scored(answer: str | None, reward: float, right: bool = False) -> Sample:
    """A sample with a reward of its last step."""
    return Sample("", answer, right, 5, "stop", {"log_reward_last": math.log(reward)})


REWARDS = {0.2: 1, 0.5: 5, 0.7: 6, 0.9: 9}  # reward -> how many of its ten samples are right


def seen_pool(rewards: dict[float, int]) -> list[PooledProblem]:
    """Ten problems with one sample of each reward.

    With four bins REWARDS have probabilities 2/12, 6/12, 7/12, 10/12 and log-odds -1.61, 0, 0.34,
    1.61. With two bins, 7/22 and 16/22: log-odds -0.76 and 0.98.
    """
    return [
        PooledProblem(
            "?",
            "1",
            1,
            [
                scored("1" if i < right else "2", reward, i < right)
                for reward, right in rewards.items()
            ],
        )
        for i in range(10)
    ]


def uneven_pool() -> list[PooledProblem]:
    """One problem with 24 samples, half of them without an answer, and five with two samples."""
    large = [scored(None, 0.9), scored("1", 0.5, True)] * 12
    small = [scored("1", 0.9, True), scored("2", 0.5)]
    return [PooledProblem("?", "1", 1, samples) for samples in (large, *[small] * 5)]


SMALL = "The share 7/12 has log-odds 0.34: four together (1.35) weigh less than one 10/12 (1.61)"
LOG_ODDS = [  # answers, rewards, number of bins, expected, what to think of
    (["1", "2"], [0.2, 0.9], 4, "2", "Negative log-odds become 0: only the second has a weight"),
    (["1", "2", "2"], [0.9, 0.7, 0.7], 4, "1", "The weights are 1.61 against 2 * 0.34"),
    (["1"] * 4 + ["2"], [0.7] * 4 + [0.9], 4, "2", SMALL),
    (["1"] * 5 + ["2"], [0.7] * 5 + [0.9], 4, "1",
     "Add the log-odds: five times 0.34 (1.68) is more than 1.61"),
    (["1", "2", "2"], [0.9, 0.7, 0.7], 2, "2",
     "Calibrate on `seen` with `bins` groups: with two, rewards of 0.7 and 0.9 weigh the same"),
    (["1"] * 6 + ["2"], [0.5] * 6 + [0.9], 4, "2", "p = 1/2 has log-odds 0"),
    (["1", "2", "2"], [0.9, 0.5, 0.5], 4, "1", "p = 1/2 has log-odds 0, so 2 has no weight"),
    (["1", "2", "2"], [0.2, 0.5, 0.5], 4, "2", "All weights are 0: the plain vote decides"),
    (["2", "1", "1", "2", "2"], [0.2, 0.5, 0.5, 0.2, 0.2], 4, "2",
     "All weights are 0: the plain vote decides, whatever the rewards are"),
    (["1", "2", "2"], [0.9, 0.2, 0.2], 4, "1", "Negative log-odds become 0; they are no weight"),
    (["1", "1", "1", "2"], [0.9, 0.2, 0.2, 0.9], 4, "1", "1.61 each: ties go to the first answer"),
    (["1", "2", "2"], [0.9, 0.9, 0.2], 4, "1", "Weights below 0 become exactly 0: a tie"),
    (["1", "1", "2", "2"], [0.2, 0.9, 0.9, 0.9], 4, "2", "1.61 against 2 * 1.61"),
    (["2", "1,000", "1000"], [0.9, 0.9, 0.7], 4, "1,000", "1,000 and 1000 are one answer"),
    ([None, "2"], [0.9, 0.2], 4, "2", "A sample without an answer casts no vote"),
    ([None, "3", "2", "2"], [0.9, 0.5, 0.2, 0.2], 4, "2", "No answer has a weight: the plain vote"),
    ([None, None], [0.9, 0.2], 4, None, "There is no answer to return"),
    ([], [], 4, None, "There is no answer to return"),
]  # fmt: skip


def check_log_odds_rule(log_odds_rule: Callable[[list[PooledProblem], int], Choose]) -> None:
    """Exercise 6."""
    groups = ", ".join(f"{reward} ({right} of 10 right)" for reward, right in REWARDS.items())
    seen, rules = seen_pool(REWARDS), {}
    for bins in (4, 2):
        case = f"log_odds_rule(seen, {bins}), where `seen` has the rewards {groups}"
        rules[bins] = call(log_odds_rule, seen, bins, case=case)
        kind = type(rules[bins]).__name__
        assert callable(rules[bins]), f"{case}: return a function, not {kind}"
    for answers, rewards, bins, expected, hint in LOG_ODDS:
        for graded in (None, "1", "2"):  # whatever is graded right, the choice must be the same
            samples = [scored(a, r, a == graded) for a, r in zip(answers, rewards)]
            voted = f"{bins} bins, rewards {rewards} of the answers {answers}"
            result = call(rules[bins], samples, case=voted, returns_none=True)
            if graded is not None and result != expected:
                raise AssertionError(
                    f"{voted}: the choice changes with the grade of the samples. Do not use "
                    "is_right of the samples that you choose from"
                )
            check_answer(result, expected, voted, hint)
    turned = seen_pool({0.9: 1, 0.5: 5, 0.2: 9})
    case = "a reward that is high for wrong samples in `seen`"
    backwards = call(log_odds_rule, turned, 3, case=case)
    result = call(backwards, [scored("1", 0.9), scored("2", 0.2)], case=case, returns_none=True)
    check_answer(result, "2", case, "Calibrate on `seen`")
    case = "`seen` with 17 rewards of 0.9 (5 right, 12 without an answer) and 17 of 0.5 (12 right)"
    uneven = call(log_odds_rule, uneven_pool(), 2, case=case)
    result = call(uneven, [scored("1", 0.9), scored("2", 0.5)], case=case, returns_none=True)
    hint = (
        "Calibrate once, on all samples of all problems together, those without an answer too: "
        "with 6/19 for 0.9 and 13/19 for 0.5, only the second has a weight"
    )
    check_answer(result, "2", case, hint)
    print("Exercise 6 is right.")


# --- 6, second part: compare rules within a budget ------------------------------------------------

MOST_RULES = 5


def compare_on_unseen(
    my_rules: Callable[[list[PooledProblem]], dict[str, Choose]],
    seen: list[PooledProblem],
    unseen: list[PooledProblem],
) -> None:
    """Print each rule's accuracy on `unseen`, and the paired difference to the weighted vote.

    Enforces the budget: at most MOST_RULES rules, made from `seen` alone, which choose from copies
    of the unseen samples without grades. The rules are made a second time while all grades of
    `unseen` are reversed: rules made from `seen` alone choose the same answers.
    """
    case = "my_rules(seen)"
    rules = call(my_rules, seen, case=case)
    kind = type(rules).__name__
    assert isinstance(rules, dict), f"{case}: return a dictionary, name -> rule, not {kind}"
    assert 1 <= len(rules) <= MOST_RULES, (
        f"{case}: the budget is 1 to {MOST_RULES} rules, and you return {len(rules)}. Choose on "
        "`seen` which ones you want to try"
    )
    assert {problem.question for problem in seen}.isdisjoint(each.question for each in unseen), (
        "some problems are both in `seen` and in `unseen`"
    )
    weighted = graded(answers_of(ranked_by("reward_last", weighted_answer), unseen, "vote"), unseen)
    chosen = {}
    for name, rule in rules.items():
        assert isinstance(name, str), f"{case}: the names are text, not {name!r}"
        assert callable(rule), f"{case}[{name!r}]: a rule is a function, not {type(rule).__name__}"
        chosen[name] = answers_of(rule, unseen, f"the rule {name!r}")
    with opposite_grades(unseen):
        for name, rule in call(my_rules, seen, case=case).items():
            again = answers_of(rule, unseen, f"the rule {name!r}")
            assert again == chosen.get(name), (
                f"the rule {name!r} chooses other answers when the grades of `unseen` change. Make "
                "rules from `seen` alone, not from `unseen` or `pool` (or, if a rule draws random "
                "numbers, give it a seed)"
            )
    lines = [f"weighted by reward  {fmean(weighted):.3f}"]
    for name, answers in chosen.items():
        right = graded(answers, unseen)
        gain = paired_bootstrap(right, weighted)
        verdict = "excludes 0" if gain.low > 0 or gain.high < 0 else "includes 0"
        lines.append(
            f"{name:<19} {fmean(right):.3f}   {100 * gain.difference:+.1f} points "
            f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], which {verdict}"
        )
    print(f"{len(unseen)} unseen problems; differences to the weighted vote\n" + "\n".join(lines))


@contextlib.contextmanager
def opposite_grades(pool: list[PooledProblem]) -> Iterator[None]:
    """While the block runs, each sample of these problems has the opposite grade."""
    kept = [list(problem.samples) for problem in pool]
    try:
        for problem in pool:
            problem.samples[:] = [replace(s, is_right=not s.is_right) for s in problem.samples]
        yield
    finally:
        for problem, samples in zip(pool, kept):
            problem.samples[:] = samples


def answers_of(rule: Choose, pool: list[PooledProblem], name: str) -> list[str | None]:
    """The rule's answer to each problem; it sees no grades."""
    answers = []
    for problem in pool:
        hidden = [replace(sample, is_right=False) for sample in problem.samples]
        answer = call(rule, hidden, case=f"{name} on an unseen problem", returns_none=True)
        assert answer is None or answer in {sample.answer for sample in hidden}, (
            f"{name} returned {answer!r}, which is no answer of a sample: return one of them, as "
            "the sample spells it"
        )
        answers.append(answer)
    assert any(answer is not None for answer in answers), (
        f"{name} returned None for every problem. Is a `return` missing?"
    )
    return answers


def graded(answers: list[str | None], pool: list[PooledProblem]) -> list[bool]:
    """For each problem whether its answer is right."""
    return [is_right_answer(answer, problem) for answer, problem in zip(answers, pool)]
