"""The textbook path: its attention, its cache and its generator, against plain references."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F

from shared.decoder.attention import WholeTexts, attention
from shared.decoder.generate import generate, generate_naive, prefill
from shared.decoder.kv_cache import KVCache
from shared.loading.checkpoint import load_model
from shared.sampling_params import SamplingParams


@pytest.fixture(scope="module")
def model(random_folder):
    """The small random model as `load_model` gives it, without anything of the engine."""
    return load_model(random_folder)


def ragged_prompts(count: int) -> list[list[int]]:
    rng = random.Random(count)
    return [[rng.randrange(256) for _ in range(rng.randint(1, 40))] for _ in range(count)]


@pytest.mark.parametrize("heads, kv_heads", [(4, 4), (4, 2), (6, 1)])
def test_attention_is_pytorchs_own(heads, kv_heads):
    q = torch.randn(2, heads, 7, 8)
    k, v = torch.randn(2, 2, kv_heads, 7, 8)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    steps = WholeTexts(7, q.device)
    torch.testing.assert_close(steps.attend(0, q, k, v), expected)
    mask = torch.rand(2, 1, 7, 7) < 0.5
    mask[..., 0] = True
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(attention(q, k, v, mask), expected)


@pytest.mark.parametrize("sizes", [[1] * 9, [5, 1, 3], [4, 4]])
def test_reading_in_pieces_equals_reading_at_once(model, sizes):
    tokens = torch.randint(256, (3, sum(sizes)))
    cache = KVCache(model.config, num_rows=3, max_tokens=sum(sizes))
    pieces = [model(piece, cache) for piece in tokens.split(sizes, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens), atol=1e-4, rtol=1e-4)


def test_rows_of_different_lengths_are_padded_selected_and_continued(model):
    prompts = ragged_prompts(5)
    cache = KVCache(model.config, num_rows=5, max_tokens=60)
    logits = prefill(model, prompts, cache)
    for prompt, row in zip(prompts, logits):
        expected = model(torch.tensor([prompt]))[0, -1]
        torch.testing.assert_close(row, expected, atol=1e-4, rtol=1e-4)
    cache.select([3, 0, 0])
    new = torch.tensor([[7], [8], [9]])
    for row, token, ours in zip((3, 0, 0), (7, 8, 9), model(new, cache)):
        expected = model(torch.tensor([[*prompts[row], token]]))[0, -1:]
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_a_row_that_outgrows_the_cache_is_refused(model):
    cache = KVCache(model.config, num_rows=1, max_tokens=4)
    model(torch.tensor([[1, 2, 3]]), cache)
    with pytest.raises(ValueError, match="5 tokens does not fit a cache of 4"):
        model(torch.tensor([[4, 5]]), cache)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0, max_tokens=12),
        SamplingParams(n=3, temperature=1.0, max_tokens=15, seed=3),
        SamplingParams(n=2, temperature=0.9, top_p=0.8, top_k=40, min_p=0.01, max_tokens=9),
        SamplingParams(n=2, temperature=1.5, max_tokens=10, ignore_eos=True),
    ],
    ids=["greedy", "sampled", "filtered", "ignoring the end"],
)
def test_the_cached_generator_the_plain_loop_and_the_engine_agree(model, random_llm, params):
    prompts = ragged_prompts(6)
    stop_ids = [*random_llm.stop_ids, *range(0, 256, 16)]  # so that rows end at different times
    cached = generate(model, prompts, params, stop_ids)
    assert [len(samples) for samples in cached] == [params.n] * 6
    for prompt, samples in zip(prompts, cached):
        for i, tokens in enumerate(samples):
            assert tokens == generate_naive(model, prompt, params, stop_ids, i)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_llm._batch, "stop_ids", stop_ids)
        patch.setattr(random_llm._batch, "stop_tokens", torch.tensor(stop_ids))
        outputs = random_llm.generate(prompts, params)
    assert cached == [[c.token_ids for c in output.completions] for output in outputs]


def test_no_forward_pass_follows_the_last_token(model, monkeypatch):
    read = []
    original = model.model.forward
    monkeypatch.setattr(
        model.model,
        "forward",
        lambda ids, cache: read.append(tuple(ids.shape)) or original(ids, cache),
    )
    generate(model, [[1, 2, 3]], SamplingParams(n=4, max_tokens=3, ignore_eos=True), [])
    assert read == [(1, 3), (4, 1), (4, 1)]
