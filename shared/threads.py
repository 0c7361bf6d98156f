"""Work on many items at once, with the results handled one by one in the calling thread.

A few lines instead of a ThreadPoolExecutor, for the sake of Ctrl-C: an executor's threads are
joined when Python exits, so it would wait for answers that nobody wants any more. These threads
are daemons: what they are in the middle of is abandoned.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


def run_threads(
    work: Callable[[Any], Any], items: list, num_threads: int, keep: Callable[[Any], None]
) -> None:
    """Call `keep(work(item))` for each item: `work` on threads, `keep` in this thread.

    Results come in the order in which they are finished. What `work` raises is raised here. On
    KeyboardInterrupt no further item is begun, and what is finished is kept before it is raised.
    """
    waiting, results, stop = queue.SimpleQueue(), queue.SimpleQueue(), threading.Event()
    for item in items:
        waiting.put(item)
    try:
        for _ in range(min(num_threads, len(items))):
            args = (work, waiting, results, stop)
            threading.Thread(target=work_until_empty, args=args, daemon=True).start()
        for _ in items:
            keep(next_result(results))
    except KeyboardInterrupt:
        while not results.empty():
            keep(next_result(results))
        raise
    finally:
        stop.set()


def work_until_empty(
    work: Callable[[Any], Any],
    waiting: queue.SimpleQueue,
    results: queue.SimpleQueue,
    stop: threading.Event,
) -> None:
    """One thread: take the next item, put its result (or what it raised) where it is awaited."""
    while not stop.is_set():
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            results.put(work(item))
        except BaseException as error:  # noqa: BLE001 - raised in the caller, which else would wait
            results.put(error)


def next_result(results: queue.SimpleQueue) -> Any:
    """Wait for the next result; raise it if it is an exception."""
    while True:
        try:
            result = results.get(timeout=0.5)  # Windows notices Ctrl-C only between waits
        except queue.Empty:
            continue
        if isinstance(result, BaseException):
            raise result
        return result
