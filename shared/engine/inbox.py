"""How work gets to the model thread: callers leave it here, and the thread takes it in together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.engine.model_thread import MODEL_THREAD

log = logging.getLogger(__name__)
Work = TypeVar("Work")


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
