"""What a model can be given: a text, token ids, or a chat; one of them or a list."""

from __future__ import annotations

Prompt = str | list[int]
Messages = list[dict[str, str]]


def prompt_list(prompts: Prompt | list[Prompt]) -> list[Prompt]:
    """One prompt as a list of one; a list as it is."""
    is_one = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], int))
    return [prompts] if is_one else prompts


def chat_list(messages: Messages | list[Messages]) -> list[Messages]:
    """One chat as a list of one; a list of chats as it is."""
    return [messages] if messages and isinstance(messages[0], dict) else messages


def is_chat(prompt: Prompt | Messages) -> bool:
    """Whether a prompt is a list of chat messages."""
    return not isinstance(prompt, str) and bool(prompt) and isinstance(prompt[0], dict)
