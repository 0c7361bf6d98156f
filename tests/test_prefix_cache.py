"""Reuse of what was read before: the same results, fewer tokens read, within a budget."""

import random

import pytest
import torch
from test_generate import naive, ragged_prompts, run

from shared import LLM
from shared.engine.prefill import read
from shared.engine.prefix_cache import PrefixCache, common_length
from shared.engine.row_cache import RowCache
from shared.sampling_params import SamplingParams


def test_a_search_reads_each_token_once_and_samples_the_same_tokens(random_llm):
    params = SamplingParams(n=4, temperature=1.0, max_tokens=6, ignore_eos=True)
    prefixes = PrefixCache(1 << 26)
    prompts = [ids for ids in ragged_prompts(5) if len(ids) > 2]
    for _ in range(4):
        requests = []
        together, batch = run(random_llm, prompts, params, prefixes=prefixes)
        for prompt, completions in zip(prompts, together):
            for i, completion in enumerate(completions):
                assert completion.token_ids == naive(random_llm, prompt, params, i)
            requests += [prompt + completion.token_ids for completion in completions[:2]]
        prompts = requests[:6]


def test_only_unknown_tokens_are_read(random_llm, monkeypatch):
    shapes = []
    original = random_llm.model.model.forward

    def spy(token_ids, cache=None):
        shapes.append(tuple(token_ids.shape))
        return original(token_ids, cache)

    monkeypatch.setattr(random_llm.model.model, "forward", spy)
    prefixes = PrefixCache(1 << 26)
    params = SamplingParams(max_tokens=5, ignore_eos=True)
    ((completion,),), _ = run(random_llm, [[1, 2, 3, 4]], params, prefixes=prefixes)
    run(random_llm, [[1, 2, 3, 4]], params, prefixes=prefixes)
    # The last sampled token was never read, so two are new: that one and the 9.
    longer = [1, 2, 3, 4, *completion.token_ids, 9]
    run(random_llm, [longer], params, prefixes=prefixes)
    prefills = [shapes[0], shapes[5], shapes[10]]
    assert prefills == [(1, 4), (1, 1), (1, 2)]


def test_the_cost_says_what_was_reused(random_folder):
    llm = LLM(str(random_folder))
    params = SamplingParams(max_tokens=3, ignore_eos=True)
    costs = [llm.generate([[5] * 20 + [last]], params)[0].cost for last in (1, 2)]
    assert [cost.prompt_tokens for cost in costs] == [21, 21]
    assert [cost.reused_tokens for cost in costs] == [0, 20]
    off = LLM(str(random_folder), prefix_cache_bytes=0)
    costs = [off.generate([[5] * 20 + [last]], params)[0].cost for last in (1, 2)]
    assert [cost.reused_tokens for cost in costs] == [0, 0]


@pytest.mark.parametrize("max_bytes", [0, 6_000, 40_000, 1 << 26])
def test_any_texts_within_any_budget(random_llm, max_bytes):
    """Texts that begin alike in all kinds of ways, with hidden states as without reuse."""
    rng = random.Random(0)
    model, prefixes = random_llm.model, PrefixCache(max_bytes)
    known: list[list[int]] = []
    for _ in range(40):
        texts = []
        for _ in range(rng.randint(1, 3)):
            old = rng.choice(known) if known and rng.random() < 0.8 else []
            texts.append(old[: rng.randint(0, len(old))] + [rng.randrange(9) for _ in range(5)])
        wanted = [rng.randint(0, len(ids) - 1) for ids in texts]
        with torch.inference_mode():
            cache, hidden, reused = read(model.model, texts, wanted, prefixes)
            for row, (ids, start) in enumerate(zip(texts, wanted)):
                expected = model.model(torch.tensor([ids]))[0, start:]
                torch.testing.assert_close(hidden[row], expected, atol=1e-4, rtol=1e-4)
                assert reused[row] <= start
        assert cache.lengths.tolist() == [len(ids) for ids in texts]
        assert prefixes.num_bytes <= max_bytes
        known += texts
    assert (
        sum(prefixes.load(ids, row_of(model), 0, len(ids)) for ids in known) > 0
        or max_bytes <= 6_000
    )


def row_of(model) -> RowCache:
    """A cache with one empty row."""
    cache = RowCache(model.config)
    cache.add_rows(1)
    return cache


def test_what_was_not_used_for_longest_is_forgotten_first(random_llm):
    model = random_llm.model
    text_bytes = 10 * model.config.cache_bytes_per_token(model.dtype)
    prefixes = PrefixCache(int(3.4 * text_bytes))
    texts = [[i] * 10 for i in range(4)]
    with torch.inference_mode():
        for ids in (texts[0], texts[1], texts[2], texts[0], texts[3]):
            read(model.model, [ids], [9], prefixes)
    found = [prefixes.load(ids, row_of(model), 0, 10) for ids in texts]
    assert found == [10, 0, 10, 10]


def test_room_is_made_before_a_text_is_copied_and_never_by_forgetting_its_own_beginning(
    random_llm, monkeypatch
):
    model = random_llm.model
    token_bytes = model.config.cache_bytes_per_token(model.dtype)
    prefixes = PrefixCache(25 * token_bytes)
    held = []
    real = RowCache.read_row
    monkeypatch.setattr(
        RowCache, "read_row", lambda *given: held.append(prefixes.num_bytes) or real(*given)
    )
    beginning = list(range(10))
    with torch.inference_mode():
        for ids in ([20] * 10, beginning, beginning + [30] * 12, [40] * 26, beginning + [31] * 14):
            read(model.model, [ids], [len(ids) - 1], prefixes)
    assert [num_bytes // token_bytes for num_bytes in held] == [0, 10, 10, 10]  # 26 are too many
    assert prefixes.num_bytes == 24 * token_bytes
    found = [
        prefixes.load(ids, row_of(model), 0, len(ids))
        for ids in ([20] * 10, beginning + [30] * 12, beginning + [31] * 14)
    ]
    assert found == [0, 10, 24]


def test_common_length():
    assert common_length([1, 2, 3], [1, 2, 3]) == 3
    assert common_length([1, 2, 3], [1, 2]) == 2
    assert common_length([1, 2, 3], [1, 9, 3]) == 1
