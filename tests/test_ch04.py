"""Rejection sampling: verifiers, the technique and its theory on toy data, code, the studies."""

from __future__ import annotations

import ast
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path

import nbformat
import pytest
from scripts import run_script, start_script
from wrong_answers.ch04 import RIGHT as RIGHT_ANSWERS
from wrong_answers.ch04 import WRONG as WRONG_ANSWERS
from wrong_answers.ch04 import name_of

from ch04_rejection import (
    checks,
    code_rejection,
    code_study,
    code_tasks,
    comparisons,
    quality,
    study,
    tables,
    theory,
)
from ch04_rejection import rejection as chapter
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams, load_problems
from shared.evaluation import cli
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import load_evaluation
from shared.evaluation.pool import (
    POOLS_FOLDER,
    PooledProblem,
    Sample,
    majority,
    sample_pool,
    to_pool,
)
from shared.rewards.interfaces import Verdicts
from shared.rewards.process_reward import ProcessRewardModel
from shared.sandbox.run import NO_VALUE

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "ch04_rejection"
TASKS = {task.name: task for task in code_tasks.load_tasks()}


# --- Verifiers ------------------------------------------------------------------------------------


def completion(text: str, finish_reason: str = "stop", tokens: int = 5) -> Completion:
    return Completion(text, list(range(tokens)), [-0.1] * tokens, finish_reason)


RIGHT = "3*14=42\n45+42=87\nThe answer is \\boxed{87}."
SLIP = "3*14=43\n45+43=88\nThe answer is \\boxed{88}."
MISREAD = "45-3=42\nThe answer is \\boxed{42}."


def accepted_by(verifier, *solutions, question: str = "?") -> list[bool]:
    return verifier.verify(None, question, solutions).accepted


def test_the_format_wants_an_end_and_a_box():
    texts = [
        completion(RIGHT),
        completion(RIGHT, "length"),
        completion("It is 87."),
        completion(""),
    ]
    assert accepted_by(chapter.WellFormed(), *texts) == [True, False, False, False]
    assert accepted_by(chapter.WellFormed(), completion("\\boxed{8")) == [False]


def test_the_arithmetic_finds_slips_and_knows_nothing_of_the_question():
    texts = [completion(RIGHT), completion(SLIP), completion(MISREAD), completion("\\boxed{87}")]
    assert accepted_by(chapter.ArithmeticHolds(), *texts) == [True, False, True, False]
    assert accepted_by(chapter.ArithmeticHolds(), completion(RIGHT, "length")) == [False]


class FakeReward:
    """Scores a solution by the length of its text: only the last step counts."""

    def step_scores(self, question: str, solutions: list[str]) -> list[list[float]]:
        return [[0.0, len(text) / 100] for text in solutions]


def test_a_reward_is_held_against_a_threshold():
    texts = [completion(RIGHT), completion(MISREAD), completion("no answer here " * 9)]
    scores = [len(text.text) / 100 for text in texts]
    verifier = chapter.RewardAtLeast(FakeReward(), scores[0])
    assert accepted_by(verifier, *texts) == [True, False, False]
    lenient = chapter.RewardAtLeast(FakeReward(), scores[1])
    assert accepted_by(lenient, *texts) == [True, True, False]
    strict = chapter.Both(chapter.ArithmeticHolds(), verifier)
    assert accepted_by(strict, completion(SLIP), completion(RIGHT)) == [False, True]
    # So that a run does not resume in the file of another verifier:
    assert verifier.name == "reward >= 0.42"
    assert strict.name == "arithmetic and reward >= 0.42"


def test_the_shipped_reward_model_tells_a_right_solution_from_a_slip():
    reward_model = ProcessRewardModel.from_folder(device="cpu")
    question = (
        "Ana has 45 shells. Ana buys 3 boxes of 14 shells. How many shells does Ana have now?"
    )
    verifier = chapter.RewardAtLeast(reward_model, 0.5)
    texts = [completion(f"Plan: in order.\n{text}") for text in (RIGHT, SLIP)]
    assert accepted_by(verifier, *texts, question=question) == [True, False]


# --- The technique --------------------------------------------------------------------------------


class FakeLLM:
    """Replies with given solutions one after the other, and remembers what it was asked."""

    name = "fake"

    def __init__(self, *texts: str) -> None:
        self.texts, self.asked = list(texts), []

    def chat(self, messages, params, *, enable_thinking=True):
        assert not enable_thinking
        self.messages = messages
        self.asked.append((params.n, params.seed))
        drawn, self.texts = self.texts[: params.n], self.texts[params.n :]
        cost = Cost(prompt_tokens=7, generated_tokens=5 * len(drawn), forward_passes=1)
        return [RequestOutput([1], [completion(text) for text in drawn], cost)]


PROBLEM = Problem("How many?", None)


def test_it_draws_until_the_first_is_accepted():
    llm = FakeLLM(SLIP, SLIP, RIGHT, MISREAD)
    solution = chapter.rejection_sampling(llm, PROBLEM, n=4)
    assert solution.answer == "87" and solution.scores == [0, 0, 1]
    assert [c.text for c in solution.completions] == [SLIP, SLIP, RIGHT]
    assert solution.cost == Cost(21, 15, forward_passes=3)
    assert [n for n, _ in llm.asked] == [1, 1, 1]
    assert len({seed for _, seed in llm.asked}) == 3, "the same seed would draw the same again"
    assert solution.trace[-1] == {"drawn": 3, "accepted": 1}


def test_the_budget_ends_it_and_then_all_that_was_drawn_votes():
    slips = [f"1+1=3\nThe answer is \\boxed{{{answer}}}." for answer in (5, 6, 6)]
    solution = chapter.rejection_sampling(FakeLLM(*slips, RIGHT), PROBLEM, n=3)
    assert solution.answer == "6" and len(solution.completions) == 3 and solution.scores == [0] * 3
    nothing = chapter.rejection_sampling(FakeLLM("?", "?"), PROBLEM, n=2)
    assert nothing.answer is None


def test_a_batch_is_paid_for_in_whole_and_its_first_accepted_answers():
    llm = FakeLLM(SLIP, SLIP, SLIP, MISREAD, RIGHT, SLIP)
    solution = chapter.rejection_sampling(llm, PROBLEM, n=5, batch=3)
    assert [n for n, _ in llm.asked] == [3, 2]
    assert solution.answer == "42" and solution.cost.generated_tokens == 25
    assert solution.trace == [{"drawn": 3, "accepted": 0}, {"drawn": 5, "accepted": 2}]


def test_what_a_reward_model_reads_is_counted_and_nothing_else():
    reward = chapter.RewardAtLeast(FakeReward(), 0.4)
    cheap = chapter.Both(chapter.WellFormed(), chapter.ArithmeticHolds())
    for verifier, reads in (
        (reward, 1),
        (chapter.Both(chapter.ArithmeticHolds(), reward), 1),
        (chapter.Both(reward, reward), 2),
        (cheap, 0),
    ):
        solution = chapter.rejection_sampling(FakeLLM(SLIP, RIGHT), PROBLEM, verifier=verifier)
        drawn = len(solution.completions)
        read = Cost(scored_tokens=5 * drawn * reads, forward_passes=drawn * reads)
        assert solution.cost == Cost(7 * drawn, 5 * drawn, forward_passes=drawn) + read


def test_the_cost_of_every_round_is_counted_and_the_verifier_is_given_the_model():
    @dataclass(frozen=True)
    class Expensive:
        name: str = "expensive"

        def verify(self, llm, question, solutions):
            asked.append((llm, question, len(solutions)))
            return Verdicts([False] * len(solutions), Cost(scored_tokens=100))

    asked, llm = [], FakeLLM(*[RIGHT] * 3)
    options = {"n": 3, "batch": 2, "verifier": Expensive()}
    solution = chapter.rejection_sampling(llm, PROBLEM, **options)
    assert solution.cost == Cost(14, 15, scored_tokens=200, forward_passes=2)
    assert asked == [(llm, "How many?", 2), (llm, "How many?", 1)]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, None])
@pytest.mark.parametrize("place", [0, 1])
def test_a_reward_that_is_no_number_is_an_error_that_names_it(wrong, place):
    class ShakyReward:
        def step_scores(self, question, solutions):
            return [[0.9, wrong if i == place else 0.9] for i in range(len(solutions))]

    replies = [completion(RIGHT), completion(SLIP)]
    message = f"the score of step 2 is {wrong}"
    verifier = chapter.RewardAtLeast(ShakyReward(), 0.4)
    for accepts in (verifier, chapter.Both(chapter.ArithmeticHolds(), verifier)):
        with pytest.raises(ValueError, match=message):
            accepts.verify(None, "How many?", replies)
    options = {"n": 2, "params": chapter.PARAMS, "reward_model": ShakyReward()}
    llm = FakeLLM(RIGHT, SLIP)
    given = llm.chat
    llm.chat = lambda *a, **k: [
        replace(o, completions=[replace(c, logprobs=[-1.0]) for c in o.completions])
        for o in given(*a, **k)
    ]
    with pytest.raises(ValueError, match=message):
        quality.sample_and_score(llm, PROBLEM, **options)
    noted = [sample("1", reward=0.9), sample("1", reward=0.9)]
    noted[place].measures["reward"] = wrong
    with pytest.raises(ValueError, match=f"the recorded reward of sample {place + 1} is {wrong}"):
        accepted_by(quality.NotedReward(0.4), *noted)


@pytest.mark.parametrize("options", [{"n": 0}, {"batch": 0}, {"n": -1}])
def test_no_draws_are_an_error(options):
    with pytest.raises(ValueError, match="at least 1"):
        chapter.rejection_sampling(FakeLLM(RIGHT), PROBLEM, **options)


def test_what_is_asked_and_what_is_answered_can_be_chosen():
    llm = FakeLLM(SLIP, RIGHT)
    solution = chapter.rejection_sampling(
        llm, PROBLEM, instruction="In Latin.", choose=lambda drawn, accepted: f"{accepted}"
    )
    assert solution.answer == "[False, True]"
    assert llm.messages[0]["content"] == "How many?\nIn Latin."


def test_draws_of_the_shipped_model_differ_and_follow_the_seed(tiny):
    never = chapter.RewardAtLeast(FakeReward(), 1e9)
    problem = load_problems("word", split="dev", limit=1)[0]
    run = partial(chapter.rejection_sampling, tiny, problem, n=4, verifier=never)
    params = SamplingParams(temperature=1.0, max_tokens=40)
    first, again, other = (
        [c.text for c in run(params=replace(params, seed=seed)).completions] for seed in (0, 0, 1)
    )
    assert first == again != other and len(set(first)) > 1


# --- The theory -----------------------------------------------------------------------------------


def sample(answer: str | None, tokens: int = 10, reward: float = 0.0, gold: str = "1") -> Sample:
    text = f"The answer is \\boxed{{{answer}}}." if answer else "?"
    return Sample(text, answer, answer == gold, tokens, "stop", {"reward": reward})


def pooled(*samples: Sample) -> PooledProblem:
    return PooledProblem("?", "1", 10, list(samples))


def test_expected_draws_follow_the_geometric_law():
    # Without bias: averaged over the number accepted among N draws, it is the truncated geometric
    # mean, the sum of (1-p)^i.
    p, total, budget = 0.3, 8, 5
    chances = [math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(total + 1)]
    mean = sum(c * theory.expected_draws(total, k, budget) for k, c in enumerate(chances))
    assert mean == pytest.approx((1 - (1 - p) ** budget) / p)
    assert theory.expected_draws(8, 0, 5) == 5 and theory.expected_draws(8, 8, 5) == 1
    for impossible in ((4, 0, 6), (4, 1, 5), (4, 1, 0), (4, 5, 2), (4, -1, 2)):
        with pytest.raises(ValueError, match="no such draws"):
            theory.expected_draws(*impossible)


def in_order(problem: PooledProblem, accepted: list[bool], budget: int) -> theory.Outcome:
    """What happens if the samples are drawn in this order."""
    draws = next((i for i, is_in in enumerate(accepted[:budget], 1) if is_in), budget)
    drawn, accepts = problem.samples[:draws], accepted[draws - 1]
    answer = drawn[-1].answer if accepts else majority(drawn)
    right = float(answer == problem.gold)
    return theory.Outcome(right, float(accepts), draws, sum(s.num_tokens for s in drawn))


def test_the_expected_outcome_is_the_mean_over_all_orders(monkeypatch):
    monkeypatch.setattr(theory, "VOTES", 4_000)
    samples = [sample("1", 10), sample("2", 20), sample("3", 35), sample("3", 50), sample("1", 80)]
    accepted = [True, True, False, False, False]
    problem = pooled(*samples)
    for budget in (1, 2, 4, 5):
        found = theory.expected_outcome(problem, accepted, budget, rng=random.Random(0))
        runs = []
        for order in permutations(range(5)):
            shuffled = pooled(*(samples[i] for i in order))
            flags = [accepted[i] for i in order]
            runs.append(in_order(shuffled, flags, budget))
        for part in ("accepts", "draws", "tokens"):
            mean = statistics.mean(getattr(run, part) for run in runs)
            assert getattr(found, part) == pytest.approx(mean), part
        mean = statistics.mean(run.right for run in runs)
        assert found.right == pytest.approx(mean, abs=0.02), budget


def test_a_tie_of_the_rejected_is_decided_by_the_order(monkeypatch):
    monkeypatch.setattr(theory, "VOTES", 4_000)
    for samples in ([sample("2"), sample("1")], [sample("1"), sample("2")]):
        run = partial(theory.expected_outcome, pooled(*samples), [False, False])
        assert run(2, rng=random.Random(0)).right == pytest.approx(1 / 2, abs=0.03)


def test_the_accuracy_is_the_precision_at_that_acceptance():
    samples = [sample("1"), sample("1"), sample("2"), sample(None), sample(None), sample(None)]
    accepted = [True, True, True, False, False, False]
    for budget, accepts in ((1, 1 / 2), (2, 1 - 3 / 15), (6, 1)):
        found = theory.expected_outcome(pooled(*samples), accepted, budget, rng=random.Random(0))
        assert found.accepts == pytest.approx(accepts)
        assert found.right == pytest.approx(accepts * 2 / 3)  # the rejected answer nothing


@pytest.mark.parametrize("budget", [0, 5])
def test_a_budget_that_the_pool_does_not_have_is_an_error(budget):
    with pytest.raises(ValueError):
        theory.outcomes([pooled(*[sample("1")] * 4)], [[True] * 4], budget)


def test_what_a_run_did_is_held_against_the_prediction():
    problems = [Problem("a", "87", "a"), Problem("b", "1", "b")]

    class TwoTries(FakeLLM):
        def chat(self, messages, params, **more):
            self.texts = [SLIP] if messages[0]["content"].startswith("b") else [RIGHT]
            return super().chat(messages, params, **more)

    run = evaluate(partial(chapter.rejection_sampling, n=3), TwoTries(), problems, progress=False)
    measured = theory.drawn_outcomes(run)
    assert measured == [theory.Outcome(1, 1, 1, 5), theory.Outcome(0, 0, 3, 15)]
    predicted = [theory.Outcome(0.5, 1, 2, 8), theory.Outcome(0, 0, 3, 20)]
    rows = {row["per problem"]: row for row in comparisons.compare_to_run(predicted, measured)}
    assert (rows["draws"]["predicted"], rows["draws"]["measured"]) == (2.5, 2)
    assert rows["right"]["difference"][0] == pytest.approx(0.25)
    assert rows["accepts"]["difference"] == (0, 0, 0)


def test_other_draws_of_the_shipped_model_do_what_the_pool_predicts(tiny):
    # A verifier that knows little, so that runs are short; the intervals are wide.
    problems = load_problems("word", split="dev", limit=24)
    pooling = partial(sample_pool, n=8, params=chapter.PARAMS, judged=False)
    pool = to_pool(evaluate(pooling, tiny, problems, progress=False))
    params = replace(chapter.PARAMS, seed=1)
    technique = partial(chapter.rejection_sampling, n=8, params=params)
    run = evaluate(technique, tiny, problems, progress=False)
    predicted = theory.outcomes(pool, quality.verdicts(pool, chapter.ArithmeticHolds()), 8)
    assert run.records[0].completions[0]["text"] != pool[0].samples[0].text
    for row in comparisons.compare_to_run(predicted, theory.drawn_outcomes(run)):
        difference, low, high = row["difference"]
        assert low - 0.5 * (high - low) <= 0 <= high + 0.5 * (high - low), row  # 4 deviations


def test_a_perfect_verifier_is_pass_at_k():
    pool = [pooled(sample("1"), sample("2"), sample("2"), sample("2")), pooled(*[sample("2")] * 4)]
    flags = quality.verdicts(pool, quality.Perfect())
    assert flags == [[True, False, False, False], [False] * 4]
    found = [outcome.right for outcome in theory.outcomes(pool, flags, 2)]
    assert found == [pytest.approx(1 / 2), 0]


def test_the_quality_of_a_verifier():
    pool = [pooled(sample("1"), sample("1"), sample("2")), pooled(sample("2"), sample("2"))]
    found = quality.quality(pool, [[True, False, True], [False, True]])
    assert found["acceptance"] == pytest.approx(3 / 5)
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["false_accepts"] == pytest.approx(2 / 3)
    assert found["false_rejects"] == pytest.approx(1 / 2)
    assert math.isnan(quality.quality(pool, [[False] * 3, [False] * 2])["precision"])


def test_the_interval_of_a_quality_is_one_over_problems():
    # Alike within a problem: 10 problems say no more than 10, however many samples they have.
    pool = [
        pooled(*[sample("1")] * 16) if i % 2 else pooled(*[sample("2")] * 16) for i in range(10)
    ]
    found = quality.quality_intervals(pool, [[True] * 16] * 10)
    precision, low, high = found["precision"]
    assert precision == 0.5 and low <= 0.2 and high >= 0.8
    assert found["acceptance"] == (1, 1, 1)
    few, many = (
        quality.quality_intervals(pool * k, [[True] * 16] * 10 * k)["precision"] for k in (1, 9)
    )
    assert (many[2] - many[1]) == pytest.approx((few[2] - few[1]) / 3, rel=0.2)
    assert tables.show(few) == f"0.500 [{few[1]:.3f}, {few[2]:.3f}]"


def test_pooled_samples_are_verified_as_completions_are():
    text = "1+1=2\nThe answer is \\boxed{2}."
    pool = [pooled(Sample(text, "2", False, 9, "stop", {"reward": 0.8}))]
    named = quality.pooled_verifiers({"reward": 0.85, "both": 0.75})
    flags = {name: quality.verdicts(pool, verifier) for name, verifier in named.items()}
    assert {name for name, [[flag]] in flags.items() if flag} == {"format", "arithmetic", "both"}
    with pytest.raises(ValueError, match="without rewards"):
        accepted_by(named["reward"], Sample(text, "2", False, 9, "stop", {}))


def test_a_vote_between_two_numbers_of_votes():
    curve = [[0.0, 1.0], [0.5, 1.0], [1.0, 0.0]]
    assert theory.vote_of(curve, 2) == [0.5, 1.0]
    assert theory.vote_of(curve, 2.5) == [0.75, 0.5]
    assert theory.vote_of(curve, 0.3) == curve[0] and theory.vote_of(curve, 9) == curve[2]


def test_a_threshold_is_the_most_accurate_and_of_equals_the_lowest():
    rights = [sample("1", reward=0.7), sample("1", reward=0.9), sample("2", reward=0.6)]
    pool = [pooled(*rights, sample("2", reward=0.5), sample("2", reward=0.4))] * 3
    rows = comparisons.compare_thresholds(pool, 5)
    assert comparisons.best_threshold(rows, "reward") == 0.65
    reward = {row["threshold"]: row for row in rows if row["verifier"] == "reward"}
    assert reward[0.65]["right"] == 1 and reward[0.4]["right"] == pytest.approx(2 / 5)
    assert reward[0.95]["acceptance"] == 0 and reward[0.95]["right"] == 0  # the vote, which is "2"


def test_rejection_beats_the_vote_at_equal_tokens_where_the_verifier_is_good():
    text = "1+1={}\nThe answer is \\boxed{{{}}}."
    good, bad = text.format(2, 1), text.format(3, 2)
    right = Sample(good, "1", True, 10, "stop", {"reward": 0.9})
    wrong = Sample(bad, "2", False, 10, "stop", {"reward": 0.1})
    pool = [pooled(right, wrong, wrong, wrong), pooled(wrong, wrong, right, wrong)]
    rows = comparisons.compare_budgets(pool, quality.pooled_verifiers())
    at_4 = {row["verifier"]: row for row in rows if row["budget"] == 4}
    assert at_4["arithmetic"]["right"] == at_4["perfect"]["right"] == 1
    assert at_4["arithmetic"]["gain"][0] == pytest.approx(1 - at_4["arithmetic"]["vote"])
    assert at_4["arithmetic"]["tokens"] == pytest.approx(10 * (1 + 3 / 4 + 2 / 4 + 1 / 4))
    assert at_4["format"]["right"] == pytest.approx(1 / 4) and at_4["format"]["tokens"] == 10
    table = {
        row["verifier"]: row
        for row in comparisons.compare_quality(pool, quality.pooled_verifiers())
    }
    assert table["both"]["precision"][0] == 1 and table["both"]["to_vote_of_4"][0] == 1
    assert table["both"]["draws"] == pytest.approx(2.5)


# --- Code -----------------------------------------------------------------------------------------


def test_the_tasks_are_what_they_should_be():
    assert len(TASKS) == 36
    for task in TASKS.values():
        assert f"`{task.name}(" in task.prompt
        assert len(task.visible) >= 3 and len(task.hidden) >= 5
        calls = [json.dumps(test["args"]) for test in task.visible + task.hidden]
        assert len(set(calls)) == len(calls), f"{task.name}: the same test twice"


@pytest.mark.parametrize("name", TASKS)
def test_a_reference_passes_and_the_hidden_tests_catch_a_plausible_mistake(name):
    task = TASKS[name]
    assert code_tasks.share_passed(task.reference, name, task.visible + task.hidden) == 1
    assert code_tasks.share_passed(task.wrong, name, task.visible) == 1
    assert code_tasks.share_passed(task.wrong, name, task.hidden) < 1


def test_code_is_taken_out_of_a_reply():  # more in test_extract.py
    block = "def f(x):\n    return x\n"
    extract = partial(code_tasks.extract_code, name="f")
    assert extract(f"Sure:\n```python\n{block}```\nIt returns x.") == block
    assert extract(f"```\nprint(1)\n```\n```py\n{block}```\n```python\ndef f(): 0\n```") == block
    assert extract(f"```python\n{block}") == block  # cut off
    assert extract(block) == block
    for fence in ("```python ", "``` python", "```python title=f.py", "```Python3"):
        assert extract(f"{fence}\n{block}```\nDone.") == block


def test_values_are_compared_as_json_up_to_rounding():
    assert code_tasks.is_same(0.1 + 0.2, 0.3) and not code_tasks.is_same(0.31, 0.3)
    assert code_tasks.is_same([1, "a"], [1, "a"]) and not code_tasks.is_same(NO_VALUE, None)
    assert not code_tasks.is_same("3", 3)
    nested = [{"a": [0.1 + 0.2]}, 1]
    assert code_tasks.is_same(nested, [{"a": [0.3]}, 1])
    for other in ([{"a": [0.31]}, 1], [{"a": [0.3]}, 2], [{"b": [0.3]}, 1], [{"a": [0.3, 1]}, 1]):
        assert not code_tasks.is_same(nested, other)
    assert not code_tasks.is_same(True, 1) and not code_tasks.is_same([0], [False])
    assert code_tasks.is_same(2.0, 2) and code_tasks.is_same([True, None], [True, None])


def test_a_function_without_tests_has_no_share():
    with pytest.raises(ValueError, match="no tests of f"):
        code_tasks.share_passed("def f(): return 1", "f", [])


def test_other_tests_make_other_tasks():
    tasks = code_tasks.load_tasks()
    changed = [replace(tasks[0], hidden=tasks[0].hidden[1:]), *tasks[1:]]
    assert code_tasks.fingerprint(tasks) != code_tasks.fingerprint(changed)


def test_a_program_that_passes_one_visible_test_of_three_is_rejected():
    task = TASKS["vowel_starts"]
    replies = ["def vowel_starts(text): return 2", task.wrong, task.reference]
    texts = [completion(reply) for reply in replies]
    tests = code_rejection.UnitTests([task])
    assert [tests.share(task.prompt, reply) for reply in replies] == [pytest.approx(1 / 3), 1, 1]
    assert accepted_by(tests, *texts, question=task.prompt) == [False, True, True]
    with pytest.raises(ValueError, match="no task has this prompt"):
        tests.share("Something else", "")


def test_rejection_sampling_on_code_draws_until_the_visible_tests_pass():
    task = TASKS["next_palindrome"]
    (problem,) = code_rejection.code_problems([task])
    broken = "def next_palindrome(number):\n    return 0\n"
    graded = []

    class Hidden(code_rejection.UnitTests):
        def share(self, question: str, reply: str) -> float:
            graded.append(reply)
            return super().share(question, reply)

    run = partial(
        code_rejection.draw_and_grade,
        params=SamplingParams(),
        verifier=code_rejection.UnitTests([task]),
        hidden=Hidden([task], "hidden"),
    )
    llm = FakeLLM(broken, task.reference, task.wrong)
    solution = run(llm, problem.without_answer(), n=3)
    assert solution.answer == "passes" and len(solution.completions) == 2
    assert graded == [task.reference]  # the hidden tests see the answer only
    assert llm.messages[0]["content"].endswith(code_rejection.INSTRUCTION)
    assert run(FakeLLM(task.wrong, task.reference), problem, n=3).answer == "fails"
    run(FakeLLM(broken, "?"), problem, n=2)
    assert graded[-1] == broken  # nothing accepted: the first draw


def test_the_recorded_pool_of_code_can_be_read():
    recorded = load_evaluation(POOLS_FOLDER / "qwen2.5-coder-0.5b_code.jsonl")
    draws = code_study.drawn(recorded)
    assert [len(each) for each in draws] == [16] * 36
    last = code_study.compare_budgets(draws)[-1]
    assert last["rejection"] == pytest.approx(9.19, abs=0.01) and last["pass_at_k"] == 15


def test_every_recorded_program_that_passes_a_test_is_found_in_its_reply():
    recorded = load_evaluation(POOLS_FOLDER / "qwen2.5-coder-0.5b_code.jsonl")
    passing = 0
    for record in recorded.records:
        name = record.id.removeprefix("code/")
        for each in record.completions:
            if each["visible"] or each["hidden"]:
                passing += 1
                defined = ast.parse(code_tasks.extract_code(each["text"], name)).body
                assert name in [s.name for s in defined if isinstance(s, ast.FunctionDef)]
    assert passing > 300


def test_a_pool_of_programs_notes_what_each_passes():
    task = TASKS["next_palindrome"]
    broken = "def next_palindrome(number):\n    return 0\n"
    replies = [f"```python\n{code}```" for code in (broken, task.wrong, task.reference)]
    run = partial(
        code_study.sample_and_test,
        params=SamplingParams(),
        visible=code_rejection.UnitTests([task], "visible"),
        hidden=code_rejection.UnitTests([task], "hidden"),
    )
    (problem,) = code_rejection.code_problems([task])
    solution = run(FakeLLM(*replies), problem.without_answer(), n=3)
    measures = [completion.measures for completion in solution.completions]
    assert [m["visible"] for m in measures] == [0, 1, 1]
    assert measures[1]["hidden"] < 1 and measures[2]["hidden"] == 1
    assert solution.answer == "fails"  # a false accept came first
    assert run(FakeLLM(*replies[::-1]), problem, n=3).answer == "passes"
    assert run(FakeLLM(*replies), problem, n=1).answer == "fails"

    evaluation = evaluate(partial(run, n=3), FakeLLM(*replies[::-1]), [problem], progress=False)
    assert evaluation.accuracy == 1
    assert code_study.drawn(evaluation) == [[(True, True), (True, False), (False, False)]]


def test_any_budget_follows_from_the_draws_of_a_task():
    draws = [(True, True), (True, False), (False, False), (False, True), (False, False)]
    for budget in (1, 2, 3, 5):
        orders = list(permutations(draws))
        right = sum(code_study.chosen_draw(list(o[:budget]))[1] for o in orders) / len(orders)
        assert code_study.chance_right(draws, budget) == pytest.approx(right)
    rows = code_study.compare_budgets([draws, [(False, False)] * 5])
    assert [row["budget"] for row in rows] == [1, 2, 4, 5]
    assert rows[0]["rejection"] == pytest.approx(rows[0]["one_draw"]) == pytest.approx(2 / 5)
    assert rows[-1]["rejection"] == pytest.approx(1 / 2) and rows[-1]["pass_at_k"] == 1
    assert rows[-1]["draws"] == pytest.approx((2 + 5) / 2)  # 2 of 5 are accepted; none
    assert rows[-1]["low"] < rows[-1]["rejection"] < rows[-1]["high"]
    with pytest.raises(ValueError, match="same number"):
        code_study.compare_budgets([draws, draws[1:]])


def test_it_is_said_before_code_runs(monkeypatch, capsys):
    monkeypatch.setattr(code_rejection, "layers", frozenset)
    monkeypatch.setattr(code_rejection, "not_contained", lambda: ["It can use the network."])
    monkeypatch.setattr(sys, "argv", ["code_rejection.py", "--model", "no/such/model/here"])
    with pytest.raises(SystemExit):
        code_rejection.main()
    said = capsys.readouterr().out
    assert "NOT CONTAINED" in said and "network" in said and "wall clock only" in said


# --- The exercises --------------------------------------------------------------------------------


def names(cases: list[tuple]) -> list[str]:
    return [f"{check.__name__}: {name_of(answer)}" for check, answer, *_ in cases]


@pytest.mark.parametrize(("check", "answer"), RIGHT_ANSWERS, ids=names(RIGHT_ANSWERS))
def test_right_answers_pass(check, answer, capsys):
    check(answer)
    assert "is right" in capsys.readouterr().out


@pytest.mark.parametrize(("check", "answer", "message"), WRONG_ANSWERS, ids=names(WRONG_ANSWERS))
def test_wrong_answers_are_rejected_with_words_that_help(check, answer, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check(answer)


def test_every_exercise_has_eight_wrong_answers_and_two_right_ones():
    cells = nbformat.read(FOLDER / "exercises.ipynb", as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    called = re.findall(r"checks\.(check_\w+)\(", code)
    wrong, right = (
        Counter(check.__name__ for check, *_ in each) for each in (WRONG_ANSWERS, RIGHT_ANSWERS)
    )
    assert len(called) == 6
    for name in called:
        assert wrong[name] >= 8 and right[name] >= 2


def test_an_unsolved_exercise_says_so():
    def mean_draws(p, budget):
        raise NotImplementedError

    with pytest.raises(AssertionError, match="not written yet"):
        checks.check_mean_draws(mean_draws)


def test_a_fallback_is_compared_where_nothing_is_accepted_and_sees_no_grades(capsys):
    seen = []

    def fallback(samples):
        seen.append([each.is_right for each in samples])
        return "1"

    rejected = pooled(sample("2"), sample("2"), sample("1"))
    accepted = pooled(sample("1", reward=0.9))
    checks.compare_fallbacks([rejected, accepted], quality.NotedReward(0.5), [fallback])
    said = capsys.readouterr().out
    assert seen == [[False] * 3]
    assert "nothing accepted on 1 of 2 problems" in said and "+100.0 points" in said
    checks.compare_fallbacks([accepted], quality.NotedReward(0.5), [fallback])
    assert "on 0 of 1 problems" in capsys.readouterr().out


def test_the_comparison_of_fallbacks_enforces_the_budget():
    compare = partial(checks.compare_fallbacks, verifier=quality.NotedReward(0.5))
    problem, choose = pooled(sample("1")), majority
    for pool, fallbacks, message in (
        ([problem] * 41, [choose], "41 problems"),
        ([pooled(*[sample("1")] * 9)], [choose], "9 samples each; the budget is 40 with 8"),
        ([problem], [choose] * 5, "5 variants; at most 4"),
    ):
        with pytest.raises(AssertionError, match=message):
            compare(pool, fallbacks=fallbacks)


# --- The scripts, for real ------------------------------------------------------------------------

SUMMARY = re.compile(
    r"accuracy (\d\.\d{3}) \[(\d\.\d{3}), (\d\.\d{3})\]  problems (\d+)  "
    r"generated tokens (\d+)  seconds \d+\.\d"
)


def run(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    if script == "study.py":
        arguments = (*arguments, "--chapter", str(cwd))
    return run_script(FOLDER / script, *arguments, cwd=cwd)


def test_the_script_draws_until_accepted_from_any_folder(tmp_path):
    small = ("--limit", "6", "--n", "3", "--split", "dev", "--out", "a.jsonl")
    done = start_script(FOLDER / "rejection.py", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert SUMMARY.fullmatch(done.stdout.splitlines()[-1])
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(records) == 6
    for record in records:
        assert 1 <= len(record["completions"]) == len(record["scores"]) <= 3
        assert sum(record["scores"]) == (record["scores"][-1] == 1)  # it stops at the first
        assert len(record["completions"]) == 3 or record["scores"][-1] == 1
    settings = json.loads((tmp_path / "a.settings.json").read_text())["settings"]
    assert settings["verifier"] == "arithmetic and reward >= 0.75"


def test_the_comparison_prints_every_verifier_at_every_budget(tmp_path):
    small = ("compare", "--limit", "6", "--n", "4", "--split", "dev")
    done = run("study.py", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert SUMMARY.fullmatch(done.stdout.splitlines()[-1])
    names = list(quality.pooled_verifiers())
    assert [line[0] for line in lines[1:6]] == names
    heads, table = lines[6], [dict(zip(lines[6], line)) for line in lines[7:22]]
    assert heads[:2] == ["verifier", "budget"]
    assert [(row["verifier"], row["budget"]) for row in table] == [
        (name, budget) for name in names for budget in ("1", "2", "4")
    ]
    best = max(table, key=lambda row: float(row["right"]))
    assert float(table[-1]["right"]) == float(best["right"])  # the perfect verifier
    (result,) = (tmp_path / "results").glob("*.json")
    content = json.loads(result.read_text("utf-8"))
    assert len(content["tables"][1]["rows"]) == 15 and result.with_suffix(".png").exists()
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    for row in table:
        cells = [row["verifier"], row["budget"], row["tokens"], row["accepts"], row["right"]]
        assert f"| {' | '.join(cells)} |" in page
    again = run("study.py", "tables", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "RESULTS.md").read_text("utf-8") == page


def test_the_script_chooses_a_threshold(tmp_path):
    small = ("thresholds", "--limit", "4", "--n", "4")
    done = run("study.py", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^choose reward 0\.\d+, both 0\.\d+$", done.stdout, re.MULTILINE)


def test_a_recorded_pool_is_scored_by_the_shipped_reward_model(tiny):
    reward_model = ProcessRewardModel.from_folder(device="cpu")
    technique = partial(quality.sample_and_score, n=3, reward_model=reward_model)
    technique = partial(technique, params=SamplingParams(temperature=0.6, max_tokens=400))
    problems = load_problems("word", split="dev", limit=2)
    pool = to_pool(evaluate(technique, tiny, problems, progress=False))
    for problem in pool:
        solutions = [
            replace(completion(s.text), finish_reason=s.finish_reason) for s in problem.samples
        ]
        live = chapter.RewardAtLeast(reward_model, 0.5)
        noted = accepted_by(quality.NotedReward(0.5), *problem.samples)
        assert accepted_by(live, *solutions, question=problem.question) == noted


def test_the_script_predicts_and_then_draws(tmp_path):
    small = ("predict", "--limit", "6", "--n", "3", "--split", "dev", "--verifier", "arithmetic")
    done = run("study.py", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["accepts", "draws", "tokens", "right"]
    assert "sampling   n 3, temperature 0.6, seed 1" in lines and SUMMARY.fullmatch(lines[-1])


def test_a_run_is_not_gone_on_with_under_another_reward_model_or_other_tests(tmp_path, monkeypatch):
    small = ("--limit", "1", "--n", "1", "--max-tokens", "5", "--out", "a.jsonl")
    cases = [
        (chapter, ("--split", "dev"), cli, "weights_fingerprint"),
        (code_rejection, (), code_rejection, "fingerprint"),
    ]
    for script, more, module, name in cases:
        (tmp_path / script.__name__).mkdir()
        monkeypatch.chdir(tmp_path / script.__name__)
        monkeypatch.setattr(sys, "argv", [script.__name__, *small, *more])
        script.main()
        script.main()  # the same: nothing to do
        monkeypatch.setattr(module, name, lambda _: "another")
        with pytest.raises(SystemExit) as end:
            script.main()
        assert end.value.code == 2


def test_the_script_for_code_draws_until_accepted(tmp_path):
    small = ("--limit", "2", "--n", "2", "--max-tokens", "20", "--out", "a.jsonl")
    done = start_script(FOLDER / "code_rejection.py", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [record["predicted"] for record in records] == ["fails"] * 2
    assert [record["scores"] for record in records] == [[0, 0]] * 2


def test_the_script_for_code_records_both_sets_of_tests(tmp_path):
    small = ("code", "--limit", "2", "--n", "2", "--max-tokens", "20", "--out", "a.jsonl")
    done = run("study.py", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sandbox: ")
    assert SUMMARY.fullmatch(done.stdout.splitlines()[-1])
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    for record in records:
        assert all({"visible", "hidden"} <= each.keys() for each in record["completions"])


OTHER_POOL = POOLS_FOLDER / "qwen2.5-coder-0.5b_gsm_symbolic.jsonl"


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (chapter, ("--reward-model", "no/such/place/at all"), "neither a folder"),
        (chapter, ("--verifier", "format", "--batch", "0"), "--batch"),
        (chapter, ("--verifier", "format", "--n", "0"), "n must be at least 1"),
        (chapter, ("--verifier", "format", "--threshold", "0.5"), "--threshold has no effect"),
        (chapter, ("--verifier", "arithmetic", "--reward-model", "tiny"), "--reward-model has"),
        (study, ("thresholds", "--split", "test"), "--split dev"),
        (study, ("predict", "--verifier", "format", "--threshold", "1"), "--threshold has no"),
        (study, ("compare", "--pool", "no/such/pool.jsonl"), "no/such/pool"),
        (study, ("code", "--pool", "no/such/pool.jsonl"), "no/such/pool"),
        (study, ("code", "--pool", str(OTHER_POOL)), "was not made by study.py code"),
        (study, ("code", "--split", "dev"), "its own tasks"),
        (code_rejection, ("--problems", "word"), "its own tasks"),
        (code_rejection, ("--split", "dev"), "its own tasks"),
        (code_rejection, ("--limit", "-1"), "--limit must be at least 1"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(monkeypatch, capsys, script, arguments, message):
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments])
    with pytest.raises(SystemExit) as end:
        script.main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("error: ") and message in said and len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "--threshold", "0.5"),
        ("compare", "--verifier", "both"),
        ("compare", "--batch", "2"),
        ("predict", "--batch", "1"),
        ("predict", "--pool", "a.jsonl"),
        ("thresholds", "--threshold", "0"),
        ("code", "--reward-model", "tiny"),
        ("tables", "--n", "4"),
    ],
)
def test_a_flag_without_effect_on_a_study_is_refused(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["study.py", *arguments])
    with pytest.raises(SystemExit) as end:
        study.main()
    assert end.value.code == 2 and "unrecognized arguments" in capsys.readouterr().err


def test_a_recorded_pool_without_rewards_is_compared_by_three_verifiers(
    monkeypatch, capsys, tmp_path
):
    arguments = ["compare", "--pool", str(OTHER_POOL), "--chapter", str(tmp_path), "--name", "a"]
    monkeypatch.setattr(sys, "argv", ["study.py", *arguments])
    study.main()
    said = capsys.readouterr().out
    assert {line.split()[0] for line in said.splitlines()} == {
        "verifier", "format", "arithmetic", "perfect", "wrote",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"a.json", "a.png"}


def test_the_chapter_s_results_are_those_of_its_page(tmp_path):
    page = (FOLDER / "RESULTS.md").read_text("utf-8")
    shutil.copytree(FOLDER / "results", tmp_path / "results")
    assert tables.write_results(tmp_path).read_text("utf-8") == page


def test_cells_of_a_table():
    assert tables.show((0.5, -0.25, 1.0)) == "0.500 [-0.250, 1.000]"
    assert tables.show([0.5, -0.25, 1.0], "+") == "+0.500 [-0.250, +1.000]"
    assert (tables.show(123.4), tables.show(None), tables.show(16)) == ("123", "", "16")
    rows = tables.without_nan([{"precision": (math.nan, 0.0, 1.0)}])
    assert rows == [{"precision": [None, 0.0, 1.0]}]
    page = tables.markdown_rows([{"to_vote_of_4": (0.5, 0.0, 1.0), "pass_at_k": 0.5}])
    assert page.splitlines()[0] == "| to vote of 4 | pass at k |"
    assert page.splitlines()[2] == "| +0.500 [+0.000, +1.000] | 0.500 |"
