"""Servers whose replies are not what OpenAI's protocol promises: each fault is named.

The server here is a few lines that send whatever a test says.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared import Problem, SamplingParams, Solution, prompts
from shared.backends.openai_protocol import BadReply, NotServed
from shared.backends.remote import RemoteLLM
from shared.evaluation.evaluate import evaluate

openai = pytest.importorskip("openai", reason="needs the client: pip install openai")

CHAT = prompts.ask("1 + 1 =")
MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model"}]}
JSON, HTML, EVENTS = "application/json", "text/html", "text/event-stream"


class Handler(BaseHTTPRequestHandler):
    """Answers with what its server holds: a content type and a body, or one for each path."""

    def do_GET(self):
        self.send("application/json", self.server.models)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send(self.server.content_type, self.server.body)

    def send(self, content_type: str, body: str) -> None:
        content = body.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    """The server; its `url`, and `say` to set its next replies."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.models, server.status = json.dumps(MODELS), 200
        server.url = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def llm(server) -> RemoteLLM:
    return RemoteLLM(base_url=server.url, max_retries=0)


@pytest.fixture
def say(server) -> Callable[..., None]:
    """Set what the server sends from now on."""

    def set_reply(body: object, content_type: str = JSON) -> None:
        server.body = body if isinstance(body, str) else json.dumps(body)
        server.content_type = content_type

    return set_reply


def token(**changes) -> dict:
    return {"token": "2", "logprob": -0.5, "top_logprobs": []} | changes


def choice(**changes) -> dict:
    """The one choice of a good reply to a chat."""
    good = {
        "index": 0,
        "message": {"role": "assistant", "content": "2"},
        "finish_reason": "stop",
        "logprobs": {"content": [token()]},
    }
    return good | changes


USAGE = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}


def reply(**changes) -> dict:
    """A good reply to a chat."""
    return {"id": "x", "choices": [choice()], "usage": USAGE} | changes


def completion_reply(**changes) -> dict:
    """A good reply to a prompt."""
    logprobs = {"tokens": ["2"], "token_logprobs": [-0.5], "top_logprobs": None} | changes
    text = changes.pop("text", "2")
    return reply(choices=[{"text": text, "finish_reason": "stop", "logprobs": logprobs}])


def test_good_replies_are_read(llm, say):
    say(reply())
    (output,) = llm.chat(CHAT)
    assert (output.completions[0].text, output.completions[0].logprobs) == ("2", [-0.5])
    assert output.cost.prompt_tokens == 7 and output.cost.generated_tokens == 1
    say(completion_reply())
    assert llm.generate("1 + 1 =")[0].completions[0].logprobs == [-0.5]
    nothing = choice(message={"content": None})  # the end-of-turn token alone
    say(reply(choices=[nothing]))
    assert llm.chat(CHAT)[0].completions[0].text == ""
    say(reply(error=None, choices=[choice() | {"matched_stop": 3}], something="else"))
    assert llm.chat(CHAT)[0].completions[0].text == "2"


PAGE = "<html><head><title>502 Bad Gateway</title></head></html>"
REPLIES = {
    "an HTML page": (PAGE, "expected a JSON object"),
    "nothing": ("", "expected a JSON object"),
    "half a reply": (json.dumps(reply())[:-20], "expected a JSON object"),
    "a list": ([reply()], "the reply is .*expected a JSON object"),
    "a text": (json.dumps("2"), "the reply is '2', expected a JSON object"),
    "null": ("null", "the reply is None"),
    "a NaN": (json.dumps(reply()).replace("-0.5", "NaN"), "NaN is no number"),
    "an infinite number": (json.dumps(reply()).replace("-0.5", "-1e999"), "-1e999 is no number"),
    "deep nesting": ("[" * 100_000, "nested too deep"),
    "an error in a 200": ({"error": {"message": "CUDA out of memory"}}, "CUDA out of memory"),
    "an error beside choices": (reply(error="overloaded"), "error is 'overloaded'"),
    "an error in vLLM's old form": (
        {"object": "error", "message": "no such model"},
        "no such model.*choices is None",
    ),
    "no choices": ({"id": "x", "usage": USAGE}, "choices is None, expected a list of one object"),
    "empty choices": (reply(choices=[]), r"choices is \[\], expected a list of one object"),
    "null choices": (reply(choices=None), "choices is None"),
    "choices that are an object": (reply(choices=choice()), "choices is {"),
    "two choices": (reply(choices=[choice(), choice()]), "a list of one object"),
    "a choice that is a text": (reply(choices=["2"]), r"choices is \['2'\]"),
    "a null choice": (reply(choices=[None]), r"choices is \[None\]"),
    "no finish_reason": (reply(choices=[choice(finish_reason=None)]), "finish_reason is None"),
    "a filtered reply": (
        reply(choices=[choice(finish_reason="content_filter")]),
        "finish_reason is 'content_filter', expected 'stop' or 'length'",
    ),
    "a number as finish_reason": (reply(choices=[choice(finish_reason=1)]), "finish_reason is 1"),
    "a list as finish_reason": (reply(choices=[choice(finish_reason=["stop"])]), "finish_reason"),
    "a null message": (reply(choices=[choice(message=None)]), "message is None"),
    "a message that is a text": (reply(choices=[choice(message="2")]), "message is '2'"),
    "content in parts": (
        reply(choices=[choice(message={"content": [{"type": "text", "text": "2"}]})]),
        "content is .*expected a text or null",
    ),
    "content that is a number": (reply(choices=[choice(message={"content": 2})]), "content is 2"),
    "lost content": (
        reply(choices=[choice(message={"content": None}, logprobs={"content": [token()] * 9})]),
        "content is None, expected the text of 9 tokens",
    ),
    "null usage": (reply(usage=None), "usage is None, expected an object with prompt_tokens"),
    "no usage": ({"choices": [choice()]}, "usage is None"),
    "usage that is a number": (reply(usage=8), "usage is 8"),
    "no prompt_tokens": (reply(usage={"completion_tokens": 1}), "usage.prompt_tokens is None"),
    "null completion_tokens": (
        reply(usage=USAGE | {"completion_tokens": None}),
        "usage.completion_tokens is None, expected a whole number",
    ),
    "counts that are texts": (reply(usage=USAGE | {"prompt_tokens": "7"}), "prompt_tokens is '7'"),
    "counts below zero": (reply(usage=USAGE | {"prompt_tokens": -7}), "prompt_tokens is -7"),
    "counts that are fractions": (reply(usage=USAGE | {"prompt_tokens": 7.5}), "is 7.5"),
    "logprobs that are a list": (reply(choices=[choice(logprobs=[token()])]), "logprobs is"),
    "logprobs of an object": (reply(choices=[choice(logprobs={"content": token()})]), "a list of"),
    "a token that is a text": (
        reply(choices=[choice(logprobs={"content": ["2"]})]),
        r"logprobs.content\[0\] is '2', expected an object",
    ),
    "a null token": (reply(choices=[choice(logprobs={"content": [None]})]), "content.0. is None"),
    "a token without text": (
        reply(choices=[choice(logprobs={"content": [{"logprob": -0.5}]})]),
        "token is None, expected a text",
    ),
    "a token without its logprob": (
        reply(choices=[choice(logprobs={"content": [token(), {"token": "2"}]})]),
        r"content\[1\].logprob is None, expected a number",
    ),
    "a logprob that is a text": (
        reply(choices=[choice(logprobs={"content": [token(logprob="-0.5")]})]),
        "logprob is '-0.5'",
    ),
    "a logprob that is true": (
        reply(choices=[choice(logprobs={"content": [token(logprob=True)]})]),
        "logprob is True",
    ),
    "top_logprobs that are an object": (
        reply(choices=[choice(logprobs={"content": [token(top_logprobs={"2": -0.5})]})]),
        "top_logprobs is",
    ),
    "an id that is no number": (
        reply(choices=[choice(logprobs={"content": [token(token="token_id:x")]})]),
        "token is 'token_id:x'",
    ),
    "an id that is a text": (
        reply(choices=[choice(logprobs={"content": [token(id="7")]})]),
        "id is '7'",
    ),
}


@pytest.mark.parametrize(("sent", "message"), REPLIES.values(), ids=REPLIES)
def test_a_bad_reply_to_a_chat_is_named(llm, server, say, sent, message):
    for content_type in (JSON, HTML):
        say(sent, content_type)
        with pytest.raises(BadReply, match=f"(?s){message}") as error:
            llm.chat(CHAT)
        said = str(error.value)
        assert said.startswith(f"{server.url} sent ") and len(said) < 500
        assert server.body[:20] in said.replace("\\'", "'")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": None}, "text is None, expected a text"),
        ({"text": 2}, "text is 2, expected a text"),
        ({"tokens": "2"}, "tokens is '2', expected a list of texts"),
        ({"tokens": [2]}, "tokens is .2., expected a list of texts"),
        ({"token_logprobs": None}, "token_logprobs is None, expected a list of 1 numbers"),
        ({"token_logprobs": []}, r"token_logprobs is \[\], expected a list of 1 numbers"),
        ({"token_logprobs": [None]}, r"token_logprobs is \[None\]"),
        ({"token_logprobs": ["-0.5"]}, "token_logprobs is"),
        ({"top_logprobs": {"2": -0.5}}, "top_logprobs is"),
        ({"top_logprobs": [{"2": -0.5}, {"2": -0.5}]}, "top_logprobs is"),
        ({"top_logprobs": [{"2": "-0.5"}]}, "top_logprobs.logprob is '-0.5'"),
        ({"top_logprobs": ["2"]}, "top_logprobs is"),
    ],
)
def test_a_bad_reply_to_a_prompt_is_named(llm, server, say, changes, message):
    say(completion_reply(**changes))
    with pytest.raises(BadReply, match=message) as error:
        llm.generate("1 + 1 =")
    assert str(error.value).startswith(f"{server.url} sent ")


@pytest.mark.parametrize(
    ("found", "params", "message"),
    [
        (None, {}, "does not give log-probabilities"),
        ({}, {}, "does not give log-probabilities"),
        ({"content": None}, {}, "does not give log-probabilities"),
        ({"content": []}, {}, "there is a text, but no log-probabilities"),
        ({"content": [token(id=7)]}, {"logprobs": 2}, "does not give top_logprobs"),
        ({"content": [token(id=7, top_logprobs=None)]}, {"logprobs": 2}, "give top_logprobs"),
    ],
)
def test_missing_log_probabilities_are_named_with_the_server(
    llm, server, say, found, params, message
):
    say(reply(choices=[choice(logprobs=found)]))
    with pytest.raises(NotServed, match=message) as error:
        llm.chat(CHAT, SamplingParams(**params))
    assert str(error.value).startswith(f"{server.url} sent ")


def test_a_bad_reply_is_the_error_of_its_question_and_named_at_the_end(llm, server, say):
    def ask(llm, problem):
        (output,) = llm.chat(prompts.ask(problem.question))
        return Solution("2", output.completions, output.cost)

    say(PAGE, HTML)
    problems = [Problem(f"{i} + 1 =", "2", str(i)) for i in range(3)]
    run = evaluate(ask, llm, problems, progress=False)
    assert run.total_failure.startswith(f"BadReply: {server.url} sent '<html>")
    assert run.settings["base_url"] == server.url and run.settings["model"] == "tiny"


# --- Streams, scores and the list of models -------------------------------------------------------


def stream_of(*chunks: object) -> str:
    """Chunks as server-sent events."""
    texts = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {text}\n\n" for text in [*texts, "[DONE]"])


def chunk(delta: object, finish_reason: str | None = None) -> dict:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def test_a_good_stream_is_read(llm, say):
    first, last = chunk({"role": "assistant", "content": None}), chunk({}, "stop")
    end = {"choices": [], "usage": USAGE}
    say(stream_of(first, chunk({"content": "1"}), chunk({"content": "2"}), last, end), EVENTS)
    assert "".join(llm.stream(CHAT)) == "12"


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (PAGE, HTML, "a stream without an end"),
        ("", EVENTS, "a stream without an end"),
        (json.dumps(reply()), JSON, "a stream without an end"),
        (stream_of(chunk({"content": "1"})), EVENTS, "a stream without an end"),
        (stream_of("{half", chunk({}, "stop")), EVENTS, "'{half', expected a chunk in JSON"),
        (stream_of({"error": {"message": "out of memory"}}), EVENTS, "out of memory"),
        (stream_of({"error": "out of memory"}), EVENTS, "sent an error in its stream"),
        (stream_of({"choices": None}), EVENTS, "choices of a chunk is None"),
        (stream_of("[1]"), EVENTS, "choices of a chunk is None"),
        (stream_of("7"), EVENTS, "choices of a chunk is None"),
        (stream_of({"choices": [None]}), EVENTS, "the text of a chunk"),
        (stream_of(chunk(None)), EVENTS, "the text of a chunk"),
        (stream_of(chunk({"content": 7})), EVENTS, "the text of a chunk"),
        (stream_of(chunk({"content": ["7"]})), EVENTS, "the text of a chunk"),
    ],
)
def test_a_bad_stream_is_named(llm, server, say, body, content_type, message):
    say(body, content_type)
    with pytest.raises(BadReply, match=message) as error:
        list(llm.stream(CHAT))
    assert str(error.value).startswith(f"{server.url} sent ")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (PAGE, BadReply, "expected a JSON object"),
        (reply(choices=[]), BadReply, "choices is"),
        (reply(choices=[{"logprobs": None}]), NotServed, "does not score"),
        (reply(choices=[{"logprobs": {"tokens": ["a"] * 8}}]), BadReply, "token_logprobs is None"),
        (reply(choices=[{"logprobs": {"tokens": ["a"] * 3}}]), NotServed, "does not score"),
        (reply(usage={"prompt_tokens": 7}), BadReply, "usage.total_tokens is None"),
    ],
)
def test_a_bad_score_is_named(llm, server, say, body, kind, message):
    say(body)
    with pytest.raises(kind, match=message) as error:
        llm.score("1 + 1 =", " 2")
    assert str(error.value).startswith(f"{server.url} sent ")


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (PAGE, "expected a JSON object"),
        ('{"error": {"message": "who are you?"}}', "who are you"),
        ("{}", "data is None, expected a list of models"),
        ('{"data": null}', "data is None, expected a list of models"),
        ('{"data": {"id": "tiny"}}', "data is"),
        ('{"data": ["tiny"]}', r"data\[0\] is 'tiny'"),
        ('{"data": [{"name": "tiny"}]}', r"data\[0\] is"),
        ('{"data": [{"id": 7}]}', r"data\[0\] is"),
        ("[]", "the reply is"),
    ],
)
def test_a_bad_list_of_models_is_named(server, monkeypatch, models, message):
    monkeypatch.setattr(server, "models", models)
    with pytest.raises(BadReply, match=message) as error:
        RemoteLLM(base_url=server.url, max_retries=0)
    assert str(error.value).startswith(f"{server.url} sent ")


def test_a_server_that_refuses_the_list_of_models_is_named(server, monkeypatch):
    monkeypatch.setattr(server, "status", 404)
    with pytest.raises(ConnectionError, match=f"no usable answer from {server.url}.*404"):
        RemoteLLM(base_url=server.url, max_retries=0)


@pytest.mark.parametrize(
    ("status", "body", "content_type", "said"),
    [
        (
            400,
            '{"error": {"message": "2500 tokens are too many"}}',
            JSON,
            "2500 tokens are too many",
        ),
        (422, '{"detail": [{"msg": "max_tokens"}]}', JSON, "max_tokens"),
        (502, PAGE, HTML, "502 Bad Gateway"),
        (500, "", JSON, "500"),
    ],
)
def test_what_a_server_refuses_is_the_clients_own_error_and_names_the_server(
    llm, server, say, monkeypatch, status, body, content_type, said
):
    say(body, content_type)
    monkeypatch.setattr(server, "status", status)
    for ask in (lambda: llm.chat(CHAT), lambda: llm.generate("?"), lambda: list(llm.stream(CHAT))):
        with pytest.raises(openai.APIStatusError, match=f"{server.url} refuses: .*{said}") as error:
            ask()
        assert error.value.status_code == status and len(str(error.value)) < 400


def test_a_server_that_is_gone_is_named(server, say):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as gone:
        gone.models, gone.status = json.dumps(MODELS), 200
        threading.Thread(target=gone.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{gone.server_port}/v1"
        llm = RemoteLLM(base_url=url, max_retries=0)
        gone.shutdown()
    with pytest.raises(ConnectionError, match=f"no usable answer from {url}"):
        llm.chat(CHAT)
