"""`RemoteLLM`: a model on a server, used as `LLM` is.

    llm = RemoteLLM(base_url="http://127.0.0.1:8000/v1")
    outs = llm.chat(prompts.ask("What is 1 + 1?"), SamplingParams(n=4, max_tokens=64))

The server may be any that speaks OpenAI's protocol and gives log-probabilities, such as vLLM,
SGLang and llama.cpp. What a server does not give is refused by name (`NotServed`) when a technique
reaches for it. Texts are not those of `LLM` under the same seed: every engine draws its own way.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from typing import Any, NoReturn

from shared.backends.openai_protocol import (
    BadReply,
    NotServed,
    echoed_logprobs,
    read_model_names,
    read_piece,
    read_reply,
    read_sample,
    sampling_arguments,
    to_output,
)
from shared.files.json_files import shortened
from shared.sampling_params import SamplingParams
from shared.solution import RequestOutput
from shared.text.prompt_types import Messages, Prompt, chat_list, is_chat, prompt_list
from shared.text.tokenizer import Tokenizer

SHOWN = 200  # characters of a reply that an error message shows


class RemoteLLM:
    """A served model with the methods of `LLM`. Any number of threads may call it at once.

    Every sample is a request with a seed of its own, so more samples begin with the fewer ones.
    What the server refuses is raised as the `openai` client's own error; vLLM refuses a
    `max_tokens` that does not fit its context, where `LLM` and llama.cpp stop in time. A server
    that does not answer is a ConnectionError, and a reply that is not what it should be is a
    BadReply or a NotServed. Each error names the server.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str,
        tokenizer: Tokenizer | None = None,
        max_requests: int = 64,
        **client_options: Any,
    ) -> None:
        """Ask the server at `base_url` for `model` by its name there; None takes the first.

        At most `max_requests` requests are under way at the same time. The key is read from the
        environment variable OPENAI_API_KEY. `client_options` go to `openai.AsyncOpenAI`, such as
        `timeout` (seconds) and `max_retries`. A `tokenizer` is needed only by techniques that use
        `llm.tokenizer`, and must be the served model's.

        Raises ConnectionError where no server answers, BadReply for an answer that is none of
        OpenAI's protocol, ValueError for a model that it does not have, and ModuleNotFoundError
        without the package openai.
        """
        try:
            import openai  # here, since it takes a second and most runs need none
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "a model on a server needs the package openai: pip install openai"
            ) from error
        if max_requests < 1:
            raise ValueError(f"max_requests must be at least 1, not {max_requests}")
        options = {"api_key": os.environ.get("OPENAI_API_KEY") or "none"} | client_options
        self.base_url = base_url
        self._openai = openai
        self._client = openai.AsyncOpenAI(base_url=base_url, **options)
        self._tokenizer = tokenizer
        self._free = asyncio.Semaphore(max_requests)
        self._in_flight: set[Future] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="RemoteLLM", daemon=True).start()
        try:
            (reply,) = self._run([self._ask(self._client.models.with_raw_response.list)])
        except openai.APIStatusError as error:
            raise ConnectionError(f"no usable answer from {base_url}: {error}") from error
        with self._named(reply.text):
            names = read_model_names(read_reply(reply.text))
        if model is None and not names or model is not None and model not in names:
            raise ValueError(f"the server at {base_url} has {names or 'no model'}, not {model!r}")
        self.name: str = model or names[0]

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that was given. Raises NotServed if none was."""
        if self._tokenizer is None:
            raise NotServed(
                f"a server gives no tokenizer: pass {self.name}'s own to RemoteLLM, "
                "as in tokenizer=Tokenizer.from_folder(folder)"
            )
        return self._tokenizer

    @property
    def stop_ids(self) -> NoReturn:
        """Always raises NotServed: only the folder of a model lists the tokens that end a reply."""
        raise NotServed("a server does not say which tokens end a reply: use LLM")

    @property
    def max_positions(self) -> None:
        """None: a server does not say how long its context is; it checks that itself."""
        return None

    @property
    def model(self) -> NoReturn:
        """Always raises NotServed: weights, logits and hidden states stay on the server."""
        raise NotServed(
            "a server does not give the model itself (weights, logits, hidden states): use LLM"
        )

    def generate(
        self, prompts: Prompt | list[Prompt], params: SamplingParams | None = None
    ) -> list[RequestOutput]:
        """Complete prompts as they stand, as `LLM.generate` does.

        Not every server takes token ids as a prompt; one that does not says so in its error.
        """
        return self._complete(prompt_list(prompts), params or SamplingParams())

    def chat(
        self,
        messages: Messages | list[Messages],
        params: SamplingParams | None = None,
        *,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> list[RequestOutput]:
        """Reply to one chat or to a list of them, as `LLM.chat` does, in the server's template."""
        chats = chat_list(messages)
        template = {"chat_template_kwargs": {"enable_thinking": enable_thinking}}
        if continue_final_message:
            template |= {"continue_final_message": True, "add_generation_prompt": False}
        return self._complete(chats, params or SamplingParams(), template)

    def stream(
        self, prompt: Prompt | Messages, params: SamplingParams | None = None
    ) -> Iterator[str]:
        """Yield the text of one completion of a prompt or chat as it is generated.

        Raises ValueError unless n is 1.
        """
        params = params or SamplingParams()
        if params.n != 1:
            raise ValueError(f"stream yields one completion, so n must be 1, not {params.n}")
        check_not_empty(prompt)
        (chunks,) = self._run([self._sample(prompt, 0, params, {}, stream=True)])
        has_ended = False
        try:
            while (chunk := self._run([self._next_of(chunks)])[0]) is not None:
                with self._named(chunk):
                    text, is_end = read_piece(chunk, is_chat(prompt))
                has_ended = has_ended or is_end
                if text:
                    yield text
            if not has_ended:
                raise BadReply(f"{self.base_url} sent a stream without an end (finish_reason)")
        finally:
            self._run([chunks.close()])  # the reader may have stopped early

    def score(self, prompt: Prompt | Messages, completion: Prompt) -> list[float]:
        """Log-probability of each token of `completion` after `prompt` (text, ids or a chat).

        The server splits the joined text into tokens, so ids and chats need a `tokenizer` here.
        Raises NotServed if it does not score what it is given (vLLM does, llama.cpp does not),
        and ValueError where a token begins in the prompt and ends in the completion.
        """
        before, after = self._text(prompt), self._text(completion)
        if not after:
            return []
        check_not_empty(before)
        ask = self._client.completions.with_raw_response.create
        asked = [
            self._ask(ask, model=self.name, prompt=text, echo=True, logprobs=1, max_tokens=1)
            for text in (before, before + after)
        ]
        scored = []
        for reply in self._run(asked):
            with self._named(reply.text):
                scored.append(echoed_logprobs(read_reply(reply.text)))
        (start, _), (tokens, logprobs) = scored
        if tokens[: len(start)] != start:
            raise ValueError(
                f"a token joins the prompt's end {before[-20:]!r} and the completion's beginning "
                f"{after[:20]!r}: divide them elsewhere"
            )
        return logprobs[len(start) :]

    def certainty(self, prompt: Prompt | Messages, completion: Prompt) -> NoReturn:
        """Always raises NotServed: self-certainty needs the whole distribution at each token."""
        raise NotServed("a server does not give whole distributions, as certainty needs: use LLM")

    def identity(self) -> dict[str, str]:
        """The address of the server, which does not show its weights."""
        return {"base_url": self.base_url}

    def cancel(self) -> None:
        """Give up on everything in flight; whoever waits for it gets a CancelledError."""
        for future in list(self._in_flight):
            future.cancel()

    def _complete(
        self, prompts: list, params: SamplingParams, template: dict | None = None
    ) -> list[RequestOutput]:
        """All samples of all prompts at the same time; one RequestOutput a prompt."""
        template = template or {}
        for prompt in prompts:
            check_not_empty(prompt)
        each = [(prompt, sample) for prompt in prompts for sample in range(params.n)]
        replies = iter(self._run([self._sample(*one, params, template) for one in each]))
        outputs = []
        for prompt in prompts:
            reply_start = prompt[-1]["content"] if "continue_final_message" in template else ""
            samples = []
            for reply in islice(replies, params.n):
                with self._named(reply.text):
                    samples.append(read_sample(read_reply(reply.text), params, reply_start))
            outputs.append(to_output(prompt, samples))
        return outputs

    def _sample(
        self,
        prompt: Prompt | Messages,
        sample: int,
        params: SamplingParams,
        template: dict,
        stream: bool = False,
    ) -> Coroutine:
        """The request for one sample of a prompt or chat; its reply as text, or a stream."""
        arguments = {"model": self.name} | sampling_arguments(prompt, sample, params)
        top = max(1, params.logprobs)  # llama.cpp takes 0 for "no log-probabilities at all"
        if is_chat(prompt):
            endpoint = self._client.chat.completions
            arguments |= {"messages": prompt, "logprobs": True, "top_logprobs": top}
            arguments["extra_body"] |= template
        else:
            endpoint = self._client.completions
            arguments |= {"prompt": prompt, "logprobs": top}
        if stream:
            return self._ask(endpoint.create, stream=True, **arguments)
        return self._ask(endpoint.with_raw_response.create, **arguments)

    async def _ask(self, method: Any, **arguments: Any) -> Any:
        """Call a method of the client as soon as there are few enough requests under way."""
        async with self._free:
            try:
                return await method(**arguments)
            except self._openai.APIConnectionError as error:
                raise ConnectionError(
                    f"no usable answer from {self.base_url}: {error.__cause__ or error}"
                ) from error
            except self._openai.APIStatusError as error:
                message = f"{self.base_url} refuses: {error} {shortened(error.body, SHOWN)}"
                raise type(error)(message, response=error.response, body=error.body) from error

    async def _next_of(self, chunks: Any) -> Any:
        """The next chunk of a stream, None after the last.

        Raises ConnectionError where the stream breaks off, BadReply where it holds no JSON or
        reports an error.
        """
        try:
            return await anext(chunks, None)
        except self._openai.APIConnectionError as error:
            raise ConnectionError(f"{self.base_url} broke off its stream: {error}") from error
        except self._openai.APIError as error:
            raise BadReply(f"{self.base_url} sent an error in its stream: {error}") from error
        except json.JSONDecodeError as error:
            sent = shortened(error.doc, SHOWN)
            raise BadReply(f"{self.base_url} sent {sent}, expected a chunk in JSON") from error

    @contextmanager
    def _named(self, reply: object) -> Iterator[None]:
        """Name the server, and what it sent, in the errors about its reply."""
        try:
            yield
        except (BadReply, NotServed) as error:
            sent = shortened(reply, SHOWN)
            raise type(error)(f"{self.base_url} sent {sent}: {error}") from error

    def _run(self, coroutines: list[Coroutine]) -> list:
        """Run them on the background thread and wait for their results, or cancel them all."""
        futures = [asyncio.run_coroutine_threadsafe(c, self._loop) for c in coroutines]
        self._in_flight.update(futures)
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()  # does nothing to those that are done
            self._in_flight.difference_update(futures)

    def _text(self, prompt: Prompt | Messages) -> str:
        """A prompt as the text that the model reads."""
        if isinstance(prompt, str):
            return prompt
        if is_chat(prompt):
            return self.tokenizer.apply_chat_template(prompt)
        return self.tokenizer.decode(prompt)


def check_not_empty(prompt: Prompt | Messages) -> None:
    """Raise ValueError for a prompt without anything in it."""
    if not prompt:
        raise ValueError("the prompt is empty: a model needs at least one token to continue")
