"""The thread in which all models run: turns, results, errors, and its end."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared import LLM, SamplingParams
from shared.engine.model_thread import ModelThread
from shared.rewards.process_reward import ProcessRewardModel


def test_run_gives_back_what_the_function_returns_or_raises():
    thread = ModelThread()
    assert thread.run(lambda: threading.current_thread().name) == "models"
    with pytest.raises(ZeroDivisionError):
        thread.run(lambda: 1 / 0)
    assert thread.run(lambda: 7) == 7  # and goes on


def test_a_function_that_runs_another_one_there_does_not_wait_for_itself():
    thread = ModelThread()
    assert thread.run(lambda: thread.run(lambda: 7)) == 7


def test_tasks_take_turns_in_one_thread():
    thread, seen, threads = ModelThread(), [], set()
    go = threading.Event()

    def task(name: str, times: int):
        left = iter(range(times))

        def turn() -> bool:
            threads.add(threading.current_thread())
            seen.append(name)
            return next(left) < times - 1

        return turn

    thread.repeat(lambda: go.wait(10) and False)  # so that the others wait in the queue together
    thread.repeat(task("a", 3))
    thread.repeat(task("b", 2))
    go.set()
    thread.run(lambda: None)
    deadline = time.monotonic() + 10
    while len(seen) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert seen == ["a", "b", "a", "b", "a"] and len(threads) == 1


def test_the_thread_ends_with_the_work_and_comes_back():
    thread = ModelThread()
    for _ in range(3):
        (used,) = thread.run(lambda: [threading.current_thread()])
        used.join(timeout=10)
        assert not used.is_alive()


def test_results_reach_those_who_asked_for_them():
    thread = ModelThread()
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda i: thread.run(lambda: i * i), range(500))) == [
            i * i for i in range(500)
        ]


def test_a_task_that_raises_is_dropped_and_the_others_go_on(caplog):
    thread = ModelThread()

    def task() -> bool:
        raise SystemExit("not for you")

    thread.repeat(task)
    assert thread.run(lambda: 7) == 7
    assert "not for you" in caplog.text
    with pytest.raises(SystemExit):
        thread.run(task)
    assert thread.run(lambda: 7) == 7


def test_no_thread_can_be_started_and_later_one_can(monkeypatch):
    thread = ModelThread()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError))
        with pytest.raises(RuntimeError):
            thread.run(lambda: 7)
    assert thread.run(lambda: 7) == 7


def test_who_is_interrupted_while_it_waits_takes_its_task_back(monkeypatch):
    thread, go, called = ModelThread(), threading.Event(), []
    thread.repeat(lambda: go.wait(10) and False)

    def interrupted(future):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shared.engine.model_thread.wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            thread.run(lambda: called.append(1))
    go.set()
    assert thread.run(lambda: 7) == 7 and not called


def test_generators_and_scorers_compute_in_it_and_nowhere_else(monkeypatch):
    """Two threads that compute slow each other down (see the module's text)."""
    llm, reward_model = LLM("tiny", device="cpu"), ProcessRewardModel.from_folder(device="cpu")
    threads = set()
    for decoder in (llm.model.model, reward_model.model):
        decoder.register_forward_pre_hook(lambda *_: threads.add(threading.current_thread().name))
    with ThreadPoolExecutor(4) as pool:
        params = [SamplingParams(max_tokens=8, seed=i) for i in range(4)]
        made = pool.map(lambda p: llm.generate("1+1=", p), params)
        scored = pool.map(lambda i: llm.score("1+1=", "2"), range(4))
        scores = pool.map(lambda i: reward_model.step_scores("What is 1+1?", ["1+1=2"]), range(4))
    assert all(0 < steps[-1] < 1 for (steps,) in scores)
    assert len(list(made)) == len(list(scored)) == 4
    assert threads == {"models"}
