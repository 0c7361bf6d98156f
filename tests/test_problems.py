"""Problem sets: the same problems every time, gold answers read rightly, bad input named.

Set MATH_DATA_DIR to a folder with gsm8k_test.jsonl and math500.json to read the real files too.
"""

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import shared.evaluation.grade as grade_module
from shared.evaluation import problem_files
from shared.evaluation.grade import grade
from shared.evaluation.gym_problems import plain
from shared.evaluation.pool import POOLS_FOLDER
from shared.evaluation.problem import Problem
from shared.evaluation.problems import HARD_CHANGES, load_problems
from shared.evaluation.word_problems import sample_problem, split_of
from shared.grading.answers import answers_match

DATA = os.environ.get("MATH_DATA_DIR")
needs_data = pytest.mark.skipif(not DATA, reason="MATH_DATA_DIR names no folder with the data")
GSM8K_RECORD = {"question": "How much?", "answer": "It is <<1000+234=1234>>1,234.\n#### 1,234"}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


# --- Generated sets -------------------------------------------------------------------------------


GYM = pytest.mark.skipif(not find_spec("reasoning_gym"), reason="reasoning-gym is not installed")


@pytest.mark.parametrize(
    "name",
    [
        "word",
        "word:hard",
        pytest.param("gym:gsm_symbolic", marks=GYM),
        pytest.param("gym:acre", marks=GYM),  # depends on the size that it is asked for
    ],
)
def test_generated_sets_repeat_and_limit_only_cuts(name):
    many = load_problems(name, limit=40)
    assert many == load_problems(name, limit=40)
    assert load_problems(name, limit=7) == many[:7]
    assert len({problem.id for problem in many}) == 40
    for other in (load_problems(name, limit=40, seed=1), load_problems(name, "train", limit=40)):
        assert {p.id for p in many}.isdisjoint(p.id for p in other)
        assert [p.question for p in many] != [p.question for p in other]


def test_word_problems_are_the_same_in_another_process():
    code = "from shared.evaluation.problems import load_problems as l; print(l('word', limit=3)[2].question)"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == load_problems("word", limit=3)[2].question


def test_word_problems_are_held_out_and_distinct():
    assert len(load_problems("word")) == 400
    for split in ("test", "dev", "train"):
        questions = [problem.question for problem in load_problems("word", split, limit=150)]
        assert len(set(questions)) == 150
        assert {split_of(question) for question in questions} == {split}


def test_a_text_drawn_twice_comes_once(monkeypatch):
    few = [sample_problem(random.Random(i), "test") for i in range(5)]
    monkeypatch.setattr(
        "shared.evaluation.problems.sample_problem", lambda rng, split, changes: rng.choice(few)
    )
    problems = load_problems("word", limit=5)
    assert {p.question for p in problems} == {problem.question for problem in few}
    assert [p.id for p in problems] == [f"word/test/0/{i}" for i in range(5)]


def test_word_hard_goes_beyond_what_was_trained_on():
    hard = [p.metadata["num_changes"] for p in load_problems("word:hard", limit=60)]
    usual = [p.metadata["num_changes"] for p in load_problems("word", limit=60)]
    assert set(hard) == set(range(HARD_CHANGES[0], HARD_CHANGES[1] + 1))
    assert max(usual) < min(hard)


@GYM
def test_gym_problems_are_the_packages_own_and_seeds_do_not_overlap():
    import reasoning_gym

    problems = load_problems("gym:gsm_symbolic", limit=5)
    items = reasoning_gym.create_dataset("gsm_symbolic", size=400, seed=0)
    assert [(p.question, p.answer) for p in problems] == [
        (items[i]["question"], items[i]["answer"]) for i in range(5)
    ]
    texts = {p.question for p in load_problems("gym:gsm_symbolic", limit=50)}
    assert not texts & {p.question for p in load_problems("gym:gsm_symbolic", limit=50, seed=1)}


# --- Grading --------------------------------------------------------------------------------------

# What no problem set can be made of, and why (see test_gym_tasks_that_cannot_be_used_are_named).
UNUSABLE = {"composite", "list_functions", "rush_hour", "boxnet"}
# Their own scorers accept other answers, such as any true statement or any sum to 24.
LENIENT = {"game_of_life_halting", "jugs", "propositional_logic", "puzzle24", "graph_color"}
FEW = ["mini_sudoku", "bitwise_arithmetic", "gsm_symbolic", "arc_1d", "countdown", "graph_color"]
FEW += [
    "simple_integration",
    "polynomial_equations",
    "spiral_matrix",
    "knights_knaves",
    "word_ladder",
]


def check_task(task: str, count: int) -> None:
    """Each gold answer is right; one of another problem is right only if the scorer says so."""
    import reasoning_gym

    problems = load_problems(f"gym:{task}", limit=count)
    dataset = reasoning_gym.create_dataset(task, size=400, seed=0)
    for i, problem in enumerate(problems):
        assert grade(problem, problem.answer) is True, problem
        for other in problems:
            if other.answer == problem.answer:
                continue
            try:
                expected = dataset.score_answer(other.answer, dataset[i]) >= 1
            except Exception:  # noqa: BLE001  scorers raise on answers of another form
                expected = False
            assert grade(problem, other.answer) is bool(expected), (problem.question, other.answer)
            assert task in LENIENT or not expected, (problem.question, other.answer)


@GYM
@pytest.mark.parametrize("task", FEW)
def test_gym_problems_are_graded_by_their_own_scorers(task):
    check_task(task, 3)


@pytest.mark.slow
@GYM
def test_all_gym_problems_are_graded_by_their_own_scorers():
    import reasoning_gym

    tasks = set(reasoning_gym.factory.DATASETS) - UNUSABLE
    assert len(tasks) > 90
    for task in sorted(tasks):
        check_task(task, 2 if task == "knight_swap" else 6)


@GYM
def test_gym_scorers_ignore_tex_and_survive_garbage():
    for task in FEW:
        problem = load_problems(f"gym:{task}", limit=1)[0]
        garbage = [
            "",
            " ",
            "(((",
            "[" * 3000,
            "{}",
            "[]",
            "null",
            "\0",
            "\ud800",
            "1/0",
            "9" * 5000,
        ]
        garbage += [
            "None",
            "True",
            "nan",
            "inf",
            "-1e999",
            '{"a": 1}',
            "[1, 2",
            r"\frac{1}{2}",
            "٣",
        ]
        for text in garbage:
            assert grade(problem, text) is False, (task, text)
        assert grade(problem, None) is False
    problem = replace(load_problems("gym:gsm_symbolic", limit=1)[0], answer="15")
    for text in (r"\text{15}", "$15$", "15 toys", r"15\text{ toys}", r"\(15\)"):
        assert grade(problem, text), text
    thousand = replace(problem, answer="1450")
    assert grade(thousand, "1,450") and grade(thousand, r"\$1{,}450") and not grade(thousand, "1")
    color = replace(problem, answer="Monday", source="gym:letter_counting")
    assert grade(color, r"\text{Monday}") and not grade(color, "monday")


@GYM
def test_gym_scorers_never_execute_an_answer(tmp_path):
    canary = tmp_path / "canary"
    attack = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    attacks = [
        attack,
        f"[{attack}]",
        f"[str({attack})]",
        f"x + {attack}",
        f"sin({attack})",
        f"f'{{{attack}}}'",
    ]
    attacks += [
        f"sqrt({attack!r})",
        f"Symbol('x', {attack})",
        f"(lambda: {attack})()",
        f"exec({attack!r})",
    ]
    attacks += [
        f"().__class__.__base__.__subclasses__() or {attack}",
        f"Integer.__init__ or {attack}",
    ]
    tasks = [
        "spiral_matrix",
        "string_insertion",
        "binary_matrix",
        "n_queens",
        "puzzle24",
        "countdown",
    ]
    tasks += ["simple_integration", "intermediate_integration", "polynomial_multiplication"]
    for task in (*tasks, "bitwise_arithmetic", "number_sorting"):
        problem = load_problems(f"gym:{task}", limit=1)[0]
        for text in attacks:
            assert grade(problem, text) is False
    assert not canary.exists()


@GYM
def test_a_scorer_that_takes_forever_is_stopped(monkeypatch):
    problem = load_problems("gym:coin_flip", limit=1)[0]
    assert grade(problem, problem.answer) is True
    monkeypatch.setattr(grade_module.gym_grader, "seconds", 0.5)
    start = time.perf_counter()
    assert grade(problem, "1e999999999") is None  # any power of ten is computed in full
    assert time.perf_counter() - start < 10
    monkeypatch.undo()
    assert grade(problem, problem.answer) is True


@GYM
def test_recorded_gsm_symbolic_answers_are_graded_as_the_scorer_does():
    """Against the scorer in this process; `answers_match` differs where the scorer is lenient."""
    import reasoning_gym

    dataset = reasoning_gym.create_dataset("gsm_symbolic", size=400, seed=0)
    path = next(POOLS_FOLDER.glob("*_gsm_symbolic.jsonl"))
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    answers = {(c["answer"], r["gold"]) for r in records for c in r["completions"] if c["answer"]}
    differing = set()
    for answer, gold in sorted(answers):
        problem = Problem("", gold, source="gym:gsm_symbolic")
        verdict = grade(problem, answer)
        assert verdict is (dataset.score_answer(answer, {"answer": gold}) == 1.0), (answer, gold)
        if verdict is not answers_match(answer, gold):
            differing.add((answer, gold))
    assert len(answers) > 300
    # It overlooks a minus sign, and reads only the first number.
    assert differing == {("-60", "60"), ("-4", "4"), ("-380", "380"), ("2 + 54", "56")}


def test_other_problems_are_graded_as_mathematics():
    problem = Problem("q", r"\frac12")
    assert grade(problem, "0.5") is True and grade(problem, "0.6") is False
    assert grade(problem, None) is False and grade(problem, "9^{9^{9^9}}") is None
    assert grade(load_problems("word", limit=1)[0], "no number") is False


@GYM
def test_a_task_that_accepts_many_answers_gives_its_example():
    for task in ("graph_color", "propositional_logic", "rubiks_cube"):
        problem = load_problems(f"gym:{task}", limit=1)[0]
        assert problem.answer and grade(problem, problem.answer) is True


def test_metadata_is_made_of_plain_types():
    value = {1: (np.float64(0.5), np.str_("a")), "b": [Fraction(1, 2), None, True, np.int64(3)]}
    assert repr(plain(value)) == repr({1: (0.5, "a"), "b": [0.5, None, True, 3]})


# --- Files ----------------------------------------------------------------------------------------


def test_reads_gsm8k_records_and_plain_ones(tmp_path):
    plain = {"problem": "1/2 + 1/2?", "answer": 1, "unique_id": "half", "level": 2}
    path = write(tmp_path / "mine.jsonl", GSM8K_RECORD, plain)
    first, second = load_problems(path)
    assert (first.answer, first.id, first.source) == ("1234", "mine/0", "mine")
    assert (second.question, second.answer, second.id) == ("1/2 + 1/2?", "1", "half")
    assert second.metadata["level"] == 2


def test_json_lists_byte_order_marks_blank_lines_and_crlf(tmp_path):
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps([GSM8K_RECORD], indent=2), encoding="utf-8-sig")
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes((json.dumps(GSM8K_RECORD) + "\r\n\r\n").encode("utf-8-sig"))
    assert [p.answer for p in load_problems(listed)] == ["1234"]
    assert [p.answer for p in load_problems(str(lines))] == ["1234"]


def test_line_separators_inside_a_text_do_not_split_a_record(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text('{"question": "a\u2028b\x85c", "answer": "1"}\n', encoding="utf-8")
    assert load_problems(path)[0].question == "a\u2028b\x85c"


def test_seed_zero_keeps_a_files_order_and_others_shuffle(tmp_path):
    path = write(tmp_path / "n.jsonl", *({"question": str(i), "answer": i} for i in range(50)))
    in_order = load_problems(path)
    shuffled = load_problems(path, seed=3)
    assert [p.question for p in in_order] == [str(i) for i in range(50)]
    assert shuffled != in_order and sorted(shuffled, key=in_order.index) == in_order
    assert shuffled == load_problems(path, seed=3)
    assert load_problems(path, seed=3, limit=5) == shuffled[:5]
    assert len(load_problems(path, limit=1000)) == 50


def test_a_technique_sees_neither_the_answer_nor_a_worked_solution(tmp_path):
    problem = load_problems(write(tmp_path / "g.jsonl", GSM8K_RECORD))[0]
    seen = problem.without_answer()
    assert seen == Problem(problem.question, None, problem.id, problem.source, {})
    assert "1234" not in repr(seen) and "1,234" not in repr(seen)
    assert problem.answer == "1234"


@needs_data
def test_real_gsm8k():
    problems = load_problems(Path(DATA) / "gsm8k_test.jsonl")
    assert len(problems) == 1319 and problems[0].answer == "18"
    assert all(float(problem.answer) == int(problem.answer) for problem in problems)


@needs_data
def test_real_math500():
    problems = load_problems(Path(DATA) / "math500.json")
    assert len(problems) == 500 and problems[0].id == "test/precalculus/807.json"
    assert answers_match(r"(3, \pi/2)", problems[0].answer)
    assert {problem.metadata["level"] for problem in problems} == {1, 2, 3, 4, 5}


# --- Downloads ------------------------------------------------------------------------------------


@pytest.fixture
def gsm8k_online(tmp_path, monkeypatch):
    """A stand-in for GitHub that serves one record; the list of what was asked for."""
    data, asked = json.dumps(GSM8K_RECORD).encode(), []
    monkeypatch.setattr("huggingface_hub.cached_assets_path", lambda *_: tmp_path)
    monkeypatch.setitem(problem_files.GSM8K_SHA256, "test", hashlib.sha256(data).hexdigest())
    serve = lambda url, timeout: asked.append(url) or io.BytesIO(data)  # noqa: E731
    monkeypatch.setattr("urllib.request.urlopen", serve)
    return asked


def test_gsm8k_is_downloaded_once(gsm8k_online, tmp_path):
    assert [p.id for p in load_problems("gsm8k")] == ["gsm8k/test/0"]
    assert [p.answer for p in load_problems("gsm8k")] == ["1234"]
    assert len(gsm8k_online) == 1 and gsm8k_online[0].endswith("/data/test.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["test.jsonl"]


def test_another_file_in_gsm8ks_place_is_refused_and_not_kept(gsm8k_online, tmp_path):
    with pytest.raises(OSError, match=r"not the original file.*local copy"):
        load_problems("gsm8k", "train")  # what is served is not the training file
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["gsm8k", "math500"])
def test_no_network_says_what_to_do(name, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.cached_assets_path", lambda *_: tmp_path)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(OSError, match=r"could not download .*no route to host.*local copy"):
        load_problems(name)


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("words",), "unknown problem set 'words'.*word, word:hard, gsm8k.*gym:<task>.*jsonl"),
        (("",), "unknown problem set"),
        (("word", "validation"), "word has no split 'validation', only test, dev, train"),
        (("gsm8k", "dev"), "gsm8k has no split 'dev', only test, train"),
        (("math500", "train"), "math500 has no split 'train', only test"),
        (("mine.jsonl", "train"), "mine.jsonl has no split 'train'"),
        (("gym:gsm_symbolic", "x"), "gym:gsm_symbolic has no split 'x'"),
        (("word", "test", 0), "limit must be at least 1, not 0"),
        (("word", "test", -3), "limit must be at least 1, not -3"),
    ],
)
def test_what_cannot_be_loaded_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_problems(*arguments)


@GYM
@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("gsm_symbolik", "no task 'gsm_symbolik'; it has gsm_symbolic"),
        ("", "no task ''"),
        ("composite", "gym:composite cannot be used with its default settings"),
        ("rush_hour", "states none to compare"),
        ("boxnet", "states none to compare"),
        ("list_functions", "does not generate this task reproducibly"),
    ],
)
def test_gym_tasks_that_cannot_be_used_are_named(task, message):
    with pytest.raises(ValueError, match=message):
        load_problems(f"gym:{task}")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "a.jsonl",
            '{"question": "q", "answer": "1"}\n{"quest',
            r"a.jsonl, line 2: not valid JSON",
        ),
        ("a.json", '[{"question": "q",\n"answer": "1"},\n{"quest', r"a.json, line 3: not valid"),
        ("a.json", '{"question": "q", "answer": "1"}', "must be a list of records"),
        ("a.jsonl", "[1, 2]\n", "line 1: a record is an object"),
        ("a.jsonl", '\n\n{"answer": "1"}\n', "line 3: needs a text in the field 'question' or"),
        (
            "a.jsonl",
            '{"question": "q"}\n',
            "line 1: needs a text or a number in the field 'answer'",
        ),
        ("a.json", '[{"question": "q", "answer": null}]', "record 1: needs .*'answer'"),
        ("a.jsonl", '{"question": "q", "answer": true}', "needs .*'answer'"),
        ("a.jsonl", '{"question": "", "answer": "1"}', "'question'"),
        ("a.jsonl", '{"question": "q", "answer": "no end ####"}', "'answer' is empty"),
        ("a.jsonl", "", "has no problems in it"),
        ("a.json", "", "has no problems in it"),
        ("a.json", "[]", "has no problems in it"),
        ("a.jsonl", '{"id": 1, "question": "q", "answer": 1}\n' * 2, "id '1' stands for more than"),
        ("a.jsonl", b'{"question": "\xff\xfe"}', "a.jsonl is not a UTF-8 text file"),
    ],
)
def test_a_broken_file_is_refused_naming_the_place(tmp_path, file, content, message):
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        load_problems(path)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere.jsonl"):
        load_problems("nowhere.jsonl")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ModuleNotFoundError, match="pip install reasoning-gym"):
        load_problems("gym:gsm_symbolic")
