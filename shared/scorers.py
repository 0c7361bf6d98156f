"""How good is a solution? A model as judge, and a process reward model that scores every step.

A scorer sees the question and the solution, never the gold answer. More scorers come with the
chapter on ranking.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from shared import prompts
from shared.checkpoint import load_weights
from shared.llm import LLM
from shared.model import Decoder, ModelConfig
from shared.prefill import pad_right
from shared.tokenizer import Tokenizer

REWARD_FOLDER = Path(__file__).parent / "tiny" / "reward_model"
BATCH_TOKENS = 8_192


def judge(llm: LLM, question: str, solution: str) -> float:
    """The probability that the model itself gives to "Yes" when asked if a solution is correct.

    Of the two answers only: P(Yes) / (P(Yes) + P(No)). (Generative verifiers, Zhang 2024)
    """
    messages = prompts.follow_up(prompts.ask(question), solution, prompts.JUDGE)
    prompt = llm.tokenizer.encode_chat(messages, enable_thinking=False)
    yes, no = (sum(llm.score(prompt, word)) for word in ("Yes", "No"))
    return 1 / (1 + math.exp(min(no - yes, 700.0)))


class ProcessRewardModel(nn.Module):
    """A decoder with a scalar head, read at the end of every step: will this lead to the answer?

    The score of a step is the estimated probability that a solution which begins like this ends
    in the right answer. (Lightman 2023; labels from rollouts as in Math-Shepherd, Wang 2023)
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.model = Decoder(config)
        self.score = nn.Linear(config.hidden_size, 1)

    @classmethod
    def from_folder(cls, folder: str | Path = REWARD_FOLDER) -> ProcessRewardModel:
        """Load config.json, the vocabulary and model.safetensors from a folder."""
        folder = Path(folder)
        with torch.device("meta"):
            model = cls(ModelConfig.from_folder(folder), Tokenizer.from_folder(folder))
        load_weights(model, folder, "cpu", torch.float32)
        return model.eval().requires_grad_(False)

    def forward(self, token_ids: Tensor) -> Tensor:
        """token_ids [B, T] -> logit of success after each token [B, T]"""
        return self.score(self.model(token_ids))[..., 0]

    @torch.inference_mode()
    def step_scores(self, question: str, solutions: list[str]) -> list[list[float]]:
        """The scores, from 0 to 1, of every step (line) of each solution."""
        encoded = [encode_steps(self.tokenizer, question, solution) for solution in solutions]
        scores: list[list[float]] = [[] for _ in solutions]
        by_length = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
        while by_length:
            longest = len(encoded[by_length[-1]][0])
            batch = by_length[-max(1, BATCH_TOKENS // longest) :]
            by_length = by_length[: -len(batch)]
            device = self.score.weight.device
            logits = self(pad_right([encoded[i][0] for i in batch], device))  # [B, T]
            for row, i in enumerate(batch):
                scores[i] = logits[row, encoded[i][1]].sigmoid().tolist()
        return scores


def encode_steps(tokenizer: Tokenizer, question: str, solution: str) -> tuple[list[int], list[int]]:
    """Token ids of a question and a (partial) solution, and the positions at which steps end."""
    asked = prompts.ask(question)
    prompt = tokenizer.encode_chat(asked)
    draft = [*asked, {"role": "assistant", "content": solution}]
    ids = tokenizer.encode_chat(draft, continue_final_message=True)
    ends = [i for i in range(len(prompt), len(ids)) if b"\n" in tokenizer.token_bytes(ids[i])]
    if not ends or ends[-1] != len(ids) - 1:
        ends.append(len(ids) - 1)
    return ids, ends


def aggregate_scores(scores: list[float], method: str = "last") -> float:
    """One number for a solution from its steps' scores: "min", "prod", "last" or "mean"."""
    methods = {
        "min": min,
        "prod": math.prod,
        "last": lambda steps: steps[-1],
        "mean": lambda steps: sum(steps) / len(steps),
    }
    if method not in methods:
        raise ValueError(f"aggregate_scores knows {', '.join(methods)}, not {method!r}")
    if not scores:
        raise ValueError("a solution without steps has no score")
    return methods[method](scores)
