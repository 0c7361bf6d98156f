r"""Answers: extraction and comparison, against tables and against `math_verify`.

Hostile input and the helper process are tested in test_helper_process.py.

Set MATH_DATA_DIR to a folder with math500.json (records with `problem`, `solution`, `answer`) and
gsm8k_test.jsonl (`question`, `answer` ending in `#### n`) to test on whole problem sets too.
"""

import json
import os
import random
import re
import time
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import math_verify
import pytest
from answer_tables import CLAIMED, DIFFERENT, EQUAL, LAST, extractions, lines, pairs

from shared.evaluation.pool import POOLS_FOLDER
from shared.grading.answers import (
    answers_match,
    compare_answers,
    extract_answer,
    final_answer,
    normalize_answer,
)
from shared.grading.equations import is_droppable
from shared.grading.expressions import is_expression
from shared.grading.numerals import to_number, without_unit
from shared.grading.tex import canonical
from shared.solution import Completion

# --- Extraction -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # boxes
        (r"so \boxed{5}.", "5"),
        (r"first \boxed{4}, then \boxed{5}", "5"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,\frac{1}{\sqrt{2}}\}}", r"\{1,\frac{1}{\sqrt{2}}\}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"$\fbox{ 3 }$", "3"),
        (r"\boxed 5 and no brace", "5"),
        (r"\boxed5.", "5"),
        (r"twice escaped: \\boxed{5}", "5"),
        (r"a stray { and a } and }} \boxed{5}", "5"),
        (r"Put it within \boxed{}. The answer is 5.", "5"),
        (r"\boxed{5} is the answer to 7 questions.", "5"),
        # cut off
        (r"thus \boxed{5", None),
        (r"thus \boxed{\frac{1}{2}", None),
        (r"\boxed{4}, no: \boxed{5", "4"),
        ("<think> 3 + 4 = 7, so the answer is 7", None),
        ("The answer is", None),
        # statements
        ("16 - 7 = 9, 9 * 2 = 18\n#### 18", "18"),
        ("#### 1,450,000\n", "1,450,000"),
        ("#### Step 3: add\n5 + 5 = 10", "10"),
        ("The answer is 5. We used 7 steps.", "5"),
        ("**Answer:** (B)", "(B)"),
        ("Answer: Monday.", "Monday"),
        (r"The final answer is: $\frac{3}{4}$.", r"\frac{3}{4}"),
        (r"The answer is \(x = 5\).", "x = 5"),
        ("The answer is 5 because 3 + 2 = 5.", "5"),
        ("The answer is 5 + 3i.", "5 + 3i"),
        ("The answer is $1,234.50 in total.", "1,234.50"),
        ("The answer is:\n\n$$\n\\frac12\n$$", r"\frac12"),
        ("The answer is 52_8.", "52_8"),
        ("The answer is 1,-2.", "1,-2"),
        # the last number
        ("He pays $18.90!", "18.90"),
        ("it falls to −7 degrees", "-7"),
        ("it falls to -7", "-7"),
        ("pages 3-5", "5"),
        ("about 3/4 of it", "3/4"),
        ("a rise of 50%", "50%"),
        ("in octal 52_8", "52_8"),
        (r"thus \frac{3}{4}", r"\frac{3}{4}"),
        ("H2O", None),
        # tags
        ("<answer>5</answer> or 7", "5"),
        ("<answer>4</answer>, no: <answer>5</answer>", "5"),
        ("<answer>the answer is 5</answer>", "5"),
        ("<answer>5", "5"),
        ("<answer></answer>", None),
        # thoughts
        ("<think>The answer is 4.</think> It is 5.", "5"),
        (r"<think>\boxed{4}</think>", None),
        (r"\boxed{4}</think>\boxed{5}", "5"),
        # nothing
        ("", None),
        ("no number here", None),
        ("\0\0", None),
    ],
)
def test_extract_answer(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "piece",
    [r"\boxed{", "{", "}", "\\", "9", "1,000", ",000", "answer is ", "answer is 5 ", "#", "#### 5"]
    + ["1 ", "1/", "-", "$", r"\frac", r"\frac{1}", r"1\frac", "answer is\n", "answer:$", "*"]
    + [
        "answer\n",
        "the answer to ",
        "<answer>",
        "Answer (",
        "5 apples and 3 ",
        "1 + ",
        "(1 ",
        "^{a}",
    ]
    + [r"\(1", r"\[", "$1$", "1:", r"\text{a ", r"\begin{a}1", "# ", "half ", r"\frac 1 "]
    + [r"\boxed ", "<think>", "</think>", "1_{", "1.", "answer is (A) ", "\ud800", "\0", " "],
)
def test_extraction_takes_linear_time(piece):
    start = time.perf_counter()
    extract_answer(piece * 30_000)
    extract_answer("1" + piece * 30_000 + "x")
    extract_answer(r"\boxed{" * 30_000 + "5" + "}" * 30_000)
    assert time.perf_counter() - start < 5  # measured: 0.2; a quadratic pattern takes minutes


@pytest.mark.parametrize(("text", "answer"), extractions(CLAIMED))
def test_a_claim_is_read_as_a_whole(text, answer):
    assert extract_answer(text) == answer
    assert extract_answer(f"We add 7 and 8.\n{text}") == answer


@pytest.mark.parametrize(("text", "answer"), extractions(LAST))
def test_the_last_value_is_no_piece_of_another(text, answer):
    assert extract_answer(text) == answer
    if answer is not None:
        assert extract_answer(f"We add 7 and 8.\n{text}") == answer


@pytest.mark.parametrize(
    ("text", "reason", "answer"),
    [
        (r"<think>\boxed{4}</think> We add 3 and", "length", None),
        (r"<think>\boxed{4}</think> The answer is 5", "length", None),
        (r"<think>\boxed{4}</think> So \boxed{5}. Check: 3 +", "length", "5"),
        (r"<think>\boxed{4}", "length", None),
        (r"\boxed{4}, check: 3 + 2", "length", "4"),
        (r"\boxed{} and 3 + 2", "length", None),
        ("The answer is 5", "length", None),
        ("The answer is 5", "stop", "5"),
        (r"<think>\boxed{4}</think> The answer is 5", "stop", "5"),
        ("The answer is 5", "loop", None),
    ],
)
def test_a_text_that_was_cut_off_has_only_a_boxed_answer(text, reason, answer):
    assert final_answer(Completion(text, [], [], reason)) == answer


# --- Comparison -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", pairs(EQUAL), ids=" = ".join)
def test_equal_answers_match(pair):
    a, b = pair
    assert compare_answers(a, b) is True
    assert compare_answers(b, a) is True


@pytest.mark.parametrize("pair", pairs(DIFFERENT), ids=" != ".join)
def test_different_answers_do_not_match(pair):
    a, b = pair
    assert compare_answers(a, b) is False
    assert compare_answers(b, a) is False
    if "=" not in a and not a.startswith("(B)"):  # a vote is the value, and the letter of a choice
        assert normalize_answer(a) != normalize_answer(b)


def test_every_space_of_unicode_groups_digits():
    for space in "\u00a0\u2009\u202f\u2007\u3000":
        assert answers_match(f"1{space}000", "1000"), ascii(space)
    assert answers_match("1\u20442", "0.5") and answers_match("x\u2064", "x")


def test_what_algebra_cannot_decide_is_counted_apart():
    assert compare_answers("9^{9^{9^9}}", "5") is None
    assert compare_answers("9^{9^{9^9}} + 1", "9^{9^{9^9}} - 1") is None
    assert compare_answers("(9^{9^{9^9}}, 2)", "(5, 3)") is False  # the second items decide
    assert compare_answers("(9^{9^{9^9}}, 2)", "(5, 2)") is None
    assert compare_answers("x^{99999}, 1, 2", "2, 1, 3") is None
    assert not answers_match("9^{9^{9^9}}", "5")
    assert compare_answers("so long a text", "5") is False
    assert compare_answers("x+" * 400 + "1", "1" + "+x" * 400) is None  # too long to compare
    assert compare_answers("word " * 200, "5") is False


def test_percent_reads_both_ways_and_nothing_matches_nothing():
    assert answers_match("50%", "50") and answers_match("50%", "0.5")
    assert not answers_match("0.5", "50")
    assert not answers_match(None, "5")
    assert not answers_match("", "") and not answers_match("$", "0")


@pytest.mark.parametrize(
    ("votes", "form"),
    [
        (["1,000", "1000.0", "$1000", "x = 1000", "1000 cm", "1e3"], "1000"),
        (["1/2", "0.5", r"\frac12", r"\dfrac{2}{4}"], "1/2"),
        (["50%", r"50\%", "50"], "50"),
        (["Monday", r"\text{monday}", "Monday."], "monday"),
        (["(A)", "A", r"\text{(A)}"], "a"),
        (["52_8", "52_{8}"], "52_8"),
        (["0x10", "16", "0b10000", "16.0"], "16"),
        (["5 million", "5,000,000", "5 Million dollars"], "5000000"),
        ([r"12\pi\text{ cm}^2", "12π", r"12\pi", "12 pi square units"], r"12\pi"),
        (["(B) 12", "B", "Option B", r"\textbf{(B)}\ 12"], "b"),
        (["S_{20} = 210", "210", "S = 210"], "210"),
        (["3:45 PM", "3:45 pm"], "3:45pm"),
        ([r"\sqrt2 + x", r"\sqrt{2}+x"], r"\sqrt{2}+x"),
        ([r"\left(3, \dfrac{x}{2}\right)", r"(3,\frac{x}2)"], r"(3,\frac{x}{2})"),
    ],
)
def test_normalize_answer_makes_one_vote(votes, form):
    assert {normalize_answer(vote) for vote in votes} == {form}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\left(\dfrac12,\ \boldsymbol{x}\right)", r"(\frac{1}{2}, {x})"),
        (r"$\textcolor{red}{7}\quad$", "7"),
        ("x⁻¹ · y₁₂ ≤ ½", r"x^{-1} \cdot y_{12} \le \frac{1}{2}"),
        (r"1 \\ [2pt] 2 \\[2pt] 3", r"1 \\ [2pt] 2 \\[2pt] 3"),
        (r"\textbf{(B)}\ 12.", r"\text{(B)} 12"),
        ("\u200b**5**", "5"),
    ],
)
def test_one_spelling(text, plain):
    assert canonical(text) == plain
    assert canonical(plain) == plain


@pytest.mark.parametrize(
    "text",
    [
        r"2x+3",
        r"\frac{a}{b}",
        "x",
        r"2\pi r h",
        "ab+2a",
        r"\sin^2 x",
        "|x-1|",
        "2|x|",
        "x_1 x_2",
        "5!",
    ]
    + [
        "f(x)",
        "f(x, y)",
        r"\max(1, 2)",
        "x = 5",
        r"-2 \le x",
        "p - q",
        "-x",
        "x^{-1}",
        "(x+1)(x+2)",
    ]
    + [
        r"\sum_{i=1}^{3} i^2",
        r"\sqrt[3]{8}",
        "50%",
        ".5",
        "1,000x",
        r"2\begin{pmatrix}1\\2\end{pmatrix}",
    ],
)
def test_mathematics_is_an_expression(text):
    assert is_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "1 2",
        "1 2 3",
        "x2",
        "e2e4",
        "0xff",
        "CAB",
        "HT",
        "2 east",
        "A B",
        "x y",
        "3:45",
        "1;2",
        "A|B|C",
    ]
    + [
        "1-2-3",
        "A - B - C",
        "1/2/2024",
        "2nd",
        "1 < 2",
        "",
        "+",
        "(",
        "()",
        "x+",
        "*x",
        "x)",
        "(x",
        "[x)",
    ]
    + [
        "1,2",
        "(1,2)",
        "1.2.3",
        "007",
        r"\text{a}",
        r"\foo",
        "x = ",
        "a#b",
        r"\{x\}",
        "52_8",
    ],
)
def test_other_texts_are_no_expressions(text):
    assert not is_expression(text)


def test_units_and_numbers_in_words():
    for text in ("5 cm", "5 square feet", r"5\text{ cm}^2", "5 km/h", "5 miles per hour", "5cm"):
        assert without_unit(text) == "5", text
    for text in (
        "5 million",
        "5 m",
        "5x",
        "5 a.m.",
        "5 or 6",
        "5 May",
        "5 and a half",
        "a/b",
        "NaCl",
    ):
        assert without_unit(text) == text
    for text in (
        "5 eggs",
        "one two",
        "five and",
        "million",
        "x",
        "5 dozen or so",
        "-5 squared",
        "",
    ):
        assert to_number(text) is None, text
    numbers = {"one hundred twenty": 120, "two thousand five hundred": 2500, "ninety-nine": 99}
    assert {text: to_number(text) for text in numbers} == numbers


def test_left_hand_sides_that_only_say_what_the_value_is():
    for name in (
        "x",
        "S_{20}",
        r"\theta",
        "f(2)",
        "m+n",
        "x+y",
        "(x,y)",
        "3+2",
        "area",
        r"\angle ABC",
    ):
        assert is_droppable(name, "5"), name
    for name in ("2x", "x^2+y^2", "e8", "1, x", "x(x+1)"):
        assert not is_droppable(name, "5"), name
    assert is_droppable("m+n", "7") and not is_droppable("m+n", "0")


# --- An independent reference ---------------------------------------------------------------------

SAMPLE = r"""
\left( 3, \frac{\pi}{2} \right) | p - q | \frac{14}{3} | \text{Evelyn} | 90^\circ | 90 | 3\sqrt{13} | 6 - 5i
x=5 | 5 | 1,-2 | -2,1 | 52_8 | x^3+3x-6 | (3,4] | (-\infty, 0] | 1 \pm \sqrt{19} | 10,\!080
\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix} | 1\frac{4}{5} | \{1\pm\sqrt{5},-2\} | \$36
"""


@lru_cache
def parsed(text):
    return math_verify.parse(text)


def reference(gold, predicted):
    """`math_verify` with its own defaults (main thread: it uses signals)."""
    return math_verify.verify(parsed(f"${gold}$"), parsed(f"${predicted}$"))


def test_agrees_with_math_verify_on_a_sample():
    golds = [gold.strip() for row in lines(SAMPLE) for gold in row.split(" | ")]
    for a, b in combinations(golds, 2):
        assert answers_match(a, b) == reference(a, b), (a, b)


def test_the_recorded_gsm8k_pools_are_graded_as_by_math_verify():
    """On real replies: it reads the whole text, finds the answer and compares, all on its own."""
    verdicts = []
    for path in sorted(POOLS_FOLDER.glob("*_gsm8k*.jsonl")):
        for record in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            for completion in record["completions"]:
                if completion["finish_reason"] == "stop":
                    text, gold = completion["text"], record["gold"]
                    ours = answers_match(extract_answer(text), gold)
                    theirs = math_verify.verify(parsed(f"${gold}$"), parsed(text))
                    verdicts.append((ours, theirs, text))
    assert len(verdicts) > 500 and sum(ours for ours, _, _ in verdicts) > 50
    assert [text for ours, theirs, text in verdicts if theirs and not ours] == []
    # It joins two boxes, "150 miles and 230 miles", to a set; here the last one is the answer.
    assert sum(ours and not theirs for ours, theirs, _ in verdicts) <= 1


def data_file(name):
    folder = os.environ.get("MATH_DATA_DIR")
    if not folder:
        pytest.skip("MATH_DATA_DIR is not set: no folder with math500.json, gsm8k_test.jsonl")
    return (Path(folder) / name).read_text(encoding="utf-8")


def math500_golds():
    return sorted({record["answer"] for record in json.loads(data_file("math500.json"))})


def test_math500_solutions_yield_their_answers_and_no_others():
    records = json.loads(data_file("math500.json"))
    golds = [record["answer"] for record in records]
    for gold, record in zip(golds, records, strict=True):
        assert extract_answer(record["solution"]) == gold
        assert answers_match(gold, gold) and answers_match(gold + " ", f"${gold}$")
    shuffled = random.Random(0).sample(golds, len(golds))
    for a, b in zip(golds, shuffled, strict=True):
        if answers_match(a, b):
            assert a == b or reference(a, b), (a, b)
            assert normalize_answer(a) == normalize_answer(b), (a, b)


@pytest.mark.parametrize(
    "form",
    [
        r"so \boxed{GOLD}",
        "The answer is GOLD",
        "The answer is GOLD in simplest form.",
        "The answer is $GOLD$ in simplest form.",
        "The answer is $GOLD$ units, as required.",
        r"The answer is: \[GOLD\] because of that.",
        "**Answer**: GOLD",
        "**Answer:** $GOLD$",
        "### Answer\n\n$$GOLD$$",
        "Answer (in cm): GOLD",
        "<answer>GOLD</answer>",
        "So we get $GOLD$.",
    ],
)
def test_every_math500_answer_is_found_in_every_form(form):
    lost = {}
    for gold in math500_golds():
        found = extract_answer(form.replace("GOLD", gold))
        is_in_words = form.startswith("So") and not re.search("[0-9]", gold)  # no claim, no number
        if not is_in_words and compare_answers(found, gold) is not True:
            lost[gold] = found
    assert lost == {}


def near_misses(gold):
    """Another digit, sign, bracket, variable, order; a word or a number more."""
    for match in re.finditer("[0-9]", gold):
        yield gold[: match.start()] + str((int(match[0]) + 1) % 10) + gold[match.end() :]
    for match in re.finditer("[-+]", gold):
        yield gold[: match.start()] + ("-" if match[0] == "+" else "+") + gold[match.end() :]
    for old, new in (("(", "["), (")", "]"), ("x", "w"), (r"\sqrt", ""), (r"\pi", "")):
        yield gold.replace(old, new, 1)
    if gold.isdigit() and len(gold) > 1:
        yield gold[::-1]
        yield " ".join(gold)
    if gold.isdigit():
        yield from (gold + " million", gold + " thirds", f"{gold}x", f"-{gold}", f"{gold}.5")


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_near_misses_of_math500_answers_stay_different(step):
    for gold in math500_golds()[::step]:
        for other in near_misses(gold):
            if compare_answers(other, gold) is not False:
                # an infinite end, an exponent of a unit, `(B]`: the same to both
                is_choice = re.fullmatch(r"\\text\{[(\[].[)\]]\}", other)
                assert is_choice or other == gold or reference(gold, other), (gold, other)


def test_gsm8k_solutions_yield_their_answers():
    for line in data_file("gsm8k_test.jsonl").splitlines():
        solution = json.loads(line)["answer"]
        gold = solution.rpartition("#### ")[2].strip()
        assert extract_answer(solution) == gold
        assert answers_match(gold.replace(",", ""), gold)
