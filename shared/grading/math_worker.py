"""Compare two LaTeX expressions with `math_verify`, in a process that can be killed.

Computer algebra on a model's text has no bound of its own: `9^{9^{9^9}}` is seven characters and
never ends. `math_verify` bounds itself with `signal.alarm`, which works neither in threads nor on
Windows. So a helper process does the algebra and this module holds both ends of its pipe:

    same_expression(a, b) -> guard -> one JSON line to the helper -> one JSON line back

The helper ends itself when a question takes too long (`faulthandler`'s watchdog is a C thread
that needs no GIL, on every platform) or when its parent is gone (end of input). It is started by
path and not through `multiprocessing`, whose spawn would run the user's `__main__` again, nor as
`-m shared.grading.math_worker`, which would import PyTorch through the package.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sympy import Number

ANSWER_SECONDS = 4.0
START_SECONDS = 60.0
MEMORY_BYTES = 4 << 30
MAX_CHARS = 300
MAX_DEPTH = 10  # its parser takes time exponential in the depth
READY = "ready"

logger = logging.getLogger(__name__)

# Not needed for safety (the watchdog is), but each of these would cost the whole time limit.
_TOO_BIG = re.compile(
    r"[0-9]{40}"  # a very long number
    r"|\^[\s{(]*-?[0-9]{5}"  # a power of 10,000 or more
    r"|[0-9][\s})]*\^[\s{(]*[0-9]+[\s})]*\^"  # a tower of powers
    r"|[0-9]{4}[\s})]*!|![\s})]*!"  # a factorial of 1,000 or more, or of a factorial
)


def same_expression(a: str, b: str) -> bool:
    """Whether two LaTeX expressions are equal as mathematics, decided by `math_verify`.

    Safe to call from any thread; a call waits for the calls before it. What is too long, too
    deep or too big, and what takes longer than `ANSWER_SECONDS`, counts as different.

    Raises:
        RuntimeError: if the helper process cannot start (is `math-verify` installed?).
    """
    if not (is_tractable(a) and is_tractable(b)):
        return False
    return _helper.ask(a, b)


def is_tractable(text: str) -> bool:
    """Whether an expression is small enough to be worth parsing."""
    depth = deepest = 0
    for char in text[: MAX_CHARS + 1]:
        depth += (char in "{([") - (char in "})]")
        deepest = max(deepest, depth)
    return len(text) <= MAX_CHARS and deepest <= MAX_DEPTH and not _TOO_BIG.search(text)


class Helper:
    """The caller's end: starts the process when first asked, and again after it was lost."""

    def __init__(self, seconds: float = ANSWER_SECONDS) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, a: str, b: str) -> bool:
        """One question, one answer; False where the process ended without an answer.

        Raises:
            RuntimeError: if the process cannot start.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = _start(self.seconds)
            try:
                reply = _exchange(self._process, json.dumps([a, b]))
            except BaseException:
                self._stop()  # Ctrl-C before the answer: the next caller must not read it
                raise
            if not reply:
                logger.warning("gave up comparing %r with %r: counted as different", a, b)
                self._stop()
            return bool(reply) and json.loads(reply)

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


def _start(seconds: float) -> subprocess.Popen[str]:
    """Start the process and wait until it has imported what it needs."""
    process = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="ascii",  # json.dumps escapes the rest, lone surrogates included
        # Keeps this folder off its import path, so that no module of ours hides a library's.
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    if process.stdout.readline().strip() != READY:
        _end(process)
        raise RuntimeError("the math helper did not start: is `math-verify` installed?")
    return process


def _exchange(process: subprocess.Popen[str], question: str) -> str:
    """Send a line and wait for one; empty if the process is gone."""
    try:
        process.stdin.write(question + "\n")
        process.stdin.flush()
    except OSError:  # it was killed while idle (by the system, for memory, say)
        return ""
    return process.stdout.readline()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    process.stdout.close()
    with contextlib.suppress(OSError):  # closing flushes a question that nobody reads any more
        process.stdin.close()


def main(seconds: float) -> None:
    """The helper's end: a JSON line `[a, b]` in, `true` or `false` out, until input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    replies, sys.stdout = sys.stdout, sys.stderr  # a library's print must not enter the protocol
    logging.disable(logging.CRITICAL)  # math_verify warns that its own timeouts are off
    _limit_memory()
    with _watchdog(START_SECONDS):
        verify_equal = _load_math_verify()
        _replace_eval()
    print(READY, file=replies, flush=True)
    for line in sys.stdin:
        with _watchdog(seconds):
            reply = verify_equal(*json.loads(line))
        print(json.dumps(reply), file=replies, flush=True)


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer, whatever Python is doing."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _load_math_verify() -> Callable[[str, str], bool]:
    """Import `math_verify` (https://github.com/huggingface/Math-Verify), here and nowhere else."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    # LaTeX only: `ExprExtractionConfig` hands plain expressions to SymPy, which evals them.
    # No units: its list has `c`, `d`, `m`, `t` …, so that `5x + 2t` would equal `5x + 2`.
    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
    )
    extraction = [LatexExtractionConfig(normalization_config=config)]

    def verify_equal(a: str, b: str) -> bool:
        """Whether two answers in LaTeX are equal by computer algebra."""
        x, y = (
            parse(f"${text}$", extraction, fallback_mode="no_fallback", parsing_timeout=None)
            for text in (a, b)
        )
        # It unwraps `x = 5` for one side only; both ways make the answer symmetric.
        options = {"timeout_seconds": None, "allow_set_relation_comp": True}
        return verify(x, y, **options) or verify(y, x, **options)

    return verify_equal


def _replace_eval() -> None:
    """Let SymPy read numerals without `eval`: `Number("5")` is the one place that they get to."""
    from sympy.core import numbers

    sympify = numbers.sympify
    numbers.sympify = lambda value: (
        _read_number(value) if isinstance(value, str) else sympify(value)
    )


def _read_number(text: str) -> Number:
    """The SymPy number that a numeral stands for.

    Raises:
        ValueError: for any other text.
    """
    from sympy import Float, Integer

    if not re.fullmatch(r"[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?", text):
        raise ValueError(f"not a number: {text!r}")
    return Integer(int(text)) if text.isdigit() else Float(text)


def _limit_memory() -> None:
    if sys.platform == "linux":  # elsewhere the limit is missing (Windows) or ignored (macOS)
        import resource

        limits = resource.getrlimit(resource.RLIMIT_AS)
        finite = [limit for limit in limits if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([MEMORY_BYTES, *finite]), limits[1]))


_helper = Helper()
atexit.register(_helper.close)
if hasattr(os, "register_at_fork"):  # a forked child must not share the pipe, nor a held lock
    os.register_at_fork(after_in_child=_helper.__init__)

if __name__ == "__main__":
    main(float(sys.argv[1]))
