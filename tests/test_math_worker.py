"""The helper process: hostile input is bounded, text is not evaluated, no process is left over."""

import os
import random
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sympy.core import numbers
from sympy.parsing import sympy_parser

from shared.grading import answers, math_worker
from shared.grading.answers import answers_match, extract_answer, normalize_answer

ROOT = Path(__file__).parent.parent
HARD_LIMIT = 10.0  # seconds for any one call, starting the helper included
posix_only = pytest.mark.skipif(os.name != "posix", reason="uses POSIX processes")


# --- Hostile input --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helper():
    """A helper that gives up after 0.3 seconds instead of several."""
    helper = math_worker.Helper(seconds=0.3)
    yield helper
    helper.close()


@pytest.fixture
def short_helper(monkeypatch, helper):
    monkeypatch.setattr(math_worker, "_helper", helper)
    answers._equal.cache_clear()
    yield helper
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
    for other in ("5", bomb + "+7"):
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
    tokens += [r"\frac", r"\sqrt", r"\boxed{", r"\text{", r"\left(", r"\right)", r"\cup", r"\pm"]
    tokens += [r"\in", r"\infty", r"\%", r"\\", r"\begin{pmatrix}", r"\end{pmatrix}", "####"]
    tokens += ["answer is ", "</think>", "<think>"]
    for _ in range(300):
        a, b = ("".join(rng.choices(tokens, k=rng.randint(1, 12))) for _ in range(2))
        extracted = extract_answer(a * rng.randint(1, 5))
        assert extracted is None or extracted
        assert isinstance(normalize_answer(a), str)
        assert answers_match(a, b) == answers_match(b, a)


def test_model_text_is_never_evaluated(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("text was evaluated")

    verify_equal = math_worker._load_math_verify()
    monkeypatch.setattr(sympy_parser, "eval_expr", refuse)
    assert not verify_equal("x+1", "1+x")  # math_verify alone evals the numeral
    monkeypatch.setattr(numbers, "sympify", numbers.sympify)  # restored at the end
    math_worker._replace_eval()
    for a, b in [("x+2", "2+x"), (r"\frac{1}{2}+1", "1.5"), ("2.50z", "2.5z"), ("007y", "7y")]:
        assert verify_equal(a, b), (a, b)
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
        import threading
        from shared.grading.answers import answers_match
        print("start")
        result = []
        thread = threading.Thread(target=lambda: result.append(answers_match("x+1", "1+x")))
        thread.start(); thread.join()
        print(result)
    """
    assert run_script(tmp_path, body).communicate(timeout=60)[0] == "start\n[True]\n"


@posix_only
def test_a_forked_child_gets_a_helper_of_its_own(tmp_path):
    body = """
        import os
        from shared.grading.answers import answers_match
        from shared.grading.math_worker import _helper
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
        import time
        from shared.grading.math_worker import Helper
        helper = Helper(seconds=2)
        helper.ask("x+1", "1+x")
        print(helper._process.pid, flush=True)
        helper.ask({question!r}, "2+x")
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
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return state != "" and not state.startswith("Z")
