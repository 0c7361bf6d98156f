r"""Answers: extraction and comparison, against tables and against `math_verify`.

Hostile input and the helper process are tested in test_math_worker.py.

Set MATH_DATA_DIR to a folder with math500.json (records with `problem`, `solution`, `answer`) and
gsm8k_test.jsonl (`question`, `answer` ending in `#### n`) to test on whole problem sets too.
"""

import json
import os
import random
import time
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import math_verify
import pytest

from shared.grading.answers import answers_match, extract_answer, normalize_answer

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
    + [r"\boxed ", "<think>", "</think>", "1_{", "1.", "answer is (A) ", "\ud800", "\0", " "],
)
def test_extraction_takes_linear_time(piece):
    start = time.perf_counter()
    extract_answer(piece * 30_000)
    extract_answer("1" + piece * 30_000 + "x")
    extract_answer(r"\boxed{" * 30_000 + "5" + "}" * 30_000)
    assert time.perf_counter() - start < 5  # measured: 0.2; a quadratic pattern takes minutes


# --- Comparison -----------------------------------------------------------------------------------

EQUAL = r"""
1,000 | 1000 | 1000.0 | $1000 | \$1,000.00 | 1{,}000 | 1,\!000 | 1e3 | +1000 | 1000.
1/2 | \frac{1}{2} | \frac12 | 0.5 | .5 | \dfrac{1}{2} | 2/4 | \frac{-1}{-2} | $\frac 12$ | 50\% | \(0.5\)
-3/2 | -1\frac{1}{2} | -1 1/2 | \frac{-3}{2} | -\frac32 | -1.5 | −1.5
50% | 50\% | 50 percent | 50 | 50 %
5 | 5 apples | 5\text{ cm} | 5 \mbox{ inches}^2 | 5^\circ | 5° | 5 degrees | x = 5 | 5 miles per hour | **5** | 5cm
52_8 | 52_{8}
\{1,2\} | \{2,1\} | 1,2 | 2, 1 | 1 and 2
(1,2] | \left(1,2\right] | ( 1, 2 ] | (\frac{2}{2},2.0]
(2,\infty) | (2,+\infty) | x > 2 | 2 < x
(0,9)\cup(9,36) | (9,36) \cup (0,9)
x \in [-2,7] | [-2,7]
\begin{pmatrix} 1/2 \\ 2 \end{pmatrix} | \begin{bmatrix}\frac12\\2\end{bmatrix}
x^2+1 | 1+x^2 | x^{2} + 1 | x**2+1
\sqrt{8} | 2\sqrt2 | 2 \sqrt{2} | sqrt(8) | √8
(a+5)(b+2) | ab + 2a + 5b + 10
1 \pm \sqrt{19} | 1+\sqrt{19}, 1-\sqrt{19}
y = 2x + 3 | 2x+3 | y - 2x = 3
6 - 5i | -5i + 6
\text{Monday} | monday | Monday. | \textbf{Monday}
(A) | A | \text{(A)} | a | A.
2\pi | 2π | 2 pi
\frac{\sqrt{3}}{3} | \frac{1}{\sqrt3}
"""
DIFFERENT = r"""
52_8 | 528 | 52 | 42 | 52_9
\{1,2\} | \{1,2,3\} | \{1\} | (1,2)
1,2 | 1 | 2 | 1,2,3
(1,2] | (1,2) | [1,2] | [1,2) | (2,1]
(3,4) | (4,3) | 3,4 | (3,4,5)
(0,9)\cup(9,36) | (0,36) | (0,9)
50% | 5 | 0.005 | 0.5%
5 | 5 million | 5x | 5c | -5 | 5.1 | 15
1 1/2 | 11/2 | 1/2
0.33 | 1/3
x = 5 | y = 5
x - y = 0 | 0
5x + 2t | 5x + 2
10 a.m. | 10 p.m.
\text{east} | \text{seat} | \text{west}
A | B
yes | no
\begin{pmatrix}1\\2\end{pmatrix} | \begin{pmatrix}1&2\end{pmatrix} | \begin{pmatrix}2\\1\end{pmatrix}
1 \pm \sqrt{19} | 1 + \sqrt{19}
x^2 + 1 | x^2 - 1 | y^2 + 1
0.0000672 | 0.0000671
1/0 | 0 | 1
"""


def rows(table):
    for line in table.strip().splitlines():
        yield [cell.strip() for cell in line.split(" | ")]


@pytest.mark.parametrize("row", list(rows(EQUAL)), ids=lambda row: row[0])
def test_equal_answers_match(row):
    for other in row[1:]:
        assert answers_match(row[0], other), other
        assert answers_match(other, row[0]), other


@pytest.mark.parametrize("row", list(rows(DIFFERENT)), ids=lambda row: row[0])
def test_different_answers_do_not_match(row):
    for other in row[1:]:
        assert not answers_match(row[0], other), other
        assert not answers_match(other, row[0]), other


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
        ([r"\sqrt2 + x", r"\sqrt{2}+x"], r"\sqrt{2}+x"),
        ([r"\left(3, \dfrac{x}{2}\right)", r"(3,\frac{x}2)"], r"(3,\frac{x}{2})"),
    ],
)
def test_normalize_answer_makes_one_vote(votes, form):
    assert {normalize_answer(vote) for vote in votes} == {form}


# --- An independent reference ---------------------------------------------------------------------

SAMPLE = r"""
\left( 3, \frac{\pi}{2} \right) | p - q | \frac{14}{3} | 9 | \text{Evelyn} | 90^\circ | 90 | 3\sqrt{13} | 6 - 5i
x=5 | 5 | 1,-2 | -2,1 | 52_8 | x^3+3x-6 | (3,4] | (-\infty, 0] | \frac43 | \frac34 | 1 \pm \sqrt{19} | 10,\!080
\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix} | 5.4 \text{ cents} | 1\frac{4}{5} | \{1\pm\sqrt{5},-2\} | 8 \pi | \$36
"""


@lru_cache
def parsed(text):
    return math_verify.parse(f"${text}$")


def reference(gold, predicted):
    """`math_verify` with its own defaults (main thread: it uses signals)."""
    return math_verify.verify(parsed(gold), parsed(predicted))


def test_agrees_with_math_verify_on_a_sample():
    golds = [gold for row in rows(SAMPLE) for gold in row]
    for a, b in combinations(golds, 2):
        assert answers_match(a, b) == reference(a, b), (a, b)


def data_file(name):
    folder = os.environ.get("MATH_DATA_DIR")
    if not folder:
        pytest.skip("MATH_DATA_DIR is not set: no folder with math500.json, gsm8k_test.jsonl")
    return (Path(folder) / name).read_text(encoding="utf-8")


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


def test_gsm8k_solutions_yield_their_answers():
    for line in data_file("gsm8k_test.jsonl").splitlines():
        solution = json.loads(line)["answer"]
        gold = solution.rpartition("#### ")[2].strip()
        assert extract_answer(solution) == gold
        assert answers_match(gold.replace(",", ""), gold)
