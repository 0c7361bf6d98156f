"""The one thread in which models run, whoever asks.

PyTorch computes with OpenMP, which keeps helper threads for every thread that computes. Once a
process has more of them than cores, GNU OpenMP lets them sleep between any two operations, and
small operations take twice as long. So no generator or scorer computes in the thread that calls it.
All hand their work to this thread, which takes turns between them:

    MODEL_THREAD.run(lambda: reward_model(ids))     # call it there, and wait for what it returns
    MODEL_THREAD.repeat(llm.step)                   # call it there for as long as it returns True

The thread is there while there is work.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from shared.threads import wait_for

Result = TypeVar("Result")


class ModelThread:
    """A queue of tasks and the thread that calls them; any thread may add some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._tasks: deque[Callable[[], bool]] = deque()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[[], Result]) -> Result:
        """What `function` returns or raises when it is called in the thread."""
        if threading.current_thread() is self._thread:
            return function()
        future: Future = Future()

        def task() -> bool:
            """Call it once."""
            try:
                future.set_result(function())
            except BaseException as error:  # whoever waits gets it, and the thread goes on
                future.set_exception(error)
            return False

        self.repeat(task)
        return wait_for(future)

    def repeat(self, task: Callable[[], bool]) -> None:
        """Call `task`, which must not raise, in turn with others for as long as it returns True."""
        with self._lock:
            self._tasks.append(task)
            if self._thread is None:
                # Not a daemon, even if the caller is: Python must not end while it frees tensors.
                self._thread = threading.Thread(target=self._work, name="models", daemon=False)
                self._thread.start()

    def _work(self) -> None:
        """Call the tasks in turn until none is left."""
        while True:
            with self._lock:
                if not self._tasks:
                    self._thread = None
                    return
                task = self._tasks.popleft()
            if task():
                with self._lock:
                    self._tasks.append(task)


MODEL_THREAD = ModelThread()
