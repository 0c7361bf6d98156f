r"""The checks of this chapter's exercises (`exercises.ipynb`).

    check_needed_step(needed_step)    prints that all is well, or stops and says what is wrong

Every check works on small inputs made by hand, with a scripted model instead of a real one. It
raises nothing but AssertionError, and its message names the input, the result and what to look for.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

from shared import Completion, Cost, RequestOutput, SamplingParams, prompts


def call(
    function: Callable, *arguments: object, case: str, hint: str = "", none_is_fine: bool = False
) -> object:
    """What `function` returns for these arguments.

    Raises AssertionError, in words about `case`, if it stops with an error, changes a list that it
    was given, or returns None although that is never right.
    """
    lists = [argument for argument in arguments if isinstance(argument, list)]
    before = copy.deepcopy(lists)
    try:
        result = function(*arguments)
    except NotImplementedError:
        raise AssertionError(
            f"{function.__name__} is not written yet: replace `raise NotImplementedError`"
        ) from None
    except ScriptError as error:
        raise AssertionError(f"{case}: {error}") from None
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(
            f"{case}: your function stopped with {kind}: {error}. {hint}".removesuffix(". ")
        ) from error
    assert before == lists, f"{case}: your function changed its input; make a new list instead"
    assert none_is_fine or result is not None, (
        f"{case}: your function returned None. Is a `return` missing?"
    )
    return result


def is_number(value: object) -> bool:
    """Whether a value is a finite number; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# --- 1. How good must a step be? ------------------------------------------------------------------


def check_needed_step(needed_step: Callable[[float, int], float]) -> None:
    """Exercise 1."""
    for target, k, expected, hint in [
        (0.5, 1, 0.5, "with one step, the step is the whole chain"),
        (0.25, 2, 0.5, "two steps of 0.5 are both right with 0.5 * 0.5 = 0.25"),
        (0.125, 3, 0.5, "0.5 * 0.5 * 0.5 = 0.125. Mind the brackets: `x ** 1 / k` is (x ** 1) / k"),
        (0.81, 2, 0.9, "use the target that is given"),
        (1.0, 7, 1.0, "a chain that is always right needs steps that are always right"),
        (0.0, 5, 0.0, "a chain that is never right needs no right step"),
    ]:
        case = f"needed_step({target}, {k})"
        value = call(needed_step, target, k, case=case, hint="no logarithm of 0 is needed here")
        assert is_number(value), f"{case}: return a number, not {value!r}"
        assert abs(value - expected) < 1e-9, (
            f"{case} returned {value:.6g}, but it should be {expected}: {hint}"
        )
    for target, k in [(0.5, 30), (0.9, 100), (0.1, 12)]:
        case = f"needed_step({target}, {k})"
        value = call(needed_step, target, k, case=case)
        assert is_number(value), f"{case}: return a number, not {value!r}"
        assert abs(value**k - target) < 1e-9, (
            f"{case} returned {value:.6g}, and {k} such steps are all right with {value**k:.4f}, "
            f"not with {target}. Do not round, and do not replace the power by a product"
        )
    print("Exercise 1 is right.")


# --- 2. What does a step cost? --------------------------------------------------------------------


def check_num_equations(num_equations: Callable[[str], int]) -> None:
    """Exercise 2, first half."""
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
    ]:  # fmt: skip
        case = f"num_equations({text!r})"
        value = call(num_equations, text, case=case)
        assert is_number(value), f"{case}: return a number, not {value!r}"
        assert value == expected, f"{case} returned {value}, but it should be {expected}: {hint}"
    print("num_equations is right.")


def check_tokens_per_equation(
    tokens_per_equation: Callable[[list[str], list[int]], float | None],
) -> None:
    """Exercise 2, second half."""
    for texts, tokens, expected, hint in [
        (["1+1=2"], [8], 8.0, "eight tokens, one equation"),
        (["1+1=2\n2+2=4"], [9], 4.5, "the price need not be a whole number: divide with /"),
        (["1+1=2\n2+2=4\n4+4=8", "1+1=2"], [12, 20], 8.0, "32 tokens for 4 equations: add up "
         "first, then divide. The mean of 12/3 and 20/1 is something else"),
        (["no steps", "1+1=2"], [6, 10], 16.0, "a text without equations still costs its tokens"),
        (["1+1=2", "no steps"], [6, 10], 16.0, "count every text, to the last"),
        (["no steps"], [6], None, "without an equation there is no price: return None"),
        ([], [], None, "without any text there is no price: return None"),
    ]:  # fmt: skip
        case = f"tokens_per_equation({texts!r}, {tokens!r})"
        value = call(tokens_per_equation, texts, tokens, case=case, hint=hint, none_is_fine=True)
        assert value is not None or expected is None, (
            f"{case}: your function returned None. Is a `return` missing?"
        )
        assert value is None or is_number(value), f"{case}: return a number, not {value!r}"
        agrees = value == expected or None not in (value, expected) and abs(value - expected) < 1e-9
        assert agrees, f"{case} returned {value}, but it should be {expected}: {hint}"
    print("Exercise 2 is right.")


# --- 3. Where is the first slip? ------------------------------------------------------------------

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
    ("", None, "an empty text has no false line"),
]


def check_first_wrong_line(first_wrong_line: Callable[[str], str | None]) -> None:
    """Exercise 3."""
    for text, expected, hint in SLIPS:
        case = f"first_wrong_line({text!r})"
        found = call(first_wrong_line, text, case=case, hint=hint, none_is_fine=True)
        assert found is None or isinstance(found, str), (
            f"{case}: return the line as a text, or None, not {found!r}"
        )
        assert found == expected, (
            f"{case} returned {found!r}, but it should be {expected!r}: {hint}"
        )
    print("Exercise 3 is right.")


# --- 4. Which answer has most of the confidence? --------------------------------------------------

BRANCHES = [  # (answer, confidence) pairs, the winner, what to think of
    ([("7", 0.9), ("8", 0.5), ("8", 0.3)], "7", "8 has 0.5 + 0.3 = 0.8: one sure branch can win"),
    ([("7", 0.9), ("8", 0.5), ("8", 0.5)], "8", "8 has 0.5 + 0.5 = 1.0: add up equal answers"),
    ([("8", 0.4), ("8", 0.4), ("8", 0.4), ("7", 0.9)], "8", "add up, do not average"),
    ([("7", 0.6), ("42", 0.5), ("$42.0", 0.5)], "42", "42 and $42.0 are equal: normalize, then "
     "add"),
    ([("1,000.0", 0.9), ("7", 0.1)], "1000", "return the normalized answer, not a spelling of it"),
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
]  # fmt: skip


def check_most_trusted(
    most_trusted: Callable[[list[tuple[str | None, float]]], str | None],
) -> None:
    """Exercise 4."""
    for branches, expected, hint in BRANCHES:
        case = f"most_trusted({branches!r})"
        found = call(most_trusted, branches, case=case, hint=hint, none_is_fine=True)
        assert found is not None or expected is None, (
            f"{case} returned None, but it should be {expected!r}. Is a `return` missing? {hint}"
        )
        assert found is None or isinstance(found, str), (
            f"{case}: return the answer alone, as a text, not {found!r}"
        )
        assert found == expected, (
            f"{case} returned {found!r}, but it should be {expected!r}: {hint}"
        )
    print("Exercise 4 is right.")


# --- 5. and 6. Continue a reply -------------------------------------------------------------------


class ScriptError(Exception):
    """A call that a scripted model cannot answer; its text is for the student."""


class ScriptedModel:
    """Stands in for an LLM: answers `chat` with a given text and keeps what it was asked.

    asked     for each call: (messages, params, enable_thinking, continue_final_message)
    """

    def __init__(self, reply: str, finish_reason: str = "stop") -> None:
        self.reply, self.finish_reason = reply, finish_reason
        self.asked: list[tuple[list[dict], SamplingParams, bool, bool]] = []

    def chat(
        self,
        messages: list,
        params: SamplingParams | None = None,
        *,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> list[RequestOutput]:
        """One completion with the given text."""
        if messages and isinstance(messages[0], list):  # a list of chats
            (messages,) = messages
        params = params or SamplingParams()
        asked = (copy.deepcopy(messages), params, enable_thinking, continue_final_message)
        self.asked.append(asked)
        tokens = [0] * (len(self.reply) + 1)
        completion = Completion(self.reply, tokens, [0.0] * len(tokens), self.finish_reason)
        return [RequestOutput([0], [completion], Cost(1, len(tokens)))]

    def generate(self, *_: object, **__: object) -> None:
        """Not part of these exercises."""
        raise ScriptError("use `llm.chat`, as the exercise says, not `llm.generate`")


def check_continued(model: ScriptedModel, question: str, written: str, case: str) -> SamplingParams:
    """Raise AssertionError unless the model was asked once to continue exactly this reply."""
    assert model.asked, f"{case}: your function never called `llm.chat` on the llm it was given"
    assert len(model.asked) == 1, f"{case}: call `llm.chat` once, not {len(model.asked)} times"
    messages, params, enable_thinking, continues = model.asked[0]
    roles = [message.get("role") for message in messages]
    assert roles == ["user", "assistant"], (
        f"{case}: the chat should be the question (user), then the reply so far (assistant); its "
        f"roles are {roles}"
    )
    expected = prompts.ask(question)[0]["content"]
    assert messages[0]["content"] == expected, (
        f"{case}: ask with `prompts.ask(question)`, as the chain was asked for; the user's message "
        f"is {messages[0]['content']!r}"
    )
    assert messages[1]["content"] == written, (
        f"{case}: the reply so far should be {written!r}, not {messages[1]['content']!r}"
    )
    assert continues, (
        f"{case}: without continue_final_message=True the model begins a new reply instead of "
        "continuing this one"
    )
    assert not enable_thinking, f"{case}: pass enable_thinking=False"
    assert params.temperature == 0, (
        f"{case}: decode greedily (temperature=0), or the same chain gives other answers"
    )
    assert params.n == 1, f"{case}: one reply is enough, but n is {params.n}"
    return params


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
]


def check_forced_answer(forced_answer: Callable[..., str | None]) -> None:
    """Exercise 5."""
    for text, share, kept, hint in CUTS:
        case = f"forced_answer(llm, question, {text!r}, {share}) ({hint})"
        model = ScriptedModel("42}.")
        answer = call(
            forced_answer, model, QUESTION, text, share, case=case, hint=hint, none_is_fine=True
        )
        params = check_continued(model, QUESTION, kept + OPENING, case)
        assert params.max_tokens == 32, (
            f"{case}: allow 32 new tokens, not {params.max_tokens}: a long number needs some, and "
            "more leave room for steps"
        )
        assert answer == "42", (
            f"{case}: the model continued the open box with '42}}.', so the answer is '42', not "
            f"{answer!r}. The opening of the box belongs to the text you read the answer from"
        )
    for reply, reason in [("42", "length"), ("4", "length")]:
        model = ScriptedModel(reply, reason)
        case = f"a reply {reply!r} that was cut off before the box closed"
        answer = call(forced_answer, model, QUESTION, CHAIN, 0.5, case=case, none_is_fine=True)
        assert answer is None, (
            f"{case}: there is no complete answer, so return None, not {answer!r}"
        )
    model = ScriptedModel("\\frac{1}{2}}.")
    case = r"a reply '\frac{1}{2}}.'"
    answer = call(forced_answer, model, QUESTION, CHAIN, 1.0, case=case, none_is_fine=True)
    assert answer == r"\frac{1}{2}", (
        f"{case}: the box ends at its own brace, so the answer is '\\frac{{1}}{{2}}', not "
        f"{answer!r}. `extract_answer` counts the braces for you"
    )
    print("Exercise 5 is right.")


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
    ("2*50=100\n100+99=199", 1, "2*50=100\n100+99=200\n", "199 + 1 is 200"),
    ("1+2=3", 0, "1+2=4\n", "end the damaged line with a line break, even where the text had none"),
    ("Note\n\n1+2=3\n3+3=6", 1, "Note\n\n1+2=3\n3+3=7\n", "keep all lines before it, also empty "
     "ones, and count equations, not lines"),
]  # fmt: skip


def check_damage(damage: Callable[[str, int], str]) -> None:
    """Exercise 6, first half."""
    for text, line, expected, hint in DAMAGED:
        case = f"damage({text!r}, {line})"
        result = call(damage, text, line, case=case, hint=hint)
        assert isinstance(result, str), f"{case}: return a text, not {result!r}"
        assert result == expected, (
            f"{case} returned {result!r}, but it should be {expected!r}: {hint}"
        )
    print("damage is right.")


def check_answer_after_damage(answer_after_damage: Callable[..., str | None]) -> None:
    """Exercise 6, second half."""
    text = "Plan: in order.\n1+2=3\n3*4=12\nThe answer is \\boxed{12}."
    for line, written in [(0, "Plan: in order.\n1+2=4\n"), (1, "Plan: in order.\n1+2=3\n3*4=13\n")]:
        case = f"answer_after_damage(llm, question, {text!r}, {line})"
        model = ScriptedModel("4*4=16\n16-20=-4\nThe answer is \\boxed{-4}.")
        answer = call(
            answer_after_damage, model, QUESTION, text, line, case=case, none_is_fine=True
        )
        params = check_continued(model, QUESTION, written, case)
        assert params.max_tokens >= 500, (
            f"{case}: the rest of a chain needs room; GREEDY allows 700 new tokens, yours "
            f"{params.max_tokens}"
        )
        assert answer is not None, (
            f"{case}: your function returned None. Is a `return` missing? A missing answer would "
            "count as a changed one"
        )
        assert answer == "-4", (
            f"{case}: the model boxed -4, but your function returned {answer!r}. Read the answer "
            "from the model's continuation"
        )
    case = "a continuation that was cut off"
    model = ScriptedModel("4*4=16\n16+", "length")
    answer = call(answer_after_damage, model, QUESTION, text, 0, case=case, none_is_fine=True)
    assert answer is None, (
        f"{case}: there is no answer, so return None, not {answer!r}. `final_answer(completion)` "
        "sees why a completion ended"
    )
    print("Exercise 6 is right.")


def outcomes(pairs: Sequence[tuple[str | None, str | None]]) -> dict[str, int]:
    """How many answers stayed, changed or went missing, from (before, after) pairs."""
    counts = {"same": 0, "changed": 0, "no answer": 0}
    for before, after in pairs:
        counts["no answer" if after is None else "same" if after == before else "changed"] += 1
    return counts
