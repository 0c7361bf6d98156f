"""What is asked of the engine: one prompt with n samples, and the part of a sample that is text."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from torch import Tensor

from shared.sampling_params import SamplingParams
from shared.solution import Completion, Cost, RequestOutput


@dataclass(eq=False)
class Request:
    """One prompt to be completed `params.n` times; `future` receives the RequestOutput."""

    prompt_ids: list[int]
    params: SamplingParams
    max_new_tokens: int  # max_tokens, or less where the model's context ends
    on_token: Callable[[int], None] | None = None  # called with each token of sample 0
    future: Future = field(default_factory=Future)
    cancelled: bool = False
    num_started: int = 0  # samples that have become rows
    is_read: bool = False  # whether the prompt is in the cache
    reused_tokens: int = 0  # of the prompt, read by an earlier request
    first_logits: Tensor | None = None  # [V], what follows the prompt; None once all have started
    completions: dict[int, Completion] = field(default_factory=dict)  # finished ones, by sample

    @property
    def all_started(self) -> bool:
        """Whether every sample has become a row."""
        return self.num_started == self.params.n

    @property
    def needs_each_token(self) -> bool:
        """Whether something must be done with every token as it comes."""
        return bool(self.params.stop or self.params.logprobs or self.on_token)

    @property
    def ends_loops(self) -> bool:
        """Whether a text that repeats itself forever is cut."""
        return self.params.stop_loops and not self.params.ignore_eos

    def finish(self, sample_index: int, completion: Completion) -> bool:
        """Take in a finished sample; after the last one, answer. Returns whether that was it."""
        self.completions[sample_index] = completion
        is_last = len(self.completions) == self.params.n
        if is_last:
            self.future.set_result(self.output())
        return is_last

    def output(self) -> RequestOutput:
        """All completions in sample order, with their cost: the prompt is read once."""
        completions = [self.completions[i] for i in range(self.params.n)]
        generated = sum(len(completion.token_ids) for completion in completions)
        cost = Cost(
            prompt_tokens=len(self.prompt_ids),
            reused_tokens=self.reused_tokens,
            generated_tokens=generated,
            forward_passes=1 + generated - len(completions),  # a prefill gives every first token
            num_prompts=1,
        )
        return RequestOutput(self.prompt_ids, completions, cost)


@dataclass(eq=False)
class Row:
    """The part of a live row that is not a tensor: whose sample it is, and its text so far."""

    request: Request
    sample_index: int
    text: bytearray = field(default_factory=bytearray)  # kept only where stop strings are given
    stop_at: int | None = None  # where in `text` a stop string begins
    top_logprobs: list[dict[int, float]] = field(default_factory=list)

    def find_stop(self, token_bytes: bytes) -> None:
        """Add a token's bytes, and set `stop_at` if they complete a stop string."""
        stops = [stop.encode("utf-8") for stop in self.request.params.stop]
        seen = max(0, len(self.text) - max(map(len, stops)) + 1)
        self.text += token_bytes
        found = [position for stop in stops if (position := self.text.find(stop, seen)) >= 0]
        self.stop_at = min(found, default=None)
