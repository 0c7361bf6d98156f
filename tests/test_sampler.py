"""Samplers against exact distributions that the tests work out themselves, one token at a time."""

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare

from shared.decoder.sampler import (
    RowParams,
    draw,
    keep_top_p,
    row_uniforms,
    sample,
    temper,
)
from shared.engine.fast_sampler import Filters, fast_sample, is_in_top_p
from shared.sampling_params import SamplingParams

LOGITS = [2.0, 1.5, 1.0, 0.3, 0.0, -1.0, -2.5, 1.2]
DRAWS = 40_000
EVERY_ROW = torch.zeros(DRAWS, dtype=torch.long)  # the same parameters for every draw


def exact_distribution(logits, temperature=1.0, min_p=0.0, top_k=0, top_p=1.0):
    """Plain-Python reference in vLLM's order: temperature, min-p, top-k, top-p."""
    weights = {i: math.exp(x / temperature) for i, x in enumerate(logits)}
    best = max(weights.values())
    weights = {i: w for i, w in weights.items() if w >= min_p * best}
    ordered = sorted(weights, key=weights.get, reverse=True)
    ordered = ordered[:top_k] if top_k else ordered
    total = sum(weights[i] for i in ordered)
    kept, mass = [], 0.0
    for i in ordered:
        kept.append(i)
        mass += weights[i] / total
        if mass >= top_p:  # the token that crosses the threshold stays
            break
    total = sum(weights[i] for i in kept)
    return [weights[i] / total if i in kept else 0.0 for i in range(len(logits))]


def filter_logits(logits, params):
    """All filters, top-p by sorting."""
    return keep_top_p(temper(logits, params), params.top_p)


SETTINGS = [
    dict(zip(("temperature", "min_p", "top_k", "top_p"), values))
    for values in itertools.product((0.5, 1.0, 1.7), (0.0, 0.15), (0, 3, 6), (1.0, 0.75))
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sampled_tokens_follow_the_exact_distribution(settings):
    expected = torch.tensor(exact_distribution(LOGITS, **settings), dtype=torch.float64)
    params = RowParams.stack([SamplingParams(**settings)]).select(EVERY_ROW)
    generator = torch.Generator().manual_seed(1)
    uniforms = torch.rand(DRAWS, 2, generator=generator)
    tokens = sample(torch.tensor([LOGITS]).expand(DRAWS, -1), params, uniforms)
    counts = torch.bincount(tokens, minlength=len(LOGITS)).double()
    possible = expected > 0
    assert counts[~possible].sum() == 0
    if possible.sum() > 1:
        assert chisquare(counts[possible], expected[possible] * DRAWS).pvalue > 1e-4


def test_the_chi_square_test_would_notice_a_wrong_temperature():
    expected = torch.tensor(exact_distribution(LOGITS, temperature=1.05), dtype=torch.float64)
    uniforms = torch.rand(DRAWS, 2, generator=torch.Generator().manual_seed(1))
    params = RowParams.stack([SamplingParams()])
    tokens = sample(torch.tensor([LOGITS]).expand(DRAWS, -1), params, uniforms)
    counts = torch.bincount(tokens, minlength=len(LOGITS)).double()
    assert chisquare(counts, expected * DRAWS).pvalue < 1e-4


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_filters_agree_with_the_exact_distribution_to_rounding(settings):
    params = RowParams.stack([SamplingParams(**settings)])
    probabilities = filter_logits(torch.tensor([LOGITS]), params).softmax(dim=-1)[0]
    expected = torch.tensor(exact_distribution(LOGITS, **settings))
    torch.testing.assert_close(probabilities, expected, atol=1e-6, rtol=0)


def test_every_row_of_a_batch_follows_its_own_parameters():
    rows = [SamplingParams(**settings) for settings in SETTINGS]
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(rows), 50, generator=generator) * 3
    together = filter_logits(logits, RowParams.stack(rows))
    for i, row in enumerate(rows):
        alone = filter_logits(logits[i : i + 1], RowParams.stack([row]))[0]
        torch.testing.assert_close(together[i], alone)


def test_top_p_keeps_the_token_that_crosses_the_threshold():
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    for top_p, kept in ((0.4, 1), (0.5, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.96, 4), (1.0, 4)):
        params = RowParams.stack([SamplingParams(top_p=top_p)])
        assert filter_logits(probabilities.log(), params).isfinite().sum() == kept, top_p


def test_whether_a_token_is_in_the_top_p_is_known_without_sorting():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 300, generator=generator) * 2
    top_p = torch.rand(200, 1, generator=generator).clamp(min=0.01)
    top_p[::10] = 1.0
    kept = keep_top_p(logits, top_p).isfinite()  # [rows, V]
    for token in range(300):
        tokens = torch.full((200,), token)
        assert torch.equal(is_in_top_p(logits.softmax(-1), tokens, top_p), kept[:, token])


@pytest.mark.parametrize("uniform_parameters", [False, True])
def test_the_fast_sampler_chooses_the_same_tokens(uniform_parameters):
    generator = torch.Generator().manual_seed(3)
    everything = [SamplingParams(**settings) for settings in SETTINGS]
    everything += [SamplingParams(temperature=0), SamplingParams(temperature=0, top_p=0.5)]
    for params in [[each] * 50 for each in everything] if uniform_parameters else [everything] * 50:
        logits = torch.randn(len(params), 200, generator=generator) * 3
        uniforms = torch.rand(len(params), 2, generator=generator)
        columns = RowParams.stack(params)
        fast = fast_sample(logits, columns, Filters.of(params), uniforms)
        assert torch.equal(fast, sample(logits, columns, uniforms))
        needs_nothing = Filters(*[False] * 5)
        assert torch.equal(
            fast_sample(logits, columns, needs_nothing, uniforms), logits.argmax(dim=-1)
        )


def test_greedy_is_the_argmax_whatever_the_other_parameters_and_the_random_number():
    logits = torch.randn(1, 1000, generator=torch.Generator().manual_seed(0)).expand(100, -1)
    params = RowParams.stack([SamplingParams(temperature=0, top_p=0.5, top_k=3, min_p=0.2)])
    tokens = sample(logits, params, torch.linspace(0, 1, 200).view(100, 2))
    assert (tokens == logits[0].argmax()).all()


def test_greedy_and_sampled_rows_share_a_batch():
    params = RowParams.stack([SamplingParams(temperature=0), SamplingParams(temperature=1)])
    tokens = sample(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), params, torch.full((2, 2), 0.1))
    assert tokens.tolist() == [1, 0]


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24, 1.0])
def test_the_ends_of_the_unit_interval_draw_only_possible_tokens(uniform):
    probabilities = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0, 0.0]])
    token = draw(probabilities, torch.tensor([uniform]))
    assert token.tolist() == [1 if uniform == 0 else 3]


def test_random_numbers_depend_on_seed_prompt_and_sample_and_are_prefixes_of_longer_ones():
    numbers = row_uniforms(0, [1, 2], 3, 1000)
    assert numbers.shape == (1000, 2)
    assert torch.equal(numbers[:10], row_uniforms(0, [1, 2], 3, 10))
    for other in (row_uniforms(1, [1, 2], 3, 1000), row_uniforms(0, [1, 3], 3, 1000)):
        assert not torch.equal(numbers, other)
    assert not torch.equal(numbers, row_uniforms(0, [1, 2], 4, 1000))


def test_random_numbers_of_neighboring_rows_are_independent_and_uniform():
    rows = [row_uniforms(0, [5], i, 100).flatten() for i in range(400)]
    numbers = torch.stack(rows)  # [rows, 200]
    counts = torch.histc(numbers, bins=50, min=0, max=1)
    assert chisquare(counts.double()).pvalue > 1e-4
    first = numbers[:-1].flatten() - 0.5
    second = numbers[1:].flatten() - 0.5
    correlation = (first * second).mean() / (1 / 12)
    assert abs(correlation) < 4 / len(first) ** 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 0),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("top_k", -2),
        ("min_p", 1.5),
        ("max_tokens", 0),
        ("logprobs", 21),
        ("stop", ("",)),
    ],
)
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        SamplingParams(**{field: value})


def test_a_fractional_n_is_refused():
    with pytest.raises(TypeError, match="n must be a whole number"):
        SamplingParams(n=2.5)


def test_a_single_stop_string_may_stand_alone():
    assert SamplingParams(stop="\n").stop == ("\n",)
