"""Does a text repeat itself forever? Small models do, and thinking ones that are decoded greedily.

A loop is one passage, repeated to the letter up to the end of the text. It is looked for every
`CHECK_EVERY` tokens of a text, whatever else is being generated, and it must be so long that no
text which would still end rightly is cut. Of 3,700 texts of a real Qwen that ended by themselves
(`shared/pools`), none repeats a passage over more than 34 tokens. Tables are another matter: right
answers to the grid puzzles of reasoning-gym repeat a row over up to 800 tokens. But such a row has
few different tokens, 9 at most, so passages like that must go on for longer.
"""

from __future__ import annotations

import numpy as np

CHECK_EVERY = 32  # tokens between two checks of a text
WINDOW = 4_096  # tokens at the end of a text that are checked
REPEATS = 4  # times that the run must stand there
LOOP_TOKENS = 256  # that the repeats must cover together ...
FEW_KINDS = 12  # ... or, if the run has fewer different tokens than this,
TABLE_TOKENS = 1_024  # so many
PROBE = 16  # tokens by which most periods are ruled out


def is_looping(ids: list[int] | np.ndarray) -> bool:
    """Whether a text ends in one run of tokens repeated over and over; see the module."""
    tail = np.asarray(ids[-WINDOW:])
    if len(tail) < LOOP_TOKENS:
        return False
    periods = np.arange(1, len(tail) // REPEATS + 1)
    for back in range(1, PROBE + 1):  # does the token so far back stand one period earlier too?
        periods = periods[tail[-back - periods] == tail[-back]]
    for period in periods.tolist():
        is_few = len(set(tail[-period:].tolist())) < FEW_KINDS
        covered = max(REPEATS * period, TABLE_TOKENS if is_few else LOOP_TOKENS)
        run = tail[-covered:]
        if len(run) == covered and np.array_equal(run[period:], run[:-period]):
            return True
    return False
