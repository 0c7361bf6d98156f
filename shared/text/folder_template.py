"""The chat template of a model folder: where it stands, whether it works, and what it writes."""

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from shared.files.json_files import read_text, require
from shared.text.chat_template import ChatOptions, run_template
from shared.text.template_sandbox import TemplateRefusal, compile_template, render_template

MAX_LENGTH = 1 << 20
PROBE_SECONDS = 0.2
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
SYSTEM = {"role": "system", "content": "Be probe 3806."}
QUESTION = {"role": "user", "content": "What is probe 7481?"}
REPLY = {"role": "assistant", "content": "It is probe 9263."}


class Frame(NamedTuple):
    """What a template writes around the messages of short chats, as far as it renders them."""

    text: str
    after_reply: str


def read_chat_template(folder: Path, config: dict[str, Any]) -> tuple[str | None, Path]:
    """The folder's template and its file: chat_template.jinja, else tokenizer_config.json.

    Raises ValueError for an entry that is no template. Several templates without a "default" give
    one that refuses every chat, as transformers does.
    """
    path = folder / "chat_template.jinja"
    if path.exists():
        return read_text(path), path
    if further := [file.stem for file in (folder / "chat_templates").glob("*.jinja")]:
        return no_default(further), folder / "chat_templates"
    path = folder / "tokenizer_config.json"
    template = config.get("chat_template")
    if isinstance(template, list):
        named: dict[str, str] = {}
        for n, entry in enumerate(template):
            fits = isinstance(entry, dict) and isinstance(entry.get("name"), str)
            fits = fits and isinstance(entry.get("template"), str)
            require(fits, path, f"chat_template[{n}]", entry, "an object with name and template")
            named[entry["name"]] = entry["template"]
        template = named.get("default", no_default(named))
    is_text = template is None or isinstance(template, str)
    require(is_text, path, "chat_template", template, "a template or a list of named ones")
    return template, path


def no_default(names: Iterable[str]) -> str:
    """A template that refuses every chat, for a folder that has only templates of these names."""
    refusal = f"the folder has several templates, none of them called default: {sorted(names)}"
    return f"{{{{ raise_exception({json.dumps(refusal)}) }}}}"


def check_template(
    template: str, path: Path, names: dict[str, str], added_tokens: Iterable[str]
) -> None:
    """Raise ValueError for a template that no chat could be rendered with, as far as a probe shows.

    A template that refuses the probe by `raise_exception` may accept other chats.
    """
    entry, length = "the chat template", len(template)
    require(length <= MAX_LENGTH, path, f"{entry}'s length", length, f"{MAX_LENGTH} at most")
    try:
        program = compile_template(template)
    except ValueError as error:
        require(False, path, entry, template, f"valid Jinja ({error})")
    problem = "it leaves out what the user says"
    for messages in ([QUESTION], [SYSTEM, QUESTION]):
        variables = {**names, "messages": messages, "add_generation_prompt": True}
        try:
            text = render_template(program, variables, PROBE_SECONDS)
        except TemplateRefusal:
            return
        except ValueError as error:
            problem = str(error)
            continue
        if QUESTION["content"] in text:
            missing = [t for t in CHATML_TOKENS if t in text and t not in added_tokens]
            expected = f"a vocabulary with the token {missing} that it writes"
            require(not missing, path, entry, template, expected)
            return
    require(False, path, entry, template, f"one that renders a question ({problem})")


@functools.lru_cache(maxsize=32)
def frame_of(template: str | None, names: tuple[tuple[str, str], ...]) -> Frame:
    """What a template, given the `names` of special tokens, writes around messages."""
    texts = []
    for messages in ([QUESTION], [SYSTEM, QUESTION], [QUESTION, REPLY]):
        is_open = messages[-1] is QUESTION
        options = ChatOptions(dict(names), add_generation_prompt=is_open)
        try:
            text = run_template(template, messages, options)
        except ValueError:  # another chat may be to its liking
            text = ""
        for message in messages[:-1]:
            text = text.replace(message["content"], "")
        texts.append(text.rpartition(messages[-1]["content"]))
    return Frame("".join(before + after for before, _, after in texts), texts[-1][2])
