"""A served model through `RemoteLLM`, against a real llama.cpp server with the shipped model, or
the one at TINY_SERVER_URL.

The server computes the same probabilities as `LLM`, so greedy texts, costs and log-probabilities
must be the same; sampled texts are drawn its own way.
"""

import argparse
import importlib.util
import inspect
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from ch01_cot.cot import budget_forcing, chain_of_thought, cot_decoding, direct_answer
from ch02_self_consistency.self_consistency import self_consistency
from shared import SamplingParams, Tokenizer, load_problems, prompts
from shared.backends.openai_protocol import (
    MissingTokenIds,
    NotServed,
    read_completion,
    read_logprobs,
)
from shared.backends.protocol import Backend, Engine
from shared.backends.remote import RemoteLLM
from shared.evaluation import cli
from shared.evaluation.evaluate import evaluate
from shared.rewards.judge import judge

OWN_SERVER = os.environ.get("TINY_SERVER_URL")
OWN_SERVER_HINT = (
    "to test against another server, start it (vllm serve shared/tiny/checkpoint "
    "--served-model-name tiny) and set TINY_SERVER_URL=http://127.0.0.1:8000/v1"
)
HERE = Path(__file__).parent
TINY = HERE.parent / "shared" / "tiny" / "checkpoint"
CHAT = prompts.ask("Ana has 45 shells. Ana buys 12 more. How many shells does Ana have now?")
GREEDY = SamplingParams(temperature=0, max_tokens=60)


def texts(output) -> list[str]:
    return [completion.text for completion in output.completions]


def start_server(command: list[str], log: Path, port: int) -> subprocess.Popen:
    """Start a server process and wait until it answers; fails with its log if it ends before."""
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=file)
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    raise TimeoutError(log.read_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of a server that holds the shipped model under the name "tiny"."""
    if OWN_SERVER:
        yield OWN_SERVER
        return
    for package in ("openai", "xllamacpp", "gguf"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs a llama.cpp server and its client: pip install {package}")
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [str(HERE / "llama_cpp_server.py"), str(TINY), str(folder / "tiny.gguf"), str(port)]
    process = start_server(command, folder / "log.txt", port)
    yield f"http://127.0.0.1:{port}/v1"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def served(url) -> RemoteLLM:
    return RemoteLLM("tiny", base_url=url)


# --- The same as LLM ------------------------------------------------------------------------------


def test_a_served_chat_is_that_of_the_model_itself(served, tiny):
    params = SamplingParams(temperature=0, max_tokens=60, logprobs=2)
    (there,), (here,) = served.chat(CHAT, params), tiny.chat(CHAT, params)
    (a,), (b,) = there.completions, here.completions
    assert (a.text, a.finish_reason, a.token_ids) == (b.text, b.finish_reason, b.token_ids)
    assert a.logprobs == pytest.approx(b.logprobs, abs=0.02)
    assert len(a.top_logprobs) == len(b.top_logprobs)
    assert a.top_logprobs[4] == pytest.approx(b.top_logprobs[4], abs=0.02)
    assert there.cost == replace(here.cost, reused_tokens=0)  # a server does not say
    assert len(there.prompt_token_ids) == len(here.prompt_token_ids)


def test_log_probabilities_are_those_at_temperature_1(served, tiny):
    params = SamplingParams(n=3, temperature=0.3, top_p=0.9, top_k=5, min_p=0.1, max_tokens=20)
    (output,) = served.chat(CHAT, params)
    for completion in output.completions:
        expected = tiny.score(CHAT, completion.token_ids)
        assert completion.logprobs == pytest.approx(expected, abs=0.02)


def test_text_and_ids_are_prompts_as_well(served, tiny):
    text, ids = tiny.tokenizer.apply_chat_template(CHAT), tiny.tokenizer.encode_chat(CHAT)
    in_list = served.generate([text, ids], GREEDY)
    assert [texts(output) for output in in_list] == [texts(tiny.chat(CHAT, GREEDY)[0])] * 2
    assert texts(served.generate(ids, GREEDY)[0]) == texts(served.generate(text, GREEDY)[0])
    assert in_list[1].prompt_token_ids == ids
    assert served.generate([]) == [] == served.chat([])


def test_several_chats_are_answered_in_their_order(served, tiny):
    chats = [CHAT, prompts.ask("1 + 1 =", prompts.DIRECT), CHAT]
    answers = [texts(output) for output in served.chat(chats, GREEDY)]
    assert answers == [texts(output) for output in tiny.chat(chats, GREEDY)]
    assert answers[0] != answers[1]


def test_the_seed_decides_and_more_samples_begin_with_the_fewer(served):
    params = partial(SamplingParams, temperature=1.2, max_tokens=20)
    (few,), (more,) = (served.chat(CHAT, params(n=n, seed=3)) for n in (2, 6))
    (other,) = served.chat(CHAT, params(n=2, seed=4))
    assert texts(more)[:2] == texts(few) != texts(other)
    assert len(set(texts(more))) > 2
    assert few.cost.generated_tokens == sum(len(c.token_ids) for c in few.completions)


def test_filters_that_are_off_are_off(served, tiny):
    """llama.cpp's own top_k 40 and min_p 0.05 must not apply: hot draws find unlikely tokens."""
    params = SamplingParams(n=8, temperature=2.0, max_tokens=16, ignore_eos=True)
    prompt = tiny.tokenizer.encode_chat(CHAT)
    ranks, ratios = [], []
    for completion in served.generate(prompt, params)[0].completions:
        logits = tiny.model(torch.tensor([prompt + completion.token_ids]))[0, len(prompt) - 1 : -1]
        drawn = logits.gather(-1, torch.tensor(completion.token_ids)[:, None])  # [T, 1]
        ranks += (logits > drawn).sum(-1).tolist()
        ratios += (drawn[:, 0] - logits.amax(-1)).exp().tolist()
    assert max(ranks) > 40 and min(ratios) < 0.04


def test_stop_strings_and_length(served):
    params = SamplingParams(temperature=0, max_tokens=60, stop=("=57",))
    (stopped,) = served.chat(CHAT, params)[0].completions
    assert stopped.text.endswith("45+12") and stopped.finish_reason == "stop"
    (cut,) = served.chat(CHAT, SamplingParams(temperature=0, max_tokens=5))[0].completions
    assert len(cut.token_ids) == 5 and cut.finish_reason == "length"


def test_ignore_eos(served):
    params = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True)
    (completion,) = served.chat(CHAT, params)[0].completions
    assert (len(completion.token_ids), completion.finish_reason) == (60, "length")


@pytest.mark.parametrize("prompt", [CHAT, "Plan:"])
def test_a_stream_yields_the_text_that_generate_returns(served, prompt):
    ask = served.chat if prompt is CHAT else served.generate
    params = SamplingParams(temperature=0.9, max_tokens=30, stop=("\n",))
    pieces = list(served.stream(prompt, params))
    assert "".join(pieces) == texts(ask(prompt, params)[0])[0]
    assert len(pieces) > 2 and all(pieces)
    stream = served.stream(prompt, SamplingParams(max_tokens=2000, ignore_eos=True))
    next(stream)
    stream.close()  # left early


def test_a_chat_can_go_on_from_a_reply_that_was_begun(served, tiny):
    full = texts(tiny.chat(CHAT, GREEDY)[0])[0]
    begun = full[: full.index("\n") + 1]
    chat = [*CHAT, {"role": "assistant", "content": begun}]
    (there,) = served.chat(chat, GREEDY, continue_final_message=True)
    assert begun + texts(there)[0] == full


def test_techniques_run_unchanged(served, tiny, tmp_path):
    problems = load_problems("word", limit=6)
    for technique in (direct_answer, chain_of_thought):
        bound = partial(technique, params=GREEDY)
        there, here = (evaluate(bound, llm, problems) for llm in (served, tiny))
        assert [r.completions[0]["text"] for r in there.records] == [
            r.completions[0]["text"] for r in here.records
        ]
        assert there.num_errors == 0
        assert there.cost == replace(here.cost, reused_tokens=0)  # a server does not say
    params = SamplingParams(temperature=0.6, max_tokens=200)
    votes = partial(self_consistency, n=3, params=params)
    out = tmp_path / "votes.jsonl"
    voted = evaluate(votes, served, problems, out=out)
    assert voted.num_errors == 0 and len(voted.records[0].completions) == 3
    assert len({record.predicted for record in voted.records}) > 1
    assert evaluate(votes, served, problems, out=out).records == voted.records


def test_threads_may_share_it(served):
    alone = texts(served.chat(CHAT, GREEDY)[0])
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: texts(served.chat(CHAT, GREEDY)[0]), range(8)))
    assert together == [alone] * 8


def test_no_more_requests_than_allowed(url, monkeypatch):
    served = RemoteLLM("tiny", base_url=url, max_requests=2)
    running, most = set(), [0]
    original = served._client.chat.completions.create

    async def create(**arguments):
        running.add(arguments["seed"])
        most[0] = max(most[0], len(running))
        response = await original(**arguments)
        running.remove(arguments["seed"])
        return response

    monkeypatch.setattr(served._client.chat.completions, "create", create)
    assert len(texts(served.chat(CHAT, SamplingParams(n=7, max_tokens=3))[0])) == 7
    assert most == [2]


def test_cancelling_wakes_everyone_who_waits_and_the_next_call_works(served):
    params = SamplingParams(n=4, max_tokens=1900, ignore_eos=True)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(served.chat, CHAT, params) for _ in range(2)]
        while len(served._in_flight) < 8:
            time.sleep(0.01)
        served.cancel()
        for future in waiting:
            assert isinstance(future.exception(timeout=10), CancelledError)
    assert len(served.chat(CHAT, SamplingParams(max_tokens=2))) == 1


# --- What a server cannot give is refused by name -------------------------------------------------


@pytest.mark.skipif(bool(OWN_SERVER), reason="TINY_SERVER_URL may well score")
def test_a_server_that_does_not_score_is_named(served):
    with pytest.raises(NotServed, match="does not score"):
        served.score("1 + 1 =", " 2")


def test_what_stays_on_the_server_is_refused_by_name(served):
    with pytest.raises(NotServed, match="hidden states"):
        served.model.model.embed_tokens  # noqa: B018
    with pytest.raises(NotServed, match=r"tokenizer=Tokenizer.from_folder\(folder\)"):
        judge(served, "1 + 1 =", "2")
    (output,) = served.generate("1 + 1 =", SamplingParams(max_tokens=3))
    assert len(output.prompt_token_ids) > 2
    with pytest.raises(NotServed, match="token ids"):
        list(output.prompt_token_ids)


@pytest.mark.parametrize("technique", [cot_decoding, budget_forcing])
def test_techniques_that_need_the_stop_tokens_are_refused_by_name(served, technique):
    """Even with the model's own tokenizer: a server does not say which tokens end a reply."""
    llm = RemoteLLM(base_url=served.base_url, tokenizer=Tokenizer.from_folder(TINY))
    assert llm.max_positions is None
    (problem,) = load_problems("word", limit=1)
    with pytest.raises(NotServed, match="which tokens end a reply"):
        technique(llm, problem)


def test_both_engines_have_all_that_the_protocol_declares(tiny):
    declared = {name for name in vars(Engine) | vars(Backend) if not name.startswith("_")}
    assert {"tokenizer", "stop_ids", "max_positions", "chat"} <= declared
    for name in declared - {"name"}:
        getattr(tiny, name)
        inspect.getattr_static(RemoteLLM, name)


def test_a_refusal_is_the_error_of_its_question(served):
    run = evaluate(lambda llm, problem: llm.model, served, load_problems("word", limit=2))
    assert run.total_failure.startswith("NotServed: a server does not give the model itself")


def choice(logprobs: dict | None, **fields) -> dict:
    """Part of a reply as other servers give it."""
    return {"text": "7", "finish_reason": "stop", "logprobs": logprobs} | fields


def test_ids_are_read_where_vllm_writes_them():
    tokens = {"tokens": ["token_id:7", "token_id:9"], "token_logprobs": [-0.5, -1.0]}
    given = choice(tokens | {"top_logprobs": [{"token_id:7": -0.5}, {"token_id:4": -0.1}]})
    assert read_logprobs(given) == ([7, 9], [-0.5, -1.0], [{7: -0.5}, {4: -0.1}])


def test_a_server_without_ids_has_texts_and_log_probabilities():
    tokens = {"tokens": ["7", ""], "token_logprobs": [-0.5, -1.0], "top_logprobs": None}
    completion = read_completion({"choices": [choice(tokens)]}, SamplingParams(), reply_start="")
    assert isinstance(completion.token_ids, MissingTokenIds) and len(completion.token_ids) == 2
    assert (completion.text, completion.logprobs) == ("7", [-0.5, -1.0])
    with pytest.raises(NotServed, match="token ids"):
        completion.token_ids[0]


@pytest.mark.parametrize(
    ("logprobs", "params", "message"),
    [
        (None, {}, "does not give log-probabilities"),
        ({"tokens": None, "content": None}, {}, "does not give log-probabilities"),
        (
            {"tokens": ["7"], "token_logprobs": [-1.0], "top_logprobs": [{"7": -1.0}]},
            {"logprobs": 1},
            "top_logprobs",
        ),
        (
            {"tokens": ["7"], "token_logprobs": [-1.0], "top_logprobs": None},
            {"ignore_eos": True},
            "ignore_eos",
        ),
    ],
)
def test_what_is_missing_in_a_response_is_named(logprobs, params, message):
    with pytest.raises(NotServed, match=message):
        read_completion({"choices": [choice(logprobs)]}, SamplingParams(**params), reply_start="")


def test_thoughts_that_were_cut_out_are_named():
    message = {"content": "7", "reasoning_content": "because"}
    reply = {"choices": [choice({"content": []}, message=message)]}
    with pytest.raises(NotServed, match="reasoning_content"):
        read_completion(reply, SamplingParams(), reply_start="")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda llm: llm.generate(""), "the prompt is empty"),
        (lambda llm: llm.generate([[]]), "the prompt is empty"),
        (lambda llm: next(llm.stream("x", SamplingParams(n=2))), "n must be 1"),
        (lambda llm: llm.score("", "x"), "the prompt is empty"),
        (lambda llm: RemoteLLM("big", base_url=str(llm._client.base_url)), "'tiny'.*, not 'big'"),
        (lambda llm: RemoteLLM(base_url="http://x", max_requests=0), "max_requests"),
    ],
)
def test_unusable_calls_are_refused_with_the_reason(served, call, message):
    with pytest.raises(ValueError, match=message):
        call(served)


def test_without_a_server_the_address_is_named():
    pytest.importorskip("openai", reason="needs the client: pip install openai")
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(ConnectionError, match=url):
        RemoteLLM(base_url=url, max_retries=0)


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ModuleNotFoundError, match="pip install openai"):
        RemoteLLM(base_url="http://127.0.0.1:1/v1")


# --- Scoring, on a server that can ----------------------------------------------------------------


@pytest.fixture(scope="module")
def scoring(url) -> RemoteLLM:
    """The same model on a server that gives log-probabilities of a given text."""
    if not OWN_SERVER:
        pytest.skip(f"llama.cpp does not score; {OWN_SERVER_HINT}")
    return RemoteLLM("tiny", base_url=url, tokenizer=Tokenizer.from_folder(TINY))


def test_scores_are_those_of_the_model_itself(scoring, tiny):
    solution = "Plan: in order.\n45+12=57"
    for prompt in (CHAT, tiny.tokenizer.encode_chat(CHAT)):
        expected = tiny.score(prompt, solution)
        assert scoring.score(prompt, solution) == pytest.approx(expected, abs=0.05)
    assert scoring.score(CHAT, "") == []
    with pytest.raises(ValueError, match="a token joins"):
        scoring.score("The answ", "er is")


def test_the_judge_runs_unchanged(scoring, tiny):
    for solution in ("45+12=57", "45-12=33"):
        there, here = (judge(llm, CHAT[0]["content"], solution) for llm in (scoring, tiny))
        assert there == pytest.approx(here, abs=0.02)


# --- The command line -----------------------------------------------------------------------------


def one_chain(llm, problem, *, n, params):
    """A script's technique."""
    return chain_of_thought(llm, problem, params=params)


def run_script(*flags: str):
    parser = argparse.ArgumentParser()
    cli.add_common_flags(parser)
    short = ["--limit", "2", "--max-tokens", "9", "--n", "1"]
    return cli.run(one_chain, parser.parse_args([*short, *flags]))


def test_a_script_takes_a_server(url, tmp_path, capsys):
    out = tmp_path / "run.jsonl"
    run = run_script("--base-url", url, "--out", str(out))
    assert run.num_errors == 0 and all(r.generated_tokens == 9 for r in run.records)
    assert "FLOPs      not known" in capsys.readouterr().out
    settings = json.loads(out.with_suffix(".settings.json").read_text(encoding="utf-8"))
    assert settings["settings"].items() >= {"model": "tiny", "base_url": url}.items()
    with pytest.raises(SystemExit) as exit:
        run_script("--out", str(out))  # the model here is another engine
    assert exit.value.code == 2 and "base_url" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_script("--base-url", url, "--dtype", "float32")
    assert "the server's own business" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_script("--base-url", url, "--cache-gb", "1")
    assert "--cache-gb is the server's own business" in capsys.readouterr().err
