"""A Python session for a model, in the sandbox: `context`, `llm_query(text)`, `FINAL(answer)`.

    session = Repl("a long text", limit=4)
    session.run("print(len(context))", ask)     # Ran(output="11\n", final=None, questions=[])

`ask` answers the texts that the code passes to `llm_query`. The code runs in the sandbox alone,
which has no channel to the outside: it stops at a new question, and all cells run again once the
answer is known (`repl_inside.py`). Each run has the sandbox's seconds of CPU time, so a session is
for short programs. A program that differs from run to run, say by the order of a set, may ask more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.sandbox.run import NO_VALUE, call_function

INSIDE = (Path(__file__).parent / "repl_inside.py").read_text(encoding="utf-8")
UNDONE = "The block took too long, needed too much memory or ended Python. It was undone."


@dataclass(frozen=True)
class Answer:
    """A reply to a text, or the reason why there is none."""

    reply: str = ""
    error: str = ""


@dataclass(frozen=True)
class Ran:
    """What a cell printed; the answer it gave to FINAL, if any; and what it asked for the first
    time."""

    output: str
    final: str | None
    questions: list[str] = field(default_factory=list)


class Repl:
    """A session whose code may ask at most `limit` different questions."""

    def __init__(self, context: str, limit: int) -> None:
        self.context = context
        self.limit = limit
        self.cells: list[str] = []
        self.answers: dict[str, dict] = {}

    def run(self, cell: str, ask: Callable[[str], Answer]) -> Ran:
        """Run a cell, answering its questions; its variables stay unless it had to be undone.

        Raises RuntimeError where the sandbox does not start.
        """
        questions: list[str] = []
        while True:
            calls_left = self.limit - len(self.answers)
            arguments = [self.context, [*self.cells, cell], self.answers, calls_left]
            (result,) = call_function(INSIDE, "run_cells", [arguments])
            if not is_result(result):
                return Ran(UNDONE, None, questions)
            question = result["question"]
            if question is None or calls_left < 1:  # the second: no reply can get around the limit
                self.cells.append(cell)
                return Ran(result["output"], result["final"], questions)
            questions.append(question)
            self.answers[question] = vars(ask(question))


def is_result(value: object) -> bool:
    """Whether a value has the form of a result. The code shares a process with what makes it, so
    it may have sent anything."""
    if value is NO_VALUE or not isinstance(value, dict):
        return False
    return isinstance(value.get("output"), str) and all(
        name in value and isinstance(value[name], str | None) for name in ("question", "final")
    )


def truncated(text: str, length: int) -> str:
    """The beginning of a text, and how many characters were cut off."""
    if len(text) <= length:
        return text
    return f"{text[:length]}\n... ({len(text) - length} more characters were cut off)"
