"""Records on disk: damage is named entry by entry, and links, pipes and devices are no surprise."""

import json
import math
import os
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.errors import UserError
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.problem import Problem
from shared.evaluation.records import COMPLETION, HINTS, SETTINGS, Record
from shared.files.typed_json import in_words, matches, strict_loads
from shared.solution import Completion, Cost, Solution

PROBLEMS = [Problem(f"{i} + 1 =", str(i + 1), f"p/{i}", "sums") for i in range(4)]
LLM = SimpleNamespace(name="stand-in")
HUGE = 10**400


def add_one(llm, problem) -> Solution:
    completion = Completion("\\boxed{1}", [1, 2, 3], [-0.5, -0.25, -1.0], "stop")
    completion.measures["judge"] = 0.25
    answer = str(int(problem.question.split()[0]) + 1)
    return Solution(answer, [completion], Cost(10, 3, 1, 4), [0.5], [{"round": 1}])


run = partial(evaluate, add_one, LLM, PROBLEMS, progress=False)


@pytest.fixture
def path(tmp_path) -> Path:
    """A finished run of four problems."""
    run(out=tmp_path / "run.jsonl")
    return tmp_path / "run.jsonl"


def refusal(path: Path) -> str:
    """What reading a file and resuming it say; both must refuse it, and leave it as it is."""
    before = {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(ValueError) as read:
        load_evaluation(path)
    with pytest.raises(UserError) as resumed:
        run(out=path)
    assert before == {file: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    assert str(read.value) == str(resumed.value)
    return str(read.value)


def damage(path: Path, change, number: int = 2) -> None:
    """Change a line of a records file: `change` takes the record and returns what to write."""
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = change(json.loads(lines[number - 1]))
    lines[number - 1] = changed if isinstance(changed, str) else json.dumps(changed)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# --- Wrong values ---------------------------------------------------------------------------------

VALUES = {
    "null": None,
    "true": True,
    "a text": "x",
    "a list": [1],
    "an object": {"x": 1},
    "a nested list": [[1], [{}]],
    "a fraction": 0.5,
    "less than 0": -1,
    "huge": HUGE,
}
# What each type of entry takes of the above, by hand and not by the code that is tested.
ALLOWED = {
    str: {"a text"},
    str | None: {"a text", "null"},
    int: set(),
    float: {"a fraction"},
    bool: {"true"},
    list[dict]: set(),
    list[float | None]: {"a list"},
    float | None: {"a fraction", "less than 0", "null"},
}
WRONG_VALUES = [
    (name, kind) for name, hint in HINTS.items() for kind in VALUES if kind not in ALLOWED[hint]
]


@pytest.mark.parametrize(("name", "kind"), WRONG_VALUES)
def test_an_entry_of_a_wrong_type_is_named_with_its_line(path, name, kind):
    damage(path, lambda record: record | {name: VALUES[kind]})
    said = refusal(path)
    assert said.startswith(f"{path}, line 2: {name} is ") and ", expected " in said
    assert len(said) < len(str(path)) + 200


@pytest.mark.parametrize("name", HINTS)
def test_an_entry_that_is_missing_is_named(path, name):
    damage(path, lambda record: {k: v for k, v in record.items() if k != name})
    assert f"{path}, line 2: {name} is missing, expected {in_words(HINTS[name])}" == refusal(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, hint in {**COMPLETION, "judge": float | None}.items()
        for kind, value in VALUES.items()
        if kind not in ALLOWED[hint]
    ],
)
def test_an_entry_of_a_completion_is_named(path, name, value):
    damage(
        path, lambda record: record | {"completions": [record["completions"][0] | {name: value}]}
    )
    assert refusal(path).startswith(f"{path}, line 2: completions[0].{name} is ")


@pytest.mark.parametrize("name", COMPLETION)
def test_an_entry_of_a_completion_that_is_missing_is_named(path, name):
    def without(record: dict) -> dict:
        del record["completions"][0][name]
        return record

    damage(path, without)
    assert refusal(path).startswith(f"{path}, line 2: completions[0].{name} is missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r | {"more": 1}, "line 2: more is no entry that this program knows"),
        (lambda r: "{", "line 2: not a record of an evaluation: "),
        (lambda r: "", "line 2: not a record of an evaluation: "),
        (lambda r: "[]", "line 2: not a record of an evaluation, but []"),
        (lambda r: "null", "line 2: not a record of an evaluation, but None"),
        (lambda r: "7", "line 2: not a record of an evaluation, but 7"),
        (lambda r: "NaN", "line 2: not a record of an evaluation: NaN is no number"),
        (lambda r: r | {"scores": [math.nan]}, "line 2: not a record of an evaluation: NaN"),
        (lambda r: r | {"elapsed": math.inf}, "line 2: not a record of an evaluation: Infinity"),
        (lambda r: json.dumps(r).replace("0.25", "1e999"), "1e999 is no number that JSON can hold"),
        (lambda r: r | {"trace": [{"x": -math.inf}]}, "-Infinity is no number"),
        (lambda r: json.dumps(r).replace('{"round": 1}', "[" * 100_000), "nested too deep"),
        (lambda r: json.dumps(r).replace(": 10,", ": " + "1" * 5000 + ","), "not a record"),
        (
            lambda r: r | {"trace": [None]},
            "line 2: trace is [None], expected a list, each of it an",
        ),
        (lambda r: r | {"completions": [[]]}, "line 2: completions is [[]], expected"),
        (lambda r: r | {"seconds": -0.5}, "line 2: seconds is -0.5, expected 0 or more"),
        (lambda r: r | {"scores": [0.5, "x"]}, "line 2: scores is [0.5, 'x'], expected"),
    ],
)
def test_a_line_that_is_no_record_is_named(path, change, message):
    damage(path, change)
    assert message in refusal(path)


@pytest.mark.parametrize(
    "change", [{"id": "p/9"}, {"index": 7}, {"index": 0}, {"question": "?"}, {"gold": "0"}]
)
def test_a_record_of_another_problem_is_refused(path, change):
    damage(path, lambda record: record | change, number=4)
    with pytest.raises(
        UserError, match=r"run.jsonl: the record with index .* no\s+problem of this"
    ):
        run(out=path)
    if "index" in change:
        with pytest.raises(ValueError, match="index does not count from 0 to 3, once each"):
            load_evaluation(path)


def test_bytes_that_are_no_text_are_named(path):
    content = path.read_bytes()
    for wrong in (b"\xff\xfe", b"\x00", b"\xc3("):
        path.write_bytes(content.replace(b"+ 1", b"+ " + wrong, 1))
        assert ", line 1: not a record of an evaluation: " in refusal(path)


# --- Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, hint in SETTINGS.items()
        for kind, value in VALUES.items()
        if kind not in ALLOWED[hint]
    ],
)
def test_a_setting_of_a_wrong_type_is_named(path, name, value):
    beside = path.with_suffix(".settings.json")
    content = json.loads(beside.read_text(encoding="utf-8"))
    content["settings"][name] = value
    beside.write_text(json.dumps(content), encoding="utf-8")
    assert refusal(path).startswith(f"{beside}: settings.{name} is ")
    del content["settings"][name]
    beside.write_text(json.dumps(content), encoding="utf-8")
    assert refusal(path).startswith(f"{beside}: settings.{name} is missing, expected ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a settings file of an evaluation: "),
        ("[]", "is not a settings file of an evaluation, but []"),
        ("null", "is not a settings file of an evaluation, but None"),
        ('{"version": 2, "settings": {"temperature": NaN}}', "NaN is no number"),
        ("{}", ": version is missing, expected a whole number"),
        ('{"version": null, "settings": {}}', ": version is None, expected a whole number"),
        ('{"version": "2", "settings": {}}', ": version is '2', expected a whole number"),
        ('{"version": 2.0, "settings": {}}', ": version is 2.0, expected a whole number"),
        ('{"version": true, "settings": {}}', ": version is True, expected a whole number"),
        ('{"version": 2}', ": settings is missing, expected an object"),
        ('{"version": 2, "settings": []}', ": settings is [], expected an object"),
        ('{"version": 2, "settings": {}, "more": 1}', ": more is no entry"),
        ('{"version": 2, "settings": {}}', ": settings.technique is missing, expected a text"),
    ],
)
def test_a_damaged_settings_file_is_named(path, content, message):
    beside = path.with_suffix(".settings.json")
    beside.write_text(content, encoding="utf-8")
    said = refusal(path)
    assert said.startswith(str(beside)) and message in said
    beside.write_bytes(b"\xff\xfe{}")
    assert "settings.json is not a settings file of an evaluation: 'utf-8' codec" in refusal(path)


def test_no_problems_are_no_evaluation(path):
    beside = path.with_suffix(".settings.json")
    text = beside.read_text(encoding="utf-8")
    beside.write_text(text.replace('"num_problems": 4', '"num_problems": 0'), encoding="utf-8")
    assert refusal(path) == f"{beside}: settings.num_problems is 0, expected 1 or more"


def test_settings_that_json_cannot_hold_are_written_as_text(tmp_path):
    path = tmp_path / "run.jsonl"
    settings = {"threshold": math.inf, "least": -math.inf, "none": math.nan}
    first = run(out=path, settings=settings)
    assert first.settings.items() >= {"threshold": "Infinity", "least": "-Infinity"}.items()
    assert run(out=path, settings=settings).records == first.records  # resumes
    with pytest.raises(UserError, match="threshold Infinity in .*, 1.0 now"):
        run(out=path, settings=settings | {"threshold": 1.0})


# --- Not a file -----------------------------------------------------------------------------------


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_circle(path: Path) -> None:
    path.with_name("other.jsonl").symlink_to(path)
    path.symlink_to(path.with_name("other.jsonl"))


PUT = [Path.mkdir, put_fifo, put_zeros, put_circle]


@pytest.mark.skipif(os.name != "posix", reason="Windows has neither pipes in folders nor /dev")
@pytest.mark.parametrize("suffix", [".jsonl", ".settings.json"])
@pytest.mark.parametrize("put", PUT)
def test_what_is_no_file_is_neither_read_nor_replaced(path, put, suffix):
    strange = path.with_suffix(suffix)
    strange.unlink()
    put(strange)
    before = os.lstat(strange)
    with pytest.raises(ValueError, match=f"{strange.name} (is not a regular file|beside it)"):
        load_evaluation(path)
    with pytest.raises(UserError, match=f"{strange.name} is not a regular file"):
        run(out=path)
    assert os.lstat(strange).st_ino == before.st_ino


# --- Links ----------------------------------------------------------------------------------------


@pytest.fixture
def linked(tmp_path) -> tuple[Path, Path]:
    """A link in one folder to a file that is not there yet, in a folder that is not there yet."""
    link, target = tmp_path / "here" / "run.jsonl", tmp_path / "there" / "kept.jsonl"
    link.parent.mkdir()
    link.symlink_to(target)
    return link, target


@pytest.mark.skipif(os.name != "posix", reason="Windows lets only some users make links")
def test_a_link_is_written_through_and_stays(linked):
    link, target = linked
    first = run(out=link)
    assert link.is_symlink() and not target.is_symlink()
    assert len(target.read_bytes().splitlines()) == 4
    assert load_evaluation(link).records == first.records

    # Half of it is lost; what resumes is the target, in one step: others see the old file or the new.
    target.write_bytes(b"".join(target.read_bytes().splitlines(keepends=True)[:2]))
    second = run(out=link)
    assert link.is_symlink() and [r.id for r in second.records] == [r.id for r in first.records]
    assert len(target.read_bytes().splitlines()) == 4
    names = sorted(
        file.name for folder in (link.parent, target.parent) for file in folder.iterdir()
    )
    assert names == ["kept.jsonl", "run.jsonl", "run.settings.json"]


@pytest.mark.skipif(os.name != "posix", reason="Windows lets only some users make links")
def test_links_to_links_and_linked_settings_stay_too(linked, tmp_path):
    link, target = linked
    outer = tmp_path / "outer.jsonl"
    outer.symlink_to(link)
    settings = tmp_path / "settings.json"
    outer.with_suffix(".settings.json").symlink_to(settings)
    run(out=outer)
    run(out=outer)
    assert outer.is_symlink() and link.is_symlink() and target.is_file()
    assert outer.with_suffix(".settings.json").is_symlink() and settings.is_file()


# --- What is written can be read ------------------------------------------------------------------


def test_the_trace_is_read_back(tmp_path):
    trace = [
        {"votes": {"1": 2, "½": 1.0}, "leader_stays": 0.123456789},
        {"nested": [[1, None], {"deep": [True, "\ud800"]}], "big": 10**30},
        {},
    ]
    technique = lambda llm, problem: Solution("1", [], Cost(), trace=trace)  # noqa: E731
    path = tmp_path / "run.jsonl"
    first = evaluate(technique, LLM, PROBLEMS, out=path, progress=False)
    assert [record.trace for record in first.records] == [trace] * 4
    assert load_evaluation(path).records == first.records
    again = evaluate(technique, LLM, PROBLEMS, out=path, progress=False)
    assert again.records == first.records


def test_a_trace_is_kept_as_it_will_be_read(tmp_path):
    odd = [{"pair": (1, math.nan), 7: math.inf}]
    technique = lambda llm, problem: Solution("1", [], Cost(), trace=odd)  # noqa: E731
    path = tmp_path / "run.jsonl"
    first = evaluate(technique, LLM, PROBLEMS, out=path, progress=False)
    assert first.records[0].trace == [{"pair": [1, None], "7": None}]
    assert load_evaluation(path).records == first.records


@pytest.mark.parametrize(
    ("solution", "message"),
    [
        (Solution(42, [], Cost()), "the solution: predicted is 42, expected a text or null"),
        (Solution("1", [], Cost(generated_tokens=-1)), "generated_tokens is -1, expected a whole"),
        (Solution("1", [], Cost(), trace=["round 1"]), "trace is .*, expected a list"),
        (Solution("1", [], Cost(), trace=[{"x": object()}]), "TypeError: .*not JSON serializable"),
        (Solution("1", [], Cost(), trace={"x": 1}), "trace is {'x': 1}, expected a list"),
        (Solution("1", [], Cost(), scores=["high"]), "TypeError"),
        (Solution("1", [Completion(None, [], [], "stop")], Cost()), "Error: "),
        (Solution("1", [Completion("1", [], [], None)], Cost()), r"completions\[0\].finish_reason"),
    ],
)
def test_what_could_not_be_read_back_is_the_error_of_its_question(tmp_path, solution, message):
    path = tmp_path / "run.jsonl"
    result = evaluate(lambda *_: solution, LLM, PROBLEMS, out=path, progress=False)
    assert result.num_errors == 4
    assert re.search(message, result.records[0].error)
    assert load_evaluation(path).records == result.records


def test_a_record_has_no_entry_that_a_reader_would_refuse():
    record = vars(Record(0, "p", "q", "1"))
    assert record.keys() == HINTS.keys()
    assert all(matches(record[name], hint) for name, hint in HINTS.items())


# --- Types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", ALLOWED)
@pytest.mark.parametrize("kind", VALUES)
def test_types_are_told_apart(hint, kind):
    allowed = kind in ALLOWED[hint] or (hint is float and kind == "less than 0")
    assert matches(VALUES[kind], hint) == allowed


def test_numbers_have_bounds():
    assert matches(2**63 - 1, int) and not matches(2**63, int)
    assert matches(0, float) and matches(-3, float) and not matches(HUGE, float)
    assert not matches(math.nan, float) and not matches(math.inf, float | None)
    assert matches([], list[int]) and matches([1, 2], list[int]) and not matches([True], list[int])


def test_strict_json():
    assert strict_loads(b'{"a": [1, 2.5, null, "\\ud800"]}') == {"a": [1, 2.5, None, "\ud800"]}
    for text in ("NaN", "[-Infinity]", "1e999", "-1e999", "{", "", b"\xff", "[" * 100_000):
        with pytest.raises(ValueError):
            strict_loads(text)
