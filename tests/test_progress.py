"""Progress of a run: lines every half minute without a terminal, a bar in one, and no thread."""

import io
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.evaluation import progress
from shared.evaluation.evaluate import evaluate
from shared.evaluation.problem import Problem
from shared.evaluation.progress import Progress
from shared.solution import Cost, Solution
from shared.threads import run_threads

PROBLEMS = [Problem(f"{i} + 1 =", str(i + 1), f"p/{i}", "sums") for i in range(6)]
LLM = SimpleNamespace(name="stand-in")
ROOT = Path(__file__).parents[1]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_comes_every_half_minute_and_one_at_the_end(capsys):
    clock = Clock()
    with Progress(100, clock=clock) as shown:
        for second in range(1, 101):
            clock.now = 1000 + second
            shown.add(second % 2 == 0, has_failed=second == 7)
            shown.tick()
            shown.tick()
    assert capsys.readouterr().err.splitlines() == [
        "30 of 100 problems, accuracy 0.500, 1 failed, 30 s, about 70 s to go",
        "60 of 100 problems, accuracy 0.500, 1 failed, 60 s, about 40 s to go",
        "90 of 100 problems, accuracy 0.500, 1 failed, 90 s, about 10 s to go",
        "100 of 100 problems, accuracy 0.500, 1 failed, 100 s",
    ]


def test_a_line_comes_although_nothing_is_finished(capsys):
    clock = Clock()
    with pytest.raises(KeyboardInterrupt), Progress(9, clock=clock) as shown:
        for clock.now in (1029.9, 1030, 1059, 1061):
            shown.tick()
        raise KeyboardInterrupt  # which says itself how far the run is
    assert capsys.readouterr().err.splitlines() == [
        "0 of 9 problems, 30 s",
        "0 of 9 problems, 61 s",
    ]


def test_what_an_earlier_session_finished_counts_but_not_for_the_speed(capsys):
    clock = Clock()
    with Progress(10, finished=6, right=3, clock=clock) as shown:
        clock.now += 40
        shown.tick()
        shown.add(True)
        shown.add(True)
        clock.now += 40
        shown.tick()
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == "6 of 10 problems, accuracy 0.500, 40 s"
    assert second == last == "8 of 10 problems, accuracy 0.625, 80 s, about 80 s to go"


def test_in_a_terminal_there_is_a_bar_and_no_line(monkeypatch):
    terminal, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(2, clock=clock) as shown:
        shown.add(True)
        clock.now += 100
        shown.tick()
        shown.add(False)
    text = terminal.getvalue()
    assert "2/2" in text and "accuracy=0.500" in text and " problems" not in text


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_nothing_is_shown_if_nobody_wants_it(monkeypatch, kind):
    written, clock = kind(), Clock()
    monkeypatch.setattr(sys, "stderr", written)
    with Progress(2, shown=False, clock=clock) as shown:
        shown.add(True)
        clock.now += 100
        shown.tick()
    assert written.getvalue() == ""


def test_a_run_needs_no_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    technique = lambda llm, problem: Solution("1", [], Cost())  # noqa: E731
    assert evaluate(technique, LLM, PROBLEMS).num_correct == 1


def test_a_run_ticks_while_it_waits_and_leaves_no_thread(monkeypatch):
    """The first question takes so long that a line is due before anything is finished."""
    written, is_due = io.StringIO(), threading.Event()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(progress, "INTERVAL", 0.1)

    def slow(llm, problem) -> Solution:
        is_due.wait(1)
        return Solution("1", [], Cost())

    before = threading.active_count()
    evaluate(slow, LLM, PROBLEMS, num_threads=6)
    lines = written.getvalue().splitlines()
    assert re.fullmatch(r"0 of 6 problems, \d s", lines[0])
    assert re.fullmatch(r"6 of 6 problems, accuracy 0.167, \d s", lines[-1])
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # the workers are about to return
    assert threading.active_count() == before


def test_whoever_waits_for_threads_ticks_twice_a_second_and_keeps_the_results():
    ticks, kept, main = [], [], threading.get_ident()

    def tick() -> None:
        ticks.append(time.monotonic())
        assert threading.get_ident() == main

    run_threads(lambda seconds: time.sleep(seconds), [0, 1.3], 2, kept.append, tick)
    assert len(kept) == 2
    assert max(b - a for a, b in zip(ticks, ticks[1:])) < 0.9


def test_what_a_tick_raises_ends_the_run():
    def tick() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        run_threads(time.sleep, [0.1], 1, lambda _: None, tick)


def test_a_script_without_a_terminal_says_how_it_went(tmp_path):
    script = ROOT / "ch01_cot" / "cot.py"
    command = [sys.executable, str(script), "--limit", "2", "--max-tokens", "3"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=120
    )
    assert done.returncode == 0
    assert re.fullmatch(r"2 of 2 problems, accuracy \d\.\d{3}, \d+ s\n", done.stderr)
