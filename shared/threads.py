"""Work on many items at once, and take care of the results one at a time.

A few lines instead of a ThreadPoolExecutor, for the sake of Ctrl-C, which Python delivers to the
main thread alone. The main thread only waits here, so no result can be lost in its hands; and the
others are daemons, which Python does not wait for at its exit as it does for an executor's.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def do_nothing() -> None:
    """Called by the waiting thread between two checks; by default it does nothing."""


def run_threads(
    work: Callable[[Any], Any],
    items: list,
    num_threads: int,
    keep: Callable[[Any], None],
    tick: Callable[[], None] = do_nothing,
) -> None:
    """Call `keep(work(item))` for each item: `work` on many threads, `keep` one call at a time.

    The calling thread waits meanwhile, and calls `tick` at least twice a second.

    Results are kept in the order in which they are finished. What either function raises is raised
    here. After this returns or raises (KeyboardInterrupt too) `keep` is not called any more: what
    threads are still in the middle of is abandoned.
    """
    waiting, done = queue.SimpleQueue(), queue.SimpleQueue()
    stopped, keeping = threading.Event(), threading.Lock()

    def keep_unless_stopped(result: Any) -> None:
        """One result at a time, and none after the end."""
        with keeping:
            if not stopped.is_set():
                keep(result)

    def work_until_empty() -> None:
        """What each thread does."""
        while not stopped.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                keep_unless_stopped(work(item))
                done.put(None)
            except BaseException as error:  # wait_for_one raises it in the caller
                done.put(error)

    for item in items:
        waiting.put(item)
    try:
        for _ in range(min(num_threads, len(items))):
            threading.Thread(target=work_until_empty, daemon=True).start()
        for _ in items:
            wait_for_one(done, tick)
    finally:
        with keeping:
            stopped.set()


def wait_for(future: Future) -> Any:
    """A future's result. (Windows notices Ctrl-C only between waits.)"""
    while True:
        try:
            return future.result(timeout=0.5)
        except TimeoutError:
            if future.done():  # meanwhile, or the error is the work's own
                return future.result()


def wait_for_one(done: queue.SimpleQueue, tick: Callable[[], None]) -> None:
    """Wait until one more item is done; raise the exception if it ended in one."""
    while True:
        tick()
        try:
            error = done.get(timeout=0.5)  # Windows notices Ctrl-C only between waits
        except queue.Empty:
            continue
        if error is not None:
            raise error
        return
