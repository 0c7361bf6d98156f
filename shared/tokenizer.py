"""Text to token ids and back, and chat messages to a prompt, from a folder in the hub's layout.

The vocabulary is the hub's byte-level BPE, run by `tiktoken`; the chat format is that of Qwen2.5,
Qwen3 (thinking on or off) or plain ChatML, told apart by the folder's own chat template.

Two kinds of added tokens are kept apart, as in transformers' `split_special_tokens=True`:

- special ones (`<|im_end|>`) are matched in text only on demand: a user may write about them;
- the others (Qwen3's `<think>`) are ordinary words of the vocabulary, matched wherever they stand.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tiktoken

from shared.chat_template import (
    IM_END,
    IM_START,
    Marker,
    Message,
    check_messages,
    mark_thinking,
    read_chat_style,
    read_chat_template,
    render_chat,
)
from shared.json_files import read_json
from shared.tokenizer_files import (
    QWEN_PATTERN,
    Vocabulary,
    added_tokens_of,
    read_vocabulary,
)

__all__ = ["QWEN_PATTERN", "Tokenizer"]


class Tokenizer:
    """Byte-level BPE with special tokens and a chat format. Make one with `from_folder`.

    `vocab_size` is the highest token id + 1. A model may have more rows in its embedding matrix
    (Qwen: 151,936 for 151,665 tokens); where the folder's config.json says so, those ids are
    valid and stand for no text.
    """

    def __init__(
        self, vocabulary: Vocabulary, config: dict[str, Any] | None = None, model_rows: int = 0
    ) -> None:
        """Build from `vocabulary` and the contents of a tokenizer_config.json.

        `model_rows` is the model's own vocab_size. Raises ValueError for a vocabulary that is not
        a complete byte-level BPE.
        """
        config = config or {}
        self._ids = {text: token_id for text, (token_id, _) in vocabulary.added.items()}
        special = {text for text, (_, is_special) in vocabulary.added.items() if is_special}
        self.special_tokens = {text: i for text, i in self._ids.items() if text in special}
        self.chat_template: str | None = config.get("chat_template")
        self.eos_token = self._named_token(config, "eos_token")
        self.pad_token = self._named_token(config, "pad_token")

        bpe_ids = {text: i for text, i in vocabulary.ids.items() if text not in self._ids}
        ranks, self._id_of_rank = merge_ranks(bpe_ids, vocabulary.merges)
        self._bpe = make_bpe(ranks, vocabulary.pattern)
        self._nfc = vocabulary.nfc
        self._bytes = bytes_by_id(bpe_ids, self._ids, model_rows)
        self.vocab_size = max([*bpe_ids.values(), *self._ids.values()]) + 1
        self._split_words = splitter(self._ids.keys() - special)
        self._split_all = splitter(self._ids)

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Tokenizer":
        """Read tokenizer.json, or vocab.json and merges.txt where there is none.

        tokenizer.json comes first because it alone records the splitting pattern and whether text
        is normalised. Raises FileNotFoundError or ValueError, naming the file at fault.
        """
        folder = Path(folder)
        config = read_json(folder / "tokenizer_config.json", optional=True)
        vocabulary = read_vocabulary(folder)
        vocabulary.added.update(added_tokens_of(config))
        config["chat_template"] = read_chat_template(folder, config)
        rows = read_json(folder / "config.json", optional=True).get("vocab_size", 0)
        try:
            return cls(vocabulary, config, model_rows=rows)
        except ValueError as error:
            raise ValueError(f"{folder}: {error}") from error

    @property
    def eos_token_id(self) -> int | None:
        """Id of the token that ends a turn, or None where the folder names none."""
        return None if self.eos_token is None else self._ids[self.eos_token]

    @property
    def end_of_turn_ids(self) -> list[int]:
        """Ids of the tokens that end a turn of a chat: the folder's own, and ChatML's."""
        ids = {self.eos_token_id, self._ids.get(IM_END)} - {None}
        return sorted(ids)

    @property
    def pad_token_id(self) -> int | None:
        """Id of the padding token, or None where the folder names none."""
        return None if self.pad_token is None else self._ids[self.pad_token]

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Token ids of `text`; `<|im_end|>` and its like are tokens only with `allow_special`."""
        splits = (self._split_all if allow_special else self._split_words).split(text)
        ids: list[int] = []
        for position, piece in enumerate(splits):  # added tokens stand at the odd positions
            ids += [self._ids[piece]] if position % 2 else self._encode_words(piece)
        return ids

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token: UTF-8 that may start or end inside a character.

        b"" for an id that the model has but the tokenizer does not use. Raises ValueError for an
        id that neither has.
        """
        if not 0 <= token_id < len(self._bytes):
            raise ValueError(f"token id {token_id} is outside 0..{len(self._bytes) - 1}")
        return self._bytes[token_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`, special tokens included; an incomplete character becomes U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def decode_stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield text as soon as its characters are complete; joined, it equals `decode(ids)`."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for token_id in ids:
            if text := decoder.decode(self.token_bytes(token_id)):
                yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    def apply_chat_template(
        self,
        messages: list[Message],
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> str:
        """The prompt for `messages`, to the letter what the folder's own template makes of them.

        Each message is {"role": "system" | "user" | "assistant", "content": str}; an assistant one
        may carry "reasoning_content". `enable_thinking=False` makes Qwen3 answer at once; other
        models ignore it. With `continue_final_message` the prompt is that of the messages before
        the last, followed by the last one's content as it is: what the model would have before it
        had it written that content itself. Raises ValueError for messages or a template that
        cannot be rendered.
        """
        parts = self._render(
            messages, add_generation_prompt, enable_thinking, continue_final_message
        )
        return "".join(parts)

    def encode_chat(
        self,
        messages: list[Message],
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> list[int]:
        """Token ids of the prompt that `apply_chat_template` makes.

        Only the template's own `<|im_start|>` and `<|im_end|>` become special tokens: the same
        letters inside a message stay text. `<think>` and `</think>` become tokens in the
        template's and the assistant's text, where the vocabulary has them.
        """
        if missing := {IM_START, IM_END} - self._ids.keys():
            raise ValueError(f"this vocabulary has no chat tokens: {sorted(missing)} missing")
        ids: list[int] = []
        text = ""  # joined before it is encoded: a merge may span what template and user wrote
        for part in self._render(
            messages, add_generation_prompt, enable_thinking, continue_final_message
        ):
            if isinstance(part, Marker) and part in self._ids:
                ids += [*self.encode(text), self._ids[part]]
                text = ""
            else:
                text += part
        return ids + self.encode(text)

    def _named_token(self, config: dict[str, Any], name: str) -> str | None:
        token = config.get(name)
        token = token["content"] if isinstance(token, dict) else token  # older folders' form
        if token is not None and token not in self._ids:
            raise ValueError(f"{name} {token!r} is not among the added tokens")
        return token

    def _encode_words(self, text: str) -> list[int]:
        # Normalised piece by piece: a combining mark after `<|im_end|>` must not join its ">".
        text = unicodedata.normalize("NFC", text) if self._nfc else text
        return [self._id_of_rank[rank] for rank in self._bpe.encode_ordinary(text)]

    def _render(
        self, messages: list[Message], generate: bool, enable_thinking: bool, continue_final: bool
    ) -> list[str]:
        check_messages(messages, continue_final)
        style = read_chat_style(self.chat_template)
        if not continue_final:
            return render_chat(messages, style, generate, enable_thinking)
        opening = render_chat(messages[:-1], style, True, enable_thinking)
        return opening + mark_thinking(messages[-1]["content"])


# --- Byte-level BPE -------------------------------------------------------------------------------


def byte_alphabet() -> dict[str, int]:
    """The character that stands for each byte in the hub's files, so that all are printable."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    shown = {chr(byte): byte for byte in printable}
    return shown | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = byte_alphabet()


def to_bytes(token: str) -> bytes:
    """Bytes of a token that is written in the byte alphabet."""
    try:
        return bytes(BYTE_OF[character] for character in token)
    except KeyError as error:
        raise ValueError(f"token {token!r} is not written in the byte-level alphabet") from error


def merge_ranks(
    ids: dict[str, int], merges: list[tuple[str, str]]
) -> tuple[dict[bytes, int], list[int]]:
    """Ranks for tiktoken (256 bytes, then the merges in their order), and the id of each rank.

    tiktoken merges the pair whose *result* ranks best, the hub's files rank the *pairs*: the two
    agree as long as no two pairs make the same token, which is checked. Ids may come in any order.
    """
    single = [text for text in ids if len(text) == 1]
    if len(single) != 256:
        raise ValueError(f"a byte-level vocabulary has 256 one-byte tokens, not {len(single)}")
    order = single + [left + right for left, right in merges]
    unknown = {part for merge in merges for part in merge}.union(order) - ids.keys()
    if unknown:
        raise ValueError(
            f"merges with tokens that are not in the vocabulary: {sorted(unknown)[:3]}"
        )
    ranks = {to_bytes(text): rank for rank, text in enumerate(order)}
    if len(ranks) != len(order):
        raise ValueError("two merges make the same token, so the ranks of tokens are ambiguous")
    return ranks, [ids[text] for text in order]


def make_bpe(ranks: dict[bytes, int], pattern: str) -> tiktoken.Encoding:
    """A tiktoken encoding, checked to lose no text: tiktoken drops what no pattern matches."""
    bpe = tiktoken.Encoding("bpe", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    probe = "a1 é中٣\u0301_'\t \n\r\u00a0\U0001f600\0 "
    if bpe.decode(bpe.encode_ordinary(probe)) != probe:
        raise ValueError(f"the splitting pattern leaves out some characters: {pattern}")
    return bpe


def bytes_by_id(bpe_ids: dict[str, int], added_ids: dict[str, int], rows: int) -> list[bytes]:
    """Bytes of every id below `rows` (or more, where tokens need it); b"" for unused ids."""
    tokens = {token_id: to_bytes(text) for text, token_id in bpe_ids.items()}
    tokens |= {token_id: text.encode("utf-8") for text, token_id in added_ids.items()}
    return [tokens.get(token_id, b"") for token_id in range(max(rows, max(tokens) + 1))]


def splitter(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern whose `split` puts any of `texts` (the longest that fits) at odd positions."""
    choices = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    return re.compile(f"({choices or '(?!)'})")  # (?!) never matches
