"""Byte-level byte-pair encoding: a text is split into words, and merges join the bytes of each.

`tiktoken` does the work. Two things are seen to here so that its ids are those of the hub's
tokenizers: the order of the merges, and runs of white space that overflow its regular expressions.
"""

import re

import regex
import tiktoken

QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2_PATTERN = (  # what the hub's ByteLevel step splits by when it has no Split step before it
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
LONG_RUN = 10_000  # of white space; tiktoken's `\s+(?!\S)` fails beyond about 500,000
ONE_PIECE = r"(?s:.+)"


def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in the hub's files, so that all are printable."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    shown = {chr(byte): byte for byte in printable}
    return shown | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = byte_alphabet()
LATIN_1_OF = {ord(character): chr(byte) for character, byte in BYTE_OF.items()}


def to_bytes(token: str) -> bytes:
    """Bytes of a token that is written in the byte alphabet."""
    return token.translate(LATIN_1_OF).encode("latin-1")


class BytePairs:
    """The ids of words. `bytes_of` has the bytes of each id.

    tiktoken ranks the *results* of merges, the hub's files rank the *pairs*. The two agree for
    merges that `unreachable_merge` finds no fault with.
    """

    def __init__(self, ids: dict[str, int], merges: list[tuple[str, str]], pattern: str) -> None:
        """Take the ids of the 256 bytes and of all merges' results, in any order."""
        tokens = [*BYTE_OF, *(left + right for left, right in merges)]  # the better, the earlier
        self._pattern = pattern
        self._id_of_rank = [ids[token] for token in tokens]
        self._ranks = {to_bytes(token): rank for rank, token in enumerate(tokens)}
        self.bytes_of = dict(zip(self._id_of_rank, self._ranks))
        self._bpe = self._encoding(pattern)
        self._long_run = re.compile(rf"\s{{{LONG_RUN}}}")

    def encode(self, text: str) -> list[int]:
        """Token ids of a text without added tokens."""
        if len(text) >= LONG_RUN and self._long_run.search(text):
            bpe = self._encoding(ONE_PIECE)
            pieces = regex.findall(self._pattern, text)
            ranks = [rank for piece in pieces for rank in bpe.encode_ordinary(piece)]
        else:
            ranks = self._bpe.encode_ordinary(text)
        return [self._id_of_rank[rank] for rank in ranks]

    def _encoding(self, pattern: str) -> tiktoken.Encoding:
        return tiktoken.Encoding(
            "bpe", pat_str=pattern, mergeable_ranks=self._ranks, special_tokens={}
        )


def unreachable_merge(merges: list[tuple[str, str]]) -> int | None:
    """The first merge whose result is not what the encoding makes of that result's own bytes.

    None where there is no such merge, as in every vocabulary that was trained. A merge is at fault
    if a later one makes its parts, or if other merges come first and leave other tokens.
    """
    rank_of = {byte: rank for rank, byte in enumerate(BYTE_OF)}
    parts = [(rank, rank) for rank in range(256)]
    for n, (left, right) in enumerate(merges):
        if left not in rank_of or right not in rank_of or left + right in rank_of:
            return n
        rank_of[left + right] = len(parts)
        parts.append((rank_of[left], rank_of[right]))
    rank_of_pair = {pair: rank for rank, pair in enumerate(parts) if rank >= 256}
    for rank in range(256, len(parts)):
        if merges_across(*parts[rank], rank, parts, rank_of_pair):
            return rank - 256
    return None


def merges_across(
    left: int, right: int, limit: int, parts: list[tuple[int, int]], rank_of_pair: dict
) -> bool:
    """Whether a merge that ranks before `limit` joins the end of `left` and the start of `right`.

    The two are taken apart again, the later merge first, and at each step the tokens that meet
    at the boundary are looked at.
    """
    while rank_of_pair.get((left, right), limit) >= limit:
        if max(left, right) < 256:
            return False
        if left > right:
            limit, left = left, parts[left][1]
        else:  # of two equal pairs the left one is merged first
            limit, right = right + 1, parts[right][0]
    return True
