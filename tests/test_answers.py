r"""Answers: extraction and comparison, against tables, `math_verify` and hostile input.

Set MATH_DATA_DIR to a folder with math500.json (records with `problem`, `solution`, `answer`) and
gsm8k_test.jsonl (`question`, `answer` ending in `#### n`) to test on whole problem sets too.
"""

import json
import os
import random
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import math_verify
import pytest
import sympy.parsing.sympy_parser

from shared import answers, math_worker
from shared.answers import answers_match, extract_answer, normalize_answer

ROOT = Path(__file__).parent.parent
HARD_LIMIT = 10.0  # seconds for any one call, starting the helper included
posix_only = pytest.mark.skipif(os.name != "posix", reason="uses POSIX processes")


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
    extract_answer(piece * 100_000)
    extract_answer("1" + piece * 100_000 + "x")
    extract_answer(r"\boxed{" * 100_000 + "5" + "}" * 100_000)
    assert time.perf_counter() - start < 5  # measured: under 0.3; a quadratic pattern takes hours


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


@pytest.mark.parametrize("row", rows(EQUAL), ids=lambda row: row[0])
def test_equal_answers_match(row):
    for other in row[1:]:
        assert answers_match(row[0], other), other
        assert answers_match(other, row[0]), other


@pytest.mark.parametrize("row", rows(DIFFERENT), ids=lambda row: row[0])
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
        ([r"\left(3, \frac{\pi}{2}\right)", r"(3,\frac\pi2)", r"(3,\frac{\pi}2)"][:1], None),
    ],
)
def test_normalize_answer_makes_one_vote(votes, form):
    forms = {normalize_answer(vote) for vote in votes}
    assert len(forms) == 1 and (form is None or forms == {form})


# --- An independent reference ---------------------------------------------------------------------

SAMPLE = r"""
\left( 3, \frac{\pi}{2} \right) | p - q | \frac{14}{3} | 9 | \text{Evelyn} | 90^\circ | 90 | 3\sqrt{13} | 6 - 5i
x=5 | 5 | 1,-2 | -2,1 | 52_8 | x^3+3x-6 | (3,4] | (-\infty, 0] | \frac43 | \frac34 | 1 \pm \sqrt{19} | 10,\!080
\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix} | 5.4 \text{ cents} | 1\frac{4}{5} | \{1\pm\sqrt{5},-2\} | 8 \pi | \$36
"""


def reference(gold, predicted):
    """`math_verify` with its own defaults (main thread: it uses signals)."""
    return math_verify.verify(math_verify.parse(f"${gold}$"), math_verify.parse(f"${predicted}$"))


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


# --- Hostile input --------------------------------------------------------------------------------


@pytest.fixture
def short_helper(monkeypatch):
    """A helper that gives up after half a second instead of several."""
    helper = math_worker.Helper(seconds=0.5)
    monkeypatch.setattr(math_worker, "_helper", helper)
    answers._equal.cache_clear()
    yield helper
    helper.close()
    answers._equal.cache_clear()  # what the short limit gave up must not stay decided


@pytest.mark.parametrize(
    "bomb",
    ["9**9**9**9", "10^{10^{10}}", "99999999!", "(999!)!", "9" * 5_000, "9" * 200, "1e999999999"]
    + [r"\frac{1}{" * 10_000, r"\frac{" * 10_000 + "1" + "}" * 10_000, "(" * 140 + "1" + ")" * 140]
    + ["*".join(["99999999"] * 30), r"\binom{9999999}{499999}", r"\Gamma(9999999)", "x^{9999999}"]
    + ["(x+1)^{9999}", "(x+y+z+w)^{60}", r"\prod_{n=1}^{999999} n", r"\int \sin(x^x) dx"]
    + ["(" + ")(".join(f"{c}+1" for c in "abcdefghijklmnop") + ")", "1," * 149, "1 " * 150]
    + [r"\text{" * 60, "\0", "\ud800", "\\", "{", "}", "%", "=", "x=", "^", "_", r"\frac", "٣"],
)
def test_hostile_answers_return_in_time(bomb, short_helper):
    for other in ("5", "x^2+1", bomb + "+1"):
        start = time.perf_counter()
        assert answers_match(bomb, other) is False
        assert answers_match(other, bomb) is False
        normalize_answer(bomb)
        assert time.perf_counter() - start < HARD_LIMIT
    assert answers_match("x+1", "1+x")  # and the helper is back


def test_the_default_limit_bounds_one_call_and_is_logged(caplog):
    start = time.perf_counter()
    assert not answers_match(r"\binom{9999999}{499999}", "x+2")
    assert time.perf_counter() - start < HARD_LIMIT
    assert "gave up" in caplog.text


def test_random_garbage_never_raises_and_is_symmetric(short_helper):
    rng = random.Random(0)
    tokens = list(r"0123456789+-*/^_=<>()[]{},.;:!%$#&~|'\ abcxyz") + ["\0", "\ud800", "½", "π"]
    tokens += r"\frac \sqrt \boxed{ \text{ \left( \right) \cup \pm \in \infty \% \\ ####".split()
    tokens += [r"\begin{pmatrix}", r"\end{pmatrix}", "answer is ", "</think>", "<think>"]
    for _ in range(300):
        a, b = ("".join(rng.choices(tokens, k=rng.randint(1, 12))) for _ in range(2))
        extracted = extract_answer(a * rng.randint(1, 5))
        assert extracted is None or extracted
        assert isinstance(normalize_answer(a), str)
        assert answers_match(a, b) == answers_match(b, a)


def test_model_text_is_never_evaluated(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("text was evaluated")

    monkeypatch.setattr(sympy.parsing.sympy_parser, "eval_expr", refuse)
    verify_equal = math_worker._load_math_verify()
    for row in rows(EQUAL):
        verify_equal(row[0], row[-1])
    canary = tmp_path / "canary"
    attack = f"__import__('pathlib').Path('{canary}').touch()"
    for text in (attack, f"${attack}$", rf"\text{{{attack}}}", f"1+{attack}", f"f({attack})"):
        answers_match(text, "x+1")
        verify_equal(text, "1")
    assert not canary.exists()


# --- The helper process ---------------------------------------------------------------------------


def test_many_threads_at_the_same_time():
    pairs = [(f"{k}x+{k + 1}", f"{k + 1}+{k}x") for k in range(2, 42)]
    pairs += [(f"{k}x+1", f"{k}x+2") for k in range(2, 42)]
    with ThreadPoolExecutor(8) as pool:
        matches = list(pool.map(lambda pair: answers_match(*pair), pairs))
    assert matches == [True] * 40 + [False] * 40


def test_helper_restarts_after_it_was_killed(short_helper):
    assert short_helper.ask("x+1", "1+x")
    short_helper._process.kill()
    assert short_helper.ask("x+1", "1+x") in (True, False)  # the kill may still be under way
    assert short_helper.ask("x+1", "1+x")
    short_helper.close()
    assert short_helper.ask("x+1", "1+x")


def test_helper_that_cannot_start_is_an_error(monkeypatch):
    monkeypatch.setattr(math_worker, "__file__", "missing.py")
    with pytest.raises(RuntimeError, match="math-verify"):
        math_worker.Helper().ask("x", "y")


def run_script(tmp_path, body, **options):
    """Start a script that has no `if __name__ == "__main__"`, as readers' own often have none."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(body), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=env, **options
    )


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    body = """
        import sys, threading
        from shared.answers import answers_match
        print("start")
        result = []
        thread = threading.Thread(target=lambda: result.append(answers_match("x+1", "1+x")))
        thread.start(); thread.join()
        print(result, "torch" in sys.modules and "torch" or "")
    """
    output = run_script(tmp_path, body).communicate(timeout=60)[0].split()
    assert output[:2] == ["start", "[True]"]


@posix_only
def test_a_forked_child_gets_a_helper_of_its_own(tmp_path):
    body = """
        import os
        from shared.answers import answers_match
        from shared.math_worker import _helper
        answers_match("x+1", "1+x")
        pid = os.fork()
        assert answers_match("x+2", "2+x")
        if pid:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            print("ok")
        else:
            _helper.close()
            os._exit(0)
    """
    assert run_script(tmp_path, body).communicate(timeout=60)[0] == "ok\n"


@posix_only
@pytest.mark.parametrize("question", ["x+1", r"\binom{9999999}{499999}"], ids=["idle", "busy"])
def test_helper_ends_with_its_parent(tmp_path, question):
    body = f"""
        import threading, time
        from shared.answers import answers_match
        from shared.math_worker import _helper
        answers_match("x+1", "1+x")
        print(_helper._process.pid, flush=True)
        answers_match({question!r}, "2+x")
        time.sleep(60)
    """
    parent = run_script(tmp_path, body)
    helper = int(parent.stdout.readline())
    time.sleep(0.5)  # let the question arrive
    assert is_alive(helper)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + HARD_LIMIT
    while is_alive(helper) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(helper)


def is_alive(pid):
    """Whether a process runs; a zombie that nobody has collected does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip() != "" and not state.stdout.strip().startswith("Z")
