"""`LLM`: a model with its tokenizer, as every technique gets it.

    llm = LLM("tiny")                                        # or a folder, or a hub id
    outs = llm.generate("1 + 1 =", SamplingParams(n=4, temperature=0.8, max_tokens=16))
    outs[0].completions[2].text

Any number of threads may call it at once. All requests in flight are merged into one batch, which
is where the speed comes from; all models run in one thread (`shared/engine/model_thread.py`).
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import torch

from shared.decoder.model import Qwen
from shared.engine.fast_paths import speed_up
from shared.engine.generator import BatchGenerator
from shared.engine.model_thread import MODEL_THREAD, Inbox
from shared.engine.prefill import Measure, token_certainties, token_logprobs
from shared.engine.prefix_cache import PrefixCache
from shared.engine.request import Request
from shared.engine.scoring import ScoreRequest, answer_scores
from shared.loading.checkpoint import (
    check_tokenizer,
    load_model,
    read_config,
    resolve_folder,
    stop_token_ids,
    weights_fingerprint,
)
from shared.loading.memory import free_memory
from shared.sampling_params import SamplingParams
from shared.solution import RequestOutput
from shared.text.prompt_types import Messages, Prompt, chat_list, is_chat, prompt_list
from shared.text.tokenizer import Tokenizer
from shared.threads import wait_for

PREFIX_BYTES = 256 << 20  # a search of the shipped model, 16 beams on 64 questions, needs no more
CANCELLED = "the model was asked to cancel what it was working on"


class Cancel:
    """Asks the model thread to give up on what came before it."""


class LLM:
    """A model with its tokenizer. Raises what `load_model` and `Tokenizer.from_folder` raise."""

    def __init__(
        self,
        model: str = "tiny",
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        cache_bytes: int | None = None,
        prefix_cache_bytes: int | None = None,
    ) -> None:
        """Load "tiny", a folder, or a hub id.

        `cache_bytes` bounds the keys and values of what is being generated, and so how many
        completions live at once (the others wait); by default it is half of the memory that is
        free. `prefix_cache_bytes` bounds those of earlier texts, kept in case another text
        begins alike; by default 256 MiB, or an eighth of what is free if that is less, and 0
        switches it off. A search with a large model may want more.
        """
        folder = resolve_folder(model)
        self.name = str(model)
        config = read_config(folder)  # what may be wrong with small files comes before the weights
        self.tokenizer = Tokenizer.from_folder(folder)
        check_tokenizer(self.tokenizer, config, folder)
        self.stop_ids = sorted({*stop_token_ids(folder), *self.tokenizer.end_of_turn_ids})
        # Loaded where it runs: memory that another thread allocates is slower there.
        self.model: Qwen = MODEL_THREAD.run(lambda: speed_up(load_model(folder, device, dtype)))
        free = free_memory(self.model.device)
        self._prefixes = PrefixCache(
            min(free // 8, PREFIX_BYTES) if prefix_cache_bytes is None else prefix_cache_bytes
        )
        self._batch = BatchGenerator(
            self.model,
            self.tokenizer,
            self.stop_ids,
            cache_bytes=free // 2 if cache_bytes is None else cache_bytes,
            prefixes=self._prefixes,
        )
        self._inbox: Inbox[Request | ScoreRequest | Cancel] = Inbox(self._take_turn)

    @property
    def max_positions(self) -> int:
        """The most tokens that a prompt and its completion have together: the model's context."""
        return self.model.config.max_positions

    def generate(
        self, prompts: Prompt | list[Prompt], params: SamplingParams | None = None
    ) -> list[RequestOutput]:
        """Complete prompts as they stand: str or token ids, one or a list of them.

        Returns one RequestOutput per prompt, each with `params.n` completions. Special tokens in a
        str are read as such, since a raw prompt may be a rendered chat. Raises ValueError for an
        empty prompt and for one that fills the model's context.
        """
        params = params or SamplingParams()
        encoded = [self._encode(prompt) for prompt in prompt_list(prompts)]
        return self._run([self._request(ids, params) for ids in encoded])

    def chat(
        self,
        messages: Messages | list[Messages],
        params: SamplingParams | None = None,
        *,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> list[RequestOutput]:
        """Reply to one chat or to a list of them; what users wrote never becomes a special token.

        Returns one RequestOutput per chat, as `generate` does. `enable_thinking` is for Qwen3; with
        `continue_final_message` the model continues the assistant's message that ends the chat.
        """
        params = params or SamplingParams()
        encoded = [
            self.tokenizer.encode_chat(
                chat,
                enable_thinking=enable_thinking,
                continue_final_message=continue_final_message,
            )
            for chat in chat_list(messages)
        ]
        return self._run([self._request(ids, params) for ids in encoded])

    def stream(
        self, prompt: Prompt | Messages, params: SamplingParams | None = None
    ) -> Iterator[str]:
        """Yield the text of one completion of a prompt or chat as it is generated.

        Only whole characters are yielded, and nothing that a stop string could still cut off.
        Raises ValueError unless n is 1.
        """
        params = params or SamplingParams()
        if params.n != 1:
            raise ValueError(f"stream yields one completion, so n must be 1, not {params.n}")
        tokens: queue.SimpleQueue = queue.SimpleQueue()
        request = self._request(self._encode(prompt), params, tokens.put)
        request.future.add_done_callback(lambda _: tokens.put(None))
        self._inbox.put(request)
        try:
            shown = ""
            text = ""
            special = set(self.tokenizer.special_tokens.values())
            ids = (token for token in iter(tokens.get, None) if token not in special)
            for piece in self.tokenizer.decode_stream(ids):
                text += piece
                if any(stop in text for stop in params.stop):
                    break
                safe = text[: len(text) - possible_stop(text, params.stop)]
                if len(safe) > len(shown):
                    yield safe[len(shown) :]
                    shown = safe
            final = wait_for(request.future).completions[0].text
            if len(final) > len(shown):
                yield final[len(shown) :]
        finally:
            request.cancelled = True  # the reader may have stopped early

    def score(self, prompt: Prompt | Messages, completion: Prompt) -> list[float]:
        """Log-probability of each token of `completion` after `prompt` (text, ids or a chat)."""
        return self._measure(prompt, completion, token_logprobs)

    def certainty(self, prompt: Prompt | Messages, completion: Prompt) -> list[float]:
        """Self-certainty at each token of `completion`, in nats; see `token_certainties`."""
        return self._measure(prompt, completion, token_certainties)

    def _measure(
        self, prompt: Prompt | Messages, completion: Prompt, measure: Measure
    ) -> list[float]:
        prompt_ids = self._encode(prompt)
        completion_ids = (
            self.tokenizer.encode(completion) if isinstance(completion, str) else list(completion)
        )
        if not completion_ids:
            return []
        self._check_ids(prompt_ids)
        self._check_ids(completion_ids)
        self._check_prompt(prompt_ids + completion_ids[:-1])
        request = ScoreRequest(prompt_ids, completion_ids, measure)
        self._inbox.put(request)
        return wait_for(request.future)

    def identity(self) -> dict[str, str]:
        """A hash of the weights: a retrained model of the same name is another one."""
        return {"weights": weights_fingerprint(self.model)}

    def cancel(self) -> None:
        """Give up on everything in flight; whoever waits for it gets a CancelledError."""
        self._inbox.put(Cancel())

    def _encode(self, prompt: Prompt | Messages) -> list[int]:
        if isinstance(prompt, str):
            return self.tokenizer.encode(prompt, allow_special=True)
        return self.tokenizer.encode_chat(prompt) if is_chat(prompt) else list(prompt)

    def _check_ids(self, ids: list[int]) -> None:
        vocab_size = self.model.config.vocab_size
        if not ids:
            raise ValueError("the prompt is empty: a model needs at least one token to continue")
        if outside := [i for i in ids if not 0 <= i < vocab_size]:
            raise ValueError(f"token ids {outside[:5]} are not within 0..{vocab_size - 1}")

    def _check_prompt(self, ids: list[int]) -> None:
        config = self.model.config
        self._check_ids(ids)
        if len(ids) >= config.max_positions:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, but the context of {self.name} is "
                f"{config.max_positions} and at least one position must be left for new tokens"
            )

    def _request(
        self, ids: list[int], params: SamplingParams, on_token: Callable[[int], None] | None = None
    ) -> Request:
        self._check_prompt(ids)
        room = self.model.config.max_positions - len(ids)
        limit = min(params.max_tokens, room)
        request = Request(ids, params, max_new_tokens=limit, on_token=on_token)
        self._batch.check(request)
        return request

    def _run(self, requests: list[Request]) -> list[RequestOutput]:
        """Hand requests to the model thread, which calls `_take_turn`, and wait for them all."""
        for request in requests:
            self._inbox.put(request)
        try:
            return [wait_for(request.future) for request in requests]
        except BaseException:  # one failed, or Ctrl-C: the others are no longer wanted
            for request in requests:
                request.cancelled = True
            raise

    def _take_turn(self, arrived: list[Request | ScoreRequest | Cancel]) -> bool:
        """In the model thread: take in what has arrived and advance the batch by one token.

        Returns whether anything is left to do.
        """
        arrived = self._without_cancelled(arrived)
        self._score([work for work in arrived if isinstance(work, ScoreRequest)])
        self._generate([work for work in arrived if isinstance(work, Request)])
        return self._batch.has_work

    def _without_cancelled(self, arrived: list[Request | ScoreRequest | Cancel]) -> list:
        """Give up on everything that came before the last `Cancel`; returns what came after."""
        cancels = [i for i, work in enumerate(arrived) if isinstance(work, Cancel)]
        if not cancels:
            return arrived
        error = CancelledError(CANCELLED)
        self._batch.abandon(error)
        fail(
            [work for work in arrived[: cancels[-1]] if not isinstance(work, Cancel)],
            error,
        )
        return arrived[cancels[-1] + 1 :]

    def _score(self, requests: list[ScoreRequest]) -> None:
        """Answer scoring requests; if that fails, only they get the error."""
        try:
            answer_scores(self.model, requests, self._prefixes)
        except BaseException as error:  # generations in flight continue
            fail(requests, error)

    def _generate(self, requests: list[Request]) -> None:
        """Add requests to the batch and advance it by one token; if that fails, all are told."""
        try:
            for request in requests:
                self._batch.add(request)
            if self._batch.has_work:
                self._batch.step()
        except BaseException as error:  # the callers get the error, and the thread continues
            self._batch.abandon(error)
            fail(requests, error)


def fail(requests: list[Request | ScoreRequest], error: BaseException) -> None:
    """Give the error to everyone who still waits for one of these requests."""
    for request in requests:
        if not request.future.done():
            request.future.set_exception(error)


def possible_stop(text: str, stops: tuple[str, ...]) -> int:
    """How many characters at the end of `text` might be the beginning of a stop string."""
    lengths = (k for stop in stops for k in range(len(stop), 0, -1) if text.endswith(stop[:k]))
    return max(lengths, default=0)
