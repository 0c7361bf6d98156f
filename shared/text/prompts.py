r"""The few texts that turn a problem into a prompt, the same for every model in the book.

Keeping them in one place means that the shipped model is trained on exactly the words that the
chapters use, and that a real Qwen is asked in the same words.
"""

from __future__ import annotations

DIRECT = "Give only the final answer in \\boxed{}, without any working."
STEP_BY_STEP = "Think step by step, then give the final answer in \\boxed{}."
JUDGE = "Is this solution correct? Answer Yes or No."
CRITIQUE = "Check each step. Which step is wrong?"
ALL_RIGHT = "All steps are right."  # what the shipped model says where it finds nothing
REVISE = "Solve the problem again without that mistake."


def ask(question: str, instruction: str = STEP_BY_STEP) -> list[dict[str, str]]:
    """The chat messages that pose a question: one user turn, the instruction on its last line."""
    return [{"role": "user", "content": f"{question}\n{instruction}"}]


def follow_up(messages: list[dict[str, str]], reply: str, instruction: str) -> list[dict[str, str]]:
    """The messages, the model's reply to them, and the next thing it is asked."""
    return [
        *messages,
        {"role": "assistant", "content": reply},
        {"role": "user", "content": instruction},
    ]
