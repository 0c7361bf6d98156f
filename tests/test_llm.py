"""What techniques hold in their hands: prompts, chats, streams, scores, threads and errors."""

import json
import math
import shutil
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
import torch

from shared import LLM, SamplingParams, prompts
from shared.engine.generator import BatchGenerator
from shared.engine.model_thread import MODEL_THREAD
from shared.engine.prefix_cache import PrefixCache
from shared.loading.checkpoint import TINY_FOLDER

GREEDY = SamplingParams(temperature=0)
QUESTION = "Ana has 45 shells. Ana buys 12 more. How many shells does Ana have now?"


def texts(output):
    return [completion.text for completion in output.completions]


def test_text_and_token_ids_are_the_same_prompt(tiny):
    prompt = tiny.tokenizer.apply_chat_template(prompts.ask(QUESTION))
    ids = tiny.tokenizer.encode_chat(prompts.ask(QUESTION))
    params = SamplingParams(n=2, max_tokens=20)
    by_text, by_ids, in_list = (
        tiny.generate(prompt, params),
        tiny.generate(ids, params),
        tiny.generate([prompt, ids], params),
    )
    assert len(by_text) == len(by_ids) == 1 and len(in_list) == 2
    assert texts(by_text[0]) == texts(by_ids[0]) == texts(in_list[0]) == texts(in_list[1])
    assert texts(tiny.chat(prompts.ask(QUESTION), params)[0]) == texts(by_ids[0])


def test_several_chats_are_answered_in_their_order(tiny):
    params = SamplingParams(temperature=0, max_tokens=30)
    chats = [prompts.ask(QUESTION), prompts.ask(QUESTION, prompts.DIRECT)]
    both = tiny.chat(chats, params)
    assert [texts(output) for output in both] == [texts(tiny.chat(c, params)[0]) for c in chats]
    assert "".join(tiny.stream(chats[1], params)) == texts(both[1])[0]


def test_ids_that_the_tokenizer_does_not_know_are_no_text(random_llm):
    tokenizer = random_llm.tokenizer
    (output,) = random_llm.generate([1], SamplingParams(n=20, max_tokens=30, temperature=1.0))
    special = set(tokenizer.special_tokens.values())
    unknown = 0
    for completion in output.completions:
        known = [i for i in completion.token_ids if i < tokenizer.vocab_size and i not in special]
        unknown += sum(i >= tokenizer.vocab_size for i in completion.token_ids)
        assert completion.text == tokenizer.decode(known)
    assert unknown > 10


def test_no_prompts_give_no_outputs(tiny):
    assert tiny.generate([]) == [] == tiny.chat([])


def test_a_users_special_token_is_text_in_a_chat_but_not_in_a_raw_prompt(tiny):
    end = tiny.tokenizer.eos_token_id
    chat = tiny.chat([{"role": "user", "content": "<|im_end|>"}], SamplingParams(max_tokens=1))[0]
    raw = tiny.generate("<|im_end|>", SamplingParams(max_tokens=1))[0]
    assert chat.prompt_token_ids.count(end) == 1  # the template's own
    assert raw.prompt_token_ids == [end]


def test_the_seed_decides_and_nothing_else_does(random_llm):
    params = SamplingParams(n=5, max_tokens=15, seed=1)
    alone = random_llm.generate([[1, 2, 3]], params)[0]
    crowd = random_llm.generate([[i] for i in range(20)] + [[1, 2, 3]], params)[-1]
    other_seed = random_llm.generate([[1, 2, 3]], SamplingParams(n=5, max_tokens=15, seed=2))[0]
    more = random_llm.generate([[1, 2, 3]], SamplingParams(n=9, max_tokens=25, seed=1))[0]
    assert texts(alone) == texts(crowd)
    assert texts(alone) != texts(other_seed)
    for few, many in zip(alone.completions, more.completions):
        assert many.token_ids[: len(few.token_ids)] == few.token_ids
    assert len(set(texts(alone))) == 5


def test_threads_share_one_batch_and_get_what_they_would_get_alone(random_folder, monkeypatch):
    llm = LLM(str(random_folder))
    rows = []
    original = llm.model.model.forward

    def spy(token_ids, cache=None):
        rows.append(len(token_ids))
        return original(token_ids, cache)

    params = SamplingParams(n=3, max_tokens=40, ignore_eos=True)
    alone = [texts(llm.generate([[i, i]], params)[0]) for i in range(12)]
    monkeypatch.setattr(llm.model.model, "forward", spy)
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda i: texts(llm.generate([[i, i]], params)[0]), range(12)))
    assert together == alone
    assert max(rows) > 3  # more than one request at a time
    assert len(rows) < 12 * 40


def test_costs_count_the_prompt_once_and_every_generated_token(random_llm):
    output = random_llm.generate([[1] * 30], SamplingParams(n=4, max_tokens=6, ignore_eos=True))[0]
    assert (output.cost.prompt_tokens, output.cost.generated_tokens) == (30, 24)
    assert output.cost.forward_passes == 1 + 4 * 5 and output.cost.num_prompts == 1


@pytest.mark.parametrize("stop", [(), ("\n",), ("=1", "7\n")])
def test_a_stream_yields_the_text_that_generate_returns(tiny, stop):
    prompt = tiny.tokenizer.encode_chat(prompts.ask(QUESTION))
    for seed in range(5):
        params = SamplingParams(temperature=0.9, max_tokens=120, seed=seed, stop=stop)
        pieces = list(tiny.stream(prompt, params))
        assert "".join(pieces) == tiny.generate(prompt, params)[0].completions[0].text
        assert all(pieces) and (stop or len(pieces) > 5)


def test_a_stream_shows_only_whole_characters(random_llm):
    params = SamplingParams(max_tokens=200, seed=3, ignore_eos=True)
    text = "".join(random_llm.stream([5, 6], params))
    assert text == random_llm.generate([[5, 6]], params)[0].completions[0].text


def test_a_stream_that_is_left_early_frees_its_row(random_folder):
    llm = LLM(str(random_folder))
    stream = llm.stream([1], SamplingParams(max_tokens=250, ignore_eos=True))
    next(stream)
    stream.close()
    llm.generate([[2]], SamplingParams(max_tokens=2))
    assert not llm._batch.requests


def test_a_chat_can_go_on_from_a_reply_that_was_begun(tiny):
    params = SamplingParams(temperature=0, max_tokens=200)
    asked = prompts.ask(QUESTION)
    full = texts(tiny.chat(asked, params)[0])[0]
    begun = full[: full.index("\n") + 1]
    rest = tiny.chat(
        [*asked, {"role": "assistant", "content": begun}], params, continue_final_message=True
    )[0]
    assert begun + texts(rest)[0] == full


def test_scores_are_log_probabilities_of_each_token(tiny):
    asked = prompts.ask(QUESTION)
    prompt = tiny.tokenizer.encode_chat(asked)
    completion = tiny.tokenizer.encode("Plan: in order.\n45+12=57")
    logits = tiny.model(torch.tensor([prompt + completion]))[0, len(prompt) - 1 : -1]
    expected = logits.log_softmax(-1).gather(-1, torch.tensor(completion)[:, None])[:, 0]
    for given in (asked, prompt, tiny.tokenizer.apply_chat_template(asked)):
        score = tiny.score(given, "Plan: in order.\n45+12=57")
        torch.testing.assert_close(torch.tensor(score), expected, atol=1e-4, rtol=0)
    assert tiny.score(prompt, "") == []


def test_scores_from_many_threads_equal_those_of_one(random_llm):
    work = [([i, 2], list(range(i + 1))) for i in range(30)]
    alone = [random_llm.score(*item) for item in work]
    with ThreadPoolExecutor(10) as pool:
        together = list(pool.map(lambda item: random_llm.score(*item), work))
    for a, b in zip(alone, together):
        assert a == pytest.approx(b, abs=1e-4)


def test_max_tokens_ends_at_the_context(random_llm):
    output = random_llm.generate([[1] * 250], SamplingParams(max_tokens=100, ignore_eos=True))[0]
    assert len(output.completions[0].token_ids) == 6
    assert output.completions[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "the prompt is empty"),
        ([[]], "the prompt is empty"),
        ([[1] * 256], "256 tokens, but the context .* is 256"),
        ([[1, 99_999]], "99999"),
        ([[1, -1]], "-1"),
    ],
)
def test_unusable_prompts_are_refused_with_the_reason(random_llm, prompt, message):
    with pytest.raises(ValueError, match=message):
        random_llm.generate(prompt)


def test_a_failing_step_reaches_everyone_who_waits_and_the_next_call_works(
    random_folder, monkeypatch
):
    llm = LLM(str(random_folder))
    params = SamplingParams(max_tokens=5)
    expected = texts(llm.generate([[1]], params)[0])

    def broken(token_ids, cache=None):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(llm.model.model, "forward", broken)
        with pytest.raises(RuntimeError, match="out of memory"):
            llm.generate([[1], [2]], params)
        with pytest.raises(RuntimeError, match="out of memory"):
            llm.score([1], [2])
    assert texts(llm.generate([[1]], params)[0]) == expected


def test_a_failed_score_abandons_no_generation(random_folder, monkeypatch):
    llm = LLM(str(random_folder))
    params = SamplingParams(n=3, max_tokens=200, ignore_eos=True)
    expected = texts(llm.generate([[1, 2]], params)[0])

    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("shared.engine.scoring.score_tokens", broken)
    with ThreadPoolExecutor(1) as pool:
        generating = pool.submit(llm.generate, [[1, 2]], params)
        while not llm._batch.requests:
            pass
        with pytest.raises(RuntimeError, match="out of memory"):
            llm.score([1], [2])
        assert texts(generating.result()[0]) == expected


def test_scoring_that_fails_as_a_whole_tells_only_those_who_wait_for_scores(
    random_folder, monkeypatch
):
    llm = LLM(str(random_folder))
    params = SamplingParams(n=3, max_tokens=200, ignore_eos=True)
    expected = texts(llm.generate([[1, 2]], params)[0])

    def broken(*_: object) -> None:
        raise RuntimeError("not even batched")

    monkeypatch.setattr("shared.engine.scoring.batches_by_length", broken)
    with ThreadPoolExecutor(2) as pool:
        generating = pool.submit(llm.generate, [[1, 2]], params)
        while not llm._batch.requests:
            pass
        scoring = pool.submit(llm.score, [1], [2])
        with pytest.raises(RuntimeError, match="not even batched"):
            scoring.result(timeout=20)
        assert texts(generating.result(timeout=20)[0]) == expected


def test_an_interrupted_call_gives_its_rows_back(random_folder, monkeypatch):
    llm = LLM(str(random_folder))
    interrupted = threading.Event()
    original = llm._inbox.put

    def submit(work):
        original(work)
        if not interrupted.is_set():
            interrupted.set()
            work.future.result = lambda timeout: (_ for _ in ()).throw(KeyboardInterrupt)

    monkeypatch.setattr(llm._inbox, "put", submit)
    with pytest.raises(KeyboardInterrupt):
        llm.generate([[1]], SamplingParams(n=50, max_tokens=250, ignore_eos=True))
    llm.generate([[2]], SamplingParams(max_tokens=1))
    assert not llm._batch.requests


def test_cancelling_wakes_everyone_who_waits_and_the_next_call_works(random_folder):
    llm = LLM(str(random_folder))
    params = SamplingParams(n=50, max_tokens=250, ignore_eos=True)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(llm.generate, [[i]], params) for i in range(4)]
        while len(llm._batch.requests) < 4:
            pass
        llm.cancel()
        for future in waiting:
            assert isinstance(future.exception(timeout=20), CancelledError)
    llm.cancel()  # nothing in flight: nothing happens
    assert len(llm.generate([[1]], SamplingParams(max_tokens=2))) == 1


def test_one_row_that_cannot_fit_the_cache_is_refused_by_name(random_folder):
    llm = LLM(str(random_folder), cache_bytes=10_000)
    with pytest.raises(ValueError, match="cache_bytes"):
        llm.generate([[1]], SamplingParams(max_tokens=200))


def test_stream_refuses_several_samples(tiny):
    with pytest.raises(ValueError, match="n must be 1"):
        next(tiny.stream("x", SamplingParams(n=2)))


def test_certainty_is_the_divergence_from_uniform(random_llm):
    prompt, completion = [3, 1, 4], [1, 5, 9, 2]
    log_p = random_llm.model(torch.tensor([prompt + completion]))[0, 2:-1].log_softmax(-1).double()
    uniform = torch.full_like(log_p, 1 / log_p.shape[-1])
    expected = (uniform * (uniform.log() - log_p)).sum(-1)
    actual = torch.tensor(random_llm.certainty(prompt, completion)).double()
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


# --- Stop tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "generation", "expected"),
    [
        (None, 527, [527, 529]),  # as base models have it
        (527, None, [527, 529]),
        (None, None, [529]),  # only tokenizer_config.json names one
        (529, [529, 527], [527, 529]),
    ],
)
def test_a_chat_stops_at_the_end_of_turn_whatever_the_configs_name(
    tiny, tmp_path, config, generation, expected
):
    folder = shutil.copytree(TINY_FOLDER, tmp_path / "model")
    for name, ids in (("config.json", config), ("generation_config.json", generation)):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({**content, "eos_token_id": ids}), encoding="utf-8")
    llm = LLM(str(folder))
    assert llm.stop_ids == expected
    (ours,), (theirs,) = (each.chat(prompts.ask(QUESTION), GREEDY) for each in (llm, tiny))
    assert ours.completions[0].token_ids == theirs.completions[0].token_ids
    assert ours.completions[0].finish_reason == "stop"


# --- Logits that are no numbers -------------------------------------------------------------------

BAD = 7  # the token after which everything is NaN


@pytest.fixture
def bad_llm(random_folder) -> LLM:
    """A model with a token whose keys, values and logits are NaN."""
    llm = LLM(str(random_folder), device="cpu", prefix_cache_bytes=0)
    head = llm.model.lm_head.weight.clone()
    head[BAD] *= 0.5  # not sampled too soon
    llm.model.lm_head.weight = torch.nn.Parameter(head, requires_grad=False)
    llm.model.model.embed_tokens.weight[BAD] = math.nan
    return llm


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0, max_tokens=200),
        SamplingParams(n=3, logprobs=2, stop="never"),
        SamplingParams(n=2, top_p=0.5),
        SamplingParams(n=2, top_k=3, min_p=0.1, top_p=0.9),
    ],
)
def test_a_prompt_that_overflows_is_an_error_at_once(bad_llm, params):
    with pytest.raises(ValueError, match="NaN or infinite.*torch.float32.*download it again"):
        bad_llm.generate([[1, BAD, 2]], params)
    assert not bad_llm._batch.has_work
    assert bad_llm.generate([[1, 2]], SamplingParams(temperature=0, max_tokens=3))


def test_an_overflow_fails_the_request_it_happens_in_and_no_other(bad_llm):
    greedy = SamplingParams(temperature=0, max_tokens=40, ignore_eos=True)
    prompts = [[i, 3] for i in range(20, 32)]
    outputs = bad_llm.generate(prompts, greedy)
    alone = [output.completions[0].token_ids for output in outputs]
    assert not any(BAD in ids for ids in alone)
    # Sooner or later one of the failing requests' 40 samples is the bad token; its place in the
    # cache, and its prompt's, then go to other rows.
    sampled = SamplingParams(n=40, temperature=3.0, max_tokens=200, ignore_eos=True)
    failing = [bad_llm._request([5, i], sampled) for i in range(3)]
    failing += [bad_llm._request([5, BAD, i], sampled) for i in range(3)]
    good = [bad_llm._request(ids, greedy) for ids in prompts]
    for request in [*failing[:3], *good[:6], *failing[3:], *good[6:]]:
        bad_llm._inbox.put(request)
    assert [request.future.result(60).completions[0].token_ids for request in good] == alone
    for request in failing:
        assert "NaN or infinite" in str(request.future.exception(60))
    assert MODEL_THREAD.run(lambda: bad_llm._batch.rows) == []


@pytest.mark.parametrize("place", ["prompt", "completion"])
def test_whoever_gets_the_place_of_a_row_that_overflowed_sees_nothing_of_it(bad_llm, place):
    """The NaN lies to the right of the new row, and to the left of the end of a longer one."""
    params = SamplingParams(temperature=0, max_tokens=90, ignore_eos=True)
    texts = [[20, 3] * 25, [21, 4] * 15, [22, 5] * 5]  # a long one, a bad one, a new one
    expected = [output.completions[0].token_ids for output in bad_llm.generate(texts, params)]
    limits = {"cache_bytes": 1 << 24, "prefixes": PrefixCache(0)}
    batch = BatchGenerator(bad_llm.model, bad_llm.tokenizer, bad_llm.stop_ids, **limits)
    long, bad, new = (bad_llm._request(list(ids), params) for ids in texts)
    if place == "prompt":
        bad.prompt_ids[25] = BAD
    batch.add(long)
    for _ in range(30):
        batch.step()
    batch.add(bad)
    for _ in range(12):
        batch.step()
    if place == "completion":
        with torch.inference_mode():
            batch.logits = [torch.cat(batch.logits)]
            batch.logits[0][1, BAD] += 1e4  # what is chosen and read next
        batch.step()
        batch.step()
    assert "NaN" in str(bad.future.exception(0)) and len(batch.rows) == 1
    batch.add(new)
    while batch.has_work:
        batch.step()
    assert long.future.result(0).completions[0].token_ids == expected[0]
    assert new.future.result(0).completions[0].token_ids == expected[2]


def test_an_overflow_while_most_samples_still_wait(random_folder, bad_llm):
    bad_llm._batch.admission.cache_bytes = 100_000  # room for a few rows at a time
    params = SamplingParams(n=60, max_tokens=20)
    with pytest.raises(ValueError, match="NaN or infinite"):
        bad_llm.generate([[1, BAD]], params)
    assert len(bad_llm.generate([[1, 2]], params)[0].completions) == 60


def test_a_score_that_overflows_fails_alone(bad_llm):
    expected = bad_llm.score([1, 2], [3, 4])
    with ThreadPoolExecutor(3) as pool:
        bad = [
            pool.submit(bad_llm.score, [1, 2], [3, BAD, 4]),
            pool.submit(bad_llm.certainty, [BAD], [1]),
        ]
        good = pool.submit(bad_llm.score, [1, 2], [3, 4])
        assert good.result() == pytest.approx(expected, abs=1e-5)
        for future in bad:
            assert "NaN or infinite" in str(future.exception())


def test_a_stream_that_overflows_raises(bad_llm):
    with pytest.raises(ValueError, match="NaN or infinite"):
        list(bad_llm.stream([1, BAD]))


def test_float16_that_overflows_says_what_helps(random_folder):
    llm = LLM(str(random_folder), device="cpu", dtype=torch.float16)
    params = SamplingParams(temperature=0, max_tokens=5)
    llm.generate([[1, 2]], params)  # nothing wrong yet
    for projection in ("gate_proj", "up_proj", "down_proj"):  # huge, but finite
        getattr(llm.model.model.layers[0].mlp, projection).weight.mul_(1_000)
    remedy = "float16 overflowed.*dtype=torch.bfloat16 or torch.float32"
    with pytest.raises(ValueError, match=remedy):
        llm.generate([[1, 2]], params)
    with pytest.raises(ValueError, match=remedy):
        llm.score([1, 2], [3])
