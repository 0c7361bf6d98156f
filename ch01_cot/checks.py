r"""The checks of this chapter's exercises (`exercises.ipynb`).

    check_needed_step(needed_step)    prints that all is well, or stops and says what is wrong

Every check works on small inputs made by hand, with a scripted model instead of a real one. It
raises nothing but AssertionError, and its message names the input, the result and what to look for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from unittest.mock import patch

from ch01_cot.scripted_model import ScriptedModel, check_continued
from shared.evaluation.exercise_checks import call, check_number
from shared.grading.answers import normalize_answer

# --- 1. How good must a step be? ------------------------------------------------------------------


def check_needed_step(needed_step: Callable[[float, int], float]) -> None:
    """Exercise 1."""
    for target, k, expected, hint in [
        (0.5, 1, 0.5, "with one step, the step is the whole chain"),
        (0.25, 2, 0.5, "two steps of 0.5 are both right with 0.5 * 0.5 = 0.25"),
        (0.125, 3, 0.5, "0.5 * 0.5 * 0.5 = 0.125. Mind the brackets: `x ** 1 / k` is (x ** 1) / k"),
        (0.81, 2, 0.9, "use the target that is given"),
        (1.0, 7, 1.0, "a chain that is always right needs steps that are always right"),
        (0.0, 5, 0.0, "a chain that is never right needs no right step, and no logarithm of 0"),
    ]:
        case = f"needed_step({target}, {k})"
        result = call(needed_step, target, k, case=f"{case} [{hint}]" if target == 0 else case)
        value = check_number(result, case)
        assert abs(value - expected) < 1e-9, (
            f"{case} returned {value:.6g}, but it should be {expected}: {hint}"
        )
    for target, k in [(0.5, 30), (0.9, 100), (0.1, 12)]:
        case = f"needed_step({target}, {k})"
        value = check_number(call(needed_step, target, k, case=case), case)
        assert abs(value**k - target) < 1e-9, (
            f"{case} returned {value:.6g}, and {k} such steps are all right with {value**k:.4f}, "
            f"not with {target}. Do not round, and do not replace the power by a product"
        )
    print("Exercise 1 is right.")


# --- 2. Is the difference real? -------------------------------------------------------------------

WILSONS = [  # right, total, low, high, what to think of
    (5, 10, 0.2366, 0.7634, "the simpler s ± z * sqrt(s(1-s)/n) begins at 0.1901. "
     "Wilson's formula adds a term to each part and divides all by 1 + z²/n"),
    (12, 20, 0.3866, 0.7812, "its center is not 12/20, but lies nearer to 0.5: the + z²/2n"),
    (0, 10, 0.0, 0.2775, "0 of 10 does not prove that the accuracy is 0, so the interval has a "
     "width. The center is s + z²/2n, divided by 1 + z²/n"),
    (10, 10, 0.7225, 1.0, "10 of 10 does not prove that the accuracy is 1"),
    (1, 1, 0.2065, 1.0, "one problem tells little"),
    (216, 400, 0.4910, 0.5882, "the chain of thought of section 4: 216 of 400"),
]  # fmt: skip


def check_wilson(wilson: Callable[[int, int], tuple[float, float]]) -> None:
    """Exercise 2, first half."""
    for right, total, low, high, hint in WILSONS:
        case = f"wilson({right}, {total})"
        result = call(wilson, right, total, case=f"{case} [{hint}]")
        assert isinstance(result, tuple | list) and len(result) == 2, (
            f"{case}: return two numbers, low and high, not {result!r}"
        )
        for name, value, expected in zip(("low", "high"), result, (low, high)):
            value = check_number(value, f"{case}, {name} end")
            assert abs(value - expected) < 2e-4, (
                f"{case}: the {name} end is {value:.4f}, but it should be {expected:.4f}: {hint}. "
                "Use z = 1.96, and shares, not percentages"
            )
    print("wilson is right.")


PAIRS = [  # verdicts of a, verdicts of b, difference, half the width, what to think of
    ("1110", "1000", 0.50, 0.5658, "the differences are 0, 1, 1, 0: their mean is 0.5, and their "
     "standard deviation divides by n - 1 = 3"),
    ("1000", "1110", -0.50, 0.5658, "a minus b, so the sign is negative here"),
    ("1101", "1101", 0.0, 0.0, "no problem tells a from b, so every difference is 0"),
    ("10", "01", 0.0, 1.9600, "the differences are 1 and -1. Compare problem by problem: sorting "
     "or counting loses the pairs"),
    ("11110000", "11110001", -0.125, 0.2450, "they agree on seven of eight problems: "
     "count all eight, also those on which they agree"),
    ("11110000", "00001110", 0.125, 0.6867, "a and b solve different problems, so the interval is "
     "wide: the differences are 1, 1, 1, 1, -1, -1, -1, 0"),
]  # fmt: skip


def check_paired(paired: Callable[[list[bool], list[bool]], tuple[float, float, float]]) -> None:
    """Exercise 2, second half."""
    for a, b, difference, half, hint in PAIRS:
        verdicts = [[verdict == "1" for verdict in text] for text in (a, b)]
        case = f"paired(a, b) with a = {a}, b = {b} (1: right, 0: wrong)"
        result = call(paired, *verdicts, case=f"{case} [{hint}]")
        assert isinstance(result, tuple | list) and len(result) == 3, (
            f"{case}: return three numbers, difference, low and high, not {result!r}"
        )
        expected = (difference, difference - half, difference + half)
        for name, value, right in zip(("difference", "low end", "high end"), result, expected):
            value = check_number(value, f"{case}, {name}")
            assert abs(value - right) < 2e-4, (
                f"{case}: the {name} is {value:.4f}, but it should be {right:.4f}: {hint}"
            )
    print("Exercise 2 is right.")


# --- 3. What does a step cost? --------------------------------------------------------------------


def check_num_equations(num_equations: Callable[[str], int]) -> None:
    """Exercise 3, first half."""
    for text, expected, hint in [
        ("Plan: in order.\n1+2=3\n3*4=12\nThe answer is \\boxed{12}.", 2, "the plan and the last "
         "line are no equations"),
        ("", 0, "an empty text has no equations"),
        ("The answer is \\boxed{7}.", 0, "this line has no equals sign"),
        ("1+2=3", 1, "a single line counts, with or without a line break after it"),
        ("1+2=3\n", 1, "nothing follows the line break"),
        ("3+4=7=7\n1+1=2", 2, "count lines, not equals signs"),
        ("1+1=2\n1+1=2\n1+1=2", 3, "a line that is repeated counts each time"),
        ("So x = 5.\n2 * 3 = 6", 2, "spaces and words may stand beside the equals sign"),
        ("(1+2)=3\n12+5=", 2, "any line with an `=` counts, whatever stands on either side"),
        ("x=1 and y=2", 1, "count lines, not words"),
        ("Plan: n=2\nThe answer = 5", 2, "any line with an `=` counts, also the first and last"),
    ]:  # fmt: skip
        case = f"num_equations({text!r})"
        value = check_number(call(num_equations, text, case=case), case)
        assert value == expected, f"{case} returned {value:g}, but it should be {expected}: {hint}"
    print("num_equations is right.")


def check_tokens_per_equation(
    tokens_per_equation: Callable[[list[str], list[int]], float | None],
) -> None:
    """Exercise 3, second half."""
    for texts, tokens, expected, hint in [
        (["1+1=2"], [8], 8.0, "eight tokens, one equation"),
        (["1+1=2\n2+2=4"], [9], 4.5, "the price need not be a whole number: divide with /"),
        (["1+1=2\n2+2=4\n4+4=8", "1+1=2"], [12, 20], 8.0, "32 tokens for 4 equations: add up "
         "first, then divide. The mean of 12/3 and 20/1 is something else"),
        (["no steps", "1+1=2"], [6, 10], 16.0, "a text without equations still costs its tokens"),
        (["1+1=2", "no steps"], [6, 10], 16.0, "count every text, to the last"),
        (["no steps"], [6], None, "without an equation there is no price: return None"),
        ([], [], None, "without any text there is no price: return None"),
        (["1+1=2=2"], [6], 6.0, "one line is one equation, however many `=` it has"),
        (["1+1=2\n1+1=2", "1+1=2"], [6, 6], 4.0, "a line that is repeated counts each time"),
        (["Plan.\n1+1=2\nThe answer is 2."], [9], 9.0, "only lines with an `=` are equations"),
        (["1+1=2", "1+1=2"], [8, 8], 8.0, "two solutions may have the same text"),
        (["1+1=2", "1+2=3", "1+3=4"], [1, 2, 9], 4.0, "12 tokens, 3 equations: add all tokens up"),
        (["1+1=2\n2+2=4\n4+4=8"], [10], 10 / 3, "do not round"),
        (["1+1=2"], [0], 0.0, "a price of 0 is a price; None is for texts without equations"),
    ]:  # fmt: skip
        case = f"tokens_per_equation({texts!r}, {tokens!r})"
        result = call(
            tokens_per_equation, texts, tokens, case=f"{case} [{hint}]", returns_none=True
        )
        assert result is not None or expected is None, (
            f"{case}: your function returned None. Is a `return` missing? {hint}"
        )
        value = result if result is None else check_number(result, case)
        agrees = value == expected or None not in (value, expected) and abs(value - expected) < 1e-9
        assert agrees, f"{case} returned {value}, but it should be {expected}: {hint}"
    print("Exercise 3 is right.")


# --- 4. Which equation is false? ------------------------------------------------------------------

EXACT = "compare exactly: 7/2 is neither 3 nor 4, so do not round and do not use //"
ZERO = "dividing by zero has no result, so the line does not hold; catch it before you divide"
FORM = "the form must match the whole line (fullmatch): number, sign, number, =, number"
SLIPS = [  # text, the first false line, what to think of
    ("1+2=3", None, "1+2 is 3"),
    ("1+2=4", "1+2=4", "1+2 is not 4"),
    ("12-5=7\n3*4=12\n8/2=4", None, "all three hold"),
    ("12-5=8", "12-5=8", "12-5 is not 8"),
    ("3*4=13", "3*4=13", "3*4 is not 13"),
    ("9/3=4", "9/3=4", "9/3 is not 4"),
    ("1+2=3\n3*4=13\n1+1=3", "3*4=13", "return the first false line, not the last"),
    ("2+2=5\n1+1=2", "2+2=5", "look at every line, not only at the last"),
    ("7/2=3", "7/2=3", EXACT),
    ("7/2=4", "7/2=4", EXACT),
    ("5/0=1", "5/0=1", ZERO),
    ("0/0=0", "0/0=0", ZERO),
    ("5+0=9", "5+0=9", "a zero on the right is special only when you divide by it"),
    ("5+0=5\n7-0=7\n3*0=0\n0/4=0", None, "a zero does not make these lines false"),
    ("3-5=2", "3-5=2", "3-5 is -2"),
    ("3-5=-2", None, "the result may be negative"),
    ("3-5=-3", "3-5=-3", "the result may be negative, so this line is judged"),
    ("10+10=200", "10+10=200", "compare the whole numbers, not their first digits"),
    ("Plan: in order.\nThe answer is \\boxed{4}.", None, "lines of another form are skipped"),
    (
        "Plan: in order.\n95-1=94\n1095-1000=995\nThe answer is \\boxed{995}.",
        "1095-1000=995",
        "a line of another form is skipped, and the search continues with the next line",
    ),
    ("100000*10=1000001", "100000*10=1000001", "compare exactly, also large numbers"),
    ("So 1+2=4", None, FORM),
    ("1+2=4 apples", None, FORM),
    ("1+1+1=4", None, FORM),
    ("1+2=3=4", None, FORM),
    ("-3+5=9", None, "only the result may be negative, so this line has another form"),
    (" 1+2=4\n1+2= 4\n1+2=4 ", None, "there are no spaces in the form, so these lines are skipped"),
    ("1 + 2 = 4", None, "there are no spaces in the form, so this line is skipped"),
    ("7/2=3.4\n2.5+1=4", None, "the form has whole numbers only, so these lines are skipped"),
    ("1+2=4.", None, "the full stop does not belong to the form, so this line is skipped"),
    ("1,000+1=5\n2.5=3", None, "commas and points do not belong to the form, so these lines are "
     "skipped: do not remove them, and mind that `+-/` in a character class is a range"),
    ("3000000001/3=1000000000", "3000000001/3=1000000000", "compare exactly, without a tolerance"),
    ("10000000/9999999=1", "10000000/9999999=1", "compare exactly, without a tolerance"),
    ("", None, "an empty text has no false line"),
]  # fmt: skip


def check_first_wrong_line(first_wrong_line: Callable[[str], str | None]) -> None:
    """Exercise 4."""
    forbidden = AssertionError("never call eval or exec on text that a model wrote")
    for text, expected, hint in SLIPS:
        case = f"first_wrong_line({text!r})"
        with (
            patch("builtins.eval", side_effect=forbidden),
            patch("builtins.exec", side_effect=forbidden),
        ):
            found = call(first_wrong_line, text, case=f"{case} [{hint}]", returns_none=True)
        assert found is None or isinstance(found, str), (
            f"{case}: return the line as a text, or None, not {found!r}"
        )
        assert found == expected, (
            f"{case} returned {found!r}, but it should be {expected!r}: {hint}"
        )
    print("Exercise 4 is right.")


# --- 5. Sort wrong chains by hand -----------------------------------------------------------------

SHEET = {  # the kind of the slip in each chain of the sheet, and what to look at
    "a": ("arithmetic", "recompute 65-18"),
    "b": ("number", "every equation holds. Which parts does 146 have?"),
    "c": ("change", "every equation holds. Whose cards are these?"),
    "d": ("number", "every equation holds. How many boxes does Leo buy?"),
    "e": ("change", "every equation holds. Which sentence of the problem has no line?"),
    "f": ("number", "every equation holds. How many apples does Sam have at the start?"),
    "g": ("arithmetic", "recompute 60+18. The later lines are right for the wrong total"),
}


def check_sorted(kinds: dict[str, str]) -> None:
    """Exercise 5."""
    assert isinstance(kinds, dict), f"kinds should be a dictionary, not {kinds!r}"
    assert sorted(kinds) == sorted(SHEET), f"kinds needs the chains {', '.join(SHEET)}"
    for chain, (kind, hint) in SHEET.items():
        assert kinds[chain] is not ..., f"chain {chain} is not sorted yet"
        assert kinds[chain] in ("arithmetic", "number", "change"), (
            f"chain {chain}: write 'arithmetic', 'number' or 'change', not {kinds[chain]!r}"
        )
        assert kinds[chain] == kind, f"chain {chain} is no {kinds[chain]!r}: {hint}"
    print("Exercise 5 is right.")


# --- 6. Which answer has most of the confidence? --------------------------------------------------

BRANCHES = [  # (answer, confidence) pairs, the winner, what to think of
    ([("7", 0.9), ("8", 0.5), ("8", 0.3)], "7", "8 has 0.5 + 0.3 = 0.8: one sure branch can win"),
    ([("7", 0.9), ("8", 0.5), ("8", 0.5)], "8", "8 has 0.5 + 0.5 = 1.0: add up equal answers"),
    ([("8", 0.4), ("8", 0.4), ("8", 0.4), ("7", 0.9)], "8", "add up, do not average"),
    ([("7", 0.6), ("42", 0.5), ("$42.0", 0.5)], "42", "42 and $42.0 are equal: normalize, then "
     "add"),
    ([("1,000.0", 0.9), ("7", 0.1)], "1000", "return the normalized answer, not a spelling of it"),
    ([("0.5", 0.5), ("3", 0.6), ("1/2", 0.5)], "1/2", "0.5 and 1/2 are equal: let "
     "`normalize_answer` decide"),
    ([("Monday", 0.5)], "monday", "an answer need not be a number: let `normalize_answer` decide"),
    ([(None, 5.0), ("7", 0.1)], "7", "a branch without an answer has no vote"),
    ([(None, 1.0), (None, 2.0)], None, "without any answer there is no winner: return None"),
    ([], None, "without any branch there is no winner: return None"),
    ([("9", 0.5), ("10", 0.5)], "9", "of equal totals, the answer that appeared first wins"),
    ([("10", 0.5), ("9", 0.5)], "10", "of equal totals, the answer that appeared first wins"),
    ([("3", 0.25), ("5", 0.5), ("3", 0.25)], "3", "of equal totals, the answer that appeared "
     "first wins: 3 did"),
    ([("3", 0.0)], "3", "a confidence of 0 is still an answer"),
    ([("2", 0.1), ("1", 0.6), ("2", 0.1), ("2", 0.1)], "1", "confidence counts, not the number of "
     "branches"),
    ([("8", 0.75), ("8", 0.75), ("7", 0.75), ("7", 0.875)], "7", "7 has 1.625 and 8 has 1.5: a "
     "total may exceed 1"),
    ([("8", 0.375), ("7", 0.4375)], "7", "compare exactly: do not round the totals"),
    ([("3", 0.01), ("5", 0.03), ("3", 0.01), ("3", 0.02)], "3", "3 has 0.04 and 5 has 0.03: small "
     "confidences count too"),
]  # fmt: skip


def check_most_trusted(
    most_trusted: Callable[[list[tuple[str | None, float]]], str | None],
) -> None:
    """Exercise 6."""
    for branches, expected, hint in BRANCHES:
        case = f"most_trusted({branches!r})"
        found = call(most_trusted, branches, case=f"{case} [{hint}]", returns_none=True)
        assert found is not None or expected is None, (
            f"{case} returned None, but it should be {expected!r}. Is a `return` missing? {hint}"
        )
        assert found is None or isinstance(found, str), (
            f"{case}: return the answer alone, as a text, not {found!r}"
        )
        assert found == expected, (
            f"{case} returned {found!r}, but it should be {expected!r}: {hint}"
        )
    print("Exercise 6 is right.")


# --- 7. When does the answer become known? --------------------------------------------------------

QUESTION = "Ana has 3 pens. How many?"
OPENING = "The answer is \\boxed{"
CHAIN = "Plan: in order.\n1+2=3\n3*4=12\n12+5=17\nThe answer is \\boxed{17}."
CUTS = [  # text, share, lines that are kept, what to think of
    (CHAIN, 0.0, "", "with a share of 0, no line is kept"),
    (CHAIN, 1.0, "Plan: in order.\n1+2=3\n3*4=12\n12+5=17\n", "all lines but the last"),
    (CHAIN, 0.5, "Plan: in order.\n1+2=3\n", "half of four lines"),
    (CHAIN, 0.7, "Plan: in order.\n1+2=3\n", "0.7 * 4 = 2.8, rounded down to 2"),
    ("a\nb\nc\nend", 0.5, "a\n", "0.5 * 3 = 1.5, rounded down to 1"),
    ("a\nb\nc\nend", 0.9, "a\nb\n", "0.9 * 3 = 2.7, rounded down to 2"),
    ("end", 1.0, "", "the only line is the last one, so no line is kept"),
    ("a\n\nb\nc\nend", 0.5, "a\n\n", "half of four lines; an empty line is a line"),
    ("\na\nb\nend", 0.7, "\na\n", "0.7 * 3 = 2.1, rounded down to 2; do not strip the text"),
    ("  a\nb\nend", 0.5, "  a\n", "keep the lines as they are, spaces included"),
]
REPLIES = [  # what the model adds to the open box, its answer, what to think of
    ("\\frac{1}{2}}.", r"\frac{1}{2}", "the box ends at its own brace. `extract_answer` counts the "
     "braces for you"),
    ("42}. {1} and {2}", "42", "the box ends at its own brace, not at the last one"),
    ("-7}.", "-7", "an answer may be negative"),
    ("about 1,000}", "about 1,000", "return what stands in the box"),
]  # fmt: skip


def is_same(answer: object, expected: str | None) -> bool:
    """Whether an answer is the expected one, in its own spelling or normalized."""
    if answer is None or expected is None:
        return answer is expected
    return answer in (expected, normalize_answer(expected))


def check_forced_answer(forced_answer: Callable[..., str | None]) -> None:
    """Exercise 7."""
    for text, share, kept, hint in CUTS:
        case = f"forced_answer(llm, question, {text!r}, {share}) ({hint})"
        model = ScriptedModel("42}.")
        answer = call(forced_answer, model, QUESTION, text, share, case=case, returns_none=True)
        params = check_continued(model, QUESTION, kept + OPENING, case)
        assert params.max_tokens == 32, (
            f"{case}: allow 32 new tokens, not {params.max_tokens}: a long number needs some, and "
            "more leave room for steps"
        )
        assert answer == "42", (
            f"{case}: the model continued the open box with '42}}.', so the answer is '42', not "
            f"{answer!r}. The opening of the box belongs to the text you read the answer from"
        )
    for reply in ("42", "4"):
        model = ScriptedModel(reply, "length")
        case = f"a reply {reply!r} that was cut off before the box closed"
        answer = call(forced_answer, model, QUESTION, CHAIN, 0.5, case=case, returns_none=True)
        assert answer is None, (
            f"{case}: there is no complete answer, so return None, not {answer!r}"
        )
    for reply, expected, hint in REPLIES:
        model = ScriptedModel(reply)
        case = f"the model continues the open box with {reply!r}"
        answer = call(forced_answer, model, QUESTION, CHAIN, 1.0, case=case, returns_none=True)
        assert is_same(answer, expected), (
            f"{case}: the answer is {expected!r}, not {answer!r}: {hint}"
        )
    print("Exercise 7 is right.")


# --- 8. Does the model use its steps? -------------------------------------------------------------

DAMAGED = [  # text, line, expected, what to think of
    ("Plan: in order.\n1+2=3\n3*4=12\nThe answer is \\boxed{12}.", 0, "Plan: in order.\n1+2=4\n",
     "add 1 to the first result and cut off what follows, but keep the line break"),
    ("Plan: in order.\n1+2=3\n3*4=12\nThe answer is \\boxed{12}.", 1,
     "Plan: in order.\n1+2=3\n3*4=13\n", "equation number 1 is the second one"),
    ("9+0=9\n9+1=10", 0, "9+0=10\n", "the result is a number, not a digit: 9 becomes 10. Change "
        "the result only, not the numbers that look like it"),
    ("3+0=3\n1+1=2", 0, "3+0=4\n", "change the result only, not the numbers that look like it"),
    ("1+1=2\n5+5=10\n1+1=2\n2+2=4", 2, "1+1=2\n5+5=10\n1+1=3\n", "a line may occur twice: damage "
     "the one with this number"),
    ("1+1=2\n5+5=10\n1+1=2\n2+2=4", 0, "1+1=3\n", "a line may occur twice: damage the one with "
     "this number"),
    ("2*50=100\n100+99=199", 1, "2*50=100\n100+99=200\n", "199 + 1 is 200"),
    ("1+2=3", 0, "1+2=4\n", "end the damaged line with a line break, even where the text had none"),
    ("Note\n\n1+2=3\n3+3=6", 1, "Note\n\n1+2=3\n3+3=7\n", "keep all lines before it, also empty "
     "ones, and count equations, not lines"),
    ("\n1+2=3", 0, "\n1+2=4\n", "keep all lines before it, also an empty first one"),
    ("9-5=4\n8/2=4\n4+4=8", 1, "9-5=4\n8/2=5\n", "every line with an `=` counts, also 8/2=4"),
    ("So 1+2=3\n3+1=4", 0, "So 1+2=4\n", "every line with an `=` counts, with words too"),
    ("1+2=5\n5+1=6", 0, "1+2=6\n", "the model wrote 5, so the damaged line says 6: read the "
     "result, do not recompute it"),
]  # fmt: skip


def check_damage(damage: Callable[[str, int], str]) -> None:
    """Exercise 8, first half."""
    for text, line, expected, hint in DAMAGED:
        case = f"damage({text!r}, {line})"
        result = call(damage, text, line, case=f"{case} [{hint}]")
        assert isinstance(result, str), f"{case}: return a text, not {result!r}"
        assert result == expected, (
            f"{case} returned {result!r}, but it should be {expected!r}: {hint}"
        )
    print("damage is right.")


CONTINUATIONS = [  # what the model adds, why it ended, the answer
    ("4*4=16\n16-20=-4\nThe answer is \\boxed{-4}.", "stop", "-4"),
    ("3*4=12\nThe answer is \\boxed{12}.", "stop", "12"),
    ("2*7=14\nThe answer is \\boxed{\\frac{1}{2}}. (not 3)", "stop", r"\frac{1}{2}"),
    ("4*4=16\n16+", "length", None),
]


def check_answer_from(answer_from: Callable[..., str | None]) -> None:
    """Exercise 8, second half."""
    for begun in ("Plan: in order.\n1+2=4\n", "Plan: in order.\n1+2=3\n3*4=13\n"):
        for reply, reason, expected in CONTINUATIONS:
            case = f"answer_from(llm, question, {begun!r}), continued with {reply!r} ({reason})"
            model = ScriptedModel(reply, reason)
            answer = call(answer_from, model, QUESTION, begun, case=case, returns_none=True)
            params = check_continued(model, QUESTION, begun, case)
            assert params.max_tokens == 700, (
                f"{case}: the rest of a chain needs room; GREEDY allows 700 new tokens, yours "
                f"{params.max_tokens}"
            )
            if expected is None:
                assert answer is None, (
                    f"{case}: there is no answer, so return None, not {answer!r}. "
                    "`final_answer(completion)` sees why a completion ended"
                )
            assert answer is not None or expected is None, (
                f"{case}: your function returned None. Is a `return` missing? A missing answer "
                "would count as a changed one"
            )
            assert is_same(answer, expected), (
                f"{case}: the model boxed {expected}, but your function returned {answer!r}. Read "
                "the answer from the model's continuation"
            )
    print("Exercise 8 is right.")


def undamaged(text: str, line: int) -> str:
    """The text up to and including equation number `line`: the control of exercise 8."""
    lines = text.split("\n")
    place = [i for i, each in enumerate(lines) if "=" in each][line]
    return "\n".join(lines[: place + 1]) + "\n"


def outcomes(pairs: Sequence[tuple[str | None, str | None]]) -> dict[str, int]:
    """How many answers stayed, rose by 1, changed otherwise or went missing: (before, after)."""
    counts = {"same": 0, "1 higher": 0, "changed otherwise": 0, "no answer": 0}
    for before, after in pairs:
        if after is None:
            counts["no answer"] += 1
        elif after == before:
            counts["same"] += 1
        elif before is not None and before.isdecimal() and after == str(int(before) + 1):
            counts["1 higher"] += 1
        else:
            counts["changed otherwise"] += 1
    return counts
