"""One problem, as techniques and graders see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

SPLITS = ("test", "dev", "train")  # of generated sets


@dataclass(frozen=True)
class Problem:
    """One question with its gold answer.

    answer     gold; None in the copy that a technique gets
    id         unique within its set
    source     the set it comes from
    metadata   whatever else the set says about it; may give the answer away (worked solutions)
    """

    question: str
    answer: str | None
    id: str = ""
    source: str = ""
    metadata: dict = field(default_factory=dict, hash=False)

    def without_answer(self) -> Problem:
        """What a technique may see: no gold answer, and no metadata that might contain it."""
        return replace(self, answer=None, metadata={})


def check_split(name: str, split: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless the set has this split."""
    if split not in allowed:
        raise ValueError(f"{name} has no split {split!r}, only {', '.join(allowed)}")
