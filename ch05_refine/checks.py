"""The checks of the exercises in `exercises.ipynb`.

    check_where_it_ends(where_it_ends)    prints that all is well, or stops and says why

Every check uses small inputs that were worked out by hand, and no model. Each message names the
input, the result and, for well-known mistakes, what to look for.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ch05_refine.metered import Metered, Rule, check_read, is_right_by
from ch05_refine.outcomes import draft_after
from shared.evaluation.exercise_checks import call, check_number
from shared.evaluation.pool import PooledProblem, Sample
from shared.text.prompts import ALL_RIGHT

# --- 1. Where it ends -----------------------------------------------------------------------------

ENDS = [  # kept, broken, repaired, unrepaired, expected, what to think of
    (83, 102, 47, 168, 47 / 215 / (102 / 185 + 47 / 215), "1 - k is 102/185, r is 47/215"),
    (50, 50, 20, 80, 2 / 7, "1 - k is 0.5, r is 0.2: 0.2 / 0.7"),
    (95, 5, 1, 9, 2 / 3, "1 - k is 0.05, r is 0.1: shares of *their* drafts, not of all"),
    (10, 30, 1, 3, 0.25, "1 - k is 0.75, r is 0.25: 0.25 / 1"),
    (199, 1, 1, 49, 0.8, "1 - k is 0.005, r is 0.02: after many rounds, not after a few"),
    (
        10,
        30,
        0,
        4,
        0.0,
        "Nothing is repaired, so in the end all is broken. 0 is a result, not None",
    ),
    (40, 0, 1, 3, 1.0, "Nothing is broken, so in the end all is repaired"),
    (0, 7, 3, 1, 3 / 7, "1 - k is 1, r is 0.75: 0.75 / 1.75"),
    (5, 5, 4, 0, 2 / 3, "1 - k is 0.5, r is 1: 1 / 1.5"),
    (40, 0, 0, 4, None, "Nothing ever changes, so there is no accuracy that it goes to: None"),
    (0, 0, 3, 1, None, "Without right drafts there is no share k: None"),
    (3, 1, 0, 0, None, "Without wrong drafts there is no share r: None"),
    (0, 0, 0, 0, None, "Without drafts there are no shares: None"),
]


def check_where_it_ends(where_it_ends: Callable[[dict[str, int]], float | None]) -> None:
    """Exercise 1."""
    for *numbers, expected, hint in ENDS:
        counts = dict(zip(("kept", "broken", "repaired", "unrepaired"), numbers))
        case = f"where_it_ends({counts})"
        result = call(where_it_ends, counts, case=case, returns_none=True)
        if expected is None:
            assert result is None, f"{case} returned {result!r}, but it should be None. {hint}"
            continue
        assert result is not None, (
            f"{case} returned None, but it should be {expected:.4f}. {hint}. "
            "If you never get a number: is a `return` missing?"
        )
        value = check_number(result, case)
        assert abs(value - expected) < 1e-6, (
            f"{case} returned {value:.6f}, but it should be {expected:.6f}. {hint}"
        )
    print("Exercise 1 is right.")


# --- 2. Which step does it mean? ------------------------------------------------------------------

REAL, MADE = "A real Qwen wrote this", "Made up"
NAMED = [  # critique, step, where it is from, what to think of
    ("Step 1: 5 x 10 = 50.\nTherefore, the step that is wrong is \\(\\boxed{3}\\).", 3, REAL,
     "The step may stand in a box, without the word"),
    ("Since the total is 12, the step that is wrong is:\n\n\\[\n\\boxed{\\text{Step 4}}\n\\]", 4,
     REAL, "A line break and TeX may stand between the verdict and the step"),
    ("The number left is 10, not 19. Therefore, the step that is wrong is step 4.", 4, REAL,
     "Only a number that is called wrong counts"),
    ("This means that one of the steps is incorrect.\n\nTherefore, the wrong step is "
     "\\(\\boxed{\\text{Step 3}}\\).", 3, REAL,
     "'the wrong step is' says the same in another order"),
    ("Therefore, the incorrect step is step 2. The", 2, REAL,
     "'incorrect' is another word for wrong"),
    ("Therefore, the step that is wrong is \\boxed{Step 5}.", 5, REAL, "TeX comes in many forms"),
    ("Therefore, the step that was wrong is \\(\\boxed{4}\\).", 4, REAL, "'was' or 'is'"),
    ("Therefore, the wrong step is:\n\\[ \\boxed{\\text{Step 1}} \\]", 1, REAL,
     "A line break and TeX may stand between the verdict and the step"),
    ("To determine which step is wrong, let's go on.\n1. There are 9 people.\n\\boxed{351}", None,
     REAL, "That repeats the question; it names no step"),
    ("The step that is wrong is:\n\n\\[\n\\boxed{338}\n\\]", None, REAL,
     "338 is a result: a step has one digit"),
    ("Therefore, the step that was wrong is:\n\\boxed{2.67}", None, REAL,
     "2.67 is a result, not step 2"),
    ("Since the result is correct, the step that is wrong is step 4.\n\nThe final answer is 7.", 4,
     REAL, "What follows the verdict is no step"),
    ("Therefore, the wrong step is the one where the cost is added. The final answer is 7.", None,
     REAL, "It names no number: the 7 belongs to another sentence"),
    ("Step 1 is fine. Step 2 is incorrect, for 3 times 4 is 12.", 2, MADE, "'Step N is incorrect'"),
    ("I checked Step 1, Step 2 and Step 3. Step 2 is wrong.", 2, MADE,
     "The steps that it goes through are not meant"),
    ("Is step 1 wrong? No. STEP 6 IS WRONG.", 6, MADE, "Capital letters do not matter"),
    ("Step 4 is wrong? No, I checked it.", None, MADE, "That is a question, not a verdict"),
    ("Step 2 is wrong. No, wait: the wrong step is step 3.", 3, MADE,
     "It corrects itself: the last verdict counts"),
    ("The wrong step is step 5. No, wait: step 1 is incorrect.", 1, MADE,
     "It corrects itself: the last verdict counts, whichever form it has"),
    ("Step 1 is wrong. No, that is fine. Step 3 is wrong.", 3, MADE,
     "It corrects itself: the last verdict counts, also of two in the same form"),
    ("The wrong step is step 2. No, wait: the wrong step is step 4.", 4, MADE,
     "It corrects itself: the last verdict counts, also of two in the same form"),
    ("So the step that is incorrect is step 2.", 2, MADE,
     "'incorrect' is another word for wrong, in each of the three forms"),
    ("Step 4 was wrong.", 4, MADE, "'was' or 'is', in each of the three forms"),
    ("The wrong step was step 5.", 5, MADE, "'was' or 'is', in each of the three forms"),
    ("The wrong step is \\(\\boxed{338}\\).", None, MADE, "338 is a result: a step has one digit"),
    ("Step 12 is wrong.", None, MADE, "A step has one digit, so 12 is none"),
    ("Every step is fine; only the result 8 is wrong.", None, MADE, "The 8 is a result"),
    ("Step 2 is not wrong.", None, MADE, "It says the opposite"),
    ("All steps are right.", None, MADE, "It names none"),
    ("Step 3 is correct.", None, MADE, "It praises step 3"),
    ("Step 3 is right and the answer 8 is wrong.", None, MADE, "The answer is wrong, not step 3"),
    ("", None, MADE, "An empty critique names no step"),
]  # fmt: skip


def check_named_step(named_step: Callable[[str], int | None]) -> None:
    """Exercise 2."""
    for critique, expected, source, hint in NAMED:
        case = f"named_step({critique!r})"
        result = call(named_step, critique, case=case, returns_none=True)
        assert not isinstance(result, str), f"{case} returned {result!r}: return an int, not a text"
        assert result == expected and not isinstance(result, bool), (
            f"{case} returned {result!r}, but it should be {expected}. ({source}.) {hint}"
        )
    print("Exercise 2 is right.")


# --- 3. A gate with a margin ----------------------------------------------------------------------


def text(is_right: bool, tokens: int = 10, **scores: float) -> Sample:
    """A solution with its scores by the name of the gate."""
    measures = {"logprob": -1.0} | {name: float(score) for name, score in scores.items()}
    return Sample("", "1" if is_right else "2", is_right, tokens, "stop", measures)


def one_round(draft: Sample, revision: Sample | None) -> PooledProblem:
    """A record of one ungated round; no revision: the critique found nothing."""
    critique = Sample("?", None, False, 3, "stop", {"logprob": -1.0})
    first = {"way": "ungated", "round": 0, "accepted": True, "critique": None, "solution": 0}
    second = {"way": "ungated", "round": 1, "critique": 1}
    second |= {"accepted": revision is not None, "solution": 2 if revision else None}
    texts = [draft, critique, *([revision] if revision else [])]
    return PooledProblem("?", "1", 10, texts, [first, second])


def paired(draft: float, revision: float | None, **other: tuple[float, float]) -> PooledProblem:
    """A right draft and a wrong revision with these rewards, and with scores of other gates."""
    drafts, revisions = ({name: pair[i] for name, pair in other.items()} for i in (0, 1))
    first = text(True, reward=draft, **drafts)
    return one_round(first, None if revision is None else text(False, reward=revision, **revisions))


def repaired(draft: float, revision: float) -> PooledProblem:
    """A wrong draft and a right revision with these rewards."""
    return one_round(text(False, reward=draft), text(True, reward=revision))


def with_samples(problem: PooledProblem, answers: str, rewards: list[float]) -> PooledProblem:
    """The same problem with independent samples of 28 tokens; answer "1" is right."""
    samples = [
        Sample("", answer, answer == "1", 28, "stop", {"logprob": -1.0, "reward": reward})
        for answer, reward in zip(answers, rewards)
    ]
    numbers = list(range(len(problem.samples), len(problem.samples) + len(samples)))
    trace = [*problem.trace, {"samples": numbers}]
    return PooledProblem("?", "1", 10, [*problem.samples, *samples], trace)


def with_second_round(problem: PooledProblem, revision: Sample) -> PooledProblem:
    """The same problem with one more revision, which was accepted."""
    texts = [*problem.samples, revision]
    third = problem.trace[-1] | {"round": 2, "accepted": True, "solution": len(texts) - 1}
    return PooledProblem("?", "1", 10, texts, [*problem.trace, third])


MARGINS = [  # problems, gate, margin, expected, what to think of
    ([paired(0.5, 0.75), paired(0.75, 0.5), repaired(0.5, 0.75), repaired(0.75, 0.5)], "reward", 0,
     [False, True, True, False], "Margin 0: accept what scores no less, right or not"),
    ([paired(0.5, 0.5), repaired(0.5, 0.5)], "reward", 0, [False, True],
     "At least: a tie is accepted"),
    ([paired(0.504, 0.501), repaired(0.504, 0.501)], "reward", 0, [True, False],
     "0.501 is less than 0.504. Do not round the scores"),
    ([paired(0.5, 0.625), repaired(0.5, 0.875), repaired(0.125, 0.1875)], "reward", 0.25,
     [True, True, False],
     "The bar of the first is 0.5 + 0.25 = 0.75: add the margin, do not multiply by it"),
    ([paired(0.5, 0.75), repaired(0.5, 0.75), paired(0.5, 0.7)], "reward", 0.25,
     [False, True, True], "0.75 is exactly 0.5 + 0.25, and that is enough; 0.7 is not"),
    ([paired(-4, -3), paired(-4, -5), repaired(-4, -3)], "reward", 0.5, [False, True, True],
     "Scores may be negative: -3 is more than -4 + 0.5"),
    ([paired(0.5, 0.4), paired(0.5, 0.2), paired(0.5, 0.25)], "reward", -0.25,
     [False, True, False], "A negative margin accepts revisions that score a little lower"),
    ([paired(0.5, None), paired(0.75, 0.8)], "reward", 9, [True, True],
     "Without a revision the draft stays; one answer per problem"),
    ([paired(0.5, None), repaired(0.75, 0.1)], "reward", -9, [True, True],
     "Without a revision the draft stays"),
    ([with_samples(paired(0.5, None), "21", [0.9, 0.1]), with_samples(paired(0.5, 0.4), "1", [0])],
     "reward", -0.2, [True, False],
     "There are independent samples in the record too; `draft_after` knows which one is the draft"),
    ([with_second_round(paired(0.5, 0.75), text(True, reward=0.9))], "reward", 0, [False],
     "Only one round: `draft_after(problem, 'ungated', 1)`"),
    ([paired(0.5, 0.75, judge=(0.9, 0.1)), paired(0.75, 0.5, judge=(0.1, 0.9))], "judge", 0,
     [True, False], "Use the scores of the gate that is asked for"),
    ([paired(0.5, 0.75, likelihood=(0.1, 0.9), logprob=(-1, -20))], "likelihood", 0, [True],
     "Use `score_of`: the likelihood is computed from the log-probability"),
    ([], "reward", 0, [], "Without problems there are no answers"),
]  # fmt: skip


def check_replayed(replayed: Callable[[list[PooledProblem], str, float], list[bool]]) -> None:
    """Exercise 3."""
    for pool, gate, margin, expected, hint in MARGINS:
        pairs = [[draft_after(p, "ungated", rounds) for rounds in (0, 1)] for p in pool]
        rewards = [[solution.measures.get(gate) for solution in pair] for pair in pairs]
        case = f"replayed with {gate}, margin {margin}, on pairs of draft and revision {rewards}"
        result = call(replayed, pool, gate, margin, case=case)
        is_list = isinstance(result, list) and all(isinstance(each, bool) for each in result)
        assert is_list and len(result) == len(pool), (
            f"{case}: return a list with one bool per problem, not {result!r}"
        )
        assert result == expected, f"{case} returned {result}, but it should be {expected}. {hint}"
    print("Exercise 3 is right.")


# --- 4. A complaint about another step ------------------------------------------------------------

PLAN, END = "Plan: in order.", "The answer is \\boxed{287}."
STEPS = ["3*14=42", "245+42=287", "287-28=259", "259+28=287"]
DRAFT = "\n".join([PLAN, *STEPS, END])
TWICE = "\n".join([PLAN, "2*5=10", "10+7=17", "2*5=10", "17+10=27", END])
SAYS = "This step is wrong: "
SLIPS = ["2*50=100", "2*50=1000", "12*50=100", "100+7=107"]
SLIPPED = "\n".join([PLAN, *SLIPS, END])
CUT = "\n".join(["We go in order: 3*14=42", "42+5=47", "47-2=45", "45+"])
VAGUE = "Some step is wrong."
COMPLAINTS = [  # draft, critique, the steps to draw from, what to think of
    *((DRAFT, SAYS + step, [other for other in STEPS if other != step],
       "Draw from all lines but the first, the last and the one that the critique names")
      for step in STEPS),
    (TWICE, SAYS + "2*5=10", ["10+7=17", "17+10=27"],
     "Leave out every line that equals the one that the critique names"),
    (DRAFT, SAYS + "9*9=81", STEPS, "The critique names no line of the draft: all steps remain"),
    (DRAFT, "Something is wrong here.", STEPS, "It names no line of the draft: all steps remain"),
    (DRAFT, SAYS + "42=287", STEPS,
     "'42=287' is only a part of a line: compare whole lines"),
    *((SLIPPED, SAYS + step, [other for other in SLIPS if other != step],
       "Two lines may look alike, and one may be a part of the other: compare whole lines")
      for step in SLIPS),
    (DRAFT, "Not all steps are correct.", STEPS, "That is a complaint. Use `finds_nothing`"),
    (CUT, SAYS + "9*9=81", ["42+5=47", "47-2=45"],
     "The first and the last line are left out, whatever they say"),
    (DRAFT, SAYS + PLAN, STEPS, "The first and the last line are never drawn"),
    ("\n".join([PLAN, "3*14=42", "So 42 pens.", "42+1=43", END]), SAYS + "42+1=43",
     ["3*14=42", "So 42 pens."], "A line without an equation is also a step"),
    ("\n".join([PLAN, "3*14=42", END]), SAYS + "3*14=42", [], "No other step is left"),
    (f"{PLAN}\n{END}", SAYS + PLAN, [], "A draft without steps"),
    ("57", SAYS + "57", [], "A draft of one line has no steps"),
    ("", SAYS, [], "An empty draft has no steps"),
]  # fmt: skip


def check_other_complaint(other_complaint: Callable[[str, str], str]) -> None:
    """Exercise 4."""
    praise = (
        "There are no mistakes in the solution.",
        "I checked it. All of the steps are correct.",
    )
    for content in (ALL_RIGHT, *praise):
        result = complaint_of(other_complaint, DRAFT, content)
        assert result == content, (
            f"the critique {content!r} finds nothing, so it must come back as it is, not {result!r}"
        )
    for draft, critique, steps, hint in COMPLAINTS:
        results = []
        for variant in range(8 if steps else 1):  # another plan, so another draw
            this = draft.replace("in order", f"in order {variant}") if variant else draft
            named = critique.replace("in order", f"in order {variant}") if variant else critique
            result = complaint_of(other_complaint, this, named)
            case = f"other_complaint({this!r}, {named!r}) returned {result!r}"
            if not steps:
                assert result == VAGUE, f"{case}, but it should be {VAGUE!r}. {hint}"
                continue
            assert result in [SAYS + step for step in steps], (
                f"{case}. It should be {SAYS!r} and then one of {steps}. {hint}"
            )
            results.append((this, result))
        for this, result in results:
            drawn = random.Random(this).choice(steps)
            assert result == SAYS + drawn, (
                f"other_complaint({this!r}, ...) returned {result!r}, but "
                f"random.Random(draft).choice({steps}) is {drawn!r}. Seed with the draft itself, "
                f"and keep the order of the steps. {hint}"
            )
    print("Exercise 4 is right.")


def complaint_of(other_complaint: Callable[[str, str], str], draft: str, critique: str) -> str:
    """The complaint, which must be a text and must not move Python's global random state."""
    case = f"other_complaint({draft!r}, {critique!r})"
    before = random.getstate()
    result = call(other_complaint, draft, critique, case=case)
    is_moved = random.getstate() != before
    random.setstate(before)
    assert not is_moved, (
        f"{case} changes Python's global random state, on which other code may depend. "
        "Draw with a generator of your own: random.Random(draft)"
    )
    assert isinstance(result, str), f"{case} returned {result!r}: return the text of a critique"
    return result


# --- 5. When to stop ------------------------------------------------------------------------------

Turn = tuple[float, bool, bool, int]  # score, whether it is right, whether accepted, tokens


def many_rounds(draft: Turn, *revisions: Turn) -> PooledProblem:
    """Records of the way "reward, no stop"; each critique has 3 tokens."""
    way = {"way": "reward, no stop"}
    texts = [text(draft[1], draft[3], reward=draft[0])]
    trace = [way | {"round": 0, "accepted": True, "critique": None, "solution": 0}]
    for number, (score, is_right, accepted, tokens) in enumerate(revisions, 1):
        texts += [Sample("?", None, False, 3, "stop", {}), text(is_right, tokens, reward=score)]
        entry = {"round": number, "accepted": accepted, "critique": len(texts) - 2}
        trace.append(way | entry | {"solution": len(texts) - 1})
    return PooledProblem("?", "1", 10, texts, trace)


RISING = many_rounds(
    (0.3, False, True, 10), (0.6, True, True, 20), (0.5, False, False, 30), (0.9, False, True, 40)
)
REFUSED = many_rounds(
    (0.5, True, True, 100), (0.2, False, False, 7), (0.5, False, True, 8), (0.4, True, False, 9)
)
TOKENS = "Count the draft, and critique and revision of every round until then, accepted or not"
STOPPED = [  # problem, enough, rounds, expected, what to think of
    (RISING, 0.0, 3, (False, 10), "Every score is enough: the draft itself"),
    (RISING, 0.3, 3, (False, 10), "A score that is just enough is enough"),
    (RISING, 0.4, 3, (True, 33), f"The first revision is enough. {TOKENS}"),
    (RISING, 0.6, 3, (True, 33), "A score that is just enough is enough, in the middle too"),
    (RISING, 0.7, 3, (False, 109), f"Only the third revision is enough. {TOKENS}"),
    (RISING, 1.1, 3, (False, 109), "Nothing is enough: the draft that is held after all rounds"),
    (REFUSED, 0.6, 3, (False, 133), "The third revision was refused: right or not does not count"),
    (RISING, 1.1, 2, (True, 66), "`rounds` says how many rounds there are at most"),
    (RISING, 1.1, 1, (True, 33), "`rounds` says how many rounds there are at most"),
    (RISING, 0.9, 0, (False, 10), "0 rounds are the draft alone"),
    (REFUSED, 0.5, 3, (True, 100), "A score that is just enough is enough"),
    (REFUSED, 0.6, 1, (True, 110), "The revision was refused, so the draft is held; it costs 10"),
    (REFUSED, 0.6, 2, (False, 121), "The second revision was accepted, and it is wrong"),
]


def check_stopped(stopped: Callable[..., tuple[bool, int]]) -> None:
    """Exercise 5."""
    for problem, enough, rounds, expected, hint in STOPPED:
        scores = [s.measures["reward"] for s in problem.samples if "reward" in s.measures]
        fates = ["accepted" if entry["accepted"] else "refused" for entry in problem.trace]
        case = f"stopped with enough={enough}, rounds={rounds}, on scores {scores} ({fates})"
        result = call(stopped, problem, enough, case=case, rounds=rounds)
        is_pair = isinstance(result, tuple | list) and len(result) == 2
        assert is_pair, f"{case}: return a pair, is_right and tokens, not {result!r}"
        assert tuple(result) == expected, (
            f"{case} returned {tuple(result)}, but it should be {expected}. {hint}"
        )
    case = "stopped(problem, 1.1) without `rounds`"
    result = call(stopped, RISING, 1.1, case=case)
    assert tuple(result) == (False, 109), f"{case} returned {result}, not (False, 109): 3 rounds"
    print("Exercise 5 is right.")


# --- 6. An open budget ----------------------------------------------------------------------------


TOY = [
    with_samples(
        one_round(text(True, 40, reward=0.9), text(False, 34, reward=0.1)),
        "1231",
        [0.8, 0.2, 0.1, 0.7],
    ),
    with_samples(
        one_round(text(False, 40, reward=0.2), text(True, 34, reward=0.7)),
        "2115",
        [0.3, 0.9, 0.9, 0.1],
    ),
    with_samples(one_round(text(True, 40, reward=0.6), None), "6178", [0.2, 0.8, 0.3, 0.1]),
]


def check_combined(combined: Rule, pool: list[PooledProblem], budget: float) -> None:
    """Exercise 6: the rule reads no more than the budget, and answers from what it has read."""
    for problem in TOY:
        answers = [answer_by(combined, problem) for _ in range(2)]
        assert answers[0] is not None, (
            "combined returned None on a problem whose texts all have an answer. "
            "Is a `return` missing?"
        )
        assert answers[0] == answers[1], (
            f"combined answers {answers[0]!r} and then {answers[1]!r} on the same problem: "
            "seed what you draw, and keep nothing between problems"
        )
    is_right_by(combined, pool, budget)
    print("Exercise 6 keeps to the rules; whether it is any good, the table says.")


def answer_by(rule: Rule, problem: PooledProblem) -> str | None:
    """The rule's answer to a problem. Raises AssertionError if it stops, or breaks the rules."""
    metered = Metered(problem)
    try:
        answer = rule(metered)
    except NotImplementedError:
        raise AssertionError(
            f"{rule.__name__} is not written yet: replace `raise NotImplementedError`"
        ) from None
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(
            f"{rule.__name__} stopped with {kind}: {error}. See what `Metered` offers"
        ) from error
    check_read(rule, metered, answer)
    return answer
