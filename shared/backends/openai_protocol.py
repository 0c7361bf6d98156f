"""OpenAI's protocol: sampling parameters as its arguments, its responses as completions.

Servers differ in what they add to it and leave out of it; what they differ in is settled here, and
what a response lacks is refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from shared.files.json_files import shortened
from shared.files.typed_json import matches, strict_loads
from shared.sampling_params import SamplingParams
from shared.solution import Completion, Cost, RequestOutput
from shared.text.prompt_types import Messages, Prompt, is_chat

EVERY_TOKEN = 1 << 30  # the top_k that is off on every server: 0 or -1 mean that on some only
CONTENT = "choices[0].logprobs.content"  # the list of a chat's tokens
ID_PREFIX = "token_id:"  # how vLLM writes an id in the place of a token's text


class NotServed(ValueError):
    """A technique reached for something that the server does not give."""


class MissingTokenIds(Sequence):
    """Stands for token ids that a server keeps to itself: only their number is known.

    Raises NotServed when one of them is looked at.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int | slice) -> NoReturn:
        raise NotServed("this server does not give token ids, only text and log-probabilities")


def sampling_arguments(prompt: Prompt | Messages, sample: int, params: SamplingParams) -> dict:
    """Sampling parameters as the client's arguments, for one of a prompt's samples.

    All are sent, also those that are off: else a server takes its own defaults (llama.cpp: top_k
    40), or the model's (vLLM, SGLang: its generation_config.json). Servers overlook what is not
    theirs, as the ways to keep a model's thoughts inside its text.
    """
    arguments: dict[str, Any] = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "max_tokens": params.max_tokens,
        "seed": sample_seed(prompt, sample, params.seed),
        "extra_body": {
            "top_k": params.top_k if params.top_k > 0 else EVERY_TOKEN,
            "min_p": params.min_p,
            "repetition_penalty": 1.0,
            "ignore_eos": params.ignore_eos,
            "return_tokens_as_token_ids": True,  # vLLM
            "reasoning_format": "none",  # llama.cpp
            "separate_reasoning": False,  # SGLang
        },
    }
    return arguments | ({"stop": list(params.stop)} if params.stop else {})


def sample_seed(prompt: Prompt | Messages, sample: int, seed: int) -> int:
    """A seed of 31 bits for one sample, so that no two samples share their random numbers."""
    digest = hashlib.blake2b(f"{seed} {sample} {prompt}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1


# --- Replies --------------------------------------------------------------------------------------


class BadReply(ValueError):
    """A server's reply is not what the protocol promises."""


def expect(holds: bool, entry: str, value: object, expected: str) -> None:
    """Raise BadReply unless an entry of a reply holds what is expected of it."""
    if not holds:
        raise BadReply(f"{entry} is {shortened(value)}, expected {expected}")


def read_reply(text: str) -> dict[str, Any]:
    """The object that the text of a reply is.

    Raises BadReply for anything but a JSON object, and for one that reports an error although the
    status of the reply was that of a success.
    """
    try:
        reply = strict_loads(text)
    except ValueError as error:
        raise BadReply(f"it is no JSON ({error}), expected a JSON object") from error
    expect(isinstance(reply, dict), "the reply", reply, "a JSON object")
    expect(not reply.get("error"), "error", reply.get("error"), "no error in a reply of status 200")
    return reply


def read_model_names(reply: dict[str, Any]) -> list[str]:
    """The names of the models that a server has."""
    models = reply.get("data")
    expect(isinstance(models, list), "data", models, "a list of models")
    for i, model in enumerate(models):
        name = model.get("id") if isinstance(model, dict) else model
        expect(
            isinstance(model, dict) and isinstance(name, str), f"data[{i}]", model, "a model's id"
        )
    return [model["id"] for model in models]


@dataclass(frozen=True)
class ReadReply:
    """What a reply says: a completion, and the tokens of its prompt and of the completion."""

    completion: Completion
    prompt_tokens: int
    generated_tokens: int


def to_output(prompt: Prompt | Messages, replies: list[ReadReply]) -> RequestOutput:
    """The replies to all samples of a prompt as one output; its prompt is counted once."""
    prompt_tokens = replies[0].prompt_tokens
    generated = sum(reply.generated_tokens for reply in replies)
    num_passes = 1 + generated - len(replies)
    is_ids = not isinstance(prompt, str) and not is_chat(prompt)
    return RequestOutput(
        prompt if is_ids else MissingTokenIds(prompt_tokens),
        [reply.completion for reply in replies],
        Cost(prompt_tokens, generated, forward_passes=num_passes, num_prompts=1),
    )


def read_sample(reply: dict[str, Any], params: SamplingParams, reply_start: str = "") -> ReadReply:
    """A reply to the request for one sample.

    `reply_start` is the beginning of the model's text, where the prompt gave it. Raises BadReply
    for what is wrong in it, NotServed for what is missing.
    """
    completion = read_completion(reply, params, reply_start)
    counts = (read_count(reply, name) for name in ("prompt_tokens", "completion_tokens"))
    return ReadReply(completion, *counts)


def read_count(reply: dict[str, Any], name: str) -> int:
    """A number of tokens from a reply's `usage`."""
    usage = reply.get("usage")
    expect(isinstance(usage, dict), "usage", usage, f"an object with {name}")
    count = usage.get(name)
    expect(matches(count, int), f"usage.{name}", count, "a whole number, 0 or more")
    return count


def read_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The one choice of a reply: no request asks for more."""
    choices = reply.get("choices")
    is_one = isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], dict)
    expect(is_one, "choices", choices, "a list of one object")
    return choices[0]


def read_completion(reply: dict[str, Any], params: SamplingParams, reply_start: str) -> Completion:
    """One reply as a Completion. Raises BadReply and NotServed, as `read_sample` does."""
    choice = read_choice(reply)
    reason = choice.get("finish_reason")
    expect(reason in ("stop", "length"), "finish_reason", reason, "'stop' or 'length'")
    ids, logprobs, top_logprobs = read_logprobs(choice)
    text = read_text(choice, reply_start, len(ids))
    if text and not ids:
        raise NotServed("there is a text, but no log-probabilities of its tokens")
    if params.ignore_eos and reason == "stop" and not params.stop:
        raise NotServed("this server does not know ignore_eos")
    if params.logprobs and not (len(top_logprobs) == len(ids) and all(top_logprobs)):
        raise NotServed("this server does not give top_logprobs for every token")
    if params.logprobs and not all(None not in top for top in top_logprobs):
        raise NotServed("this server does not give token ids, by which top_logprobs are told apart")
    return Completion(
        text,
        MissingTokenIds(len(ids)) if None in ids else ids,
        logprobs,
        reason,
        top_logprobs if params.logprobs else [],
    )


def read_text(choice: dict[str, Any], reply_start: str, num_tokens: int) -> str:
    """The text of a choice that has `num_tokens` tokens.

    Raises NotServed if the model's thoughts were taken out of it, BadReply for what is no text.

    llama.cpp's text starts with `reply_start`, vLLM's does not; the tokens, which do not include
    it, show whether the model wrote the same text itself.
    """
    if "message" not in choice:
        text = choice.get("text")
        expect(isinstance(text, str), "choices[0].text", text, "a text")
        return text
    message = choice["message"]
    expect(isinstance(message, dict), "choices[0].message", message, "an object")
    for name in ("reasoning_content", "reasoning"):
        if message.get(name):
            raise NotServed(
                f"this server moves thoughts to {name}, out of the text: start it without a "
                "reasoning parser"
            )
    text = message.get("content")
    expect(isinstance(text, str | None), "choices[0].message.content", text, "a text or null")
    if text is None:  # fine before an end-of-turn token, else the text is lost
        lost = f"the text of {num_tokens} tokens"
        expect(num_tokens <= 1, "choices[0].message.content", text, lost)
        return ""
    return text if written_by_model(choice, reply_start) else text.removeprefix(reply_start)


def written_by_model(choice: dict[str, Any], reply_start: str) -> bool:
    """Whether the tokens of a choice begin with a text, "" included."""
    if not reply_start:
        return True
    written = b""
    for i, entry in enumerate(choice["logprobs"].get("content") or []):
        values = entry.get("bytes") or []
        expect(is_bytes(values), f"{CONTENT}[{i}].bytes", values, "a list of bytes")
        written += bytes(values)
    return written.decode(errors="replace").startswith(reply_start)


def is_bytes(values: object) -> bool:
    """Whether a JSON value is a list of numbers from 0 to 255."""
    return matches(values, list[int]) and all(value < 256 for value in values)


def read_logprobs(choice: dict[str, Any]) -> tuple[list[int | None], list[float], list[dict]]:
    """Of each token its id (None where not given), its log-probability and the likeliest others'.

    Chats come as {"content": [{"token", "logprob", "top_logprobs", maybe "id"}]}, completions as
    {"tokens": [...], "token_logprobs": [...], "top_logprobs": [{token: logprob}]}; llama.cpp uses
    the first form for both. Raises NotServed where there are none.
    """
    found = choice.get("logprobs") or {}
    expect(isinstance(found, dict), "choices[0].logprobs", found, "an object")
    if found.get("content") is not None:
        return read_content(found["content"])
    if found.get("tokens") is not None:
        return read_lists(found)
    raise NotServed("this server does not give log-probabilities; some must be started with them")


def read_content(entries: object) -> tuple[list[int | None], list[float], list[dict]]:
    """`read_logprobs` of the form of chats."""
    expect(isinstance(entries, list), CONTENT, entries, "a list of tokens")
    ids, logprobs, tops = [], [], []
    for i, entry in enumerate(entries):
        token_id, logprob = read_token(entry, f"{CONTENT}[{i}]")
        others, where = entry.get("top_logprobs") or [], f"{CONTENT}[{i}].top_logprobs"
        expect(isinstance(others, list), where, others, "a list of tokens")
        ids.append(token_id)
        logprobs.append(logprob)
        tops.append(dict(read_token(other, where) for other in others))
    return ids, logprobs, tops


def read_lists(found: dict[str, Any]) -> tuple[list[int | None], list[float], list[dict]]:
    """`read_logprobs` of the form of completions."""
    tokens, logprobs, tops = (
        found.get(name) for name in ("tokens", "token_logprobs", "top_logprobs")
    )
    expect(matches(tokens, list[str]), "logprobs.tokens", tokens, "a list of texts")
    is_fine = matches(logprobs, list[float]) and len(logprobs) == len(tokens)
    expect(is_fine, "logprobs.token_logprobs", logprobs, f"a list of {len(tokens)} numbers")
    tops = [top or {} for top in tops] if isinstance(tops, list) else tops or []
    is_fine = matches(tops, list[dict]) and len(tops) in (0, len(tokens))
    expect(is_fine, "logprobs.top_logprobs", tops, f"a list of {len(tokens)} objects")
    ids = [read_id({"token": token}, "logprobs.tokens") for token in tokens]
    where = "logprobs.top_logprobs"
    others = [
        dict(read_token({"token": token, "logprob": value}, where) for token, value in top.items())
        for top in tops
    ]
    return ids, logprobs, others


def read_token(entry: object, where: str) -> tuple[int | None, float]:
    """The id and the log-probability of {"token": ..., "logprob": ...}."""
    expect(isinstance(entry, dict), where, entry, "an object with token and logprob")
    expect(isinstance(entry.get("token"), str), f"{where}.token", entry.get("token"), "a text")
    logprob = entry.get("logprob")
    expect(matches(logprob, float), f"{where}.logprob", logprob, "a number")
    return read_id(entry, where), logprob


def read_id(entry: dict[str, Any], where: str) -> int | None:
    """The id of a token: llama.cpp has a field for it, vLLM writes it in the place of the text."""
    token, token_id = entry["token"], entry.get("id")
    if token.startswith(ID_PREFIX):
        digits = token.removeprefix(ID_PREFIX)
        expect(digits.isdecimal(), f"{where}.token", token, "an id after the colon")
        return int(digits)
    expect(matches(token_id, int | None), f"{where}.id", token_id, "a whole number or null")
    return token_id


def read_piece(chunk: Any, of_chat: bool) -> tuple[str, bool]:
    """The text in one chunk of a stream, as the client reads it, and whether it ends the stream.

    A chunk may have no choice, as one that only tells of the usage.
    """
    choices = getattr(chunk, "choices", None)
    expect(isinstance(choices, list), "choices of a chunk", choices, "a list")
    if not choices:
        return "", False
    piece = getattr(choices[0], "delta", None) if of_chat else choices[0]
    text = getattr(piece, "content" if of_chat else "text", None)
    is_end = bool(getattr(choices[0], "finish_reason", None))
    is_text = isinstance(text, str) or text is None and (is_end or piece is not None)
    expect(is_text, "the text of a chunk", choices[0], "a text")
    return text or "", is_end


def echoed_logprobs(reply: dict[str, Any]) -> tuple[list[str], list[float]]:
    """The prompt's tokens as text and their log-probabilities, from a reply that repeats them.

    The first token has none (None): nothing comes before it. Raises NotServed unless the reply has
    all of the prompt's tokens and its own: llama-cpp-python leaves some out, and shifts the rest by
    one.
    """
    found, prompt_tokens = read_choice(reply).get("logprobs"), read_count(reply, "prompt_tokens")
    total = read_count(reply, "total_tokens")
    tokens = found.get("tokens") if isinstance(found, dict) else None
    if not isinstance(tokens, list) or len(tokens) != total:
        raise NotServed("this server does not score: it has no log-probabilities of a given text")
    logprobs = found.get("token_logprobs")
    is_fine = matches(logprobs, list[float | None]) and len(logprobs) == total
    expect(is_fine, "logprobs.token_logprobs", logprobs, f"a list of {total} numbers")
    return tokens[:prompt_tokens], logprobs[:prompt_tokens]
