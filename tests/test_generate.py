"""The batch against the plain loop: whatever shares a batch, every row's tokens stay the same."""

import random

import pytest
import torch

from shared.decoder.generate import generate_naive
from shared.engine.admission import SAMPLING_BYTES
from shared.engine.generator import BatchGenerator
from shared.engine.prefill import score_tokens, token_logprobs
from shared.engine.prefix_cache import PrefixCache
from shared.engine.request import Request
from shared.sampling_params import SamplingParams


def ragged_prompts(count: int, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(256) for _ in range(rng.randint(1, 60))] for _ in range(count)]


def run(llm, prompts, params, cache_bytes=1 << 28, prefixes=None):
    """All prompts through one BatchGenerator; `params` is one for all or one each."""
    prefixes = prefixes or PrefixCache(0)
    limits = {"cache_bytes": cache_bytes, "prefixes": prefixes}
    batch = BatchGenerator(llm.model, llm.tokenizer, llm.stop_ids, **limits)
    each = params if isinstance(params, list) else [params] * len(prompts)
    requests = [Request(ids, p, p.max_tokens) for ids, p in zip(prompts, each)]
    for request in requests:
        batch.add(request)
    while batch.has_work:
        batch.step()
    return [request.future.result().completions for request in requests], batch


def naive(llm, prompt, params, sample_index=0):
    return generate_naive(llm.model, prompt, params, llm.stop_ids, sample_index)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_64_ragged_rows_at_once_equal_one_at_a_time(random_llm, temperature):
    prompts = ragged_prompts(64)
    params = SamplingParams(temperature=temperature, max_tokens=12, seed=5)
    together, _ = run(random_llm, prompts, params)
    for prompt, (completion,) in zip(prompts, together):
        assert completion.token_ids == naive(random_llm, prompt, params)


def test_every_sample_of_a_prompt_equals_the_plain_loop(random_llm):
    params = SamplingParams(n=9, temperature=0.9, top_p=0.9, top_k=40, max_tokens=10)
    prompts = ragged_prompts(3)
    together, _ = run(random_llm, prompts, params)
    for prompt, completions in zip(prompts, together):
        for i, completion in enumerate(completions):
            assert completion.token_ids == naive(random_llm, prompt, params, i)


def bytes_for(llm, num_rows, prompt_tokens, new_tokens):
    """A budget for so many rows, each with a prompt of its own."""
    token_bytes = llm.model.config.cache_bytes_per_token(llm.model.dtype)
    row_bytes = (prompt_tokens + new_tokens) * token_bytes
    return num_rows * (row_bytes + SAMPLING_BYTES * llm.model.config.vocab_size)


@pytest.mark.parametrize("num_rows", [1, 3, 11])
def test_a_small_budget_changes_the_order_of_work_but_no_result(random_llm, num_rows):
    params = SamplingParams(n=4, temperature=1.0, max_tokens=8)
    prompts = ragged_prompts(7)
    expected, _ = run(random_llm, prompts, params)
    budget = bytes_for(random_llm, num_rows, max(map(len, prompts)), 8)
    actual, _ = run(random_llm, prompts, params, budget)
    assert [[c.token_ids for c in row] for row in actual] == [
        [c.token_ids for c in row] for row in expected
    ]


def test_the_cache_stays_within_its_budget_and_uses_it(random_llm, monkeypatch):
    prompts = ragged_prompts(40)
    budget = bytes_for(random_llm, 30, max(map(len, prompts)), 20)
    seen = []
    original = BatchGenerator._sample

    def spy(self, logits):
        vocab_bytes = len(self.rows) * SAMPLING_BYTES * self.model.config.vocab_size
        seen.append((len(self.rows), self.cache.num_bytes + vocab_bytes))
        return original(self, logits)

    monkeypatch.setattr(BatchGenerator, "_sample", spy)
    params = [SamplingParams(n=16, max_tokens=m, ignore_eos=True) for m in (20, 3, 11, 7) * 10]
    run(random_llm, prompts, params, budget)
    assert max(num_bytes for _, num_bytes in seen) <= budget
    assert max(rows for rows, _ in seen) >= 30


def test_a_row_that_can_never_fit_is_refused_before_any_work(random_llm):
    batch = BatchGenerator(
        random_llm.model, random_llm.tokenizer, [], cache_bytes=10_000, prefixes=PrefixCache(0)
    )
    with pytest.raises(ValueError, match="cache_bytes"):
        batch.add(Request([1] * 20, SamplingParams(), 200))


def test_requests_with_different_parameters_share_a_batch(random_llm):
    prompts = ragged_prompts(12)
    params = [
        SamplingParams(temperature=t, top_p=p, top_k=k, max_tokens=m, seed=m)
        for t, p, k, m in [(0, 1, 0, 5), (1, 0.9, 0, 9), (0.7, 1, 5, 3), (1.3, 0.5, 20, 12)] * 3
    ]
    together, _ = run(random_llm, prompts, params)
    for prompt, row_params, (completion,) in zip(prompts, params, together):
        assert completion.token_ids == naive(random_llm, prompt, row_params)


def test_each_prompt_is_read_once_and_no_pass_follows_the_last_token(random_llm, monkeypatch):
    tokens_read = []
    original = random_llm.model.model.forward

    def spy(token_ids, cache=None):
        tokens_read.append(tuple(token_ids.shape))
        return original(token_ids, cache)

    monkeypatch.setattr(random_llm.model.model, "forward", spy)
    params = SamplingParams(n=6, max_tokens=5, ignore_eos=True)
    run(random_llm, [[1, 2, 3, 4]], params)
    assert tokens_read == [(1, 4)] + [(6, 1)] * 4


def test_finished_rows_leave_the_batch(random_llm, monkeypatch):
    rows_decoded = []
    original = random_llm.model.model.forward

    def spy(token_ids, cache=None):
        if token_ids.shape[1] == 1:
            rows_decoded.append(token_ids.shape[0])
        return original(token_ids, cache)

    monkeypatch.setattr(random_llm.model.model, "forward", spy)
    prompts = ragged_prompts(10)
    params = [SamplingParams(max_tokens=m, ignore_eos=True) for m in range(2, 12)]
    run(random_llm, [[7, *prompt] for prompt in prompts], params)
    assert rows_decoded == list(range(10, 0, -1))


def test_logprobs_are_those_of_the_untempered_model(random_llm):
    params = SamplingParams(n=3, temperature=0.5, top_k=10, max_tokens=6, logprobs=4)
    (completions,), _ = run(random_llm, [[3, 1, 4, 1, 5]], params)
    for completion in completions:
        ids = [3, 1, 4, 1, 5, *completion.token_ids]
        logits = random_llm.model(torch.tensor([ids]))[0, 4:-1]  # [generated, V]
        expected = logits.log_softmax(dim=-1)
        chosen = expected.gather(-1, torch.tensor(completion.token_ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(completion.logprobs), chosen, atol=1e-4, rtol=0)
        for step, top in enumerate(completion.top_logprobs):
            assert list(top) == expected[step].topk(4).indices.tolist()


def test_scoring_a_completion_gives_the_logprobs_it_was_sampled_with(random_llm):
    prompts = ragged_prompts(9)
    params = SamplingParams(temperature=1.0, max_tokens=15)
    together, _ = run(random_llm, prompts, params)
    completions = [row[0].token_ids for row in together]
    scores = score_tokens(
        random_llm.model, prompts, completions, PrefixCache(0), [token_logprobs] * 9
    )
    for row, score in zip(together, scores):
        torch.testing.assert_close(
            torch.tensor(row[0].logprobs), torch.tensor(score), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_stop_strings_are_cut_exactly_wherever_token_borders_fall(random_llm, width):
    prompts = ragged_prompts(20, seed=width)
    free = SamplingParams(temperature=1.0, max_tokens=30, ignore_eos=True)
    for prompt, (plain,) in zip(prompts, run(random_llm, prompts, free)[0]):
        start = len(plain.text) // 2
        stop = plain.text[start : start + width]
        if not stop or "\ufffd" in plain.text:
            continue
        params = SamplingParams(temperature=1.0, max_tokens=30, ignore_eos=True, stop=stop)
        ((stopped,),), _ = run(random_llm, [prompt], params)
        assert stopped.text == plain.text[: plain.text.index(stop)]
        assert stopped.finish_reason == "stop"
        assert stopped.token_ids == plain.token_ids[: len(stopped.token_ids)]
        special = random_llm.tokenizer.special_tokens.values()
        before = [i for i in stopped.token_ids[:-1] if i not in special]
        without_last = random_llm.tokenizer.decode(before)
        assert stop not in without_last


def test_the_earliest_of_several_stop_strings_wins(tiny):
    messages = [{"role": "user", "content": "Work out each line."}]
    prompt = tiny.tokenizer.encode_chat(messages)
    (free,), _ = run(tiny, [prompt], SamplingParams(temperature=0, max_tokens=30))
    text = free[0].text
    stops = (text[10:13], text[4:6])
    (stopped,), _ = run(tiny, [prompt], SamplingParams(temperature=0, max_tokens=30, stop=stops))
    assert stopped[0].text == text[: min(text.index(stop) for stop in stops)]


def test_finish_reasons_and_end_of_turn(tiny):
    prompt = tiny.tokenizer.encode_chat([{"role": "user", "content": "Work out each line."}])
    end = tiny.tokenizer.eos_token_id
    (full,), _ = run(tiny, [prompt], SamplingParams(temperature=0, max_tokens=400))
    assert full[0].finish_reason == "stop"
    assert full[0].token_ids[-1] == end and "<|im_end|>" not in full[0].text
    count = len(full[0].token_ids)
    (short,), _ = run(tiny, [prompt], SamplingParams(temperature=0, max_tokens=count - 1))
    assert short[0].finish_reason == "length" and short[0].text == full[0].text
    params = SamplingParams(temperature=0, max_tokens=count + 5, ignore_eos=True)
    (longer,), _ = run(tiny, [prompt], params)
    assert len(longer[0].token_ids) == count + 5 and longer[0].finish_reason == "length"


def test_certainties_of_sampled_tokens_are_those_of_the_given_text(random_llm):
    prompts = ragged_prompts(3)
    together, _ = run(random_llm, prompts, SamplingParams(n=2, max_tokens=6))
    for prompt, completions in zip(prompts, together):
        for completion in completions:
            expected = random_llm.certainty(prompt, completion.token_ids)
            assert completion.certainties == pytest.approx(expected, abs=1e-4)


def test_a_request_that_is_cancelled_in_the_middle_of_a_step_harms_no_other(random_llm):
    """Its prompt must not leave the cache while samples of it may still be started."""
    limits = {"cache_bytes": 30_000, "prefixes": PrefixCache(0)}
    batch = BatchGenerator(random_llm.model, random_llm.tokenizer, random_llm.stop_ids, **limits)

    def cancel(token: int) -> None:
        """What another thread may do at any time."""
        one.cancelled = True

    one = Request([1, 2], SamplingParams(n=500, max_tokens=1), 1, on_token=cancel)
    other = Request([3], SamplingParams(max_tokens=3, ignore_eos=True), 3)
    batch.add(one)
    batch.add(other)
    while batch.has_work:
        batch.step()
    assert len(other.future.result(0).completions[0].token_ids) == 3


def test_a_cancelled_prompt_leaves_the_cache_though_none_of_its_rows_is_live(random_llm):
    """Its first rows have ended, and there was no room yet for its others."""
    batch = BatchGenerator(
        random_llm.model,
        random_llm.tokenizer,
        random_llm.stop_ids,
        cache_bytes=30_000,
        prefixes=PrefixCache(0),
    )
    one = Request([1, 2], SamplingParams(n=500, max_tokens=1, ignore_eos=True), 1)
    other = Request([3], SamplingParams(max_tokens=3, ignore_eos=True), 3)
    batch.add(one)
    batch.step()
    assert not batch.rows and batch.prompts == [one] and not one.all_started
    one.cancelled = True
    batch.add(other)
    batch.step()
    assert batch.prompts == [other]
    while batch.has_work:
        batch.step()
    assert len(other.future.result(0).completions[0].token_ids) == 3
