"""Which waiting samples start now: as many as memory allows, first come, first served."""

from __future__ import annotations

from collections import deque

from shared.engine.prefill import PREFILL_TOKENS
from shared.engine.request import Request

SAMPLING_BYTES = 16  # for each token of the vocabulary, while a row's next token is chosen
Start = tuple[Request, list[int]]  # a request, and which of its samples start


class Admission:
    """The queue of requests whose samples have not all started, and the memory for live rows.

    A row counts with every token that it may yet generate, and its prompt counts once.
    """

    def __init__(self, cache_bytes: int, bytes_per_token: int, vocab_size: int) -> None:
        self.cache_bytes = cache_bytes
        self.bytes_per_token = bytes_per_token
        self.sampling_bytes = SAMPLING_BYTES * vocab_size  # per row
        self._waiting: deque[Request] = deque()

    def add(self, request: Request) -> None:
        """Put a request at the end of the queue."""
        self._waiting.append(request)

    def remove(self, requests: set[Request]) -> None:
        """Take requests out of the queue, wherever they stand."""
        self._waiting = deque(other for other in self._waiting if other not in requests)

    def clear(self) -> None:
        """Empty the queue."""
        self._waiting.clear()

    def check(self, request: Request) -> None:
        """Raise ValueError if not even one row of a request fits."""
        prompt_columns, row_columns = len(request.prompt_ids), request.max_new_tokens
        if self._max_rows(1, prompt_columns, row_columns) < 1:
            raise ValueError(
                f"a prompt of {prompt_columns} tokens with up to {row_columns} new ones does not "
                f"fit a cache of {self.cache_bytes} bytes; lower max_tokens or raise cache_bytes"
            )

    def is_over_budget(self, num_tokens: int, num_rows: int) -> bool:
        """Whether slots for this many tokens, beside this many rows, take too much memory."""
        used = num_tokens * self.bytes_per_token + num_rows * self.sampling_bytes
        return used > self.cache_bytes

    def _max_rows(self, num_prompts: int, prompt_columns: int, row_columns: int) -> int:
        """How many rows of this many columns may live at once, beside the prompts."""
        left = self.cache_bytes - num_prompts * prompt_columns * self.bytes_per_token
        return left // (row_columns * self.bytes_per_token + self.sampling_bytes)

    def next_starts(self, num_rows: int, live: list[Request]) -> list[Start]:
        """Take the next samples that fit beside `num_rows` rows and the `live` prompts.

        They count as started, and requests of which all samples have started leave the queue. The
        prompts among them that are new can be read in one prefill.
        """
        starts: list[Start] = []
        num_prompts, longest_unread = len(live), 0
        prompt_columns = max((len(request.prompt_ids) for request in live), default=0)
        row_columns = max((request.max_new_tokens for request in live), default=0)
        while self._waiting:
            request = self._waiting[0]
            if not request.is_read:
                longest_unread = max(longest_unread, len(request.prompt_ids))
                if starts and longest_unread * (len(starts) + 1) > PREFILL_TOKENS:
                    break
                num_prompts += 1
                prompt_columns = max(prompt_columns, len(request.prompt_ids))
                row_columns = max(row_columns, request.max_new_tokens)
            room = self._max_rows(num_prompts, prompt_columns, row_columns) - num_rows
            first = request.num_started
            samples = list(range(first, min(request.params.n, first + max(room, 0))))
            if not samples:
                break
            starts.append((request, samples))
            num_rows += len(samples)
            request.num_started += len(samples)
            if not request.all_started:
                break  # its other samples start when there is room again
            self._waiting.popleft()
        return starts
