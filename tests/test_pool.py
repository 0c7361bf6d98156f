"""Pools: what a technique would have answered with fewer samples follows from one file."""

import itertools
from functools import partial
from statistics import mean

import pytest

from shared import Completion, Cost, Problem, SamplingParams, Solution, load_problems
from shared.evaluation import pools_page
from shared.evaluation.evaluate import evaluate
from shared.evaluation.pool import (
    POOLS_FOLDER,
    PooledProblem,
    Sample,
    accuracy_at,
    is_right_answer,
    lowest_confidence,
    majority,
    read_pool,
    sample_pool,
    to_pool,
)
from shared.grading.voting import most_frequent
from shared.rewards.judge import judge


def pooled(*answers: str) -> PooledProblem:
    samples = [Sample("", a, a == "1", 5, "stop", {}) for a in answers]
    return PooledProblem("?", "1", 10, samples)


def test_a_pool_is_written_read_and_graded(tiny, tmp_path):
    problems = load_problems("word", split="dev", limit=3)
    params = SamplingParams(temperature=0.6, max_tokens=400)
    technique = partial(sample_pool, n=4, params=params)
    evaluation = evaluate(technique, tiny, problems, out=tmp_path / "pool.jsonl", progress=False)
    pool = read_pool(tmp_path / "pool.jsonl")
    for problem, read, record in zip(problems, pool, evaluation.records):
        assert read.gold == problem.answer and len(read.samples) == 4
        for sample in read.samples:
            if sample.finish_reason == "stop":
                assert sample.is_right == (sample.answer == problem.answer)
            assert sample.measures["logprob"] < 0 < sample.measures["certainty"]
            expected = judge(tiny, problem.question, sample.text)
            assert sample.measures["judge"] == pytest.approx(expected, abs=1e-3)
        assert accuracy_at([read], majority, 4) == [float(record.correct)]


def test_accuracy_at_n_is_the_mean_over_all_ways_to_draw():
    problem = pooled("1", "2", "2", "1", "3")
    expected = [
        majority([problem.samples[i] for i in drawn]) == "1"
        for drawn in itertools.permutations(range(5), 3)  # the order decides ties
    ]
    (share,) = accuracy_at([problem], majority, 3, repeats=20_000)
    assert share == pytest.approx(sum(expected) / len(expected), abs=0.02)


def test_a_majority_of_two_is_as_good_as_one_sample():
    for answers in (("1", "2", "3", "4"), ("2", "3", "4", "1"), ("1", "1", "2", "2", "3")):
        shares = [accuracy_at([pooled(*answers)], majority, n, repeats=20_000)[0] for n in (1, 2)]
        assert shares == pytest.approx([mean(a == "1" for a in answers)] * 2, abs=0.02)


def test_with_all_samples_they_come_in_the_order_of_the_run():
    seen = []
    problem = pooled("1", "2", "3", "4")
    assert accuracy_at([problem], lambda samples: seen.append(samples), 4) == [0.0]
    assert seen == [problem.samples]


SPELLINGS = [["50%"], ["50%", "50", "3"], ["50", "50%", "3"], ["3", "50 \\%", "50%"], ["1,000"]]


@pytest.mark.parametrize("gold", ["0.5", "50", "1000"])
@pytest.mark.parametrize("answers", SPELLINGS)
def test_a_vote_on_a_pool_is_graded_as_the_run_was(answers, gold):
    def vote(llm, problem):
        texts = [f"\\boxed{{{answer}}}" for answer in answers]
        completions = [Completion(text, [1], [0.0], "stop") for text in texts]
        return Solution(most_frequent(answers), completions, Cost())

    run = evaluate(vote, None, [Problem("?", gold, id="0")], progress=False)
    (record,), (problem,) = run.records, to_pool(run)
    assert [sample.answer for sample in problem.samples] == answers
    assert accuracy_at([problem], majority, len(answers)) == [float(record.correct)]
    for sample in problem.samples:
        assert is_right_answer(sample.answer, problem) == sample.is_right


def test_more_samples_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="n is 3"):
        accuracy_at([pooled("1", "2")], majority, 3)


def test_lowest_confidence_is_that_of_the_shakiest_passage():
    assert lowest_confidence([-1.0, -3.0, -5.0, 0.0], group=2) == -4.0
    assert lowest_confidence([-1.0, -2.0], group=32) == -1.5


def test_the_page_of_the_pools_is_made_from_the_files():
    page = (POOLS_FOLDER / "README.md").read_text(encoding="utf-8")
    assert page.count("<!-- table of ") == 2 and "| `gsm8k_cot` |" in page
    assert pools_page.with_tables(page) == page


def test_a_recorded_run_without_a_command_is_refused(tmp_path):
    (tmp_path / "some-model_new.jsonl").touch()
    with pytest.raises(ValueError, match=r"COMMANDS how \['new'\] of some-model"):
        pools_page.table("some-model", tmp_path)
