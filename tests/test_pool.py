"""Pools: what a technique would have answered with fewer samples follows from one file."""

import itertools
from functools import partial

import pytest

from shared import SamplingParams, load_problems
from shared.evaluate import evaluate
from shared.pool import (
    PooledProblem,
    Sample,
    accuracy_at,
    lowest_confidence,
    majority,
    read_pool,
    sample_pool,
)
from shared.scorers import judge


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
        for drawn in itertools.combinations(range(5), 3)
    ]
    (share,) = accuracy_at([problem], majority, 3, repeats=20_000)
    assert share == pytest.approx(sum(expected) / len(expected), abs=0.02)


def test_more_samples_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="n is 3"):
        accuracy_at([pooled("1", "2")], majority, 3)


def test_lowest_confidence_is_that_of_the_shakiest_passage():
    assert lowest_confidence([-1.0, -3.0, -5.0, 0.0], group=2) == -4.0
    assert lowest_confidence([-1.0, -2.0], group=32) == -1.5
