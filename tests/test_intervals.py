"""Intervals against published values and against the coverage that they promise."""

import itertools
from math import comb

import numpy as np
import pytest

from shared.evaluation.intervals import (
    paired_bootstrap,
    paired_difference,
    pass_at_k,
    sign_test,
    wilson_interval,
)


@pytest.mark.parametrize(  # Newcombe 1998 (Statistics in Medicine 17, 857-872), table I, method 3
    ("successes", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_published_values(successes, total, low, high):
    assert wilson_interval(successes, total) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(total - successes, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_solves_the_equation_that_defines_it():
    for successes, total in [(3, 10), (190, 400), (399, 400)]:
        for bound in wilson_interval(successes, total):
            distance = abs(successes / total - bound)
            assert distance == pytest.approx(1.959964 * (bound * (1 - bound) / total) ** 0.5)


def test_wilson_stays_within_0_and_1():
    for total in (1, 2, 50):
        assert wilson_interval(0, total)[0] == 0
        assert wilson_interval(total, total)[1] == 1


@pytest.mark.parametrize(("share", "total"), [(0.05, 100), (0.4, 50), (0.5, 400), (0.95, 100)])
def test_wilson_covers_the_true_share_95_percent_of_the_time(share, total):
    drawn = np.random.default_rng(1).binomial(total, share, size=20_000)
    covering = {k: (lambda c: c[0] <= share <= c[1])(wilson_interval(k, total)) for k in set(drawn)}
    assert 0.93 < np.mean([covering[k] for k in drawn]) < 0.97


@pytest.mark.parametrize(("successes", "total"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(successes, total):
    with pytest.raises(ValueError, match=f"{successes} successes of {total}"):
        wilson_interval(successes, total)


def pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


def test_bootstrap_agrees_with_the_normal_approximation():
    only_a, only_b, total = 60, 40, 400
    result = paired_bootstrap(*pairs(150, only_a, only_b, 150), samples=40_000)
    difference = (only_a - only_b) / total
    error = ((only_a + only_b) / total - difference**2) ** 0.5 / total**0.5
    assert result.difference == pytest.approx(difference)
    assert result.low == pytest.approx(difference - 1.96 * error, abs=0.004)
    assert result.high == pytest.approx(difference + 1.96 * error, abs=0.004)


def test_bootstrap_is_what_resampling_problems_gives():
    a, b = pairs(10, 9, 3, 8)
    rng = np.random.default_rng(5)
    scores = np.array(a, float) - np.array(b, float)
    means = scores[rng.integers(0, len(a), size=(40_000, len(a)))].mean(axis=1)
    result = paired_bootstrap(a, b, samples=40_000)
    expected = np.quantile(means, [0.025, 0.975])
    assert (result.low, result.high) == pytest.approx(tuple(expected), abs=1.01 / len(a))


def test_bootstrap_covers_the_true_difference_95_percent_of_the_time():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        skill = rng.random(200)  # each problem's own difficulty makes the two techniques agree
        a, b = rng.random(200) < skill, rng.random(200) < skill**1.5
        result = paired_bootstrap(a, b, samples=500)
        covered += result.low <= 1 / 2 - 1 / 2.5 <= result.high
    assert 0.91 < covered / 400 < 0.985


def test_bootstrap_repeats_and_turns_with_its_sides():
    a, b = pairs(100, 30, 20, 50)
    result = paired_bootstrap(a, b)
    assert result == paired_bootstrap(a, b) != paired_bootstrap(a, b, seed=1, samples=501)
    assert paired_bootstrap(b, a).difference == -result.difference
    assert paired_bootstrap(a, a) == paired_bootstrap(b, b)
    assert (paired_bootstrap(a, a).difference, paired_bootstrap(a, a).p_value) == (0, 1)


def test_shares_have_an_interval_that_covers_the_true_difference():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        skill = rng.random(200)  # of ten tries at each problem, the share that is right
        a, b = rng.binomial(10, skill) / 10, rng.binomial(10, skill**1.5) / 10
        difference, low, high = paired_difference(a, b, samples=500)
        assert low < difference < high
        covered += low <= 1 / 2 - 1 / 2.5 <= high
    assert 0.91 < covered / 400 < 0.985


def test_shares_and_verdicts_agree_and_are_not_mixed_up():
    a, b = pairs(100, 30, 20, 50)
    result = paired_bootstrap(a, b)
    expected = (result.difference, result.low, result.high)
    assert paired_difference(a, b) == pytest.approx(expected, abs=0.011)
    with pytest.raises(ValueError, match="paired_difference"):
        paired_bootstrap([0.5, 1.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="cannot pair 1 results with 2"):
        paired_difference([0.5], [0.5, 1.0])


def test_pairing_resolves_more_than_two_separate_intervals():
    a, b = pairs(200, 24, 6, 170)
    result = paired_bootstrap(a, b)
    assert result.low > 0 and result.p_value < 0.01
    assert wilson_interval(sum(a), 400)[0] < wilson_interval(sum(b), 400)[1]


@pytest.mark.parametrize("counts", [(0, 1), (1, 5), (5, 1), (4, 4), (0, 12), (3, 9)])
def test_sign_test_by_enumeration(counts):
    total, imbalance = sum(counts), abs(counts[0] - counts[1])
    splits = [sum(flips) for flips in itertools.product((0, 1), repeat=total)]
    as_uneven = sum(abs(2 * heads - total) >= imbalance for heads in splits)
    assert sign_test(*counts) == pytest.approx(as_uneven / 2**total)


def test_sign_test_of_thousands():
    assert sign_test(5000, 5000) == 1
    assert 0 < sign_test(4800, 5200) < 1e-4


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([True], [True, False], {}, "cannot pair 1 results with 2"),
        ([], [], {}, "cannot pair 0"),
        ([True], [True], {"samples": 0}, "samples must be at least 1"),
    ],
)
def test_bootstrap_refuses(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(a, b, **options)


def test_pass_at_k_by_enumeration():
    for n, c in itertools.product(range(1, 7), range(7)):
        for k in range(1, n + 1):
            if c <= n:
                chosen = list(itertools.combinations(range(n), k))
                share = sum(any(i < c for i in subset) for subset in chosen) / comb(n, k)
                assert pass_at_k(n, c, k) == pytest.approx(share)


def test_pass_at_k_is_unbiased():
    rng, share, k = np.random.default_rng(0), 0.3, 4
    estimates = [pass_at_k(16, int(c), k) for c in rng.binomial(16, share, size=20_000)]
    assert np.mean(estimates) == pytest.approx(1 - (1 - share) ** k, abs=0.006)


@pytest.mark.parametrize("arguments", [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses(arguments):
    with pytest.raises(ValueError, match="pass_at_k: needs"):
        pass_at_k(*arguments)
