"""A process reward model: it scores every step of a solution.

It sees the question and the solution, never the gold answer. The chapter on ranking
(ch03_best_of_n) puts them to use.

    ProcessRewardModel.from_folder()                              # the shipped one
    ProcessRewardModel.from_folder("Qwen/Qwen2.5-Math-PRM-7B")    # Qwen2 with a two-layer head
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared.decoder.config import ModelConfig
from shared.decoder.generate import pad_right
from shared.decoder.model import Decoder
from shared.engine.attention import Uncached
from shared.engine.fast_paths import speed_up
from shared.engine.model_thread import MODEL_THREAD
from shared.engine.overflow import overflow_error
from shared.engine.prefill import batches_by_length, measure_tokens, token_logprobs
from shared.files.json_files import read_json
from shared.loading.checkpoint import (
    check_tokenizer,
    read_config,
    resolve_folder,
    usable_device,
)
from shared.loading.weights import load_weights
from shared.text import prompts
from shared.text.tokenizer import Tokenizer

REWARD_FOLDER = Path(__file__).parents[1] / "tiny" / "reward_model"
BATCH_TOKENS = 8_192
SEPARATED = "Qwen2ForProcessRewardModel"  # the architecture whose steps end in SEPARATOR
SEPARATOR = "<extra_0>"
SEPARATED_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."


class ProcessRewardModel(nn.Module):
    """A decoder with a head that is read at the end of every step: will this lead to the answer?

    The score of a step is the estimated probability that a solution which begins like this ends
    in the right answer. (Lightman 2023; labels from rollouts as in Math-Shepherd, Wang 2023)

    Two kinds differ in their head and in how they mark the end of a step: `LineRewardModel` is
    ours, `SeparatorRewardModel` is Qwen's.
    """

    step_end: str  # the text that ends a step

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, head: nn.Module) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.model = Decoder(config)
        self.score = head

    @staticmethod
    def from_folder(
        folder: str | Path = REWARD_FOLDER,
        device: str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> ProcessRewardModel:
        """Load "tiny" (the shipped one), a folder, or a hub id; its config.json names the kind.

        `device` None is a CUDA GPU where there is one. Raises what `load_model` raises.
        """
        folder = REWARD_FOLDER if folder == "tiny" else resolve_folder(folder)
        config, tokenizer = read_config(folder), Tokenizer.from_folder(folder)
        check_tokenizer(tokenizer, config, folder)
        separated = SEPARATED in (read_json(folder / "config.json").get("architectures") or [])
        with torch.device("meta"):
            model = (SeparatorRewardModel if separated else LineRewardModel)(config, tokenizer)
        device = usable_device(device)
        head_of_language_model = ("lm_head.weight",)
        MODEL_THREAD.run(lambda: load_weights(model, folder, device, dtype, head_of_language_model))
        model.eval().requires_grad_(False)
        MODEL_THREAD.run(lambda: speed_up(model.model))
        return model

    def forward(self, token_ids: Tensor, first_ends: Tensor) -> Tensor:
        """token_ids [B, T], where each row's first step ends [B] -> logit of success after each
        token [B, T]"""
        raise NotImplementedError

    def encode(self, question: str, solution: str) -> tuple[list[int], list[int]]:
        """Token ids of a question and its solution, and the positions at which scores are read."""
        raise NotImplementedError

    def step_scores(self, question: str, solutions: list[str]) -> list[list[float]]:
        """The scores, from 0 to 1, of every step (line or paragraph) of each solution."""
        encoded = [self.encode(question, solution) for solution in solutions]
        return MODEL_THREAD.run(lambda: self._read(encoded))

    @torch.inference_mode()
    def _read(self, encoded: list[tuple[list[int], list[int]]]) -> list[list[float]]:
        """The scores at the positions that `encode` gave with the token ids of each text."""
        scores: list[list[float]] = [[] for _ in encoded]
        lengths = [len(ids) for ids, _ in encoded]
        for batch in batches_by_length(lengths, BATCH_TOKENS):
            device = self.model.device
            first_ends = torch.tensor([encoded[i][1][0] for i in batch], device=device)
            logits = self(pad_right([encoded[i][0] for i in batch], device), first_ends)  # [B, T]
            for row, i in enumerate(batch):
                at_ends = logits[row, encoded[i][1]].float()
                if not at_ends.isfinite().all():
                    raise overflow_error(self.model.dtype)
                scores[i] = at_ends.sigmoid().tolist()
        return scores


class LineRewardModel(ProcessRewardModel):
    """Ours: one linear layer to a logit, read at the end of each line.

    It sees the hidden state, and how likely the decoder itself finds the steps so far (all after
    the first, which names a plan and can hardly be wrong): a slip is a token that it did not
    expect.
    """

    step_end = "\n"

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        super().__init__(config, tokenizer, nn.Linear(config.hidden_size + 1, 1))

    def forward(self, token_ids: Tensor, first_ends: Tensor) -> Tensor:
        """token_ids [B, T], where each row's first step ends [B] -> logits [B, T]"""
        return self.score(self.features(token_ids, first_ends))[..., 0]

    def features(self, token_ids: Tensor, first_ends: Tensor) -> Tensor:
        """What the head sees after each token: the hidden state, and the log-likelihood of all
        tokens since the first step; [B, T, hidden + 1]"""
        hidden = self.model(token_ids, Uncached(token_ids.device))  # [B, T, hidden]
        log_p = self.token_logprobs(hidden[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())
        surprise = F.pad(log_p.view(len(token_ids), -1), (1, 0))  # [B, T]
        so_far = surprise.cumsum(dim=-1)
        likelihood = so_far - so_far.gather(-1, first_ends[:, None])  # [B, T]
        return self.head_features(hidden, likelihood)

    def token_logprobs(self, states: Tensor, following: Tensor) -> Tensor:
        """The log-probability, in float32, of the token after each hidden state; [N]"""
        embeddings = self.model.embed_tokens.weight
        return measure_tokens(lambda x: x @ embeddings.T, states, following, token_logprobs)

    def head_features(self, hidden: Tensor, likelihood: Tensor) -> Tensor:
        """Hidden states [..., hidden] and likelihoods [...] -> [..., hidden + 1]"""
        return torch.cat([hidden, likelihood[..., None].to(hidden.dtype)], dim=-1)

    def encode(self, question: str, solution: str) -> tuple[list[int], list[int]]:
        """Token ids of a question and its solution, and the positions at which lines end."""
        return encode_steps(self.tokenizer, question, solution)


class SeparatorRewardModel(ProcessRewardModel):
    """Qwen's: two layers to the logits of "bad" and "good", read at a separator token after each
    paragraph. (Zhang 2025, "Lessons of developing process reward models")"""

    step_end = "\n\n"

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        size = config.hidden_size
        head = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 2))
        super().__init__(config, tokenizer, head)

    def forward(self, token_ids: Tensor, first_ends: Tensor) -> Tensor:
        """token_ids [B, T] -> logits [B, T]; it does not matter where first steps end."""
        bad, good = self.score(self.model(token_ids, Uncached(token_ids.device))).unbind(-1)
        return good - bad  # the softmax of two logits is the sigmoid of their difference

    def encode(self, question: str, solution: str) -> tuple[list[int], list[int]]:
        """Token ids of a question and its solution with separators, and where those stand."""
        return encode_separated(self.tokenizer, question, solution)


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


def encode_separated(
    tokenizer: Tokenizer, question: str, solution: str
) -> tuple[list[int], list[int]]:
    """As `encode_steps`, for models that want paragraphs with a separator token after each.

    Raises ValueError where the vocabulary has no such token.
    """
    (separator, *more) = tokenizer.encode(SEPARATOR, allow_special=True)
    if more:
        raise ValueError(f"this reward model's vocabulary has no token {SEPARATOR}")
    first, *steps = [step for step in solution.split("\n\n") if step.strip()] or [solution]
    asked = [
        {"role": "system", "content": SEPARATED_SYSTEM},
        {"role": "user", "content": question},
        {"role": "assistant", "content": first},
    ]
    ids = [*tokenizer.encode_chat(asked, continue_final_message=True), separator]
    ends = [len(ids) - 1]
    for step in steps:
        ids += [*tokenizer.encode(step), separator]
        ends.append(len(ids) - 1)
    return ids, ends
