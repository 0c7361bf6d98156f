"""Added tokens: texts that a vocabulary knows as a whole, beside its byte pairs.

Special ones (`<|im_end|>`) are matched only on demand, because a user may write about them. The
others (Qwen3's `<think>`) are words of the vocabulary and matched wherever they stand. The flags
mean what they mean in the `tokenizers` library.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import regex

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
WORD = regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]")


class AddedToken(NamedTuple):
    """An added token's id and flags.

    `normalized` ones are looked for in text that has been normalised; `lstrip` and `rstrip` ones
    take the white space on their left or right with them; `single_word` ones must not touch a
    letter or digit.
    """

    id: int
    special: bool
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False


class TokenFinder:
    """Splits texts at added tokens."""

    def __init__(self, tokens: dict[str, AddedToken]) -> None:
        """Find the texts that are the keys of `tokens`."""
        self._tokens = tokens
        self._pattern = re.compile(any_of(tokens))

    def split(self, text: str, allow_special: bool) -> Iterator[str | int]:
        """The ids of the tokens and the texts between them, in order."""
        done = 0
        for match in self._pattern.finditer(text):
            token = self._tokens[match[0]]
            start, end = match.span()
            if token.special and not allow_special:
                continue
            if token.single_word and touches_word(text, start, end):
                continue
            if token.lstrip:
                start = done + len(text[done:start].rstrip(WHITE_SPACE))
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip(WHITE_SPACE))
            if done < start:
                yield text[done:start]
            yield token.id
            done = end
        if done < len(text):
            yield text[done:]


def touches_word(text: str, start: int, end: int) -> bool:
    """Whether the letter before `start` or the one at `end` belongs to a word."""
    return bool((start > 0 and WORD.match(text, start - 1)) or WORD.match(text, end))


def any_of(texts) -> str:
    """A regular expression for any of `texts`: at each position the longest that fits."""
    choices = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    return f"(?:{choices or '(?!)'})"  # (?!) never matches
