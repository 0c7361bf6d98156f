"""`LLM`: the model as techniques hold it in their hands.

    llm = LLM("tiny")                                        # or a folder, or a hub id
    outs = llm.generate("1 + 1 =", SamplingParams(n=4, temperature=0.8, max_tokens=16))
    outs[0].completions[2].text

Any number of threads may call it at once. One background thread owns the model; it merges all
requests in flight into one batch, which is where the speed comes from.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import torch

from shared.checkpoint import load_model, resolve_folder, stop_token_ids
from shared.generate import BatchGenerator, Request, score_tokens
from shared.model import Qwen
from shared.sampler import SamplingParams
from shared.solution import RequestOutput
from shared.tokenizer import Tokenizer

Prompt = str | list[int]
MAX_ROWS = 256
MAX_CACHE_BYTES = 4 << 30


class LLM:
    """A model with its tokenizer. Raises what `load_model` and `Tokenizer.from_folder` raise."""

    def __init__(
        self,
        model: str = "tiny",
        *,
        device: str | None = None,
        dtype: torch.dtype | None = None,
        max_rows: int = MAX_ROWS,
        max_cache_bytes: int = MAX_CACHE_BYTES,
    ) -> None:
        """Load "tiny", a folder, or a hub id.

        `max_rows` completions at most are generated at the same time, and fewer if their cache
        would not fit `max_cache_bytes`; the rest wait their turn.
        """
        folder = resolve_folder(model)
        self.name = str(model)
        self.model: Qwen = load_model(folder, device=device, dtype=dtype)
        self.tokenizer = Tokenizer.from_folder(folder)
        self.stop_ids = stop_token_ids(folder)
        self._batch = BatchGenerator(
            self.model,
            self.tokenizer,
            self.stop_ids,
            max_rows=max_rows,
            max_cache_bytes=max_cache_bytes,
        )
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()  # work for the background thread
        self._start_worker = threading.Lock()
        self._worker: threading.Thread | None = None

    def generate(
        self, prompts: Prompt | list[Prompt], params: SamplingParams | None = None
    ) -> list[RequestOutput]:
        """Complete prompts as they stand: str or token ids, one or a list of them.

        Returns one RequestOutput a prompt, each with `params.n` completions. Special tokens in a
        str are read as such, since a raw prompt may be a rendered chat. Raises ValueError for an
        empty prompt and for one that fills the model's context.
        """
        params = params or SamplingParams()
        is_one = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], int))
        prompts = [prompts] if is_one else prompts
        return self._run([self._request(self._encode(prompt), params) for prompt in prompts])

    def chat(
        self,
        messages: list[dict],
        params: SamplingParams | None = None,
        *,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> RequestOutput:
        """Let the model reply to one chat; what users wrote never becomes a special token."""
        prompt = self.tokenizer.encode_chat(
            messages,
            enable_thinking=enable_thinking,
            continue_final_message=continue_final_message,
        )
        return self._run([self._request(prompt, params or SamplingParams())])[0]

    def stream(self, prompt: Prompt, params: SamplingParams | None = None) -> Iterator[str]:
        """Yield the text of one completion as it is generated, whole characters at a time."""
        params = params or SamplingParams()
        if params.n != 1:
            raise ValueError(f"stream yields one completion, so n must be 1, not {params.n}")
        tokens: queue.SimpleQueue = queue.SimpleQueue()
        request = self._request(self._encode(prompt), params, tokens.put)
        request.future.add_done_callback(lambda _: tokens.put(None))
        self._submit(request)
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
            final = request.future.result().completions[0].text
            if len(final) > len(shown):
                yield final[len(shown) :]
        finally:
            request.cancelled = True  # the reader may have stopped early

    def score(self, prompt: Prompt | list[dict], completion: Prompt) -> list[float]:
        """Log-probability of each token of `completion` after `prompt` (text, ids or a chat)."""
        is_chat = bool(prompt) and isinstance(prompt, list) and isinstance(prompt[0], dict)
        prompt_ids = self.tokenizer.encode_chat(prompt) if is_chat else self._encode(prompt)
        completion_ids = (
            self.tokenizer.encode(completion) if isinstance(completion, str) else list(completion)
        )
        if not completion_ids:
            return []
        self._check_prompt(prompt_ids + completion_ids[:-1])
        future: Future = Future()
        self._submit((prompt_ids, completion_ids, future))
        return future.result()

    def _encode(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return self.tokenizer.encode(prompt, allow_special=True)
        return list(prompt)

    def _check_prompt(self, ids: list[int]) -> None:
        config = self.model.config
        if not ids:
            raise ValueError("the prompt is empty: a model needs at least one token to go on from")
        if len(ids) >= config.max_positions:
            raise ValueError(
                f"the prompt has {len(ids)} tokens, but the context of {self.name} is "
                f"{config.max_positions} and one place at least must be left to generate into"
            )
        outside = [i for i in ids if not 0 <= i < config.vocab_size]
        if outside:
            raise ValueError(f"token ids {outside[:5]} are not within 0..{config.vocab_size - 1}")

    def _request(
        self, ids: list[int], params: SamplingParams, on_token: Callable[[int], None] | None = None
    ) -> Request:
        self._check_prompt(ids)
        room = self.model.config.max_positions - len(ids)
        return Request(ids, params, min(params.max_tokens, room), on_token)

    def _run(self, requests: list[Request]) -> list[RequestOutput]:
        """Hand requests to the background thread and wait for them, or cancel them all."""
        for request in requests:
            self._submit(request)
        try:
            return [request.future.result() for request in requests]
        finally:
            for request in requests:
                request.cancelled = True

    def _submit(self, work: Request | tuple) -> None:
        with self._start_worker:
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(target=self._work, name="LLM", daemon=True)
                self._worker.start()
        self._inbox.put(work)

    def _work(self) -> None:
        """The background thread: take in what has arrived, then advance the batch by one token."""
        while True:
            scores = self._take_in()
            try:
                if scores:
                    self._score(scores)
                if self._batch.has_work:
                    self._batch.step()
            except Exception as error:  # a failed step fails those who wait for it, not the thread
                self._batch.abandon(error)
                for *_, future in scores:
                    if not future.done():
                        future.set_exception(error)

    def _take_in(self) -> list[tuple[list[int], list[int], Future]]:
        """Move what has arrived to where it is worked on; wait only where there is no work."""
        scores = []
        while not (self._inbox.empty() and (self._batch.has_work or scores)):
            work = self._inbox.get()
            if isinstance(work, Request):
                try:
                    self._batch.add(work)
                except ValueError as error:
                    work.future.set_exception(error)
            else:
                scores.append(work)
        return scores

    def _score(self, scores: list[tuple[list[int], list[int], Future]]) -> None:
        """Score texts of similar length together, in batches of bounded size."""
        scores = sorted(scores, key=lambda work: len(work[0]) + len(work[1]))
        while scores:
            longest = len(scores[-1][0]) + len(scores[-1][1])
            batch = scores[-max(1, 8_192 // longest) :]
            prompts, completions, futures = zip(*batch)
            for future, result in zip(futures, score_tokens(self.model, prompts, completions)):
                future.set_result(result)
            scores = scores[: -len(batch)]


def possible_stop(text: str, stops: tuple[str, ...]) -> int:
    """How many characters at the end of `text` might be the beginning of a stop string."""
    lengths = (k for stop in stops for k in range(len(stop), 0, -1) if text.endswith(stop[:k]))
    return max(lengths, default=0)
