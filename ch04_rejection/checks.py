"""The checks of the exercises in `exercises.ipynb`.

    check_mean_draws(mean_draws)    prints that all is well, or stops and says why

Every check uses small inputs that were worked out by hand, and no model. Each message names the
input, the result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from ch04_rejection.code_tasks import CodeTask, extract_code, load_tasks, share_passed
from ch04_rejection.quality import verdicts
from shared import Completion, Cost
from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.exercise_checks import call, check_number, close
from shared.evaluation.intervals import paired_difference
from shared.evaluation.pool import (
    POOLS_FOLDER,
    Choose,
    PooledProblem,
    Sample,
    is_right_answer,
    majority,
)
from shared.rewards.interfaces import Verifier

RECORDED_PROGRAMS = POOLS_FOLDER / "qwen2.5-coder-0.5b_code.jsonl"


# --- 1. How many draws? ---------------------------------------------------------------------------

DRAWS = [  # p, budget, expected, what to think of
    (1, 9, 1, "What is always accepted takes one draw"),
    (0, 9, 9, "What is never accepted takes the whole budget"),
    (0.0, 1, 1, "The first draw is always made"),
    (0.5, 1, 1, "The first draw is always made"),
    (0.5, 2, 1.5, "One draw, and in half of the cases a second"),
    (0.5, 3, 1.75, "The third draw is made if the first two were rejected: 1 + 1/2 + 1/4"),
    (0.2, 3, 2.44, "The third draw is made if the first two were rejected: 1 + 0.8 + 0.64"),
    (0.25, 2, 1.75, "One draw, and in three of four cases a second"),
    (0.01, 2, 1.99, "One draw, and in 99 of 100 cases a second"),
    (0.1, 400, 10, "With a large budget the mean is 1 / p"),
]


def check_mean_draws(mean_draws: Callable[[float, int], float]) -> None:
    """Exercise 1."""
    for p, budget, expected, hint in DRAWS:
        case = f"mean_draws({p}, {budget})"
        state = random.getstate()
        result = check_number(call(mean_draws, p, budget, case=case), case)
        assert random.getstate() == state, f"{case}: compute the mean, do not simulate it"
        assert close(result, expected), (
            f"{case} returned {result:g}, but it should be {expected:g}. {hint}"
        )
    print("Exercise 1 is right.")


# --- 2. From mistakes to precision ----------------------------------------------------------------

MADE_OF = "Accepted and right: right * (1 - false_rejects). Accepted and wrong: what is left of it?"
PRECISIONS = [  # right, false accepts, false rejects, expected, what to think of
    (0.5, 0.2, 0.1, 0.45 / 0.55, MADE_OF),
    (0.1, 0.2, 0.1, 0.09 / 0.27, "Few solutions are right here: the wrong ones are 1 - right"),
    (0.9, 0.5, 0.2, 0.72 / 0.77, "Most solutions are right here: the wrong ones are 1 - right"),
    (0.3, 1, 0, 0.3, "A verifier that accepts everything adds nothing"),
    (0.5, 0, 0.9, 1, "Without false accepts everything that is accepted is right"),
    (0.5, 0.2, 1, 0, "Wrong solutions are still accepted here, and none of them is right"),
    (0, 0.5, 0, 0, "No solution is right, but some are accepted"),
    (1, 0.5, 0.5, 1, "No solution is wrong, so nothing wrong is accepted"),
    (0.02, 0.01, 0.5, 0.01 / 0.0198, "Do not round"),
]
NOTHING_ACCEPTED = [(0.5, 0, 1), (0, 0, 0.3), (1, 0.4, 1)]


def check_precision_of(precision_of: Callable[[float, float, float], float]) -> None:
    """Exercise 2."""
    for *arguments, expected, hint in PRECISIONS:
        case = f"precision_of({', '.join(map(str, arguments))})"
        result = check_number(call(precision_of, *arguments, case=case), case)
        assert close(result, expected), (
            f"{case} returned {result:.4f}, but it should be {expected:.4f}. {hint}"
        )
    for arguments in NOTHING_ACCEPTED:
        case = f"precision_of({', '.join(map(str, arguments))})"
        result = call(precision_of, *arguments, case=case)
        assert isinstance(result, float) and math.isnan(result), (
            f"{case} returned {result!r}, but nothing is accepted here: return math.nan"
        )
    print("Exercise 2 is right.")


# --- 3. A verifier of your own --------------------------------------------------------------------

SHELLS = "Ana has 145 shells. Ana buys 3 boxes of 14 shells. How many shells does Ana have now?"
COINS = (
    "Tom has 2300 coins. Tom finds 86 more. Tom gives 4 friends 25 coins each. Tom loses 1830. "
    "How many coins does Tom have now?"
)
BOX = "\nThe answer is \\boxed{1}."
GROUNDED = [  # question, the solution without its last line, expected, what to think of
    (SHELLS, "3*14=42\n145+42=187", True, "42 is the result of an earlier equation"),
    (SHELLS, "145+42=187", False, "42 was computed in ANOTHER solution, not in this one"),
    (SHELLS, "3*14=42\n145+43=188", False, "Where is 43 from?"),
    (SHELLS, "145+42=187\n3*14=42", False, "42 is computed only after it is used"),
    (SHELLS, "145+45=190", False, "45 is only a part of the number 145: compare whole numbers"),
    (SHELLS, "14+145=159\n187-42=145", False, "187 and 42 are from nowhere"),
    (SHELLS, "3*14=42\n145-3=142\n142+42=184", True, "42 is earlier, though not the last result"),
    (SHELLS, "145+43=43", False, "A result is known only AFTER its own equation"),
    (SHELLS, "145+10=155\n155+4=159", True, "10 is one digit with a zero after it"),
    (SHELLS, "2*14=28", True, "2 is a single digit"),
    (SHELLS, "145+600=745", True, "600 is one digit with two zeros after it"),
    (SHELLS, "145+110=255", False, "110 has two digits other than zeros"),
    (SHELLS, "145+505=650", False, "505 has two digits other than zeros"),
    (SHELLS, "145+20+43=208", False, "All numbers of the left side count, not only the first two"),
    (SHELLS, "3*14=43\n145+43=188", True, "A wrong result is not the business of this verifier"),
    (SHELLS, "145+145=290", True, "A number may be used twice"),
    (SHELLS, "3*14=42\n145+42=187\n187-42=145", True, "A result may be used twice, too"),
    (SHELLS, "145+5000=5145", True, "5000 is one digit with three zeros after it"),
    (SHELLS, "145+14+3=162", True, "145, 14 and 3 are three numbers of the question"),
    (SHELLS, "145 + 14 = 159", True, "There may be spaces around a number"),
    (SHELLS, "43+145+3=191", False, "All numbers of the left side count, not only the last two"),
    (SHELLS, "145*43=6235", False, "43 is from nowhere, also in a product"),
    (SHELLS, "145/29=5", False, "29 is from nowhere, also in a division"),
    (SHELLS, "145+1200=1345", False, "1200 has two digits other than zeros"),
    (SHELLS, "I take 43 shells.\n145+43=188", False, "43 is in the text, but not a result"),
    (COINS, "2300+86=2386\n4*25=100\n2386-100=2286", True, "All of it is in the question"),
    (COINS, "2300-1830=470", True, "1830 stands in the question, in front of a full stop"),
    (COINS, "145+86=231", False, "145 is not in THIS question"),
    (COINS, "", True, "A well-formed solution without equations passes"),
]  # fmt: skip


def check_grounded(grounded_class: type) -> None:
    """Exercise 3."""
    verifier = grounded_class()
    for question in (SHELLS, COINS):
        cases = [case for case in GROUNDED if case[0] == question]
        texts = [steps + BOX for _, steps, _, _ in cases]
        found = checked_verdicts(verifier, question, [finished(text) for text in texts])
        for accepted, text, (_, _, expected, hint) in zip(found, texts, cases):
            assert accepted == expected, (
                f"this solution should {'pass' if expected else 'not pass'}. {hint}.\n"
                f"Question: {question}\n{text}"
            )
    without_box = finished("3*14=42\n145+42=187")
    cut_off = Completion("3*14=42" + BOX, [], [], "length")
    found = checked_verdicts(verifier, SHELLS, [without_box, cut_off])
    for accepted, what in zip(found, ("without a boxed answer", "that was cut off")):
        assert not accepted, f"a solution {what} is not well-formed and should not pass"
    checked_verdicts(verifier, SHELLS, [])
    print("Exercise 3 is right.")


def finished(text: str) -> Completion:
    """A solution that came to its end."""
    return Completion(text, [], [], "stop")


def checked_verdicts(verifier: Verifier, question: str, solutions: list[Completion]) -> list[bool]:
    """A verifier's verdicts, if they have the right form and cost nothing."""
    case = f"verify with {len(solutions)} solutions"
    result = call(verifier.verify, None, question, solutions, case=case)
    assert isinstance(result, tuple) and len(result) == 2, (
        f"{case}: return Verdicts(accepted, Cost()), not {type(result).__name__}"
    )
    accepted, cost = result
    assert isinstance(accepted, list) and len(accepted) == len(solutions), (
        f"{case}: there must be a list with one verdict per solution, not {accepted!r}"
    )
    strange = [each for each in accepted if not isinstance(each, bool)]
    assert not strange, f"{case}: a verdict is True or False, not {strange[:1]}"
    assert cost == Cost(), f"{case}: it calls no model, so it costs Cost(), not {cost}"
    return accepted


# --- 4. Draw until they agree ---------------------------------------------------------------------

AGREED = [  # answers, times, expected, what to think of
    (["1", "2", "1", "2"], 2, ("1", 3), "1 is the first answer that was drawn twice"),
    (["1", "1", "2", "2", "2"], 2, ("1", 2),
     "1 is drawn twice and you stop, so you cannot know the draws that would come later"),
    (["1", "2", "3", "2", "1"], 2, ("2", 4), "2 is the first answer that was drawn twice"),
    (["1", "2", "2", "2", "1"], 3, ("2", 4), "Three times, and not twice"),
    (["1", "2"], 1, ("1", 1), "The first draw is enough"),
    ([None, "4"], 1, ("4", 2),
     "A draw without an answer counts as a draw, but agrees with nothing"),
    ([None, None, "3", "3"], 2, ("3", 4),
     "A draw without an answer counts as a draw, but agrees with nothing"),
    (["1", "2", "2"], 3, ("2", 3), "They never agree, so the most frequent answer is returned"),
    (["5", "1", None], 2, ("5", 3), "Ties go to the first answer; all draws count"),
    (["2", "1", "1", "2", "3"], 3, ("2", 5), "Ties go to the first answer"),
    (["1", "2"], 2, ("1", 2), "Ties go to the first answer"),
    ([None, None, "4"], 3, ("4", 3), "They never agree, and None is not an answer"),
    (["7", "1,000", "7", "1000", "1,000", "5"], 4, ("1,000", 6),
     "1,000 and 1000 are one answer, also when you return the most frequent one"),
    (["1,000", "7", "1000", "7"], 2, ("1,000", 3),
     "1,000 and 1000 are one answer; return its first spelling"),
    ([None, None], 2, (None, 2), "There is no answer to return"),
    ([], 2, (None, 0), "Nothing was drawn"),
]  # fmt: skip


def check_until_agreed(
    until_agreed: Callable[[list[str | None], int], tuple[str | None, int]],
) -> None:
    """Exercise 4."""
    for answers, times, expected, hint in AGREED:
        case = f"until_agreed({answers}, {times})"
        result = call(until_agreed, answers, times, case=case)
        assert isinstance(result, tuple) and len(result) == 2, (
            f"{case}: return the answer and the number of draws, not {result!r}"
        )
        assert result == expected, (
            f"{case} returned {result!r}, but it should be {expected!r}. {hint}"
        )
    print("Exercise 4 is right.")


# --- 5. Better tests ------------------------------------------------------------------------------

MOST_TESTS = 5
ALWAYS_RIGHT = '''
def rotate_right(items, steps):
    """Moves to the right even for a negative number of steps."""
    if not items:
        return []
    steps = abs(steps) % len(items)
    return items[len(items) - steps :] + items[: len(items) - steps]
'''
LEFT_ALONE = '''
def rotate_right(items, steps):
    """Treats a negative number of steps as none."""
    if not items or steps < 0:
        return list(items)
    steps %= len(items)
    return items[len(items) - steps :] + items[: len(items) - steps]
'''


def check_more_tests(tests: list[dict]) -> None:
    """Exercise 5, on the task `rotate_right`."""
    task = {task.name: task for task in load_tasks()}["rotate_right"]
    check_form(tests)
    for test in tests:
        assert share_passed(task.reference, task.name, [test]) == 1, (
            f"the reference solution fails {test}: is `expected` right?"
        )
    hidden = sum(test in task.hidden for test in tests)
    assert hidden < 4, f"{hidden} of your tests are hidden tests: write your own"
    programs = {True: [task.reference], False: [task.wrong, LEFT_ALONE, ALWAYS_RIGHT]}
    for text, is_right in recorded_accepted(task):
        programs[is_right].append(extract_code(text, task.name))
    kept = {
        is_right: [code for code in each if share_passed(code, task.name, tests) == 1]
        for is_right, each in programs.items()
    }
    print(f"right programs that pass: {len(kept[True])} of {len(programs[True])}")
    print(f"wrong programs that pass: {len(kept[False])} of {len(programs[False])}")
    assert not kept[False], f"{what_is_missing(kept[False], task)} One of them:\n{kept[False][0]}"
    print("Exercise 5 is right.")


def check_form(tests: list[dict]) -> None:
    """Raise AssertionError unless there are at most MOST_TESTS tests of the right form."""
    assert isinstance(tests, list) and tests, "write at least one test into the list"
    assert len(tests) <= MOST_TESTS, f"{len(tests)} tests; at most {MOST_TESTS} are allowed"
    for test in tests:
        assert isinstance(test, dict) and test.keys() == {"args", "expected"}, (
            f'a test looks like {{"args": [items, steps], "expected": ...}}, not like {test!r}'
        )
        args = test["args"]
        is_call = isinstance(args, list) and len(args) == 2
        assert is_call and isinstance(args[0], list) and type(args[1]) is int, (
            f"`args` is a list of two things, a list of items and a number of steps, not {args!r}"
        )


def recorded_accepted(task: CodeTask) -> list[tuple[str, bool]]:
    """The recorded replies that pass a task's visible tests, and whether they are right."""
    records = load_evaluation(RECORDED_PROGRAMS).records
    (record,) = [record for record in records if record.id == f"code/{task.name}"]
    accepted = [each for each in record.completions if each["visible"] == 1]
    return [(each["text"], each["hidden"] == 1) for each in accepted]


def what_is_missing(programs: list[str], task: CodeTask) -> str:
    """What to think of, from the first kind of input on which one of these programs fails."""
    probes = {
        "The text names two kinds of `steps` that the visible tests do not try": [
            {"args": [[1, 2, 3], 4], "expected": [3, 1, 2]},
            {"args": [[1, 2], -1], "expected": [2, 1]},
        ],
        "Does any of your tests tell a step to the left from one to the right?": [
            {"args": [[1, 2, 3], -1], "expected": [2, 3, 1]}
        ],
        "Your `steps` are varied enough. Now vary `items`: which lists may a caller pass?": [
            {"args": [[], 3], "expected": []}
        ],
    }
    count = f"{len(programs)} wrong programs pass all of your tests."
    for hint, tests in probes.items():
        if any(share_passed(code, task.name, tests) < 1 for code in programs):
            return f"{count} {hint}{'' if hint.endswith('?') else '.'}"
    return count


# --- 6. What to answer when nothing was accepted --------------------------------------------------

MOST_PROBLEMS, MOST_SAMPLES, MOST_VARIANTS = 40, 8, 4


def rejected(answer: str | None, reward: float, is_right: bool = False) -> Sample:
    """A sample that a verifier rejected."""
    return Sample("", answer, is_right, 5, "stop", {"reward": reward})


FALLBACKS = [  # (answer, reward) of each sample, expected, what to think of
    ([("7", 0.02)], "7", "There is only one answer, however low its reward"),
    ([("1", 0.1), ("2", 0.6)], "2", "The reward of 2 is higher"),
    ([("2", 0.6), ("1", 0.1)], "2", "The reward of 2 is higher, wherever it stands"),
    ([("1", 0.6), ("2", 0.1)], "1", "The reward of 1 is higher"),
    ([("1", 0.05), ("1", 0.1), ("2", 0.7)], "2",
     "Twice a low reward is less than once a high one: the plain vote is not enough"),
    ([("1", 0.1), ("2", 0.6), ("2", 0.7)], "2", "2 has more votes and higher rewards"),
    ([("1", 0.5), ("2", 0.6), ("2", 0.6)], "2", "2 has more votes and higher rewards"),
    ([("2", 0.7), ("1", 0.3), ("2", 0.2)], "2",
     "2 has more votes, and its highest and its mean reward are higher"),
    ([("2", 0.2), ("1", 0.3), ("2", 0.7)], "2",
     "2 has more votes, and its highest and its mean reward are higher"),
    ([("1", 0.2), ("2", 0.4), ("2", 0.45)], "2", "Low rewards differ, too: do not round them"),
    ([(None, 0.9), ("4", 0.2)], "4", "A sample without an answer cannot answer"),
    ([("5", 0.0), ("5", 0.0)], "5", "A reward can be 0"),
    ([(None, 0.3)], None, "There is no answer to return"),
    ([], None, "There is no answer to return"),
]  # fmt: skip


def check_fallback(fallback: Choose) -> None:
    """Exercise 6: what every reasonable fallback does that uses the rewards."""
    for pairs, expected, hint in FALLBACKS:
        case = f"rejected samples (answer, reward) {pairs}"
        for graded in ("none", "all", "1", "2"):  # the grades must not change anything
            samples = [rejected(a, r, graded in ("all", a)) for a, r in pairs]
            result = call(fallback, samples, case=case, returns_none=True)
            if graded != "none" and result != expected:
                raise AssertionError(f"{case}: the answer changes with the grade, is_right")
            assert result is not None or expected is None, (
                f"{case}: your function returned None. Is a `return` missing? {hint}"
            )
            assert result == expected, (
                f"{case} gave {result!r}, but it should be {expected!r}. {hint}"
            )
    print("Exercise 6 is right so far: now compare it with the vote.")


def compare_fallbacks(
    pool: list[PooledProblem], verifier: Verifier, fallbacks: Sequence[Choose]
) -> None:
    """Print how often the vote and other fallbacks are right, where nothing is accepted.

    A fallback is given the samples without their grades and texts. Differences to the vote are
    paired, with their 95% intervals, on these problems only. Raises AssertionError beyond the
    exercise's budget.
    """
    samples = max(len(problem.samples) for problem in pool)
    assert len(pool) <= MOST_PROBLEMS and samples <= MOST_SAMPLES, (
        f"{len(pool)} problems with {samples} samples each; the budget is {MOST_PROBLEMS} with "
        f"{MOST_SAMPLES}"
    )
    assert len(fallbacks) <= MOST_VARIANTS, (
        f"{len(fallbacks)} variants; at most {MOST_VARIANTS}, since the best of many wins by luck"
    )
    used = [problem for problem, flags in zip(pool, verdicts(pool, verifier)) if not any(flags)]
    print(f"{verifier.name}: nothing accepted on {len(used)} of {len(pool)} problems")
    if not used:
        return
    vote = rights(used, majority)
    print(f"  {'the vote':<18} right on {sum(vote):.0f} of {len(used)}")
    for fallback in fallbacks:
        right = rights(used, fallback)
        gain, low, high = (100 * each for each in paired_difference(right, vote))
        print(f"  {fallback.__name__:<18} right on {sum(right):.0f} of {len(used)}", end="")
        print(f"   {gain:+.1f} points [{low:+.1f}, {high:+.1f}] against the vote")


def rights(problems: list[PooledProblem], choose: Choose) -> list[float]:
    """For each problem 1 or 0: whether the answer is right that is chosen from ungraded samples."""
    ungraded = [
        [replace(sample, text="", is_right=False) for sample in p.samples] for p in problems
    ]
    return [float(is_right_answer(choose(samples), p)) for p, samples in zip(problems, ungraded)]
