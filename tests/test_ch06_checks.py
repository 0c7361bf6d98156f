"""Chapter 6: the checks of the exercises, the toy tree, and the study of where search pays."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import nbformat
import pytest
from wrong_answers.ch06 import RIGHT, WRONG

from ch06_search import checks, demos, game24, search, study_regimes, toy, toy_figures
from ch06_search.particles import particle_filter
from ch06_search.scripted import ScriptedModel
from shared import Cost, Problem
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.pool import PooledProblem, Sample
from shared.evaluation.records import Record
from shared.rewards.interfaces import Scores


def ids(answers: list[tuple]) -> list[str]:
    """The name of a test: the check, and the answer."""
    return [f"{check.__name__}-{answer.__name__}" for check, answer, *_ in answers]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=ids(RIGHT))
def test_right_answers_in_any_style_pass(check, answer):
    check(answer)


@pytest.mark.parametrize(("check", "answer", "message"), WRONG, ids=ids(WRONG))
def test_wrong_answers_are_rejected_with_words_that_help(check, answer, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(answer)


def test_every_exercise_has_eight_wrong_answers_and_two_right_ones():
    path = search.__file__.replace("search.py", "exercises.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    called = re.findall(r"checks\.(\w+)\(", "\n".join(cell.source for cell in cells))
    wrong, right = (Counter(check.__name__ for check, *_ in each) for each in (WRONG, RIGHT))
    assert len(called) == 6
    for name in called:
        assert wrong[name] >= 8 and right[name] >= 2


def test_an_unsolved_exercise_says_so():
    def branches_needed(right, num_steps, goal):
        raise NotImplementedError

    def thrifty_beam(llm, problem, **options):
        raise NotImplementedError

    with pytest.raises(AssertionError, match="branches_needed is not written yet"):
        checks.check_branches_needed(branches_needed)
    with pytest.raises(AssertionError, match="thrifty_beam is not written yet"):
        checks.check_thrifty_beam(thrifty_beam)


# --- The toy tree ---------------------------------------------------------------------------------

SEARCHES = [toy.tiny_beam, toy.tiny_dvts, toy.tiny_best_first, toy.tiny_lookahead, toy.tiny_mcts]


def searched(search, steps=toy.STEPS) -> toy.TinyTree:
    """The toy tree after a search."""
    tree = toy.TinyTree(steps)
    search(tree)
    return tree


def test_the_toy_searches_go_different_ways():
    trees = [searched(search) for search in SEARCHES]
    assert [tree.vote() for tree in trees] == ["24", "33", "24", "33", "33"]
    assert [len(tree.written) for tree in trees] == [10, 10, 8, 12, 12]
    assert len({tuple(tree.written) for tree in trees}) == len(SEARCHES)


def test_the_toy_tree_is_a_tree_of_probabilities_and_true_equations():
    for path, (_, score) in toy.STEPS.items():
        left, _, right = path[-1].partition("=")
        assert eval(left) == int(right) and 0 <= score <= 1  # noqa: S307
        assert path[:-1] == () or path[:-1] in toy.STEPS
    tree = toy.TinyTree(toy.STEPS)
    for path in [(), *toy.STEPS]:
        shares = [toy.STEPS[child][0] for child in tree.children(path)]
        assert shares == sorted(shares, reverse=True)
        assert not shares or sum(shares) == pytest.approx(1)


def test_beam_search_wins_on_the_toy_tree_if_the_judge_likes_the_right_start():
    better = dict.fromkeys([("3*6=18", "20+18=38"), ("3*6=18", "18-5=13")], 0.6)
    better[("3*6=18",)] = 0.9
    steps = {p: (share, better.get(p, score)) for p, (share, score) in toy.STEPS.items()}
    assert searched(toy.tiny_beam, steps).vote() == "33"


def test_the_bounds_of_the_toy_tree_search_are_those_worked_out_by_hand():
    rows = toy.tiny_mcts(toy.TinyTree(toy.STEPS))
    assert [row["end"][-1] for row in rows] == [
        "18+6=24", "38+5=43", "18+6=24", "29-5=24", "20+13=33",
    ]  # fmt: skip
    upper = (0.40 + 0.40 + 0.35) / 3 + 0.5 * math.sqrt(math.log(4) / 3)
    assert rows[4]["bounds"]["20+3=23",] == pytest.approx(upper)
    assert rows[4]["bounds"]["3*6=18",] == pytest.approx(0.20 + 0.5 * math.sqrt(math.log(4)))
    assert rows[4]["visits"][()] == 5


def test_toy_particles_end_in_proportion_to_their_probability_times_their_score():
    ends = Counter()
    for seed in range(300):
        ends.update(toy.tiny_particles(toy.TinyTree(toy.STEPS), n=64, seed=seed))
    mass = {}
    for path, (_, score) in toy.STEPS.items():
        if len(path) == 3:
            shares = [toy.STEPS[path[:depth]][0] for depth in (1, 2, 3)]
            mass[path] = math.prod(shares) * score
    for path, weight in mass.items():
        assert ends[path] / ends.total() == pytest.approx(weight / sum(mass.values()), abs=0.03)


@dataclass(frozen=True)
class ToyScores:
    """The scores of the toy tree, for the searches of the chapter."""

    name: str = "toy_scores"

    def score(self, llm, question, nodes):
        return Scores([toy.STEPS[tuple(node.text.split())][1] for node in nodes], Cost())


@pytest.mark.parametrize(
    ("method", "options", "toy_search"),
    [
        (search.beam_search, {"n": 4, "branch": 2}, toy.tiny_beam),
        (search.best_first, {"n": 4, "branch": 2}, toy.tiny_best_first),
    ],
)
def test_the_searches_write_the_same_steps_as_their_toy_versions(method, options, toy_search):
    tree = toy.TinyTree(toy.STEPS)
    lines = {}
    for path in [(), *toy.STEPS]:
        ends = ["\n" if tree.children(child) else "" for child in tree.children(path)]
        lines["".join(f"{step}\n" for step in path)] = [
            (child[-1] + end, toy.STEPS[child][0]) for child, end in zip(tree.children(path), ends)
        ]
    solution = method(ScriptedModel(lines), Problem("?", None), value=ToyScores(), **options)
    steps = {0: ()}
    for node in solution.trace:
        steps[node["node"]] = (*steps[node["parent"]], node["step"])
    assert set(steps.values()) - {()} == set(searched(toy_search).written)


def test_toy_figures_show_every_step():
    tree = searched(toy.tiny_beam)
    texts = [text.get_text() for text in toy_figures.draw_tree(tree, "t").axes[0].texts]
    for path in toy.STEPS:
        number = f"{tree.written.index(path) + 1}.  " if path in tree.written else ""
        assert number + path[-1] in texts
    drawn = toy_figures.draw_resampling(["a", "b"], [3.0, 1.0], start=0.5).axes[0]
    assert [text.get_text() for text in drawn.texts if text.get_text()] == [
        "a", "share 0.75\n1 copy", "b", "share 0.25\n1 copy", "point 1", "point 2",
    ]  # fmt: skip


# --- What the notebook prints ---------------------------------------------------------------------


def test_a_position_shows_truth_and_verdict_of_every_next_state(capsys):
    demos.print_position([2, 2, 6, 6], 24, game24.erring_judge(1.0))
    head, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13 and "can reach 24" in head
    assert all("<- error" in line for line in lines)
    demos.print_position([2, 2, 6, 6], 24, game24.erring_judge(0.0))
    lines = capsys.readouterr().out.splitlines()[1:]
    assert not any("error" in line for line in lines)
    assert sum(line.endswith("yes") for line in lines) == 4


def test_the_fate_of_a_problem_is_right_outvoted_or_without_a_right_path(capsys):
    def record(correct: bool, answers: list[str]) -> Record:
        paths = [
            {"text": f"\\boxed{{{a}}}", "finish_reason": "stop", "num_tokens": 5} for a in answers
        ]
        return Record(0, "0", "?", "7", correct=correct, completions=paths)

    records = [record(True, ["7"]), record(False, ["7", "8"]), record(False, ["8", "9", "9"])]
    demos.print_fates({"beam": Evaluation(records, {}, 1.0)})
    assert capsys.readouterr().out.splitlines()[1].split() == ["beam", "2.0", "1", "1", "1"]


# --- Where search pays ----------------------------------------------------------------------------


def sample(answer: str | None, score: float, tokens: int = 10, right: bool = False) -> Sample:
    measures = {"value": score, "weight": score}
    return Sample("", answer, right, tokens, "stop", measures)


def test_attempts_stop_at_the_first_path_that_scores_enough_and_has_an_answer():
    problem = PooledProblem("?", "7", 5, [])
    low, none, high = sample("8", 0.5), sample(None, 0.9), sample("7", 0.8, right=True)
    attempts = [([low], 10.0), ([none], 20.0), ([high], 40.0), ([low, low], 80.0)]
    assert study_regimes.stop_early(problem, attempts, 0.8, "value") == (True, 70.0)
    assert study_regimes.stop_early(problem, attempts, 0.5, "value") == (False, 10.0)
    assert study_regimes.stop_early(problem, attempts, 0.95, "value") == (False, 150.0)


def test_the_rival_spends_as_many_tokens_on_the_line_between_two_limits():
    right, wrong = sample("7", 0.9, right=True), sample("8", 0.1)
    pool = [PooledProblem("?", "7", 5, [right] * 4), PooledProblem("?", "7", 5, [wrong] * 4)]
    theirs, limit = study_regimes.at_equal_tokens(pool, tokens=15.0, threshold=0.8)
    assert theirs == [1.0, 0.0] and limit == pytest.approx(
        2.0
    )  # 10 for the first, 20: 15 on average
    theirs, limit = study_regimes.at_equal_tokens(pool, tokens=5.0, threshold=0.8)
    assert theirs == [0.5, 0.0] and limit == pytest.approx(0.5)
    assert study_regimes.at_equal_tokens(pool, tokens=1e9, threshold=0.8)[1] == 4.0


def test_the_study_of_regimes_writes_its_file_and_its_table(tmp_path, monkeypatch, capsys):
    flags = ["--limit", "2", "--chapter", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["study_regimes.py", *flags])
    monkeypatch.setattr(study_regimes, "SETS", {"word": 2})
    study_regimes.main()
    content = json.loads((tmp_path / "results" / "regimes.json").read_text(encoding="utf-8"))
    assert [row["num_problems"] for row in content["regimes"]] == [2] * 7
    assert all(-1 <= row["low"] <= row["gain"] <= row["high"] <= 1 for row in content["regimes"])
    plain, weighted = content["regimes"][5:7]
    assert plain["tokens"] == weighted["tokens"]
    assert "| `word` (2) | beam of 2 |" in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")


def test_particles_vote_by_count_or_by_score():
    def score(llm, question, nodes):
        return Scores([0.9 if "\\boxed{2}" in n.text else 0.4 for n in nodes], Cost())

    value = SimpleNamespace(name="value", score=score)
    lines = {"": [("\\boxed{1}", 0.5)] * 5 + [("\\boxed{2}", 0.5)]}
    answers = {}
    for weighted in (False, True):
        model = ScriptedModel(lines)
        solution = particle_filter(model, Problem("?", None), n=6, value=value, weighted=weighted)
        answers[weighted] = solution.answer
        weights = [path.measures["weight"] for path in solution.completions]
        assert sorted(weights) == ([0.4, 0.9] if weighted else [2.0, 4.0])
    assert answers == {False: "1", True: "2"}
