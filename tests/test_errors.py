"""What a user can put right is one line; a bug shows its traceback. Both directions, everywhere."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from shared.errors import UserError, setting_up
from shared.evaluation import cli, evaluate
from shared.evaluation.cli import friendly_errors
from shared.evaluation.problem import Problem
from shared.evaluation.records import Record
from shared.sampling_params import SamplingParams
from shared.solution import Cost, Solution

ROOT = Path(__file__).parents[1]

BUGS = {
    "int": (lambda: int("x"), ValueError),
    "unpacking": (lambda: (lambda a, b: a)(*[1, 2, 3]), TypeError),
    "json": (lambda: json.loads("{"), ValueError),
    "torch": (lambda: torch.optim.SGD([], lr=0.1), ValueError),
    "torch's own error": (lambda: torch.zeros(2, 3) @ torch.zeros(2, 3), RuntimeError),
    "bytes": (lambda: b"\xff".decode(), ValueError),
    "a library that is half there": (lambda: __import__("json.nothing"), ModuleNotFoundError),
    "a key": (lambda: {}["x"], KeyError),
}


def fail(*_, **__):
    """A bug of ours that looks like many a check."""
    raise ValueError("not enough values to unpack (expected 2, got 1)")


@pytest.mark.parametrize(("bug", "kind"), BUGS.values(), ids=BUGS)
def test_a_bug_passes_all_that_is_friendly(bug, kind):
    with pytest.raises(kind) as error, friendly_errors():
        bug()
    assert not isinstance(error.value, UserError)
    with pytest.raises(kind) as error, friendly_errors(), setting_up():
        bug()
    assert not isinstance(error.value, UserError)


def test_what_a_check_of_ours_raises_is_one_line(capsys):
    with pytest.raises(SystemExit) as end, friendly_errors(), setting_up():
        SamplingParams(n=0)
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: SamplingParams: n must be at least 1; got n=0\n"
    with pytest.raises(ValueError) as error, friendly_errors():
        SamplingParams(n=0)  # in the middle of a run it is a bug
    assert not isinstance(error.value, UserError)


@pytest.mark.parametrize(
    "error",
    [UserError("two\nlines"), FileNotFoundError("two\nlines"), ConnectionError("two\nlines")],
)
def test_a_message_of_two_lines_is_shown_as_one(capsys, error):
    with pytest.raises(SystemExit) as end, friendly_errors():
        raise error
    assert end.value.code == 2 and capsys.readouterr().err == "error: two lines\n"


def test_a_user_error_is_a_value_error_that_names_its_cause():
    with pytest.raises(ValueError) as error, setting_up():
        SamplingParams(n=0)
    assert isinstance(error.value, UserError) and type(error.value.__cause__) is ValueError


# --- Scripts --------------------------------------------------------------------------------------


def add_one(llm, problem, *, n, params) -> Solution:
    return Solution("1", [], Cost())


def start(*flags: str):
    """Run a technique as a script would."""
    parser = argparse.ArgumentParser()
    cli.add_common_flags(parser)
    return cli.run(add_one, parser.parse_args(["--limit", "2", *flags]))


@pytest.fixture
def stand_in(monkeypatch):
    """No model is loaded."""
    monkeypatch.setattr(cli, "LLM", lambda *_, **__: SimpleNamespace(name="tiny"))


@pytest.mark.parametrize("name", ["load_problems", "LLM", "SamplingParams", "evaluate"])
def test_a_bug_in_any_part_of_a_script_shows_its_traceback(stand_in, monkeypatch, name):
    monkeypatch.setattr(cli, name, fail)
    with pytest.raises(ValueError, match="not enough values") as error:
        start()
    assert not isinstance(error.value, UserError)


@pytest.mark.parametrize("name", ["all_settings", "append", "resume", "run_threads", "solve_one"])
def test_a_bug_in_the_run_shows_its_traceback(stand_in, monkeypatch, name, tmp_path):
    monkeypatch.setattr(evaluate, name, fail)
    with pytest.raises(ValueError, match="not enough values") as error:
        start("--out", str(tmp_path / "run.jsonl"))
    assert not isinstance(error.value, UserError)


def test_a_bug_in_the_model_shows_its_traceback(monkeypatch):
    monkeypatch.setattr("shared.llm.load_model", fail)
    with pytest.raises(ValueError, match="not enough values"):
        start()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--problems", "nope"], "unknown problem set 'nope'"),
        (["--problems", "no.jsonl"], "there is no file no.jsonl"),
        (["--problems", "gym:nope"], "reasoning-gym has no task 'nope'"),
        (["--split", "nope"], "word has no split 'nope'"),
        (["--n", "0"], "n must be at least 1"),
        (["--temperature", "nan"], "temperature must be"),
        (["--threads", "-3"], "num_threads must be at least 1, not -3"),
        (["--out", "run"], "a records file must end in .jsonl"),
        (["--out", "/dev/null/run.jsonl"], "/dev/null"),
        (["--model", "no/such/place/at all"], "neither a folder"),
        (["--model", "."], "no config.json"),
        (["--base-url", "http://127.0.0.1:1/v1", "--dtype", "float32"], "the server's own"),
        (["--base-url", "http://127.0.0.1:1/v1"], "no usable answer from http://127.0.0.1:1/v1"),
        (["--ray", "nowhere"], "\"auto\" or HOST:PORT, not 'nowhere'"),
        (["--ray", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
    ],
)
def test_what_the_user_can_put_right_is_one_line(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    for package, flag in (
        ("reasoning_gym", "gym:nope"),
        ("openai", "--base-url"),
        ("ray", "--ray"),
    ):
        if flag in flags:
            pytest.importorskip(package)
    with pytest.raises(SystemExit) as end:
        start(*flags)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("error: ") and message in said and said.count("\n") == 1


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "tpu", "cuda:99"])
@pytest.mark.parametrize("script", ["ch01_cot/cot.py", "ch03_best_of_n/best_of_n.py"])
def test_a_device_that_is_not_there_is_one_line(monkeypatch, capsys, device, script):
    """Also where a reward model is loaded before the model."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", [script, "--limit", "1", "--device", device])
    with pytest.raises(SystemExit) as end:
        exec_main(script)
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("error: ") and device in said and said.count("\n") == 1


def exec_main(script: str) -> None:
    """Call the main function of a script."""
    module = __import__(script.removesuffix(".py").replace("/", "."), fromlist=["main"])
    module.main()


def test_a_bug_in_a_script_is_a_traceback_and_exit_code_1():
    code = (
        "from shared.evaluation import cli, evaluate\n"
        "import argparse\n"
        "evaluate.append = lambda file, record: int('x')\n"
        "parser = argparse.ArgumentParser()\n"
        "cli.add_common_flags(parser)\n"
        "from ch01_cot.cot import direct_answer\n"
        "def technique(llm, problem, n, params):\n"
        "    return direct_answer(llm, problem, params=params)\n"
        "cli.run(technique, parser.parse_args(['--limit', '1', '--max-tokens', '2']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "ValueError: invalid literal for int() with base 10: 'x'"


def test_problems_that_are_no_texts_are_refused():
    for problem in (Problem("?", 1, "a"), Problem(2, "1", "a"), Problem("?", "1", 3)):
        with pytest.raises(UserError, match="is [123], not a text"):
            evaluate.evaluate(add_one, SimpleNamespace(name="x"), [problem])


def test_a_comparison_of_which_every_question_failed_says_why_and_ends_with_code_1(
    monkeypatch, capsys
):
    from ch01_cot import study

    def refused(technique, args, options):
        """A run against a server that refuses each prompt with its length."""
        records = [
            Record(i, str(i), "?", "1", error=f"BadRequestError: {2048 + i} tokens are too many")
            for i in range(3)
        ]
        return evaluate.Evaluation(records, {}, 1.0)

    monkeypatch.setattr(study, "evaluate_from_flags", refused)
    monkeypatch.setattr(sys, "argv", ["study.py"])
    with pytest.raises(SystemExit) as end:
        study.main()
    assert end.value.code == 1
    said = capsys.readouterr().out
    assert "cot: 3 of 3 questions failed: BadRequestError: 2048 tokens are too many (3)\n" in said
