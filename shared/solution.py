"""What sampling and solving give back: completions, their cost, a solution and its evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

CUT_OFF = ("length", "loop")  # the finish reasons of texts that did not come to an end


@dataclass(frozen=True)
class Cost:
    """Compute spent; costs add up with `+`.

    prompt_tokens      of prompts, each counted once, however many samples follow
    generated_tokens   sampled, the end-of-turn token included
    scored_tokens      of given texts whose probability was looked up
    forward_passes     times that the model was run on one row: a prefill or one decoded token
    reused_tokens      the part of the prompt tokens that an earlier request had already read
    num_prompts        how many prompts that was
    """

    prompt_tokens: int = 0
    generated_tokens: int = 0
    scored_tokens: int = 0
    forward_passes: int = 0
    reused_tokens: int = 0
    num_prompts: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.prompt_tokens + other.prompt_tokens,
            self.generated_tokens + other.generated_tokens,
            self.scored_tokens + other.scored_tokens,
            self.forward_passes + other.forward_passes,
            self.reused_tokens + other.reused_tokens,
            self.num_prompts + other.num_prompts,
        )


@dataclass
class Completion:
    """One sampled continuation of a prompt.

    text            without the end-of-turn token and cut before a stop string
    token_ids       all that was sampled, the end-of-turn token or a stop string included
    logprobs        natural log of each token's probability under the model at temperature 1
    certainties     how far the model's distribution was from uniform at each token, in nats
                    (self-certainty, Kang 2025); empty where the engine does not say
    finish_reason   "stop" (end of turn or stop string), "length" (max_tokens or context reached)
                    or "loop" (its end repeats a passage over and over: `shared/engine/loops.py`)
    top_logprobs    for each token the most likely alternatives, if SamplingParams.logprobs asked
    measures        numbers measured afterwards, by name
    """

    text: str
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: str
    top_logprobs: list[dict[int, float]] = field(default_factory=list)
    certainties: list[float] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def certainty(self) -> float:
        """Self-certainty of the whole text: the mean over its tokens, in nats (Kang 2025).

        Raises ValueError where the engine, such as a server, did not say.
        """
        if not self.certainties:
            raise ValueError("self-certainty is not known: the engine gave no whole distributions")
        return sum(self.certainties) / len(self.certainties)


@dataclass
class RequestOutput:
    """All completions of one prompt, and what they cost together."""

    prompt_token_ids: list[int]
    completions: list[Completion]
    cost: Cost


@dataclass
class Solution:
    """What a technique answers, and everything it sampled on the way.

    answer        the final answer as text; None where none was found
    completions   every completion sampled
    scores        one number a completion, where the technique scored them
    trace         whatever the technique did round by round, as JSON-ready dicts
    """

    answer: str | None
    completions: list[Completion]
    cost: Cost
    scores: list[float] = field(default_factory=list)
    trace: list[dict] = field(default_factory=list)
