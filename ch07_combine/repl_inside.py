"""What runs inside the sandbox: the cells that a model wrote, with what they may use.

No other module imports this one. `repl.py` sends its text into the sandbox, and only there are the
cells executed. The process is a new one every time, so all earlier cells run again before the last
one. `llm_query` needs no channel to the outside: where an answer is not known yet, the program
stops and hands the question out as its result; the caller finds the answer and starts over.
"""

from __future__ import annotations

import ast
import contextlib
import io
import random
import traceback

CELL = "cell"  # how tracebacks call the file of a cell
MOST_CHARS = 100_000  # of the output that is handed out; the caller cuts further


class Stop(BaseException):
    """Ends a cell at a question or at FINAL. Not an Exception: `except Exception` lets it pass."""


class Session:
    """The variables of a session, and what stopped it: a question, a final answer, or nothing."""

    def __init__(self, context: str, answers: dict[str, dict], calls_left: int) -> None:
        self.answers = answers
        self.calls_left = calls_left
        self.question: str | None = None
        self.final: str | None = None
        self.variables = {"context": context, "llm_query": self.llm_query, "FINAL": self.set_final}

    @property
    def is_stopped(self) -> bool:
        """Whether a question or a final answer was handed out."""
        return self.question is not None or self.final is not None

    def llm_query(self, text: object) -> str:
        """The model's reply to a text. Raises ValueError where the caller could not ask, and
        RuntimeError where no calls are left."""
        if self.is_stopped:  # a bare `except:` caught the first Stop
            raise Stop
        text = str(text)
        if text in self.answers:
            answer = self.answers[text]
            if answer["error"]:
                raise ValueError(answer["error"])
            return answer["reply"]
        if not self.calls_left:
            raise RuntimeError("no more calls of llm_query are allowed")
        self.question = text
        raise Stop

    def set_final(self, answer: object) -> None:
        """End the session with this answer."""
        if not self.is_stopped:
            self.final = str(answer)
        raise Stop

    def run(self, cell: str) -> str:
        """Run one cell; returns what it printed and, after that, its error."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                self.execute(cell)
        except Stop:
            pass
        except BaseException as error:  # SystemExit too: the session goes on
            printed.write(describe(error))
        return printed.getvalue()

    def execute(self, cell: str) -> None:
        """Run one cell; as in Python's own shell, the value of a last expression is printed."""
        tree = ast.parse(cell, CELL)
        last = tree.body[-1:] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
        tree.body = tree.body[: len(tree.body) - len(last)]
        exec(compile(tree, CELL, "exec"), self.variables)
        exec(compile(ast.Interactive(last), CELL, "single"), self.variables)


def describe(error: BaseException) -> str:
    """An error in one line, with the line of the cell where it happened."""
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == CELL]
    where = f" (line {lines[-1]} of the block)" if lines else ""
    return f"{type(error).__name__}: {error}{where}"


def run_cells(context: str, cells: list[str], answers: dict[str, dict], calls_left: int) -> dict:
    """Run cells in order, up to a question or a final answer; the output is that of the last cell
    that ran."""
    random.seed(0)  # the same numbers each time that the cells run again
    session, output = Session(context, answers, calls_left), ""
    for cell in cells:
        output = session.run(cell)
        if session.is_stopped:
            break
    return {
        "output": output[:MOST_CHARS],
        "question": session.question,
        "final": session.final,
    }
