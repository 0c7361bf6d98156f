"""What does a critique say? A verdict by four short patterns.

A real model praises, doubts and repeats the question in many words. `results/labels.json` holds
one reader's labels of a hundred critiques, and a test counts how often the patterns agree. The
author of the patterns had read these critiques, so expect more mistakes on others.
"""

from __future__ import annotations

import re

QUESTION = re.compile(  # the question, said again: "To determine which step is wrong, let's ..."
    r"\bwhich (?:step|one) is wrong\b|\bidentify (?:the|any) (?:mistakes?|errors?)\b", re.I
)
DENIAL = re.compile(
    r"\b(?:no|none|nothing|not \w+ any)\b[\w ]{0,20}\b(?:wrong|incorrect|mistakes?|errors?)\b", re.I
)
FAULT = re.compile(
    r"\b(?:wrong|incorrect|mistakes?|errors?|not (?:all|right|correct)|should be|except)\b", re.I
)
PRAISE = re.compile(
    r"\b(?:all|every|both|the (?:solution|answer|steps|calculations?))\b[\w ]{0,40}"
    r"\b(?:right|correct|good|fine)\b",
    re.I,
)


def verdict(critique: str) -> str:
    """What a critique says of a draft: "wrong" (something is), "fine" (nothing is), "neither"."""
    rest, denials = DENIAL.subn("", QUESTION.sub("", critique))
    if FAULT.search(rest):
        return "wrong"
    return "fine" if denials or PRAISE.search(rest) else "neither"


def finds_nothing(critique: str) -> bool:
    """Whether a critique says that nothing is wrong. "neither" counts as a complaint."""
    return verdict(critique) == "fine"


def never(critique: str) -> bool:
    """Never stop: the gate alone decides, whatever the critique says."""
    return False
