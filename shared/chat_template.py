"""Chat messages to a prompt, in the formats of Qwen2.5, Qwen3 (thinking on or off) and ChatML.

A folder's chat template is a Jinja program. We do not run it: we recognise which of the known
formats it renders, and render that in Python, in parts that keep the template's own special tokens
(`Marker`) apart from the same letters inside a message.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
THINK_TAG = re.compile(r"(</?think>)")
EMPTY_THINKING = "<think>\n\n</think>\n\n"
Message = dict[str, Any]

# What must stand in a template, once white space is taken out, for us to know how it renders.
TURN_CODE = re.compile(
    r"'<\|im_start\|>'\+message\.role\+'(\\n)?'\+(message\.)?content\+'<\|im_end\|>('\+')?(\\n)?'"
)
THINKING_CODE = r"'\n<think>\n'+reasoning_content.strip('\n')+'\n</think>\n\n'+content.lstrip('\n')"
DEFAULT_SYSTEM = re.compile(r"<\|im_start\|>system(?:\\n|\n)((?:[^'\"\\]|\\.)+?)<\|im_end\|>")


class ChatStyle(NamedTuple):
    """The two things in which the known chat templates differ."""

    thinking: bool = False
    default_system: str | None = None


class Marker(str):
    """A piece of a prompt that becomes its added token, where text of the same letters does not."""


def read_chat_template(folder: Path, config: dict[str, Any]) -> str | None:
    """The folder's template: chat_template.jinja, else the one in tokenizer_config.json."""
    if (path := folder / "chat_template.jinja").exists():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):  # several named ones
        return {t["name"]: t["template"] for t in template}.get("default")
    return template


def read_chat_style(template: str | None) -> ChatStyle:
    """Which of the known formats a chat template is; None is ChatML without a default system.

    Raises ValueError for a template of another kind: a guess would quietly prompt a model wrong.
    """
    if template is None:
        return ChatStyle()
    code = re.sub(r"\[['\"](role|content)['\"]\]", r".\1", re.sub(r"\s+", "", template))
    thinking = THINKING_CODE in code and "enable_thinkingisfalse" in code
    odd = [word for word in ("bos_token", "|trim", "strftime") if word in code]
    if not TURN_CODE.search(code) or odd or ("<think>" in code and not thinking):
        raise ValueError(
            "this folder's chat template is none of those supported (Qwen2.5, Qwen3, ChatML); "
            "write the prompt yourself and encode it with allow_special=True"
        )
    found = DEFAULT_SYSTEM.search(template)
    return ChatStyle(thinking, unescape(found[1]) if found else None)


def unescape(literal: str) -> str:
    r"""The text of a string literal in a template: `\n` and `\\boxed` as Jinja reads them."""
    return literal.encode("ascii", "backslashreplace").decode("unicode_escape")


def check_messages(messages: list[Message], continue_final: bool) -> None:
    """Raise ValueError, saying which message and why, unless `messages` can be rendered."""
    if not messages:
        raise ValueError("a chat needs at least one message")
    for n, message in enumerate(messages):
        if problem := problem_with(message, is_first=n == 0):
            raise ValueError(f"message {n} {problem}: {message!r}")
    last = messages[-1]
    if continue_final and (last["role"] != "assistant" or last.get("reasoning_content")):
        raise ValueError(
            "continue_final_message needs an assistant message at the end, with all of its text, "
            "reasoning too, in 'content'"
        )


def problem_with(message: Message, is_first: bool) -> str | None:
    """Why a message cannot be rendered, or None if it can."""
    if not isinstance(message, dict):
        return "is not a dict with 'role' and 'content'"
    if message.get("role") == "tool" or message.get("tool_calls"):
        return "uses tools (role 'tool' or tool_calls), which are not supported"
    if not isinstance(message.get("content"), str):
        return "has no 'content' that is a str"
    if message.get("role") not in ("system", "user", "assistant"):
        return "has no 'role' that is system, user or assistant"
    if message["role"] == "system" and not is_first:
        return "is a system message, which may only come first"
    return None


def render_chat(
    messages: list[Message], style: ChatStyle, generate: bool, enable_thinking: bool
) -> list[str]:
    """The prompt in parts, each a `Marker` or text; joined, they are the prompt."""
    has_system = bool(messages) and messages[0]["role"] == "system"
    parts: list[str] = []
    if style.default_system is not None and not has_system:
        parts += turn("system", [style.default_system])
    for n, message in enumerate(messages):
        text = with_thinking(messages, n) if style.thinking else message["content"]
        is_assistant = message["role"] == "assistant"
        parts += turn(message["role"], mark_thinking(text) if is_assistant else [text])
    if generate:
        parts += [Marker(IM_START), "assistant\n"]
        parts += mark_thinking(EMPTY_THINKING) if style.thinking and not enable_thinking else []
    return parts


def turn(role: str, body: list[str]) -> list[str]:
    """One ChatML turn in parts."""
    return [Marker(IM_START), f"{role}\n", *body, Marker(IM_END), "\n"]


def mark_thinking(text: str) -> list[str]:
    """Split off the thinking tags, which a vocabulary may list as special tokens, as markers."""
    return [Marker(p) if THINK_TAG.fullmatch(p) else p for p in THINK_TAG.split(text)]


def with_thinking(messages: list[Message], n: int) -> str:
    """Text of message `n` in Qwen3's format: reasoning is kept only after the last question."""
    if messages[n]["role"] != "assistant":
        return messages[n]["content"]
    reasoning, content = split_reasoning(messages[n])
    is_last = n == len(messages) - 1
    if n > last_question(messages) and (is_last or reasoning):
        return "<think>\n" + reasoning.strip("\n") + "\n</think>\n\n" + content.lstrip("\n")
    return content


def split_reasoning(message: Message) -> tuple[str, str]:
    """(reasoning, answer) of an assistant message, from its own field or its `<think>` block."""
    content = message["content"]
    if isinstance(message.get("reasoning_content"), str):
        return message["reasoning_content"], content
    if "</think>" not in content:
        return "", content
    before, *_, after = content.split("</think>")
    return before.rstrip("\n").split("<think>")[-1].lstrip("\n"), after.lstrip("\n")


def last_question(messages: list[Message]) -> int:
    """Index of the last user message, where Qwen3 counts none that is a tool's response."""
    for n in range(len(messages) - 1, -1, -1):
        content = messages[n]["content"]
        is_response = content.startswith("<tool_response>") and content.endswith("</tool_response>")
        if messages[n]["role"] == "user" and not is_response:
            return n
    return len(messages) - 1
