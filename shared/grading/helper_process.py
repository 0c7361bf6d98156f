"""Ask questions in a process that can be killed: what works on a model's text may never end.

    Helper("math_worker.py").ask("x+1", "1+x")  ->  True, False, or None if time ran out

Computer algebra has no bound of its own: `9^{9^{9^9}}` is seven characters. Bounds inside the
process do not work either: `signal.alarm` needs the main thread, and one long C call blocks
everything. So a job (a file with a function `load`) runs in another process:

    ask -> one JSON line -> the job's function -> one JSON line -> reply

- The helper imports the job's libraries once, then forks a child that answers. A child that takes
  too long is ended by `faulthandler`'s watchdog (a C thread that needs no GIL), and the next is
  forked within milliseconds. Where there is no fork (Windows), the whole helper starts anew.
- The helper ends when its parent is gone (end of input).
- It is started by path and not through `multiprocessing`, whose spawn would run the user's
  `__main__` again, nor with `-m`, which would import PyTorch through the package.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ANSWER_SECONDS = 1.2  # for one question or several that share a `TimeLeft`
START_SECONDS = 60.0
MEMORY_BYTES = 4 << 30
READY = "ready"

logger = logging.getLogger(__name__)


@dataclass
class TimeLeft:
    """What is left of the time that several questions share; `ask` counts it down."""

    seconds: float = ANSWER_SECONDS


class Helper:
    """The caller's end: starts the process when first asked, and again after it was lost.

    job: the name of a file in this folder. Its `load()` imports what the job needs and returns a
    function; `ask` gives that function's value for JSON-ready arguments.
    """

    def __init__(self, job: str, seconds: float = ANSWER_SECONDS) -> None:
        self.job = Path(__file__).with_name(job)
        self.seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        _helpers.add(self)

    def ask(self, *question: object, time_left: TimeLeft | None = None) -> object:
        """One question, one answer; None where the process ended without an answer.

        Safe to call from any thread; a call waits for the calls before it, and waiting does not
        count against `time_left`.

        Raises:
            RuntimeError: if the process cannot start.
        """
        time_left = time_left or TimeLeft(self.seconds)
        limit = min(time_left.seconds, self.seconds)
        if limit <= 0:
            return None
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._stop()
                self._process = self._start()
            started = time.monotonic()
            try:
                reply = _exchange(self._process, json.dumps([limit, *question]))
            except BaseException:
                self._stop()  # Ctrl-C before the answer: the next caller must not read it
                raise
            time_left.seconds -= time.monotonic() - started
            if not reply:
                self._stop()
                reply = "null"
        answer = json.loads(reply)
        if answer is None:
            logger.info("%s could not decide %.300r", self.job.stem, question)
        return answer

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """In a forked child: leave the parent's process alone, and the lock that it may hold."""
        self._lock = threading.Lock()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        """Start the process and wait until it has imported what it needs."""
        process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), str(self.job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",  # json.dumps escapes the rest, lone surrogates included
            # Keeps this folder off its import path, so that no module of ours hides a library's.
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        if process.stdout.readline().strip() != READY:
            _end(process)
            raise RuntimeError(
                f"the helper process for {self.job.stem} did not start: see the error above, and "
                "check that the packages in pyproject.toml are installed"
            )
        return process

    def _stop(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


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


# --- The helper's end -----------------------------------------------------------------------------


def main(job: str) -> None:
    """Load the job, then answer until input ends: a JSON line `[seconds, …]` in, one line out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    replies, sys.stdout = sys.stdout, sys.stderr  # a library's print must not enter the protocol
    logging.disable(logging.CRITICAL)  # math_verify warns that its own timeouts are off
    _limit_memory()
    with _watchdog(START_SECONDS):
        answer = runpy.run_path(job)["load"]()
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115  what scorers print concerns nobody
    print(READY, file=replies, flush=True)
    if not hasattr(os, "fork"):
        _serve(answer, replies)
        return
    while _child_gave_up(answer, replies):
        print("null", file=replies, flush=True)


def _child_gave_up(answer: Callable[..., object], replies: object) -> bool:
    """Answer in a child until input ends (False) or the child dies over a question (True)."""
    child = os.fork()
    if child == 0:
        _serve(answer, replies)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def _serve(answer: Callable[..., object], replies: object) -> None:
    for line in sys.stdin:
        seconds, *question = json.loads(line)
        with _watchdog(seconds):
            try:
                reply = answer(*question)
            except Exception:  # what a library raises on a hostile text decides nothing
                reply = None
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


def _limit_memory() -> None:
    if sys.platform == "linux":  # elsewhere the limit is missing (Windows) or ignored (macOS)
        import resource

        limits = resource.getrlimit(resource.RLIMIT_AS)
        finite = [limit for limit in limits if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([MEMORY_BYTES, *finite]), limits[1]))


_helpers: weakref.WeakSet[Helper] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for helper in list(_helpers):
        helper.close()


def _forget_all() -> None:
    for helper in list(_helpers):
        helper.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)

if __name__ == "__main__":
    main(sys.argv[1])
