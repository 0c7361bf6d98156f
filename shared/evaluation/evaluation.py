"""What an evaluation found: the records of all problems, and what follows from them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from shared.decoder.config import ModelConfig
from shared.evaluation.flops import estimate_flops
from shared.evaluation.intervals import PairedComparison, paired_bootstrap, wilson_interval
from shared.evaluation.records import Record, read_records, read_settings
from shared.solution import Cost

NUMBER = re.compile(r"0x[0-9a-f]+|[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")
REASON_LENGTH = 300  # characters of an error message that are shown; its record has all of them
NUM_REASONS = 3  # different ones that are shown at the end


@dataclass(frozen=True)
class Evaluation:
    """The records of all problems in the problems' order, and what follows from them.

    A question that ended in an error counts as wrong. `seconds` is wall clock, summed over the
    sessions that the run took.
    """

    records: list[Record]
    settings: dict
    seconds: float

    @property
    def num_correct(self) -> int:
        """Problems answered rightly."""
        return sum(record.correct for record in self.records)

    @property
    def num_errors(self) -> int:
        """Questions that ended in an exception."""
        return sum(record.error is not None for record in self.records)

    @property
    def num_undecided(self) -> int:
        """Answers that could not be compared with the gold answer; they count as wrong."""
        return sum(record.undecided for record in self.records)

    @property
    def accuracy(self) -> float:
        """Share of problems answered rightly."""
        return self.num_correct / len(self.records)

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95% interval (Wilson)."""
        return wilson_interval(self.num_correct, len(self.records))

    @property
    def cost(self) -> Cost:
        """What all problems cost together."""
        return sum((record.cost for record in self.records), Cost())

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why questions failed, each reason with the number of questions, the most frequent first.

        Messages that differ only in their numbers are one reason, shown as it first occurred.
        """
        errors = [record.error for record in self.records if record.error is not None]
        kinds = [without_numbers(error) for error in errors]
        first = dict(zip(reversed(kinds), reversed(errors)))
        return [(one_line(first[kind]), count) for kind, count in Counter(kinds).most_common()]

    @property
    def total_failure(self) -> str | None:
        """The most frequent reason, if every single question failed; else None."""
        return self.reasons[0][0] if self.num_errors == len(self.records) else None

    @property
    def failures(self) -> str | None:
        """How many questions failed, and the most frequent reasons; None if none did."""
        if not self.num_errors:
            return None
        shown = [f"{reason} ({count})" for reason, count in self.reasons[:NUM_REASONS]]
        others = len(self.reasons) - len(shown)
        more = [f"{others} other reasons"] if others else []
        total = len(self.records)
        return f"{self.num_errors} of {total} questions failed: {'; '.join(shown + more)}"

    def flops(self, config: ModelConfig) -> float:
        """Estimated floating point operations; see `estimate_flops`."""
        return sum(estimate_flops(config, r.cost, len(r.completions)) for r in self.records)

    def row(self, name: str) -> dict:
        """The point that this evaluation is in a figure of accuracy against tokens."""
        low, high = self.interval
        tokens = self.cost.generated_tokens / len(self.records)
        return {
            "name": name,
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "tokens_per_problem": tokens,
        }

    def summary_line(self) -> str:
        """One line with accuracy, its interval, and the cost; then, if there are any, the numbers
        of answers that could not be compared and of errors."""
        low, high = self.interval
        line = (
            f"accuracy {self.accuracy:.3f} [{low:.3f}, {high:.3f}]  problems {len(self.records)}  "
            f"generated tokens {self.cost.generated_tokens}  seconds {self.seconds:.1f}"
        )
        if self.num_undecided:
            line += f"  not comparable {self.num_undecided}"
        if self.num_errors:
            line += f"  errors {self.num_errors}"
        return (
            f"{line}: EVERY QUESTION FAILED: {self.total_failure}" if self.total_failure else line
        )


def without_numbers(message: str) -> str:
    """What the messages of one kind of error have in common."""
    return NUMBER.sub("0", message)


def one_line(message: str) -> str:
    """An error message without line breaks, cut where it is long."""
    message = " ".join(message.split())
    return message if len(message) <= REASON_LENGTH else message[: REASON_LENGTH - 3] + "..."


def load_evaluation(path: str | Path) -> Evaluation:
    """Read a finished evaluation back.

    Raises ValueError for a damaged file and where problems are still missing, OSError for no file.
    """
    path = Path(path)
    settings = read_settings(path)
    records = sorted(read_records(path), key=lambda record: record.index)
    if len(records) < settings["num_problems"]:  # easy problems finish first: no fair picture
        raise ValueError(
            f"{path} has {len(records)} of {settings['num_problems']} problems: finish it first"
        )
    if [record.index for record in records] != list(range(settings["num_problems"])):
        raise ValueError(
            f"{path}: index does not count from 0 to {settings['num_problems'] - 1}, once each"
        )
    return Evaluation(records, settings, max(record.elapsed for record in records))


def compare(a: Evaluation, b: Evaluation) -> PairedComparison:
    """How much better A is than B, on the same problems. Raises ValueError if they differ."""
    problems = [[(r.id, r.question) for r in evaluation.records] for evaluation in (a, b)]
    if problems[0] != problems[1]:
        raise ValueError("only evaluations on the same problems can be compared")
    return paired_bootstrap(*([r.correct for r in evaluation.records] for evaluation in (a, b)))
