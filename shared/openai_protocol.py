"""OpenAI's protocol: sampling parameters as its arguments, its responses as completions.

Servers differ in what they add to it and leave out of it; what they differ in is settled here, and
what a response lacks is refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NoReturn

from shared.decoder.sampler import SamplingParams
from shared.llm import Messages, Prompt
from shared.solution import Completion, Cost, RequestOutput

EVERY_TOKEN = 1 << 30  # the top_k that is off on every server: 0 or -1 mean that on some only
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


def is_chat(prompt: Prompt | Messages) -> bool:
    """Is it a list of messages, rather than text or token ids?"""
    return bool(prompt) and isinstance(prompt[0], dict)


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


# --- Responses ------------------------------------------------------------------------------------


def read_output(
    prompt: Prompt | Messages, responses: list, params: SamplingParams, begun: str = ""
) -> RequestOutput:
    """The responses to all samples of a prompt as one output; its prompt is counted once.

    `begun` is the beginning of the reply, where the prompt gave it.
    """
    completions = [read_completion(response, params, begun) for response in responses]
    prompt_tokens = responses[0].usage.prompt_tokens
    generated = sum(response.usage.completion_tokens for response in responses)
    num_passes = 1 + generated - len(responses)
    is_ids = not isinstance(prompt, str) and not is_chat(prompt)
    return RequestOutput(
        prompt if is_ids else MissingTokenIds(prompt_tokens),
        completions,
        Cost(prompt_tokens, generated, forward_passes=num_passes, num_prompts=1),
    )


def read_completion(response: Any, params: SamplingParams, begun: str) -> Completion:
    """One response as a Completion. Raises NotServed for what is missing in it."""
    (choice,) = response.choices
    ids, logprobs, top_logprobs = read_logprobs(choice)
    if params.ignore_eos and choice.finish_reason == "stop" and not params.stop:
        raise NotServed("this server does not know ignore_eos")
    if params.logprobs and not all(None not in top for top in top_logprobs):
        raise NotServed("this server does not give token ids, by which top_logprobs are told apart")
    return Completion(
        read_text(choice, begun),
        MissingTokenIds(len(ids)) if None in ids else ids,
        logprobs,
        choice.finish_reason,
        top_logprobs if params.logprobs else [],
    )


def read_text(choice: Any, begun: str) -> str:
    """The text of a choice. Raises NotServed if the model's thoughts were taken out of it.

    llama.cpp's text starts with `begun`, which vLLM's does not; its tokens tell it apart from what
    the model wrote itself.
    """
    if not hasattr(choice, "message"):
        return choice.text
    message = choice.message
    for name in ("reasoning_content", "reasoning"):
        if getattr(message, name, None):
            raise NotServed(
                f"this server moves thoughts to {name}, out of the text: start it without a "
                "reasoning parser"
            )
    text = message.content or ""
    tokens = choice.logprobs.content if begun else []
    written = b"".join(bytes(token.bytes or []) for token in tokens).decode(errors="replace")
    return text if written.startswith(begun) else text.removeprefix(begun)


def read_logprobs(choice: Any) -> tuple[list[int | None], list[float], list[dict]]:
    """Of each token its id (None where not given), its log-probability and the likeliest others'.

    Chats come as {"content": [{"token", "logprob", "top_logprobs", maybe "id"}]}, completions as
    {"tokens": [...], "token_logprobs": [...], "top_logprobs": [{token: logprob}]}; llama.cpp uses
    the first form for both.
    """
    found = choice.logprobs.model_dump() if choice.logprobs else {}
    if found.get("content") is not None:
        entries = found["content"]
        return (
            [read_id(entry) for entry in entries],
            [entry["logprob"] for entry in entries],
            [{read_id(other): other["logprob"] for other in e["top_logprobs"]} for e in entries],
        )
    if found.get("tokens") is not None:
        return (
            [read_id({"token": token}) for token in found["tokens"]],
            found["token_logprobs"],
            [
                {read_id({"token": token}): value for token, value in top.items()}
                for top in found["top_logprobs"] or []
            ],
        )
    raise NotServed("this server does not give log-probabilities; some must be started with them")


def read_id(entry: dict) -> int | None:
    """The id of a token: llama.cpp has a field for it, vLLM writes it in the place of the text."""
    if entry["token"].startswith(ID_PREFIX):
        return int(entry["token"].removeprefix(ID_PREFIX))
    return entry.get("id")


def echoed(response: Any) -> tuple[list[str], list[float]]:
    """The prompt's tokens as text and their log-probabilities, from a response that repeats them.

    The first token has none (None): nothing comes before it. Raises NotServed unless the response
    has all of the prompt's tokens and its own: llama-cpp-python leaves some out, and shifts the
    rest by one.
    """
    found, usage = response.choices[0].logprobs, response.usage
    if found is None or found.tokens is None or len(found.tokens) != usage.total_tokens:
        raise NotServed("this server does not score: it has no log-probabilities of a given text")
    return found.tokens[: usage.prompt_tokens], found.token_logprobs[: usage.prompt_tokens]
