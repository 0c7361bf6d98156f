"""The evaluation loop: what it counts, writes, survives and refuses; and the scripts' common part.

Techniques here are a few lines with known answers, and the model is a stand-in.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import matplotlib
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from shared import LLM as ModelOf
from shared import prompts
from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen
from shared.errors import UserError
from shared.evaluation import cli
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation, compare, load_evaluation
from shared.evaluation.flops import estimate_flops
from shared.evaluation.intervals import paired_bootstrap, wilson_interval
from shared.evaluation.plots import plot_accuracy_against_tokens, save_figure, use_style
from shared.evaluation.problem import Problem
from shared.evaluation.records import Record
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.scorers import Reward
from shared.sampling_params import SamplingParams
from shared.solution import Completion, Cost, Solution
from shared.threads import run_threads, wait_for

PROBLEMS = [Problem(f"{i} + 1 =", str(i + 1), f"p/{i}", "sums") for i in range(40)]
LLM = SimpleNamespace(name="stand-in")


def solution(answer: str | None, finish_reason: str = "stop") -> Solution:
    text = f"The answer is \\boxed{{{answer}}}"
    completion = Completion(text, [1, 2, 3], [-0.5, -0.25, -1.0], finish_reason)
    trace = [{"round": 1, "votes": {"1": 2}}]
    return Solution(answer, [completion], Cost(10, 3, 1, 4), [0.5], trace)


def add_one(llm, problem, *, n=8, params=None) -> Solution:
    """Right except for multiples of 4; later questions are finished earlier."""
    number = int(problem.question.split()[0])
    time.sleep(0.0005 * (40 - number))
    return solution(str(number + (number % 4 != 0)))


def interrupt_main() -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def without_times(evaluation: Evaluation) -> list[Record]:
    return [replace(record, seconds=0, elapsed=0) for record in evaluation.records]


# --- What is counted ------------------------------------------------------------------------------


def test_counts_grades_and_keeps_the_problems_order(tmp_path):
    result = evaluate(add_one, LLM, PROBLEMS, out=tmp_path / "new" / "run.jsonl")
    assert [record.id for record in result.records] == [problem.id for problem in PROBLEMS]
    assert [record.correct for record in result.records] == [i % 4 != 0 for i in range(40)]
    assert (result.accuracy, result.num_errors) == (0.75, 0)
    assert result.interval == wilson_interval(30, 40)
    assert result.cost == Cost(400, 120, 40, 160)
    assert 0.01 < result.seconds < 10
    written = lines_of(tmp_path / "new" / "run.jsonl")
    assert len(written) == 40
    assert [line["index"] for line in written] != sorted(line["index"] for line in written)


def test_a_record_has_what_is_needed_to_study_it_later(tmp_path):
    path = tmp_path / "run.jsonl"
    cut = lambda llm, problem: solution("1", "length")  # noqa: E731
    evaluate(cut, LLM, PROBLEMS[:1], out=path)
    (record,) = lines_of(path)
    assert 0 <= record.pop("seconds") <= record.pop("elapsed") < 5
    assert record == {
        "index": 0,
        "id": "p/0",
        "question": "0 + 1 =",
        "gold": "1",
        "predicted": "1",
        "correct": True,
        "undecided": False,
        "prompt_tokens": 10,
        "reused_tokens": 0,
        "generated_tokens": 3,
        "scored_tokens": 1,
        "forward_passes": 4,
        "num_prompts": 0,
        "truncated": 1,
        "error": None,
        "completions": [
            {
                "text": "The answer is \\boxed{1}",
                "finish_reason": "length",
                "num_tokens": 3,
                "logprob": -1.75,
                "answer": "1",
            }
        ],
        "scores": [0.5],
        "trace": [{"round": 1, "votes": {"1": 2}}],
    }


def test_summary_line():
    records = [Record(i, str(i), "q", "1", correct=i < 19, generated_tokens=100) for i in range(40)]
    line = "accuracy 0.475 [0.329, 0.625]  problems 40  generated tokens 4000  seconds 12.3"
    assert Evaluation(records, {}, 12.34).summary_line() == line
    records[-1].error = "ValueError: no"
    assert Evaluation(records, {}, 12.34).summary_line() == line + "  errors 1"


def test_what_json_cannot_hold_is_written_as_none_or_escaped(tmp_path):
    def odd(llm, problem):
        completion = Completion("\ud800 \u2028 é", [1], [float("-inf")], "stop")
        return Solution(None, [completion], Cost(), [float("nan"), 1.0])

    path = tmp_path / "run.jsonl"
    evaluate(odd, LLM, PROBLEMS[:2], out=path)
    record = load_evaluation(path).records[0] if len(lines_of(path)) == 2 else None
    assert record.completions[0]["logprob"] is None and record.scores == [None, 1.0]
    assert record.completions[0]["text"] == "\ud800 \u2028 é"


def test_no_technique_sees_the_answer():
    seen = []
    with_solution = [replace(problem, metadata={"solution": "x"}) for problem in PROBLEMS]
    evaluate(lambda llm, p: seen.append(p) or solution("1"), LLM, with_solution)
    assert len(seen) == 40
    assert {(problem.answer, len(problem.metadata)) for problem in seen} == {(None, 0)}


def test_questions_run_at_the_same_time_but_not_more_than_allowed():
    running, most, lock = set(), [0], threading.Lock()

    def wait(llm, problem):
        with lock:
            running.add(problem.id)
            most[0] = max(most[0], len(running))
        time.sleep(0.01)
        with lock:
            running.remove(problem.id)
        return solution("1")

    evaluate(wait, LLM, PROBLEMS, num_threads=8)
    assert most[0] == 8


def test_saved_and_loaded_evaluations_are_the_same(tmp_path):
    path = tmp_path / "run.jsonl"
    result = evaluate(add_one, LLM, PROBLEMS, out=path)
    loaded = load_evaluation(path)
    assert loaded.records == result.records and loaded.settings == result.settings
    assert loaded.seconds == pytest.approx(result.seconds, abs=0.2)


def test_compare_pairs_the_problems_and_refuses_others():
    worse = evaluate(add_one, LLM, PROBLEMS)
    better = evaluate(lambda llm, p: solution(str(int(p.question.split()[0]) + 1)), LLM, PROBLEMS)
    result = compare(better, worse)
    right = [record.correct for record in worse.records]
    assert result == paired_bootstrap([True] * 40, right) and result.difference == 0.25
    with pytest.raises(ValueError, match="same problems"):
        compare(better, evaluate(add_one, LLM, PROBLEMS[:39]))


# --- Errors ---------------------------------------------------------------------------------------


BAD_LUCK = ValueError("bad luck")


def fails_at(*numbers, error=BAD_LUCK):
    def technique(llm, problem):
        if int(problem.question.split()[0]) in numbers:
            raise error
        return add_one(llm, problem)

    return technique


@pytest.mark.parametrize("error", [ValueError("bad luck"), SystemExit(3), MemoryError("too much")])
def test_an_error_stays_with_its_question(error):
    result = evaluate(fails_at(3, 5, error=error), LLM, PROBLEMS)
    assert [r.index for r in result.records if r.error] == [3, 5]
    assert result.records[3].error == f"{type(error).__name__}: {error}"
    assert (result.num_errors, result.num_correct) == (2, 28)
    assert result.summary_line().endswith("  errors 2")


@pytest.mark.parametrize(
    "returned", [None, "42", Solution(42, [], Cost()), Solution("1", [7], Cost())]
)
def test_a_technique_that_returns_no_proper_solution_is_an_error_of_its_question(returned):
    result = evaluate(lambda llm, problem: returned, LLM, PROBLEMS[:3])
    assert result.num_errors == 3 and result.num_correct == 0
    assert "Error: " in result.records[0].error


def test_total_failure_finishes_and_says_so(caplog):
    result = evaluate(fails_at(*range(40)), LLM, PROBLEMS)
    assert result.num_errors == 40
    assert result.summary_line().endswith(
        "  errors 40: EVERY QUESTION FAILED: ValueError: bad luck"
    )
    assert len(caplog.records) == 1  # said once, not forty times


def fails_with(message):
    """A technique that fails with a message made of a question's number."""

    def technique(llm, problem, *, n=8, params=None):
        raise OSError(message(int(problem.question.split()[0])))

    return technique


def test_messages_that_differ_only_in_numbers_are_one_reason(caplog):
    prompt = "This model's maximum context length is 2048 tokens. However, you requested {} tokens"
    result = evaluate(fails_with(lambda i: prompt.format(2500 + 7 * i)), LLM, PROBLEMS)
    first = f"OSError: {prompt.format(2500)}"
    assert result.reasons == [(first, 40)] and result.total_failure == first
    assert result.summary_line().endswith(f"  errors 40: EVERY QUESTION FAILED: {first}")
    assert result.failures == f"40 of 40 questions failed: {first} (40)"
    assert len(caplog.records) == 1
    for a, b in (("at 0x7f3a", "at 0x11"), ("-1.5e-7 < 0", "3 < 0"), ("1,024 rows", "7 rows")):
        messages = [a, b] * 20
        assert len(evaluate(fails_with(messages.__getitem__), LLM, PROBLEMS).reasons) == 1


def test_every_question_may_fail_for_a_reason_of_its_own(caplog):
    letters = [chr(ord("a") + i % 26) * (1 + i // 26) for i in range(40)]
    messages = ["the same\nfor ten"] * 10 + ["for three"] * 3 + letters[13:]
    result = evaluate(fails_with(messages.__getitem__), LLM, PROBLEMS)
    assert result.reasons[:2] == [("OSError: the same for ten", 10), ("OSError: for three", 3)]
    assert result.total_failure == "OSError: the same for ten"
    assert result.failures == (
        "40 of 40 questions failed: OSError: the same for ten (10); OSError: for three (3); "
        f"{result.reasons[2][0]} (1); 26 other reasons"
    )
    assert len(caplog.records) == 10  # and not one for each of 29


def test_a_long_message_is_shown_in_part_and_recorded_in_full():
    page = "<html>\n" + "word " * 10_000
    result = evaluate(fails_with(lambda i: page), LLM, PROBLEMS)
    assert result.records[0].error == f"OSError: {page}"
    assert len(result.total_failure) == 300 and "\n" not in result.summary_line()


def test_a_run_of_which_one_question_did_not_fail_is_no_total_failure():
    result = evaluate(fails_at(*range(1, 40)), LLM, PROBLEMS)
    assert result.total_failure is None
    assert result.summary_line().endswith("  errors 39")
    assert result.failures == "39 of 40 questions failed: ValueError: bad luck (39)"
    assert evaluate(add_one, LLM, PROBLEMS).failures is None


def test_answers_that_could_not_be_compared_are_counted_and_not_right(monkeypatch, tmp_path):
    def grade(problem, predicted):
        number = int(problem.question.split()[0])
        return None if number < 5 else number % 2 == 0

    monkeypatch.setattr("shared.evaluation.evaluate.grade", grade)
    path = tmp_path / "run.jsonl"
    result = evaluate(fails_at(39), LLM, PROBLEMS, out=path)
    assert [r.undecided for r in result.records] == [i < 5 for i in range(40)]
    assert (result.num_undecided, result.num_correct) == (5, 17)
    assert result.summary_line().endswith("  not comparable 5  errors 1")
    assert [line["undecided"] for line in lines_of(path)].count(True) == 5
    assert load_evaluation(path).num_undecided == 5


def test_errors_are_tried_again_on_resume(tmp_path):
    path = tmp_path / "run.jsonl"
    settings = {"technique": "any"}
    first = evaluate(fails_at(3, 5), LLM, PROBLEMS, out=path, settings=settings)
    asked = []
    technique = lambda llm, p: asked.append(p.id) or add_one(llm, p)  # noqa: E731
    second = evaluate(technique, LLM, PROBLEMS, out=path, settings=settings)
    assert sorted(asked) == ["p/3", "p/5"]
    assert (first.num_errors, second.num_errors) == (2, 0)
    assert without_times(second) == without_times(evaluate(add_one, LLM, PROBLEMS))
    assert len(lines_of(path)) == 40


# --- Stopping and going on ------------------------------------------------------------------------


def test_a_half_written_line_is_cut_off_and_its_problem_asked_again(tmp_path):
    path = tmp_path / "run.jsonl"
    whole = evaluate(add_one, LLM, PROBLEMS, out=path)
    content = path.read_bytes()
    ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
    for size in (0, 1, ends[0], ends[0] + 1, ends[7] + 20, ends[38] + 1, len(content) - 2):
        path.write_bytes(content[:size])
        again = evaluate(add_one, LLM, PROBLEMS, out=path)
        assert without_times(again) == without_times(whole)
        assert sorted(line["index"] for line in lines_of(path)) == list(range(40))


def test_a_finished_run_asks_nothing_and_changes_nothing(tmp_path):
    path = tmp_path / "run.jsonl"
    first = evaluate(add_one, LLM, PROBLEMS, out=path)
    content = path.read_bytes()
    again = evaluate(partial(add_one), None, PROBLEMS, out=path, settings={"model": "stand-in"})
    assert path.read_bytes() == content
    assert again.records == first.records
    assert again.seconds == max(record.elapsed for record in first.records)


def test_seconds_add_up_over_sessions(tmp_path):
    path = tmp_path / "run.jsonl"
    evaluate(add_one, LLM, PROBLEMS, out=path)
    records = lines_of(path)[:20]
    records[3]["elapsed"] = 1000.0
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert 1000 < evaluate(add_one, LLM, PROBLEMS, out=path).seconds < 1010


KILLED_RUN = """
import sys, time
from test_evaluate import LLM, PROBLEMS, add_one
from shared.evaluation.evaluate import evaluate
def slow(llm, problem):
    time.sleep(0.1)
    return add_one(llm, problem)
slow.__name__ = "add_one"
evaluate(slow, LLM, PROBLEMS, out=sys.argv[1], num_threads=2, settings={"n": 8, "params": None})
"""


def start_run(code: str, path, *flags: str) -> subprocess.Popen:
    """Start a run in another process, and wait until some of it is on disk."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    command = [sys.executable, "-c", code, str(path), *flags]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (path.exists() and path.stat().st_size):
        time.sleep(0.01)
    time.sleep(0.2)
    return process


posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


@posix_only
def test_a_killed_process_loses_and_repeats_nothing(tmp_path):
    path = tmp_path / "run.jsonl"
    process = start_run(KILLED_RUN, path)
    process.kill()
    process.communicate(timeout=10)
    kept = path.read_bytes().split(b"\n")[:-1]
    assert 0 < len(kept) < 40
    asked = []
    technique = lambda llm, p, n=8, params=None: asked.append(p.id) or add_one(llm, p)  # noqa: E731
    result = evaluate(technique, LLM, PROBLEMS, out=path, settings={"technique": "add_one"})
    done_before = {json.loads(line)["id"] for line in kept}
    assert sorted(asked) == sorted({p.id for p in PROBLEMS} - done_before)
    assert path.read_bytes().startswith(b"\n".join(kept))
    assert without_times(result) == without_times(evaluate(add_one, LLM, PROBLEMS))


SCRIPT = """
import argparse, signal, sys
from shared import Solution
from shared.evaluation import cli
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
def sample(llm, problem, *, n, params):
    out = llm.generate(problem.question, params)[0]
    return Solution("0", out.completions, out.cost)
parser = argparse.ArgumentParser()
cli.add_common_flags(parser)
cli.run(sample, parser.parse_args(["--out", *sys.argv[1:]]))
"""


@posix_only
def test_ctrl_c_ends_a_script_at_once_while_the_model_is_busy(tmp_path, random_folder):
    path = tmp_path / "run.jsonl"
    process = start_run(
        SCRIPT, path, "--model", str(random_folder), "--limit", "400", "--n", "64", "--threads", "8"
    )
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    message = process.communicate(timeout=60)[1]
    assert (process.returncode, message.count("\n")) == (130, 2), message
    assert time.monotonic() - sent < 3
    assert f"{400 - len(lines_of(path))} problems to go; run the same again" in message


def test_interruption_keeps_what_is_finished_and_abandons_the_rest(ctrl_c_works, tmp_path):
    path, never, asked = tmp_path / "run.jsonl", threading.Event(), []

    def stuck(llm, problem):
        number = int(problem.question.split()[0])
        asked.append(number)
        if number == 10:
            while len(lines_of(path)) < 10:
                time.sleep(0.01)
            interrupt_main()
        if number >= 10:
            never.wait(20)
        return add_one(llm, problem)

    with pytest.raises(
        KeyboardInterrupt, match=r"30 problems to go; run the same again.*run.jsonl"
    ):
        evaluate(stuck, LLM, PROBLEMS, out=path, num_threads=3)
    never.set()
    time.sleep(0.1)  # what was in flight ends now: too late
    assert sorted(line["index"] for line in lines_of(path)) == list(range(10))
    assert sorted(asked) == list(range(13))


def test_an_interruption_at_any_moment_loses_nothing_that_was_finished(ctrl_c_works, tmp_path):
    for number in range(0, 40, 2):
        path = tmp_path / f"{number}.jsonl"

        def technique(llm, problem, at=f"p/{number}"):
            if problem.id == at:
                interrupt_main()
            return solution("1")

        with pytest.raises(KeyboardInterrupt) as stop:
            evaluate(technique, LLM, PROBLEMS, out=path, num_threads=2)
            time.sleep(1)  # the signal may arrive a moment later
        missing = 40 - len(lines_of(path))
        assert stop.value.args == () or f"with {missing} problems to go" in str(stop.value)


def test_without_a_file_an_interruption_says_that_nothing_was_saved():
    with pytest.raises(KeyboardInterrupt, match="nothing was saved"):
        evaluate(fails_at(20, error=KeyboardInterrupt()), LLM, PROBLEMS)


def test_a_result_that_comes_just_as_a_wait_ends_is_no_timeout():
    class Late(Future):
        def result(self, timeout=None):
            if not self.done():
                self.set_result(7)
                raise TimeoutError
            return super().result(timeout)

    assert wait_for(Late()) == 7
    failed = Future()
    failed.set_exception(TimeoutError("the work's own"))
    with pytest.raises(TimeoutError, match="own"):
        wait_for(failed)


def test_run_threads_keeps_every_result_one_at_a_time():
    kept, inside = [], []

    def keep(result):
        inside.append(result)
        time.sleep(0.0002)
        assert inside == [result]
        kept.append(inside.pop())

    run_threads(lambda x: x * x, list(range(300)), 16, keep)
    assert sorted(kept) == [i * i for i in range(300)]
    run_threads(lambda x: x, [], 4, keep)


def test_run_threads_raises_what_work_or_keep_raises_and_then_keeps_no_more():
    with pytest.raises(ZeroDivisionError):
        run_threads(lambda x: 1 / x, [1, 0], 2, lambda _: None)
    kept = []

    def keep(result):
        kept.append(result)
        if len(kept) == 5:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_threads(lambda x: time.sleep(0.001 * x), list(range(50)), 4, keep)
    count = len(kept)
    time.sleep(0.1)
    assert len(kept) == count < 50


def test_long_records_from_many_threads_stay_whole(tmp_path):
    def long(llm, problem):
        return Solution("1", [Completion(problem.id * 20_000, [1], [0.0], "stop")], Cost())

    path = tmp_path / "run.jsonl"
    evaluate(long, LLM, PROBLEMS, out=path)
    assert sorted(line["id"] for line in lines_of(path)) == sorted(p.id for p in PROBLEMS)
    assert all(line["completions"][0]["text"] == line["id"] * 20_000 for line in lines_of(path))


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": SamplingParams(temperature=0.8)}, r"temperature 0.6 in \S+run.jsonl, 0.8 now"),
        ({"n": 4}, r"n 8 in \S+, 4 now"),
        ({"params": SamplingParams(temperature=0.6, stop="\n")}, "stop "),
        ({"rounds": 2}, r"rounds unset in \S+, 2 now"),
        (
            {"params": SamplingParams(temperature=0.8, seed=1)},
            "temperature .*; seed 0 in .*, 1 now",
        ),
    ],
)
def test_resuming_under_other_settings_is_refused(tmp_path, change, message):
    def technique(llm, problem, **options):
        return add_one(llm, problem)

    path = tmp_path / "run.jsonl"
    options = {"n": 8, "params": SamplingParams(temperature=0.6)}
    evaluate(partial(technique, **options), LLM, PROBLEMS, out=path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        evaluate(partial(technique, **options | change), LLM, PROBLEMS, out=path)
    assert path.read_bytes() == content
    evaluate(partial(technique, **options), LLM, PROBLEMS, out=path)


@pytest.mark.parametrize(
    ("problems", "llm", "message"),
    [
        (PROBLEMS[:20], LLM, r"num_problems 40 in \S+, 20 now"),
        ([*PROBLEMS[:39], Problem("?", "1", "p/39")], LLM, "problems_fingerprint"),
        ([*PROBLEMS[:39], replace(PROBLEMS[39], answer="7")], LLM, "problems_fingerprint"),
        (PROBLEMS, SimpleNamespace(name="other"), r"model stand-in in \S+, other now"),
    ],
)
def test_resuming_with_other_problems_or_model_is_refused(tmp_path, problems, llm, message):
    path = tmp_path / "run.jsonl"
    evaluate(add_one, LLM, PROBLEMS, out=path)
    with pytest.raises(ValueError, match=message):
        evaluate(add_one, llm, problems, out=path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace('{"index"', "{index", 1), "line 1: not a record"),
        (lambda text: text + "[]\n", "line 41: not a record"),
        (lambda text: text + text.split("\n")[4] + "\n", "line 41: p/.* again"),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path, damage, message):
    path = tmp_path / "run.jsonl"
    evaluate(add_one, LLM, PROBLEMS, out=path)
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        evaluate(add_one, LLM, PROBLEMS, out=path)
    assert path.read_bytes() == content


def test_settings_name_a_scorer_and_spell_out_the_sampling():
    def technique(llm, problem, *, scorer, gates, params):
        return Solution("1", [])

    class Model:
        def __deepcopy__(self, memo):
            raise AssertionError("a model must not be copied into the settings")

    scorer = Reward(Model(), "min")
    options = {"scorer": scorer, "gates": {"g": scorer}, "params": SamplingParams(temperature=0.3)}
    settings = evaluate(partial(technique, **options), LLM, PROBLEMS[:2], progress=False).settings
    assert settings["scorer"] == "reward_min" and settings["gates"] == {"g": "reward_min"}
    assert settings["temperature"] == 0.3
    assert not {"params", "aggregate", "name"} & settings.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "no run.settings.json beside it"),
        ("{", "not a settings"),
        ("[]", "not a settings"),
        ('{"version": 99, "settings": {}}', "of version 99; this program reads 2"),
        ('{"version": 1, "settings": {}}', "of version 1; this program reads 2. Write to another"),
    ],
)
def test_a_file_whose_settings_are_unknown_is_refused(tmp_path, settings, message):
    path, beside = tmp_path / "run.jsonl", tmp_path / "run.settings.json"
    evaluate(add_one, LLM, PROBLEMS, out=path)
    beside.write_text(settings, encoding="utf-8") if settings else beside.unlink()
    with pytest.raises(ValueError, match=message):
        evaluate(add_one, LLM, PROBLEMS, out=path)


@pytest.mark.parametrize(
    ("problems", "options", "message"),
    [
        ([], {}, "no problems"),
        ([PROBLEMS[0], PROBLEMS[0]], {}, "id of its own"),
        ([PROBLEMS[0].without_answer()], {}, "p/0 has no gold answer"),
        (PROBLEMS, {"num_threads": 0}, "num_threads must be at least 1, not 0"),
        (PROBLEMS, {"out": "run.txt"}, "must end in .jsonl"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(problems, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(add_one, LLM, problems, **options)


def test_an_unfinished_run_is_not_loaded_as_a_result(tmp_path):
    path = tmp_path / "run.jsonl"
    evaluate(add_one, LLM, PROBLEMS, out=path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:30]))
    with pytest.raises(ValueError, match="has 30 of 40 problems"):
        load_evaluation(path)


# --- The model's weights --------------------------------------------------------------------------


def one_token(llm, problem) -> Solution:
    """Something of the model's own, in one forward pass."""
    (output,) = llm.chat(prompts.ask(problem.question), SamplingParams(max_tokens=1))
    return Solution("1", output.completions, output.cost)


@pytest.fixture
def retrained_folder(random_folder, tmp_path):
    """A copy of the small random model, trained on a little."""
    folder = tmp_path / random_folder.name
    shutil.copytree(random_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.weight"] += 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_retrained_model_does_not_resume_an_old_file(random_llm, retrained_folder, tmp_path):
    path = tmp_path / "run.jsonl"
    first = evaluate(one_token, random_llm, PROBLEMS[:2], out=path)
    assert first.settings["weights"] == weights_fingerprint(random_llm.model)
    assert evaluate(one_token, random_llm, PROBLEMS[:2], out=path).records == first.records
    retrained = ModelOf(str(retrained_folder))
    retrained.name = random_llm.name  # the same folder, trained meanwhile
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"weights \w{12} in \S+run.jsonl, \w{12} now"):
        evaluate(one_token, retrained, PROBLEMS[:2], out=path)
    assert path.read_bytes() == content


def test_a_file_that_does_not_say_its_weights_is_not_resumed(random_llm, tmp_path):
    path = tmp_path / "run.jsonl"
    evaluate(one_token, random_llm, PROBLEMS[:2], out=path)
    beside = path.with_suffix(".settings.json")
    content = json.loads(beside.read_text(encoding="utf-8"))
    del content["settings"]["weights"]
    beside.write_text(json.dumps(content), encoding="utf-8")
    assert load_evaluation(path).num_errors == 0  # it can still be read
    with pytest.raises(UserError, match=r"weights unset in \S+run.jsonl, \w{12} now"):
        evaluate(one_token, random_llm, PROBLEMS[:2], out=path)


# --- FLOPs ----------------------------------------------------------------------------------------

CONFIG = ModelConfig(300, 64, 96, 3, 4, 2, 32, 1e6, 1e-6, 512, False, True, True)


def test_flops_against_torchs_own_count():
    model, tokens = Qwen(CONFIG).eval(), 40
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # other kernels hide attention
        model(torch.zeros(1, tokens, dtype=torch.long))
    matrices = sum(p.numel() for p in model.parameters() if p.ndim == 2)  # the head is tied
    attention = counter.get_total_flops() - 2 * matrices * tokens
    estimate = estimate_flops(CONFIG, Cost(prompt_tokens=tokens, num_prompts=1), 0)
    # Torch counts the masked half of attention too.
    assert estimate == 2 * matrices * tokens + attention / 2 and attention > 0


def test_flops_of_decoding_follow_what_each_token_looks_at():
    prompt, generated = 30, 200
    cost = Cost(prompt, generated, num_prompts=1)
    as_if_alone = (prompt + generated) * estimate_flops(CONFIG, Cost(1, num_prompts=1), 0)
    looked_at = sum(range(prompt)) + sum(range(prompt, prompt + generated))
    attention = 4 * CONFIG.num_layers * CONFIG.num_heads * CONFIG.head_dim * looked_at
    assert estimate_flops(CONFIG, cost, 1) == pytest.approx(as_if_alone + attention, rel=1e-4)


def test_flops_share_the_prompt_among_samples():
    n, prompt, each = 8, 100, 50
    together = Cost(prompt, n * each, num_prompts=1)
    alone = Cost(prompt, each, num_prompts=1)
    many, one = estimate_flops(CONFIG, together, n), estimate_flops(CONFIG, alone, 1)
    reading = estimate_flops(CONFIG, Cost(prompt, num_prompts=1), 0)
    assert many == pytest.approx(n * one - (n - 1) * reading)
    # Eight prompts with a sample each are eight times one such prompt.
    eight = Cost(n * prompt, n * each, num_prompts=n)
    assert estimate_flops(CONFIG, eight, n) == pytest.approx(n * one)


# --- Scripts and figures --------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch):
    """Run a technique as a script would, with a stand-in for the model."""
    monkeypatch.setattr(
        cli,
        "LLM",
        lambda *_, **__: SimpleNamespace(name="tiny", model=SimpleNamespace(config=CONFIG)),
    )

    def start(technique, *flags: str) -> Evaluation:
        parser = argparse.ArgumentParser()
        cli.add_common_flags(parser)
        return cli.run(technique, parser.parse_args(["--limit", "5", *flags]))

    return start


def test_a_script_passes_its_flags_on_and_ends_with_the_summary(script, capsys, tmp_path):
    seen = []

    def technique(llm, problem, *, n, params):
        seen.append((n, params))
        return solution("1")

    out = tmp_path / "run.jsonl"
    flags = "--n 3 --temperature 0.25 --top-p 0.9 --top-k 5 --min-p 0.1 --seed 7 --max-tokens 9"
    result = script(technique, *flags.split(), "--out", str(out))
    params = SamplingParams(3, 0.25, 0.9, 5, 0.1, 9, seed=7)
    assert seen == [(3, params)] * 5
    assert capsys.readouterr().out.splitlines()[-1] == result.summary_line()
    assert len(lines_of(out)) == 5
    settings = json.loads((tmp_path / "run.settings.json").read_text(encoding="utf-8"))["settings"]
    assert settings.items() >= {"technique": "technique", "n": 3, "problems": "word"}.items()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--problems", "nope"], "error: unknown problem set 'nope'"),
        (["--problems", "no.jsonl"], "error: there is no file no.jsonl"),
        (["--temperature", "-1"], "error: SamplingParams: temperature must be 0"),
        (["--limit", "0"], "error: limit must be at least 1"),
        (["--threads", "0"], "error: num_threads must be at least 1"),
        (["--out", "run.csv"], "error: a records file must end in .jsonl"),
        (["--dtype", "int8"], "invalid choice: 'int8'"),
    ],
)
def test_what_the_user_can_put_right_is_one_line(script, capsys, flags, message):
    with pytest.raises(SystemExit) as exit:
        script(add_one, *flags)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ValueError("no"), 1)])
def test_exit_codes_of_runs_that_came_to_nothing(script, capsys, monkeypatch, error, code):
    monkeypatch.setattr("os._exit", sys.exit)

    def technique(llm, problem, *, n, params):
        raise error

    with pytest.raises(SystemExit) as exit:
        script(technique)
    assert exit.value.code == code
    shown = capsys.readouterr()
    assert "problems to go" in shown.err if code == 130 else "EVERY QUESTION FAILED" in shown.out


def test_a_total_failure_with_different_messages_ends_with_code_1(script, capsys):
    with pytest.raises(SystemExit) as exit:

        def technique(llm, problem, *, n, params):
            number = int(problem.id.split("/")[-1])
            raise OSError(f"a prompt of {number} tokens is {'too ' * (number % 2)}long")

        script(technique)
    assert exit.value.code == 1
    *_, reasons, last = capsys.readouterr().out.splitlines()
    assert "5 of 5 questions failed: OSError: a prompt of" in reasons
    assert last.endswith("  errors 5: EVERY QUESTION FAILED: OSError: a prompt of 0 tokens is long")


def test_the_table_says_what_failed_and_what_was_not_compared(script, capsys, monkeypatch):
    def technique(llm, problem, *, n, params):
        if problem.id.endswith("3"):
            raise ValueError("bad luck")
        return solution("1")

    monkeypatch.setattr(
        "shared.evaluation.evaluate.grade",
        lambda problem, answer: None if problem.id[-1] in "01" else True,
    )
    script(technique)
    shown = capsys.readouterr().out
    assert "right      2 of 5; 0 without an answer; 2 could not be compared\n" in shown
    assert "errors     1 of 5 questions failed: ValueError: bad luck (1)\n" in shown
    assert shown.splitlines()[-1].endswith("  not comparable 2  errors 1")
    monkeypatch.undo()


def test_the_memory_flags_reach_the_model(capsys):
    parser = argparse.ArgumentParser()
    cli.add_common_flags(parser)
    llm = cli.load_llm(parser.parse_args(["--cache-gb", "0.5", "--prefix-cache-gb", "0"]))
    assert llm._batch.admission.cache_bytes == 500_000_000 and llm._prefixes.max_bytes == 0
    llm = cli.load_llm(parser.parse_args([]))
    assert llm._batch.admission.cache_bytes > 10**8 and 0 < llm._prefixes.max_bytes <= 256 << 20
    for amount in ("-1", "inf", "nan", "much"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--cache-gb", amount])
        assert "--cache-gb" in capsys.readouterr().err


def test_help_shows_every_default(capsys):
    parser = argparse.ArgumentParser(description="First.\n\nSecond.")
    cli.add_common_flags(parser)
    parser.set_defaults(n=17)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    shown = capsys.readouterr().out
    assert "First.\n\nSecond." in shown
    shown = " ".join(shown.split())
    assert "samples a question (default: 17)" in shown
    flags = [a for a in parser._actions if a.dest != "help"]
    assert shown.count("(default: ") == len(flags) == 19


def test_labels_of_crowded_points_do_not_overlap(tmp_path):
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.text import Text

    names = ["direct", "vote of 4", "vote of 8", "best of 8 (reward)", "beam search", "rejection"]
    accuracies = [0.05, 0.44, 0.46, 0.47, 0.48, 0.46]
    rows = [
        {"name": n, "accuracy": a, "low": a - 0.05, "high": a + 0.05, "tokens_per_problem": t}
        for n, a, t in zip(names, accuracies, [6, 240, 480, 500, 520, 400], strict=True)
    ]
    with plt.rc_context():
        use_style()
        figure, ax = plt.subplots()
        labels = plot_accuracy_against_tokens(rows, ax)
        path = save_figure(figure, tmp_path / "new" / "ladder.png")
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(label) for label in labels]
        plt.close(figure)
    assert path.stat().st_size > 5_000
    assert [label.get_text() for label in labels] == names
    inside = ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("rows", [[], [{"name": "x", "accuracy": 0, "tokens_per_problem": 0}]])
def test_a_figure_without_tokens_is_refused(rows):
    with pytest.raises(ValueError, match="tokens_per_problem above 0"):
        plot_accuracy_against_tokens(rows, None)
