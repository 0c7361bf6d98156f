"""The checks of exercises 6 to 8 in `exercises.ipynb`, which work on pools of samples.

    check_cheapest(cheapest)    prints that all is well, or stops and says what is wrong

As in `checks.py`, the inputs were worked out by hand, and no model runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

from ch02_self_consistency.checks import problem, sample
from shared import LLM
from shared.evaluation.exercise_checks import call, check_number, close
from shared.evaluation.pool import PooledProblem, Sample

Pool = list[PooledProblem]

# --- 6. The cheapest threshold --------------------------------------------------------------------

EARLY = problem(*"4444")  # is right however early the vote stops
LATE = problem(*"334444")  # is right only with all six samples
LUCKY = problem(*"443333")  # is right only if the vote stops early
SPLIT = problem(*"343333")  # is never right
LONG = problem(*"33344444")  # is right only with all eight samples
OPEN = problem("4", None, "4", "4")  # the first two samples have one answer
SPELLED = problem(*"334444", gold="$4.00")  # LATE, with the right answer spelled otherwise
LAPSE = problem(*"4433333344444444")  # right after 2 samples and after 16, wrong after 8
GLIMPSE = problem(*"344444")  # the first two samples tie: one of them is right, their vote is 3
FIRST_NONE = problem(None, "4", "4", "4")
TWO_SPELLINGS = problem("4", "3", "$4", "3")  # a tie of two and two, which goes to 4
ODD = problem(*"34344")
SLOW = problem(*"4344")  # two samples at 0.5, four at 0.8
MOST = problem(*"333444")  # a tie of three and three, which goes to 3

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
    ([LUCKY], [0.5, 0.99], 0, (0.5, 2), "a vote that stopping early wins is no loss: 1 >= 0 - 0"),
    ([OPEN], [0.8, 0.99], 0, (0.99, 4), "a sample without an answer is drawn, too: give the rule "
     "all answers, None among them"),
    ([SPELLED], [0.5, 0.99], 0, (0.99, 6), "the right answer is spelled $4.00 here, and 4 is "
     "right: use is_right_answer"),
    ([LAPSE], [0.8, 0.9, 0.99], 0, (0.8, 2), "0.99 is acceptable, 0.9 is not, and 0.8 is again: "
     "look at every threshold"),
    ([SLOW], [0.5, 0.99], 0, (0.5, 2), "the first two samples are 4 and 3, a tie, which goes to 4: "
     "use majority"),
    ([FIRST_NONE], [0.5, 0.99], 0, (0.5, 2), "the first two samples are None and 4, and their vote "
     "is 4: use majority"),
    ([TWO_SPELLINGS], [0.8], 0, (0.8, 4), "4 and $4 are one answer: use majority"),
    ([ODD], [0.99], 0, (0.99, 5), "there are five samples: the last batch has only one"),
    ([EARLY, EARLY, LATE], [0.5, 0.99], 1, (0.5, 6), "two of three votes are right: 2 >= 3 - 1. "
     "Compare whole numbers; shares such as 2/3 and 1 - 1/3 differ by rounding"),
    ([EARLY] * 9 + [SLOW], [0.5, 0.8], 0, (0.5, 20), "22 samples are more than 20: only an exact "
     "tie goes to the higher threshold"),
    ([MOST], [0.5, 0.99], 0, (0.5, 2), "ties go to the first answer, so the full vote is wrong"),
    ([GLIMPSE], [0.5, 0.99], 0, (0.99, 6), "the first two samples are 3 and 4, and their vote is "
     "3: a right sample is not yet a right vote"),
    ([LATE], [0.5, 0.6], 0, None, "no threshold is acceptable: return None"),
    ([EARLY], [], 0, None, "there are no thresholds: return None"),
]  # fmt: skip


def check_cheapest(cheapest: Callable[..., tuple[float, int] | None]) -> None:
    """Exercise 6."""
    for pool, thresholds, loss, expected, hint in CHEAPEST:
        answers = ["".join(s.answer or "-" for s in p.samples) for p in pool]
        case = f"cheapest, samples {answers} (4 is right), thresholds {thresholds}, loss={loss}"
        result = call(
            cheapest,
            pool,
            thresholds,
            case=f"{case}: {hint}",
            loss=loss,
            returns_none=True,
        )
        if expected is not None:
            assert result is not None, (
                f"{case}: your function returned None, as if no threshold were acceptable, not "
                f"{expected}. {hint[0].upper() + hint[1:]}. (Is a `return` missing? Is it `>=`?)"
            )
            assert isinstance(result, tuple) and len(result) == 2, (
                f"{case}: return (threshold, samples drawn), not {result!r}"
            )
        assert result == expected, f"{case}: you return {result}, not {expected}. " + cheapest_hint(
            result, expected, hint
        )
    case = "cheapest without loss, one vote is lost: loss should be 1 if it is not given"
    result = call(cheapest, [EARLY, LATE], [0.5], case=case)
    assert result == (0.5, 4), f"{case}; you return {result}"
    print("Exercise 6 is right.")


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


# --- 7. Knowing when not to answer ----------------------------------------------------------------

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
    ([EMPTY, SILENT], 0.5, 1.0, "None is not an answer: nothing agrees in a problem "
     "without answers"),
    ([EMPTY, SURE], 1.0, 0.5, "a vote without any answer is wrong, but it counts as a problem"),
    ([problem(*"44356"), problem(*"34343")], 0.5, 0.0, "the share of the leader counts (2 of 5 and "
     "3 of 5), not its margin over the runner-up"),
    ([problem(*"4435"), problem("1,000", "1000", "1000", "7")], 0.5, 0.0, "1,000 and 1000 are one "
     "answer, so 3 of 4 agree in the second problem: use count_votes"),
    ([problem(*"33556"), problem(*"4445678")], 0.5, 1.0, "the share of the leader counts (2 of 5 "
     "and 3 of 7), not how often two samples agree"),
    ([problem(*"334567"), problem(*"444335566")], 0.5, 0.0, "2 of 6 and 3 of 9 are the same share: "
     "the one that comes first in the pool is taken"),
    ([problem(*"4433")], 1.0, 1.0, "4 and 3 tie, and majority takes the one that was seen first"),
    ([problem(*"34445")], 1.0, 1.0, "three of five samples vote for 4: the vote decides"),
    ([problem("4", "4", gold="$4.00")], 1.0, 1.0, "the right answer is spelled $4.00 here, and 4 "
     "is right: use is_right_answer"),
]  # fmt: skip


def check_selective_accuracy(selective_accuracy: Callable[[Pool, float], float]) -> None:
    """Exercise 7."""
    for pool, coverage, expected, hint in SELECTIVE:
        answers = [[s.answer for s in p.samples] for p in pool]
        case = f"selective_accuracy, samples {answers} (4 is right), coverage {coverage:.2f}"
        result = check_number(call(selective_accuracy, pool, coverage, case=case), case)
        assert close(result, expected), (
            f"{case}: you return {result:.3f}, not {expected:.3f}: {hint}"
        )
    check_is_blind(selective_accuracy)
    print("Exercise 7 is right.")


def check_is_blind(selective_accuracy: Callable[[Pool, float], float]) -> None:
    """Raise AssertionError if the choice of problems depends on which samples are right."""
    pool = [problem(*"43333"), problem(*"44433"), problem(*"55554")]
    case = "selective_accuracy of problems with agreement 4, 3 and 4 of 5, coverage 0.67"
    result = check_number(call(selective_accuracy, pool, 0.67, case=case), case)
    assert close(result, 0.0), (
        f"{case}: the most certain two are both wrong, so 0 is right, not {result:.3f}. Agreement "
        "must not look at which samples are right"
    )


# --- 8. Beat agreement ----------------------------------------------------------------------------

SURE_8 = [sample("4", 10 + i, -1.0) for i in range(8)]  # all agree, short and probable
TORN_8 = [sample(str(57 + i), 300 + i, -20.0 - i) for i in range(8)]  # no two agree, long
PAIRS_8 = [  # the first deserves more trust than the second, whatever the measure
    (SURE_8, TORN_8),
    ([replace(s, answer="99") for s in SURE_8], [replace(s, answer=s.answer[1]) for s in TORN_8]),
]
SAMPLES = [
    [sample("4", 10, -1.0), sample("4", 12, -2.0), sample("3", 15, -9.0)],
    [sample("7", 20, -3.0), sample("8", 22, -4.0), sample("9", 25, -5.0)],
    [sample(None, 700, -90.0), sample("4", 12, -2.0)],
    [sample(None, 700, -90.0), sample(None, 700, -80.0)],
    [sample("5", 12, -2.0)],
    [sample("4" if i < 5 else "3", 10 + i, -1.0 - i) for i in range(8)],
    [sample("3" if i < 5 else "4", 10 + i, -1.0 - i) for i in range(8)],
    *(samples for pair in PAIRS_8 for samples in pair),
]


def no_model(*arguments: object, **options: object) -> None:
    """Stands in for the model while a measure of trust is computed."""
    raise AssertionError("the budget is the samples: no further model calls")


def check_trust(trust: Callable[[list[Sample]], float]) -> None:
    """Exercise 8: the rules of the game. How good the measure is, the notebook prints."""
    with (
        patch.object(LLM, "chat", no_model),
        patch.object(LLM, "generate", no_model),
        patch.object(LLM, "score", no_model),
    ):
        results = [trust_of(trust, samples) for samples in SAMPLES]
    assert len(set(results)) > 1, "trust returns the same number for all problems: it sorts nothing"
    assert results[0] > results[3], (
        "two of three samples agree in one problem, and no sample has an answer in another: the "
        "first deserves more trust"
    )
    for (sure, torn), high, low in zip(PAIRS_8, results[-4::2], results[-3::2]):
        assert high > low, (
            f"eight short, probable samples that all say {sure[0].answer} get {high:.3g}, and "
            f"eight long, improbable ones with the answers {[s.answer for s in torn]} get "
            f"{low:.3g}: the first deserve more trust. Is a sign wrong, or does your measure "
            "depend on the value of the answer?"
        )
    print("Exercise 8 follows the rules.")


def trust_of(trust: Callable[[list[Sample]], float], samples: list[Sample]) -> float:
    """The trust in some samples. Raises AssertionError if it is random or knows what is right."""
    case = f"trust(samples with the answers {[s.answer for s in samples]})"
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
    return result
