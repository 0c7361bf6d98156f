"""Text to token ids and back, and chat messages to a prompt, from a folder in the hub's layout."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.files.json_files import is_whole, read_json, require
from shared.text.added_tokens import TokenFinder
from shared.text.byte_pairs import QWEN_PATTERN, BytePairs
from shared.text.chat_template import ChatOptions, render_chat, render_prompt
from shared.text.disguise import THINK_TAGS, Message
from shared.text.folder_template import (
    CHATML_TOKENS,
    Frame,
    check_template,
    frame_of,
    read_chat_template,
)
from shared.text.tokenizer_files import MAX_ID, Vocabulary, read_vocabulary

__all__ = ["QWEN_PATTERN", "Tokenizer"]

BRACKETED = re.compile(r"<.+>|\[.+\]")


class Tokenizer:
    """Byte-level BPE with special tokens and a chat template. Make one with `from_folder`.

    `vocab_size` is the highest token id + 1. A model may have more rows in its embedding matrix
    (Qwen: 151,936 for 151,665 tokens); where the folder's config.json says so, those ids are
    valid and stand for no text. `chat_template` is Jinja, or None for plain ChatML.
    """

    def __init__(
        self, vocabulary: Vocabulary, chat_template: str | None = None, model_rows: int = 0
    ) -> None:
        """Build from a checked vocabulary; `model_rows` is the model's own vocab_size."""
        added = vocabulary.added
        self.chat_template = chat_template
        self.special_tokens = {text: token.id for text, token in added.items() if token.special}
        self.eos_token = vocabulary.names.get("eos_token")
        self.pad_token = vocabulary.names.get("pad_token")
        self._names = vocabulary.names
        self._ids = {text: token.id for text, token in added.items()}
        self._nfc = vocabulary.nfc
        self._pairs = BytePairs(vocabulary.ids, vocabulary.merges, vocabulary.pattern)
        verbatim = {text: token for text, token in added.items() if not token.normalized}
        self._verbatim = TokenFinder(verbatim)
        self._normalized = TokenFinder(
            {self._normalize(text): added[text] for text in added.keys() - verbatim.keys()}
        )
        self._bytes = {token.id: text.encode("utf-8") for text, token in added.items()}
        self._bytes |= self._pairs.bytes_of
        self.vocab_size = max(self._bytes) + 1
        self._rows = max(model_rows, self.vocab_size)

    @classmethod
    def from_folder(cls, folder: str | Path) -> "Tokenizer":
        """Read and check the tokenizer files of a folder.

        Raises FileNotFoundError where they are missing, and ValueError for one that is damaged or
        not supported, naming the file and the entry.
        """
        folder = Path(folder)
        config = read_json(folder / "tokenizer_config.json", optional=True)
        vocabulary = read_vocabulary(folder, config)
        template, path = read_chat_template(folder, config)
        if template is not None:
            check_template(template, path, vocabulary.names, vocabulary.added)
        path = folder / "config.json"
        rows = read_json(path, optional=True).get("vocab_size", 0)
        require(is_whole(rows, 0, MAX_ID + 1), path, "vocab_size", rows, "a number of tokens")
        return cls(vocabulary, template, model_rows=rows)

    @property
    def eos_token_id(self) -> int | None:
        """Id of the token that ends a turn, or None where the folder names none."""
        return None if self.eos_token is None else self._ids[self.eos_token]

    @property
    def pad_token_id(self) -> int | None:
        """Id of the padding token, or None where the folder names none."""
        return None if self.pad_token is None else self._ids[self.pad_token]

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Token ids of `text`; `<|im_end|>` and its like are tokens only with `allow_special`."""
        return self._encode(text, allow_special, letters={})

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token: UTF-8 that may start or end inside a character.

        b"" for an id that the model has but the tokenizer does not use. Raises ValueError for an
        id that neither has.
        """
        if not 0 <= token_id < self._rows:
            raise ValueError(f"token id {token_id} is outside 0..{self._rows - 1}")
        return self._bytes.get(token_id, b"")

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
        """The prompt for `messages`: what the folder's own template makes of them.

        Each message is {"role": "system" | "user" | "assistant", "content": str}; an assistant one
        may carry "reasoning_content", and other roles and entries are the template's business.
        `enable_thinking=False` makes Qwen3 answer at once; other models ignore it. With
        `continue_final_message` the prompt is that of the messages before the last, followed by
        the last one's content as it is: what the model would have before it had it written that
        content itself. Raises ValueError for messages that cannot be rendered.
        """
        options = self._options(add_generation_prompt, enable_thinking, continue_final_message)
        return render_chat(self.chat_template, messages, options)

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
        if self.chat_template is None and (missing := set(CHATML_TOKENS) - self._ids.keys()):
            raise ValueError(f"this vocabulary has no chat tokens: {sorted(missing)} missing")
        options = self._options(add_generation_prompt, enable_thinking, continue_final_message)
        # For example "<|im_start|>user\nWhat is ...<|im_end|>\n<|im_start|>assistant\n". There are
        # `letters` only if a message contains the text of a special token.
        prompt = render_prompt(self.chat_template, messages, options, self._control_tokens())
        return self._encode(prompt.disguised, True, prompt.letters)

    @property
    def end_of_turn_ids(self) -> list[int]:
        """Ids of the tokens that end a reply: the template's own, and the one named eos_token."""
        text = self._frame().after_reply
        found = [token for token in self._control_tokens() - THINK_TAGS if token in text]
        ends = sorted(found, key=lambda token: (text.index(token), -len(token)))[:1]
        return sorted({self._ids[end] for end in ends} | ({self.eos_token_id} - {None}))

    def _frame(self) -> Frame:
        return frame_of(self.chat_template, tuple(self._names.items()))

    def _control_tokens(self) -> set[str]:
        """The special tokens, and those that the template writes though they are not listed so."""
        text = self._frame().text
        written = {token for token in self._ids if BRACKETED.fullmatch(token) and token in text}
        return self.special_tokens.keys() | (written - THINK_TAGS)

    def _options(self, generate: bool, enable_thinking: bool, continue_final: bool) -> ChatOptions:
        return ChatOptions(self._names, generate, enable_thinking, continue_final)

    def _normalize(self, text: str) -> str:
        return unicodedata.normalize("NFC", text) if self._nfc else text

    def _encode(self, text: str, allow_special: bool, letters: dict[int, str]) -> list[int]:
        """Token ids of a text in which `letters` stand for others, so as to hide special tokens.

        Added tokens become their ids; the text between them goes through byte-pair encoding. It is
        normalised piece by piece: a combining mark after `<|im_end|>` must not join its ">".
        """
        ids: list[int] = []
        for piece in self._verbatim.split(text, allow_special):
            if isinstance(piece, int):
                ids.append(piece)
                continue
            for part in self._normalized.split(self._normalize(piece), allow_special):
                if isinstance(part, int):
                    ids.append(part)
                else:
                    ids += self._pairs.encode(self._normalize(part.translate(letters)))
        return ids
