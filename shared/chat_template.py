"""Chat messages to a prompt: the folder's own Jinja template, rendered in a sandbox.

A message may contain the letters of a special token such as `<|im_end|>`. To tell the template's
own tokens from such letters, a chat that has any is rendered twice: as it is, and in disguise.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from shared.disguise import Disguise, Message, copied
from shared.json_files import read_text, require
from shared.template_sandbox import TemplateRefusal, compile_template, render_template

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
REASONING = ("reasoning_content", "thinking", "reasoning")
CHATML = (  # for a folder without a template
    "{% for message in messages %}"
    "{% if message.role not in ['system', 'user', 'assistant'] or message.tool_calls %}"
    "{{ raise_exception('without a template, a message is by system, user or assistant and ' "
    "'uses no tools') }}{% endif %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
QUESTION, REPLY = "What is probe 7481?", "It is probe 9263."
MAX_TEMPLATE_LENGTH = 1 << 20


class ChatOptions(NamedTuple):
    """What a chat is rendered with, beside its messages."""

    names: dict[str, str]  # "eos_token" and its like, which a template may write
    add_generation_prompt: bool = True
    enable_thinking: bool = True
    continue_final_message: bool = False


class Prompt(NamedTuple):
    """A rendered chat, and the same with the special tokens that messages contain disguised."""

    text: str
    disguised: str
    letters: dict[int, str]  # for str.translate: what each of the replaced letters was


# --- Rendering ------------------------------------------------------------------------------------


def render_chat(template: str | None, messages: list[Message], options: ChatOptions) -> str:
    """The prompt for `messages`. Raises ValueError for messages that cannot be rendered."""
    check_messages(messages, options.continue_final_message)
    return _render(template, plain(messages), options)


def render_prompt(
    template: str | None, messages: list[Message], options: ChatOptions, special: Iterable[str]
) -> Prompt:
    """The prompt for `messages`, in which special tokens are told from letters in a message.

    Raises what `render_chat` raises, and ValueError where the two cannot be told apart.
    """
    text = render_chat(template, messages, options)
    messages = plain(messages)
    disguise = Disguise(special, used=text + json.dumps(messages, ensure_ascii=False))
    disguised_messages = disguise.of(messages)
    if not disguise.letters:
        return Prompt(text, text, {})
    disguised = _render(template, disguised_messages, options)
    if disguised.translate(disguise.letters) == text:
        return Prompt(text, disguised, disguise.letters)
    if _render(template, disguise.removed_from(messages), options) == text:
        return Prompt(text, text, {})  # the template itself takes such tokens out
    raise ValueError(
        "a message contains a special token, which the chat template treats in a way of its own; "
        f"take it out of the message: {disguise.tokens_in(messages)}"
    )


def _render(template: str | None, messages: list[Message], options: ChatOptions) -> str:
    if options.continue_final_message:
        return _render_open(template, messages, options)
    text = _run(template, messages, options)
    for n, message in enumerate(messages):
        if message["role"] not in ("system", "user", "assistant"):
            content = f"{message.get('content', '')}{REPLY}"
            changed = [*messages[:n], message | {"content": content}, *messages[n + 1 :]]
            if _run(template, changed, options) == text:
                raise ValueError(
                    f"message {n} has the role {message['role']!r}, which the chat template "
                    "leaves out"
                )
    return text


def _render_open(template: str | None, messages: list[Message], options: ChatOptions) -> str:
    """The prompt whose last message is still being written."""
    *earlier, last = messages
    options = options._replace(continue_final_message=False, add_generation_prompt=True)
    closed = options._replace(add_generation_prompt=False)
    if earlier:
        opened = _render(template, earlier, options)
        if opened != _render(template, earlier, closed):
            return opened + last["content"]
    # The template has nothing special for a reply to come: cut off what it writes after one.
    marked = {**last, "content": last["content"] + REPLY}
    before, found, _ = _render(template, [*earlier, marked], closed).rpartition(REPLY)
    if not found:
        raise ValueError("the chat template leaves out the message that is to be continued")
    return before


def _run(template: str | None, messages: list[Message], options: ChatOptions) -> str:
    variables = {
        **options.names,
        "messages": messages,
        "tools": None,
        "documents": None,
        "add_generation_prompt": options.add_generation_prompt,
        "enable_thinking": options.enable_thinking,
    }
    program = compile_template(CHATML if template is None else template)
    try:
        return render_template(program, variables)
    except TemplateRefusal as refusal:
        raise ValueError(f"the chat template refuses these messages: {refusal}") from refusal
    except ValueError as error:
        raise ValueError(f"the chat template fails on these messages: {error}") from error


# --- Messages -------------------------------------------------------------------------------------


def check_messages(messages: list[Message], continue_final: bool) -> None:
    """Raise ValueError, saying which message and why, unless `messages` is a chat."""
    if not messages:
        raise ValueError("a chat needs at least one message")
    for n, message in enumerate(messages):
        if problem := problem_with(message):
            raise ValueError(f"message {n} {problem}: {message!r}")
    last = messages[-1]
    is_open = last["role"] == "assistant" and isinstance(last.get("content"), str)
    if continue_final and (not is_open or any(last.get(name) for name in REASONING)):
        raise ValueError(
            "continue_final_message needs an assistant message at the end, with all of its text, "
            "reasoning too, in 'content'"
        )


def plain(messages: list[Message]) -> list[Message]:
    """Copies of the messages as transformers hands them to a template.

    Entries that are None are left out, and reasoning stands under each of the names for it.
    """
    copies = []
    for message in messages:
        copy = {key: copied(value) for key, value in message.items() if value is not None}
        reasoning = next((copy[name] for name in REASONING if name in copy), None)
        if reasoning is not None:
            copy = {"thinking": reasoning, **copy, "reasoning_content": reasoning}
        copies.append(copy)
    return copies


def problem_with(message: Message) -> str | None:
    """Why this is no message, or None if it is one."""
    if not isinstance(message, dict):
        return "is not a dict with 'role' and 'content'"
    if not isinstance(message.get("role"), str) or not message["role"]:
        return "has no 'role' that is a str"
    if not isinstance(message.get("content"), str) and not message.get("tool_calls"):
        return "has no 'content' that is a str"
    return None


# --- The folder's template ------------------------------------------------------------------------


def read_chat_template(folder: Path, config: dict[str, Any]) -> tuple[str | None, Path]:
    """The folder's template and its file: chat_template.jinja, else tokenizer_config.json.

    Raises ValueError for an entry that is no template. Several templates without a "default" give
    one that refuses every chat, as transformers does.
    """
    path = folder / "chat_template.jinja"
    if path.exists():
        return read_text(path), path
    path = folder / "tokenizer_config.json"
    template = config.get("chat_template")
    if isinstance(template, list):
        named: dict[str, str] = {}
        for n, entry in enumerate(template):
            fits = isinstance(entry, dict) and isinstance(entry.get("name"), str)
            fits = fits and isinstance(entry.get("template"), str)
            require(fits, path, f"chat_template[{n}]", entry, "an object with name and template")
            named[entry["name"]] = entry["template"]
        refusal = f"the folder has several templates, none of them called default: {sorted(named)}"
        template = named.get("default", f"{{{{ raise_exception({json.dumps(refusal)}) }}}}")
    is_text = template is None or isinstance(template, str)
    require(is_text, path, "chat_template", template, "a template or a list of named ones")
    return template, path


def check_template(
    template: str, path: Path, names: dict[str, str], added_tokens: Iterable[str]
) -> None:
    """Raise ValueError for a template that no chat could be rendered with, as far as a probe shows.

    A template that refuses the probe by `raise_exception` may accept others.
    """
    require(
        len(template) <= MAX_TEMPLATE_LENGTH,
        path,
        "the length of the chat template",
        len(template),
        f"{MAX_TEMPLATE_LENGTH} at most",
    )
    try:
        program = compile_template(template)
    except ValueError as error:
        raise ValueError(f"{path}: the chat template is not valid Jinja: {error}") from error
    question = {"role": "user", "content": QUESTION}
    problem = "it leaves out what the user says"
    for messages in ([question], [{"role": "system", "content": REPLY}, question]):
        variables = {**names, "messages": messages, "add_generation_prompt": True}
        try:
            text = render_template(program, variables)
        except TemplateRefusal:
            return
        except ValueError as error:
            problem = str(error)
            continue
        if QUESTION in text:
            missing = [t for t in (IM_START, IM_END) if t in text and t not in added_tokens]
            if missing:
                raise ValueError(
                    f"{path}: the chat template writes {missing[0]}, expected only special tokens "
                    "that the vocabulary has"
                )
            return
    raise ValueError(f"{path}: the chat template fails on a chat of one question: {problem}")


def text_after_reply(template: str | None, names: dict[str, str]) -> str:
    """What a template writes after an assistant's last message; "" if it renders no such chat."""
    question, reply = ({"role": "user", "content": QUESTION}, {"role": "assistant"})
    options = ChatOptions(names, add_generation_prompt=False)
    try:
        text = _run(template, [question, reply | {"content": REPLY}], options)
    except ValueError:
        return ""
    return text.rpartition(REPLY)[2]
