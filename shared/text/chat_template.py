"""Chat messages to a prompt: the folder's own Jinja template, rendered in a sandbox.

A message may contain the letters of a special token such as `<|im_end|>`. To tell the template's
own tokens from such letters, a chat that has any is rendered twice: as it is, and in disguise.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

from shared.text.disguise import Disguise, Message, copied
from shared.text.template_sandbox import TemplateRefusal, compile_template, render_template

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
MARK = "[here ends message 7481]"


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
    text = run_template(template, messages, options)
    for n, message in enumerate(messages):
        if message["role"] not in ("system", "user", "assistant"):
            content = f"{message.get('content', '')}{MARK}"
            changed = [*messages[:n], message | {"content": content}, *messages[n + 1 :]]
            if run_template(template, changed, options) == text:
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
    marked = {**last, "content": last["content"] + MARK}
    before, found, _ = _render(template, [*earlier, marked], closed).rpartition(MARK)
    if not found:
        raise ValueError("the chat template leaves out the message that is to be continued")
    return before


def run_template(template: str | None, messages: list[Message], options: ChatOptions) -> str:
    """What a template makes of messages. Raises ValueError where it refuses them or fails."""
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
