"""The checks of the exercises in `exercises.ipynb`.

    check_sharpened_answer(sharpened_answer)    prints that all is well, or stops and says why

Every check uses small inputs that were worked out by hand, and no model. Each message names the
input, the result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from shared.evaluation.exercise_checks import call, check_number, close
from shared.evaluation.pool import PooledProblem, Sample

Answers = list[str | None]
Choose = Callable[[list[Sample]], str | None]


def check_answer(result: object, expected: str | None, case: str, hint: str) -> None:
    """Raise AssertionError unless an answer is the expected one."""
    forgotten = result is None and expected is not None
    assert not forgotten, f"{case}: your function returned None. Is a `return` missing? {hint}"
    assert result == expected, f"{case} returned {result!r}, but it should be {expected!r}. {hint}"


def rounded(values: list[float]) -> list[float]:
    """Numbers to show in a message."""
    return [round(value, 3) for value in values]


# --- 1. Between the vote and the best -------------------------------------------------------------

SHARPENED = [  # answers, scores, power, expected, what to think of
    (["2", "1", "2", None, "3"], [0.5, 0.8, 0.4, 0.9, 0.1], 0, "2", "Power 0 is the majority vote"),
    ([None, "7"], [0.9, 0.1], 1, "7", "A sample without an answer casts no vote"),
    (["2", "1", "2"], [0.5, 0.8, 0.4], 1, "2", "0.5 + 0.4 is more than 0.8"),
    (["1", "2", "2"], [0.9, 0.5, 0.6], 2, "1",
     "0.81 is more than 0.25 + 0.36: raise each score (score ** power) before you add"),
    (["2", "1", "2", None, "3"], [0.5, 0.8, 0.4, 0.9, 0.1], 50, "1", "The highest score decides"),
    (["1", "2", "2"], [0.9, 0.4, 0.5], 0.5, "2", "A power below 1 is allowed: take roots"),
    (["1", "2", "2"], [0.9, 0.35, 0.35], 0.5, "2", "A power below 1 is allowed: take roots"),
    (["1", "1,000", "1000"], [0.5, 0.3, 0.3], 1, "1,000",
     "1,000 and 1000 are one answer; return its first spelling"),
    (["1", "2"], [0.0, 0.0], 0, "1", "0 ** 0 is 1, and ties go to the first answer"),
    (["2", "1"], [0.5, 0.5], 1, "2", "Ties go to the first answer, not to the smallest"),
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
        refused = False
        try:
            sharpened(list(answers), [0.5] * len(answers), power)
        except ValueError:
            refused = True
        except Exception as error:
            kind = type(error).__name__
            raise AssertionError(f"power {power} must raise a ValueError, not {kind}") from error
        assert refused, (
            f"power {power} with {len(answers)} samples must raise a ValueError: a negative power "
            "would favour low scores"
        )
    print("Exercise 1 is right.")


# --- 2. A vote by ranks ---------------------------------------------------------------------------

EQUAL = "Of equal scores the first ranks higher; they do not share a rank"
RANKED = [  # answers, scores, power, expected, what to think of
    (["1", "2", "2", "3"], [20.4, 20.1, 20.2, 20.3], 1, "1", "The weights are 4, 1, 2, 3"),
    (["1", "2", "2", "3"], [-1, -4, -3, -2], 1, "1", "Only the order counts, not the sign"),
    (["1", "2", "2", "3"], [400, 1, 200, 300], 1, "1", "The weights are 4, 1, 2, 3"),
    (["1", "2", "2"], [9, 2, 2], 0, "2", "Power 0 is the vote: every weight is 1"),
    (["1", "2", "2"], [9, 1, 2], 1, "1", "3 against 1 + 2 is a tie, and the best sample is first"),
    (["1", "2", "2"], [3, 2, 1], 9, "1", "With a large power the best sample decides"),
    (["1", None, None, "2", "2"], [9, 8, 7, 6, 5], 0.8, "2", "None takes no rank from others"),
    (["2", "1", "2"], [5, 5, 5], 5, "2", EQUAL),
    (["1", "2", "3", "3"], [5, 7, 7, 1], 3, "2", EQUAL),
    (["9", "1", "1", "9"], [4, 4, 3, 3], 2, "9", EQUAL),
    (["5", "7"], [2, 2], 1, "5", EQUAL),
    (["1", "2", "2"], [2, 2, 1], 2, "1", EQUAL),
    (["3", "2", "3,0", "2.0"], [1, 4, 2, 3], 1, "2", "2 and 2.0 are one answer"),
    (["1", "1,000", "1000"], [4, 3, 2], 0.1, "1,000", "1,000 and 1000 are one answer"),
    ([None], [1.0], 1, None, "There is no answer to return"),
    ([], [], 1, None, "There is no answer to return"),
]


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
    for scores, is_right in DRAWN:
        for n in range(1, len(scores) + 1):
            case = f"expected_best_of_n({scores}, {is_right}, {n})"
            result = check_number(call(expected_best, scores, is_right, n, case=case), case)
            expected = over_all_draws(scores, is_right, n, replace=False)
            assert close(result, expected), (
                f"{case} returned {result:.4f}, but over all draws it is {expected:.4f}. "
                + draws_hint(scores, is_right, n, result)
            )
    print("Exercise 3 is right.")


def over_all_draws(
    scores: list[float],
    is_right: list[bool],
    n: int,
    *,
    replace: bool,
    best: Callable = max,
) -> float:
    """The share of draws of n samples in which the one with the highest score is right."""
    places = range(len(scores))
    draws = list(
        itertools.product(places, repeat=n) if replace else itertools.combinations(places, n)
    )
    return sum(is_right[best(draw, key=scores.__getitem__)] for draw in draws) / len(draws)


def draws_hint(scores: list[float], is_right: list[bool], n: int, result: float) -> str:
    """What a wrong chance looks like."""
    if not 0 <= result <= 1 + 1e-9:
        return "A chance lies between 0 and 1: divide by the number of draws"
    any_right = 1 - math.comb(is_right.count(False), n) / math.comb(len(is_right), n)
    mistakes = {
        "That is the chance that any of the n is right (pass@n)": any_right,
        "That is the share of right samples, whatever n is": is_right.count(True) / len(is_right),
        "That is for draws with replacement": over_all_draws(scores, is_right, n, replace=True),
        "Sort from the lowest score: that is the chance of the worst of n": over_all_draws(
            scores, is_right, n, replace=False, best=min
        ),
    }
    hints = [hint for hint, wrong in mistakes.items() if close(result, wrong)]
    last = "Sort the outcomes by score; the one at place i needs n - 1 others from the i below it"
    return (hints + [last])[0]


# --- 4. Two scorers -------------------------------------------------------------------------------


def toy_sample(certainty: float, judged: float, *, right: bool = False) -> Sample:
    """A sample with two measures."""
    return Sample("", "1", right, 5, "stop", {"certainty": certainty, "judge": judged})


COMBINED = [  # (certainty, judge) of each sample, expected, what to think of
    ([(20.0, 0.1), (20.1, 0.9), (20.2, 0.5)], [0.0, 0.75, 0.75], "Count the others: divide by 2"),
    ([(20.0, 0.5), (20.0, 0.1), (20.3, 0.3)], [0.5, 0.0, 0.75], "Only strictly lower ones count"),
    ([(1.0, 0.2), (1.0, 0.2)], [0.0, 0.0], "Equal scores are not lower"),
    ([(5.0, 0.2)], [0.0], "A sample without others has no lower one: the share is 0"),
    ([(1.0, 0.9), (2.0, 0.8), (3.0, 0.7), (9.0, 0.0)], [0.5] * 4, "Average both shares"),
    ([(-3.0, 0.4), (-1.0, 0.4), (-2.0, 0.6)], [0.0, 0.5, 0.75], "Negative scores are scores too"),
    ([], [], "Without samples there are no scores"),
]


def check_combined_scores(combined: Callable[[list[Sample], str, str], list[float]]) -> None:
    """Exercise 4."""
    for pairs, expected, hint in COMBINED:
        case = f"samples with (certainty, judge) {pairs}"
        samples = [toy_sample(*pair) for pair in pairs]
        result = call(combined, samples, "certainty", "judge", case=case)
        assert isinstance(result, list) and len(result) == len(pairs), (
            f"{case}: return a list with one score per sample, not {result!r}"
        )
        values = [check_number(value, case) for value in result]
        assert all(0 <= value <= 1 for value in values), (
            f"{case}: shares lie between 0 and 1, but you return {rounded(values)}"
        )
        assert all(map(close, values, expected)), (
            f"{case} gave {rounded(values)}, but it should be {expected}. {hint}"
        )
    samples = [toy_sample(20.0, 0.1), toy_sample(21.0, 0.9), toy_sample(22.0, 0.5)]
    for names, expected in ((("judge", "judge"), [0, 1, 0.5]), (("certainty",) * 2, [0, 0.5, 1])):
        case = f"combined_scores(samples, {names[0]!r}, {names[1]!r})"
        result = call(combined, samples, *names, case=case)
        assert all(map(close, result, expected)), (
            f"{case} gave {rounded(result)}, but it should be {expected}. Use both names"
        )
    case = "the same samples, one of them graded right"
    graded = [toy_sample(20.0, 0.1, right=True), *samples[1:]]
    results = [call(combined, each, "certainty", "judge", case=case) for each in (samples, graded)]
    assert results[0] == results[1], f"{case}: the score changes. A scorer must not see is_right"
    print("Exercise 4 is right.")


# --- 5. Calibration -------------------------------------------------------------------------------

CALIBRATED = [  # scores, right ones, number of bins, {score: expected}, what to think of
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {0.1: 1 / 4, 0.2: 1 / 4, 0.3: 3 / 4, 0.4: 3 / 4},
     "Sort scores and outcomes together, then cut"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {-5: 1 / 4}, "A score below all is in the lowest group"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {0.25: 1 / 4}, "Between two groups, take the lower one"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 2, {99: 3 / 4}, "A score above all is in the highest group"),
    ([0.1, 0.4, 0.2, 0.3], "0101", 1, {0.1: 1 / 2, 9: 1 / 2}, "One group has all samples: 3 / 6"),
    ([0.0, 0.8, 0.9, 1.0], "0011", 2, {0.8: 1 / 4, 0.9: 3 / 4},
     "Groups hold equally many samples; their widths differ"),
    ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "000011", 3,
     {2.0: 1 / 4, 3.0: 1 / 4, 4.0: 1 / 4, 5.0: 3 / 4, 4.9: 1 / 4},
     "Three groups of two; the share is (right + 1) / (size + 2)"),
    ([-3.0, -1.0, -2.0, -4.0], "0100", 2, {-1.0: 1 / 2, -2.0: 1 / 2, -3.0: 1 / 4},
     "Scores may be negative"),
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
            assert close(result, right), (
                f"{case} returned {result:.4f}, but it should be {right:.4f}. {hint}"
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
    print("Exercise 5 is right.")


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


def seen_pool(rewards: list[float]) -> list[PooledProblem]:
    """Ten samples of one reward, one of them right, ten of the next (5 right), ten of the last (9).

    With three bins: probabilities 2/12, 6/12, 10/12 and log-odds -1.61, 0, 1.61.
    """
    return [
        PooledProblem("?", "1", 1, [scored("1" if i < right else "2", reward, i < right)])
        for reward, right in zip(rewards, (1, 5, 9))
        for i in range(10)
    ]


LOG_ODDS = [  # answers, rewards, expected, what to think of
    (["1", "2"], [0.2, 0.9], "2", "Negative log-odds become 0: only the second has a weight"),
    (["1"] * 6 + ["2"], [0.5] * 6 + [0.9], "2", "p = 1/2 has log-odds 0"),
    (["1", "2", "2"], [0.9, 0.5, 0.5], "1", "p = 1/2 has log-odds 0, so 2 has no weight"),
    (["1", "2", "2"], [0.2, 0.5, 0.5], "2", "All weights are 0: the plain vote decides"),
    (["1", "2", "2"], [0.9, 0.2, 0.2], "1", "Negative log-odds become 0; they are no weight"),
    (["1", "1", "1", "2"], [0.9, 0.2, 0.2, 0.9], "1", "1.61 each: ties go to the first answer"),
    (["1", "1", "2", "2"], [0.2, 0.9, 0.9, 0.9], "2", "1.61 against 2 * 1.61"),
    ([None, "2"], [0.9, 0.2], "2", "A sample without an answer casts no vote"),
    ([None, "3", "2", "2"], [0.9, 0.5, 0.2, 0.2], "2", "No answer has a weight: the plain vote"),
    ([None, None], [0.9, 0.2], None, "There is no answer to return"),
]


def check_log_odds_rule(log_odds_rule: Callable[[list[PooledProblem], int], Choose]) -> None:
    """Exercise 6."""
    seen = seen_pool([0.2, 0.5, 0.9])
    case = "log_odds_rule(seen, 3), with rewards 0.2 (1 of 10 right), 0.5 (5 of 10), 0.9 (9 of 10)"
    choose = call(log_odds_rule, seen, 3, case=case)
    assert callable(choose), f"{case}: return a function, not {type(choose).__name__}"
    for answers, rewards, expected, hint in LOG_ODDS:
        for graded in (None, "1", "2"):  # whatever is graded right, the choice must be the same
            samples = [scored(a, r, a == graded) for a, r in zip(answers, rewards)]
            voted = f"rewards {rewards} of the answers {answers}"
            result = call(choose, samples, case=voted, returns_none=True)
            if graded is not None and result != expected:
                raise AssertionError(
                    f"{voted}: the choice changes with the grade of the samples. Do not use "
                    "is_right of the samples that you choose from"
                )
            check_answer(result, expected, voted, hint)
    turned = seen_pool([0.9, 0.5, 0.2])
    backwards = call(log_odds_rule, turned, 3, case="a reward that is high where samples are wrong")
    result = call(backwards, [scored("1", 0.9), scored("2", 0.2)], case="low", returns_none=True)
    check_answer(
        result, "2", "a reward that is high for wrong samples in `seen`", "Calibrate on `seen`"
    )
    print("Exercise 6 is right.")
