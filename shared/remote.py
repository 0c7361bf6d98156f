"""`RemoteLLM`: a model on a server, held in the hand as `LLM` is.

    llm = RemoteLLM(base_url="http://127.0.0.1:8000/v1")
    outs = llm.chat(prompts.ask("What is 1 + 1?"), SamplingParams(n=4, max_tokens=64))

The server may be any that speaks OpenAI's protocol and gives log-probabilities, such as vLLM,
SGLang and llama.cpp. What a server does not give is refused by name (`NotServed`) when a technique
reaches for it. Texts are not those of `LLM` under the same seed: every engine draws its own way.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, NoReturn

from shared.decoder.sampler import SamplingParams
from shared.llm import Messages, Prompt
from shared.openai_protocol import NotServed, echoed, is_chat, read_output, sampling_arguments
from shared.solution import RequestOutput
from shared.tokenizer import Tokenizer


class RemoteLLM:
    """A served model with the methods of `LLM`. Any number of threads may call it at once.

    Every sample is a request with a seed of its own, so more samples begin with the fewer ones.
    What the server says no to is raised as the `openai` client's own error; vLLM says it to a
    `max_tokens` that does not fit its context, where `LLM` and llama.cpp stop in time.
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

        Raises ConnectionError where no server answers, ValueError for a model that it does not
        have, and ModuleNotFoundError without the package openai.
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
        self._client = openai.AsyncOpenAI(base_url=base_url, **options)
        self._tokenizer = tokenizer
        self._free = asyncio.Semaphore(max_requests)
        self._in_flight: set[Future] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="RemoteLLM", daemon=True).start()
        try:
            (served,) = self._run([self._ask(self._client.models.list)])
        except openai.APIError as error:
            raise ConnectionError(
                f"no usable answer from {base_url}: {error.__cause__ or error}"
            ) from error
        names = [entry.id for entry in served.data]
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
        is_one = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], int))
        return self._complete([prompts] if is_one else prompts, params or SamplingParams())

    def chat(
        self,
        messages: Messages | list[Messages],
        params: SamplingParams | None = None,
        *,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> list[RequestOutput]:
        """Reply to one chat or to a list of them, as `LLM.chat` does, in the server's template."""
        chats = [messages] if messages and isinstance(messages[0], dict) else messages
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
        try:
            while (chunk := self._run([next_of(chunks)])[0]) is not None:
                for choice in chunk.choices:
                    text = choice.delta.content if is_chat(prompt) else choice.text
                    if text:
                        yield text
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
        ask = self._client.completions.create
        asked = [
            self._ask(ask, model=self.name, prompt=text, echo=True, logprobs=1, max_tokens=1)
            for text in (before, before + after)
        ]
        (start, _), (tokens, logprobs) = (echoed(response) for response in self._run(asked))
        if tokens[: len(start)] != start:
            raise ValueError(
                f"a token joins the prompt's end {before[-20:]!r} and the completion's beginning "
                f"{after[:20]!r}: divide them elsewhere"
            )
        return logprobs[len(start) :]

    def certainty(self, prompt: Prompt | Messages, completion: Prompt) -> NoReturn:
        """Always raises NotServed: self-certainty needs the whole distribution at each token."""
        raise NotServed("a server does not give whole distributions, as certainty needs: use LLM")

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
        responses = iter(self._run([self._sample(*one, params, template) for one in each]))
        outputs = []
        for prompt in prompts:
            begun = prompt[-1]["content"] if "continue_final_message" in template else ""
            outputs.append(read_output(prompt, list(islice(responses, params.n)), params, begun))
        return outputs

    def _sample(
        self, prompt: Prompt | Messages, sample: int, params: SamplingParams, template: dict, **more
    ) -> Coroutine:
        """The request for one sample of a prompt or chat."""
        arguments = {"model": self.name} | sampling_arguments(prompt, sample, params) | more
        top = max(1, params.logprobs)  # llama.cpp takes 0 for "no log-probabilities at all"
        if not is_chat(prompt):
            create = self._client.completions.create
            return self._ask(create, prompt=prompt, logprobs=top, **arguments)
        arguments["extra_body"] |= template
        create = self._client.chat.completions.create
        return self._ask(create, messages=prompt, logprobs=True, top_logprobs=top, **arguments)

    async def _ask(self, method: Any, **arguments: Any) -> Any:
        """Call a method of the client as soon as there are few enough requests under way."""
        async with self._free:
            return await method(**arguments)

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
        raise ValueError("the prompt is empty: a model needs at least one token to go on from")


async def next_of(chunks: Any) -> Any:
    """The next chunk of a stream, None after the last."""
    return await anext(chunks, None)
