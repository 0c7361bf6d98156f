"""How to sample: what a caller may ask of the sampler."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SamplingParams:
    """How to sample, under vLLM's names.

    n             completions per prompt
    temperature   0 is greedy: always the most likely token
    top_p         keep the most likely tokens until they hold this share (1: off)
    top_k         keep the k most likely tokens (0 or -1: off)
    min_p         keep tokens at least this likely, relative to the most likely one (0: off)
    max_tokens    generate at most this many tokens
    stop          text at which to stop; it is cut off the completion
    seed          the same seed gives the same completions whatever else is being generated (up to
                  rounding: in bfloat16 on a GPU the batch size can change a near-tie)
    ignore_eos    continue after the end-of-turn token (for benchmarks)
    logprobs      also record this many of the most likely tokens, and their log-probabilities, at
                  each step
    stop_loops    end a text that repeats itself forever (`shared/engine/loops.py`); a server
                  ignores this, and with ignore_eos nothing is cut

    Raises ValueError (or TypeError) for values that make no sense.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 512
    stop: tuple[str, ...] | list[str] | str = field(default=())
    seed: int = 0
    ignore_eos: bool = False
    logprobs: int = 0
    stop_loops: bool = True

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        object.__setattr__(self, "stop", stop)
        for name in ("n", "top_k", "max_tokens", "seed", "logprobs"):
            if not isinstance(getattr(self, name), int):
                raise TypeError(f"{name} must be a whole number, not {getattr(self, name)!r}")
        allowed = {
            "n must be at least 1": self.n >= 1,
            "temperature must be 0 (greedy) or above": 0 <= self.temperature < float("inf"),
            "top_p must be above 0 and at most 1": 0 < self.top_p <= 1,
            "top_k must be at least 1, or 0 or -1 (off)": self.top_k >= -1,
            "min_p must be from 0 to 1": 0 <= self.min_p <= 1,
            "max_tokens must be at least 1": self.max_tokens >= 1,
            "logprobs must be from 0 to 20": 0 <= self.logprobs <= 20,
            "stop must be non-empty strings": all(isinstance(s, str) and s for s in stop),
        }
        for rule, holds in allowed.items():
            if not holds:
                name = rule.split()[0]
                raise ValueError(f"SamplingParams: {rule}; got {name}={getattr(self, name)!r}")
