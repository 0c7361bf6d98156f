"""What is timed: which model, how many prompts and samples of what length, and the prompts.

tiny           the shipped model, word problems as they are
qwen3-0.6b     random weights in the shape of Qwen3-0.6B: real sizes without a download
qwen2.5-0.5b   the checkpoint given with --model
long           one long prompt with many samples, as a worked-out context gives
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from shared import load_problems, prompts
from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen
from shared.loading.checkpoint import TINY_FOLDER
from shared.loading.weights import WEIGHTS
from shared.text.tokenizer import Tokenizer

SHIPPED, RANDOM, GIVEN = "tiny", "random Qwen3-0.6B", "given"  # whose weights

QWEN3_06B = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": 151_936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "max_position_embeddings": 40_960,
    "attention_bias": False,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


@dataclass(frozen=True)
class Workload:
    """`prompts` prompts, each continued `samples` times by exactly `new_tokens` tokens."""

    name: str
    model: str  # SHIPPED, RANDOM or GIVEN
    prompts: int
    samples: int
    new_tokens: int
    prompt_tokens: int | None = None  # None: chat prompts as long as they happen to be
    top_p: float = 1.0
    temperature: float = 0.6

    @property
    def generated_tokens(self) -> int:
        """Tokens of all samples together."""
        return self.prompts * self.samples * self.new_tokens


SHAPES = ((1, 1), (1, 16), (16, 16))  # prompts x samples
WORKLOADS = {
    "tiny": [Workload("tiny", SHIPPED, 64, 16, 64)],
    "qwen3-0.6b": [Workload("qwen3-0.6b", RANDOM, p, s, 32, 64, top_p=0.9) for p, s in SHAPES],
    "qwen2.5-0.5b": [Workload("qwen2.5-0.5b", GIVEN, p, s, 32, 64, top_p=0.9) for p, s in SHAPES],
    "long": [
        Workload("long", SHIPPED, 1, 16, 64, 1500),
        Workload("long", RANDOM, 1, 16, 32, 1500, top_p=0.9),
    ],
}


def make_prompts(workload: Workload, folder: Path) -> list[list[int]]:
    """Token ids of the workload's prompts, all different. Raises ValueError if text runs out."""
    tokenizer = Tokenizer.from_folder(folder)
    if workload.prompt_tokens is None:
        problems = load_problems("word", limit=workload.prompts)
        return [tokenizer.encode_chat(prompts.ask(problem.question)) for problem in problems]
    text = "\n\n".join(problem.question for problem in load_problems("word"))
    ids = tokenizer.encode(text)
    length, needed = workload.prompt_tokens, workload.prompts * workload.prompt_tokens
    if needed > len(ids):
        raise ValueError(f"{needed} prompt tokens are asked for, but there are {len(ids)}")
    return [ids[start : start + length] for start in range(0, needed, length)]


def write_random_model(folder: Path, config: dict) -> None:
    """A model of random bfloat16 weights in the hub's layout, with the shipped tokenizer.

    That tokenizer knows a few hundred ids; the others of a larger vocabulary stand for no text.
    """
    folder.mkdir(parents=True)
    for file in TINY_FOLDER.iterdir():
        if file.name != WEIGHTS and file.is_file():
            shutil.copy(file, folder)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    with torch.device("meta"):  # shapes without memory
        model = Qwen(ModelConfig.from_dict(config))
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, parameter in model.named_parameters():
        is_norm = name.endswith("norm.weight")
        weight = torch.empty(parameter.shape, dtype=torch.bfloat16)
        weights[name] = weight.normal_(mean=float(is_norm), std=0.02, generator=generator)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
