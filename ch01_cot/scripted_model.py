"""A scripted model for the checks of exercises 7 and 8: it says what it is told to say."""

from __future__ import annotations

import copy
from typing import NoReturn

from shared import Completion, Cost, RequestOutput, SamplingParams, prompts


class ScriptError(Exception):
    """A call that a scripted model cannot answer; its text is for the student."""


class ScriptedModel:
    """Stands in for an LLM: answers `chat` with a given text and keeps what it was asked.

    asked     for each call: (messages, params, enable_thinking, continue_final_message)

    Copies of the model share one record, so that a check sees the calls of the copy it handed out.
    """

    def __init__(self, reply: str, finish_reason: str = "stop") -> None:
        self.reply, self.finish_reason = reply, finish_reason
        self.asked: list[tuple[list[dict], SamplingParams, bool, bool]] = []

    def chat(
        self,
        messages: list,
        params: SamplingParams | None = None,
        *,
        enable_thinking: bool = True,
        continue_final_message: bool = False,
    ) -> list[RequestOutput]:
        """One completion with the given text."""
        if messages and isinstance(messages[0], list):  # a list of chats
            (messages,) = messages
        params = params or SamplingParams()
        asked = (copy.deepcopy(messages), params, enable_thinking, continue_final_message)
        self.asked.append(asked)
        tokens = [0] * (len(self.reply) + 1)
        completion = Completion(self.reply, tokens, [0.0] * len(tokens), self.finish_reason)
        return [RequestOutput([0], [completion], Cost(1, len(tokens)))]

    def __deepcopy__(self, _: dict) -> ScriptedModel:
        return self

    def generate(self, *_: object, **__: object) -> None:
        """Not part of these exercises."""
        raise ScriptError("use `llm.chat`, as the exercise says, not `llm.generate`")

    @property
    def tokenizer(self) -> NoReturn:
        """Not part of these exercises."""
        raise ScriptError("use `llm.chat`, as the exercise says; no token ids are needed")


def check_continued(model: ScriptedModel, question: str, written: str, case: str) -> SamplingParams:
    """Raise AssertionError unless the model was asked once to continue exactly this reply."""
    assert model.asked, f"{case}: your function never called `llm.chat` on the llm it was given"
    assert len(model.asked) == 1, f"{case}: call `llm.chat` once, not {len(model.asked)} times"
    messages, params, enable_thinking, continues = model.asked[0]
    roles = [message.get("role") for message in messages]
    assert roles == ["user", "assistant"], (
        f"{case}: the chat should be the question (user), then the reply so far (assistant); its "
        f"roles are {roles}"
    )
    expected = prompts.ask(question)[0]["content"]
    assert messages[0]["content"] == expected, (
        f"{case}: ask with `prompts.ask(question)`, as the chain was asked for; the user's message "
        f"is {messages[0]['content']!r}"
    )
    assert messages[1]["content"] == written, (
        f"{case}: the reply so far should be {written!r}, not {messages[1]['content']!r}"
    )
    assert continues, (
        f"{case}: without continue_final_message=True the model begins a new reply instead of "
        "continuing this one"
    )
    assert not enable_thinking, f"{case}: pass enable_thinking=False"
    assert params.temperature == 0, (
        f"{case}: decode greedily (temperature=0), or the same chain gives other answers"
    )
    assert params.n == 1, f"{case}: one reply is enough, but n is {params.n}"
    return params
