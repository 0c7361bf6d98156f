"""How far a run is, on standard error: a bar in a terminal, elsewhere a line every half minute.

    with Progress(len(problems)) as progress:
        progress.add(record.correct)    # whenever a problem is finished
        progress.tick()                 # now and then, by whoever waits for the run

There is no thread behind it: without a terminal, `tick` prints when the last line is old enough.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

INTERVAL = 30.0  # seconds between two lines


class Progress:
    """Counts finished problems and shows the accuracy so far."""

    def __init__(
        self,
        total: int,
        finished: int = 0,
        right: int = 0,
        *,
        shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`finished` problems are from an earlier session, `right` of them answered correctly."""
        self._total, self._finished, self._right = total, finished, right
        self._known, self._failed = finished, 0
        self._clock = clock
        self._started = self._last_line = clock()
        shown = shown and sys.stderr is not None  # it was closed, as by 2>&-
        self._bar = tqdm(total=total, initial=finished, disable=None if shown else True)
        self._prints_lines = shown and self._bar.disable  # None disables it without a terminal

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Show the end, unless an exception says what it was."""
        self._bar.close()
        if self._prints_lines and kind is None:
            self._print_line()

    def add(self, is_right: bool, has_failed: bool = False) -> None:
        """Count one more finished problem."""
        self._finished += 1
        self._right += is_right
        self._failed += has_failed
        self._bar.set_postfix(accuracy=f"{self._right / self._finished:.3f}", refresh=False)
        self._bar.update()

    def tick(self) -> None:
        """Print a line if there is no terminal and the last line is half a minute old."""
        if self._prints_lines and self._clock() - self._last_line >= INTERVAL:
            self._print_line()

    def _print_line(self) -> None:
        """Print where the run stands, as a line for a log."""
        self._last_line = self._clock()
        spent = self._last_line - self._started
        parts = [f"{self._finished} of {self._total} problems"]
        if self._finished:
            parts.append(f"accuracy {self._right / self._finished:.3f}")
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(f"{spent:.0f} s")
        missing, solved = self._total - self._finished, self._finished - self._known
        if missing and solved:
            parts.append(f"about {missing * spent / solved:.0f} s to go")
        print(", ".join(parts), file=sys.stderr, flush=True)
