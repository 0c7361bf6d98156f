"""What every place where a model runs has in common.

`LLM` (here), `RemoteLLM` (an OpenAI-compatible server) and the model inside each worker of a
`RayCluster` are an `Engine`: a technique gets one and does not know which. A `Cluster` has many
engines, and does whole questions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from shared.sampling_params import SamplingParams
from shared.solution import RequestOutput
from shared.text.prompt_types import Messages, Prompt
from shared.text.tokenizer import Tokenizer


@runtime_checkable
class Backend(Protocol):
    """What a run needs to know of the place where its model is."""

    name: str

    def identity(self) -> dict[str, str]:
        """Which model this is, for the settings of a run: the hash of its weights, or a server."""

    def cancel(self) -> None:
        """Give up on everything in flight; whoever waits for it gets a CancelledError."""


class Engine(Backend, Protocol):
    """One model, as a technique sees it. Any number of threads may call it at once.

    What a server does not give raises NotServed, with the reason, as soon as it is used.
    """

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer."""

    @property
    def stop_ids(self) -> list[int]:
        """The token ids that end a reply."""

    @property
    def max_positions(self) -> int | None:
        """The most tokens that a prompt and its completion have together; None: not known."""

    def generate(
        self, prompts: Prompt | list[Prompt], params: SamplingParams | None = None
    ) -> list[RequestOutput]:
        """Complete prompts as they stand."""

    def chat(
        self,
        messages: Messages | list[Messages],
        params: SamplingParams | None = None,
        **options: bool,
    ) -> list[RequestOutput]:
        """Reply to chats."""

    def score(self, prompt: Prompt | Messages, completion: Prompt) -> list[float]:
        """The log-probability of each token of a given completion."""

    def certainty(self, prompt: Prompt | Messages, completion: Prompt) -> list[float]:
        """The self-certainty at each token of a given completion, in nats."""


@runtime_checkable
class Cluster(Backend, Protocol):
    """Many engines that share a run's questions."""

    def run(
        self,
        work: Callable[[Engine, Any], Any],
        items: list,
        num_threads: int,
        keep: Callable[[Any], None],
        tick: Callable[[], None],
    ) -> None:
        """Call `keep(work(engine, item))` for each item, `num_threads` at once on each engine."""
