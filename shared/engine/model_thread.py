"""The one thread in which models run, whoever asks.

PyTorch computes with OpenMP, which keeps helper threads for every thread that computes. Once a
process has more of them than cores, GNU OpenMP lets them sleep between any two operations, and
small operations take twice as long. So no generator or scorer computes in the thread that calls it.
All hand their work to this thread, which takes turns between them (on a GPU too: it is simpler):

    MODEL_THREAD.run(lambda: model(ids))    # call it there, and wait for what it returns
    MODEL_THREAD.repeat(take_turn)          # call it there for as long as it returns True
    Inbox(take_turn).put(work)              # collect work of many callers for the next turn

The thread is there while there is work. What runs in it must not wait for other work of its own:
no `LLM.generate` or `LLM.score` there.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from shared.threads import wait_for

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Work = TypeVar("Work")


class ModelThread:
    """A queue of tasks and the thread that calls them; any thread may add some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._tasks: deque[Callable[[], bool]] = deque()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[[], Result]) -> Result:
        """What `function` returns or raises when it is called in the thread.

        Whoever is interrupted while it waits takes it back, unless it has begun.
        """
        if threading.current_thread() is self._thread:
            return function()
        future: Future = Future()

        def task() -> bool:
            """Call it once."""
            if not future.set_running_or_notify_cancel():
                return False
            try:
                future.set_result(function())
            except BaseException as error:  # the caller gets it, and the thread continues
                future.set_exception(error)
            return False

        self.repeat(task)
        try:
            return wait_for(future)
        finally:
            future.cancel()  # of no effect if it has begun

    def repeat(self, task: Callable[[], bool]) -> None:
        """Call `task` in turn with others for as long as it returns True.

        It should not raise: an error has no caller to go to. It is logged, and the task is dropped.
        """
        with self._lock:
            if self._thread is None:
                # Not a daemon, even if the caller is: Python must not end while it frees tensors.
                thread = threading.Thread(target=self._work, name="models", daemon=False)
                thread.start()  # it waits for the lock
                self._thread = thread
            self._tasks.append(task)

    def _work(self) -> None:
        """Call the tasks in turn until none is left."""
        while True:
            with self._lock:
                if not self._tasks:
                    self._thread = None
                    return
                task = self._tasks.popleft()
            try:
                again = task()
            except BaseException:
                log.exception("a task of the model thread failed")
                again = False
            if again:
                with self._lock:
                    self._tasks.append(task)


MODEL_THREAD = ModelThread()


class Inbox(Generic[Work]):
    """Work from any number of threads for one function, which runs in the model thread.

    `take_turn` gets what has arrived since its last call. It is called again, even if nothing has
    arrived, for as long as it returns True. It should not raise: it answers its callers itself.
    """

    def __init__(self, take_turn: Callable[[list[Work]], bool]) -> None:
        self._take_turn = take_turn
        self._lock = threading.Lock()  # guards the two below
        self._arrived: list[Work] = []
        self._is_scheduled = False  # whether the model thread will take another turn

    def put(self, work: Work) -> None:
        """Leave work for the next turn."""
        with self._lock:
            self._arrived.append(work)
            if not self._is_scheduled:
                MODEL_THREAD.repeat(self._turn)
                self._is_scheduled = True

    def _turn(self) -> bool:
        """In the model thread: one turn. Returns whether there may be another."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
        try:
            has_more = self._take_turn(arrived)
        except BaseException:
            log.exception("work for the model thread failed, and its callers were not told")
            has_more = False
        with self._lock:
            self._is_scheduled = has_more or bool(self._arrived)
            return self._is_scheduled
