"""Votes: equal answers are counted together, and what comes back is graded as it was spelled."""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from ch01_cot.cot import chain_of_thought, solution_of
from ch02_self_consistency import deepconf
from ch02_self_consistency import self_consistency as ch02
from ch03_best_of_n.best_of_n import best_answer, best_of_n, weighted_answer
from ch04_rejection.rejection import first_accepted, rejection_sampling
from ch06_search.tree import Node, Tree
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams
from shared.evaluation.pool import sample_pool
from shared.grading.answers import answers_match, normalize_answer
from shared.grading.voting import count_votes, most_frequent, winner
from shared.tiny import report

ROOT = Path(__file__).parents[1]
NOT_NUMBERS = [math.nan, math.inf, -math.inf, None, "1"]


def test_answers_of_one_form_are_one_vote_under_the_first_spelling():
    assert count_votes(["1,000", None, "$1000", "7"]) == {"1,000": 2, "7": 1}
    assert count_votes(["7", "8", "7.0"], [0.25, 0.5, 0.5]) == {"7": 0.75, "8": 0.5}
    assert most_frequent(["7", "$1000", "1,000"]) == "$1000"
    assert most_frequent(["50%"]) == "50%"


def test_ties_go_to_the_answer_seen_first():
    assert most_frequent(["8", "7", "7", "8"]) == "8"
    assert most_frequent(["7", "8", "8", "7"]) == "7"
    assert most_frequent(["7", "8"], [0.0, 0.0]) == "7"
    assert list(count_votes(["3", None, "1", "2", "3"])) == ["3", "1", "2"]


def test_nobody_wins_where_nobody_votes():
    assert most_frequent([]) is None and most_frequent([None, None]) is None
    assert winner({}) is None and most_frequent([None, "5"], [9.0, 0.1]) == "5"


@pytest.mark.parametrize("noise", [0.0, 4e-7, -4e-7])
def test_rounding_does_not_decide_a_tie(noise):
    assert most_frequent(["8", "7", "7"], [0.3, 0.1, 0.2]) == "8"  # 0.1 + 0.2 > 0.3 in floats
    assert most_frequent(["8", "7"], [0.9, 0.9 * (1 + noise)]) == "8"
    assert most_frequent(["8", "7"], [0.9, 0.9 * (1 + 1e-4)]) == "7"


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("wrong", NOT_NUMBERS)
def test_a_weight_that_is_no_number_is_an_error_that_names_its_source(wrong, place):
    weights = [0.5, 0.25, 0.25]
    weights[place] = wrong
    message = f"the reward of sample {place + 1} is {wrong}"
    for answers in (["1", "2", "1"], ["1", None, None], [None] * 3):
        with pytest.raises(ValueError, match=re.escape(message)):
            count_votes(answers, weights, "the reward")


def test_weights_are_not_negative_and_one_for_each_answer():
    with pytest.raises(ValueError, match="must not be negative, but the lowest one is -1.0"):
        count_votes(["7", "8"], [0.5, -1.0])
    for weights in ([], [1.0], [1.0] * 3):
        with pytest.raises(ValueError, match=f"{len(weights)} numbers .* for 2 samples"):
            count_votes(["7", "8"], weights)


def test_votes_agree_with_counting_them_by_hand():
    rng = random.Random(0)
    spellings = [None, "5", "5.0", "$5", "50%", "50", "1/2", "0.5", r"\frac12", "x", "5 apples"]
    for _ in range(300):
        answers = rng.choices(spellings, k=rng.randrange(8))
        weights = [rng.randrange(1, 9) / 8 for _ in answers]
        groups = defaultdict(list)
        for i, answer in enumerate(answers):
            if answer is not None:
                groups[normalize_answer(answer)].append(i)
        totals = {answers[own[0]]: sum(weights[i] for i in own) for own in groups.values()}
        assert count_votes(answers, weights) == totals  # eighths add up exactly
        best = max(totals.values(), default=0)
        expected = next((name for name, total in totals.items() if total == best), None)
        assert most_frequent(answers, weights) == expected


# --- Every technique that votes -------------------------------------------------------------------


def completions_of(*answers: str) -> list[Completion]:
    texts = [f"so \\boxed{{{answer}}}" for answer in answers]
    return [Completion(text, [1, 2], [-0.5, -0.5], "stop", [], [1.0, 1.0]) for text in texts]


class FakeLLM:
    """Gives the same answers whatever it is asked."""

    def __init__(self, *answers: str) -> None:
        self.completions = completions_of(*answers)
        self.tokenizer = SimpleNamespace(encode_chat=lambda *a, **k: [1], encode=lambda text: [1])
        self.max_positions = 99

    def chat(self, messages, params, *, enable_thinking=True):
        return [RequestOutput([1], self.completions[: params.n], Cost())]

    def score(self, prompt, word):
        return [-1.0]


def searched(llm: FakeLLM, answers: list[str]) -> str | None:
    """What a search answers that has finished paths with these answers."""

    def score(llm, question, nodes):
        return [0.5] * len(nodes), Cost()

    value = SimpleNamespace(name="half", score=score)
    tree = Tree(llm, Problem("?", None), value, SamplingParams(), "\n")
    for completion in completions_of(*answers):
        tree.finished.append(Node([1, 2], completion.text, finish_reason="stop"))
    return tree.solution().answer


PROBLEM, PARAMS = Problem("?", None), SamplingParams(temperature=0.6, max_tokens=99)
VOTES = {
    "ch01, several samples": lambda llm, a: solution_of(llm.completions, Cost()).answer,
    "ch01": lambda llm, a: chain_of_thought(llm, PROBLEM, n=len(a)).answer,
    "ch02": lambda llm, a: ch02.self_consistency(llm, PROBLEM, n=len(a)).answer,
    "ch02, probability": lambda llm, a: (
        ch02.weighted_self_consistency(llm, PROBLEM, n=len(a)).answer
    ),
    "ch02, certainty": lambda llm, a: (
        ch02.weighted_self_consistency(llm, PROBLEM, n=len(a), weight="certainty").answer
    ),
    "ch02, adaptive": lambda llm, a: (
        ch02.adaptive_consistency(llm, PROBLEM, n=len(a), batch=len(a)).answer
    ),
    "ch02, deepconf": lambda llm, a: deepconf.deepconf(llm, PROBLEM, n=len(a)).answer,
    "ch03, best": lambda llm, a: best_of_n(llm, PROBLEM, n=len(a)).answer,
    "ch03, weighted": lambda llm, a: (
        best_of_n(llm, PROBLEM, n=len(a), choose=weighted_answer).answer
    ),
    "ch03, toy": lambda llm, a: best_answer(a, [1.0] * len(a)),
    "ch04": lambda llm, a: first_accepted(llm.completions, [False] * len(a)),
    "ch04, drawing": lambda llm, a: rejection_sampling(llm, PROBLEM, n=len(a), batch=len(a)).answer,
    "ch06": searched,
    "pool": lambda llm, a: sample_pool(llm, PROBLEM, n=len(a), params=PARAMS).answer,
    "report": lambda llm, a: report.vote(llm.completions),
}


@pytest.mark.parametrize("technique", VOTES)
@pytest.mark.parametrize(
    ("answers", "gold"),
    [
        (["50%"], "0.5"),
        (["50%", "50 \\%", "0.3"], "0.5"),
        (["5\\text{ cm}", "5"], "5"),
        (["\\frac12"], "1/2"),
        (["\\text{Monday}", "monday"], "Monday"),
    ],
)
def test_a_vote_is_right_where_its_first_answer_alone_is(technique, answers, gold):
    assert answers_match(answers[0], gold)
    answer = VOTES[technique](FakeLLM(*answers), answers)
    assert answer == answers[0] and answers_match(answer, gold)


def test_votes_are_counted_in_one_place():
    files = [*ROOT.glob("ch0*/*.py"), *ROOT.glob("shared/**/*.py")]
    files = [file for file in files if "checks.py" not in file.name]  # of exercises
    counting = {
        str(file.relative_to(ROOT))
        for file in files
        if "normalize_answer(" in file.read_text("utf-8")
    }
    assert len(files) > 40 and counting == {"shared/grading/answers.py", "shared/grading/voting.py"}
