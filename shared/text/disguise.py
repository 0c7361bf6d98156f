"""Special tokens that somebody wrote into a message, disguised so that they stay plain letters."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from shared.text.added_tokens import any_of

PRIVATE_USE = range(0xF0000, 0xFFFFE)  # characters without a meaning
THINK_TAGS = frozenset({"<think>", "</think>"})

Message = dict[str, Any]


class Disguise:
    """Replaces the first letter of every special token in a message by an unused character.

    One character takes the place of one letter, so a template that measures, cuts or strips a
    message does with it what it does with the original. An assistant's thinking tags stay: they
    are its own.
    """

    def __init__(self, special: Iterable[str], used: str) -> None:
        """Prepare for the `special` tokens and a chat that contains the characters in `used`."""
        self.letters: dict[int, str] = {}  # what the stand-ins stand for, for str.translate
        special = set(special)
        self._by_others = tokens_anywhere(special)
        self._by_assistant = tokens_anywhere(special - THINK_TAGS)
        self._unused = (chr(code) for code in PRIVATE_USE if chr(code) not in used)
        self._stand_ins: dict[str, str] = {}

    def of(self, messages: list[Message]) -> list[Message]:
        """The messages in disguise."""
        return [self._changed(message, self._disguised) for message in messages]

    def removed_from(self, messages: list[Message]) -> list[Message]:
        """The messages without special tokens."""
        return [self._changed(message, removed) for message in messages]

    def tokens_in(self, messages: list[Message]) -> list[str]:
        """The special tokens in the messages, sorted."""
        found: set[str] = set()

        def note(pattern: re.Pattern[str], text: str) -> str:
            found.update(pattern.findall(text))
            return text

        for message in messages:
            self._changed(message, note)
        return sorted(found)

    def _changed(self, message: Message, change: Callable[[re.Pattern[str], str], str]) -> Message:
        by_assistant = message["role"] == "assistant"
        pattern = self._by_assistant if by_assistant else self._by_others
        return copied(message, lambda text: change(pattern, text))

    def _disguised(self, pattern: re.Pattern[str], text: str) -> str:
        pieces = []
        done = 0
        for match in pattern.finditer(text):
            start = match.start()
            pieces += [text[done:start], self._stand_in(text[start])]
            done = start + 1
        return "".join(pieces) + text[done:]

    def _stand_in(self, letter: str) -> str:
        if letter not in self._stand_ins:
            self._stand_ins[letter] = next(self._unused)
            self.letters[ord(self._stand_ins[letter])] = letter
        return self._stand_ins[letter]


def tokens_anywhere(tokens: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds tokens in any case, also where one begins within another.

    A template may change the case of a text, or cut it.
    """
    return re.compile(f"(?is)(?=({any_of(tokens)}))")


def removed(pattern: re.Pattern[str], text: str) -> str:
    """The text without what the pattern finds, also after pieces have moved together."""
    while match := pattern.search(text):
        text = text[: match.start()] + text[match.end(1) :]
    return text


def copied(value: Any, change: Callable[[str], str] = str) -> Any:
    """A copy of what JSON can hold, each text in it passed through `change`.

    Raises ValueError for any other object, whose methods a template might call.
    """
    if isinstance(value, str):
        return change(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [copied(item, change) for item in value]
    if isinstance(value, dict):
        return {str(key): copied(item, change) for key, item in value.items()}
    raise ValueError(f"a message holds text, numbers, lists and dicts, not {value!r}")
