"""The engines that are compared: one function each, from a checkpoint folder to a `Generate`.

A `Generate` continues a batch of prompts, each `params.n` times by exactly `params.max_tokens`
tokens, and returns the new tokens of all samples in the order of the prompts.

    ours             all prompts of the batch through LLM.generate
    transformers     `generate` with num_return_sequences, the batch left-padded
    rfs-sequential   reasoning-from-scratch, chapter 4: sample by sample, with temperature and top-p
    rfs-batched      reasoning-from-scratch's batched generator, the batch left-padded; it only does
                     greedy decoding, so it is spared the sampling

The package reasoning-from-scratch asks for an older PyTorch, but runs with this one:
`pip install --no-deps reasoning-from-scratch==0.2.0 requests`. It knows the shapes of Qwen3.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shared import LLM, SamplingParams
from shared.decoder.config import ModelConfig
from shared.loading.weights import weight_files

Generate = Callable[[list[list[int]], SamplingParams], list[list[int]]]


def ours(folder: Path, dtype: torch.dtype) -> Generate:
    """This book's engine."""
    llm = LLM(str(folder), device="cpu", dtype=dtype)

    def generate(prompt_ids: list[list[int]], params: SamplingParams) -> list[list[int]]:
        outputs = llm.generate(prompt_ids, params)
        return [c.token_ids for output in outputs for c in output.completions]

    return generate


def transformers(folder: Path, dtype: torch.dtype) -> Generate:
    """The hub's own library."""
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    # The folder's own settings may end texts early or add a repetition penalty.
    model.generation_config = GenerationConfig(pad_token_id=0)

    def generate(prompt_ids: list[list[int]], params: SamplingParams) -> list[list[int]]:
        sampling = {"temperature": params.temperature, "top_p": params.top_p, "top_k": 0}
        how = {"do_sample": True, **sampling} if params.temperature else {"do_sample": False}
        ids, mask = pad_left(prompt_ids)
        output = model.generate(
            ids,
            attention_mask=mask.long(),
            num_return_sequences=params.n,
            max_new_tokens=params.max_tokens,
            **how,
        )
        return output[:, ids.shape[1] :].tolist()

    return generate


def rfs_sequential(folder: Path, dtype: torch.dtype) -> Generate:
    """reasoning-from-scratch as its chapters call it: one sample after the other."""
    from reasoning_from_scratch.ch04 import generate_text_top_p_stream_cache
    from reasoning_from_scratch.qwen3 import Qwen3Model

    model = rfs_model(Qwen3Model, folder, dtype)

    def generate(prompt_ids: list[list[int]], params: SamplingParams) -> list[list[int]]:
        completions = []
        for ids in prompt_ids:
            for _ in range(params.n):
                tokens = generate_text_top_p_stream_cache(
                    model,
                    torch.tensor([ids]),
                    params.max_tokens,
                    temperature=params.temperature,
                    top_p=params.top_p,
                )
                completions.append([token.item() for token in tokens])
        return completions

    return generate


def rfs_batched(folder: Path, dtype: torch.dtype) -> Generate:
    """reasoning-from-scratch's batched model: each sample is a row with its prompt."""
    from reasoning_from_scratch.qwen3_batched import (
        Qwen3Model,
        generate_text_basic_batched_cache,
    )

    model = rfs_model(Qwen3Model, folder, dtype)

    def generate(prompt_ids: list[list[int]], params: SamplingParams) -> list[list[int]]:
        rows = [ids for ids in prompt_ids for _ in range(params.n)]
        ids, mask = pad_left(rows)
        return generate_text_basic_batched_cache(
            model, ids, params.max_tokens, attn_mask=mask
        ).tolist()

    return generate


ENGINES: dict[str, Callable[[Path, torch.dtype], Generate]] = {
    "ours": ours,
    "transformers": transformers,
    "rfs-sequential": rfs_sequential,
    "rfs-batched": rfs_batched,
}
BATCH_MATTERS = ("transformers", "rfs-batched")  # the others arrange the prompts themselves


def why_not(engine: str, config: ModelConfig) -> str | None:
    """Why an engine cannot take part on this machine with this model, None if it can."""
    if not engine.startswith("rfs"):
        return None
    if importlib.util.find_spec("reasoning_from_scratch") is None:
        return "not installed: pip install --no-deps reasoning-from-scratch==0.2.0 requests"
    if not config.qk_norm or config.rms_norm_eps != 1e-6:
        return "reasoning-from-scratch implements Qwen3 only"
    return None


def rfs_model(model_class: type[nn.Module], folder: Path, dtype: torch.dtype) -> nn.Module:
    """A model of reasoning-from-scratch with the weights of a folder."""
    from reasoning_from_scratch.qwen3 import load_hf_weights_into_qwen

    config = ModelConfig.from_folder(folder)
    sizes = {
        "vocab_size": config.vocab_size,
        "context_length": config.max_positions,
        "emb_dim": config.hidden_size,
        "n_heads": config.num_heads,
        "n_layers": config.num_layers,
        "hidden_dim": config.intermediate_size,
        "head_dim": config.head_dim,
        "qk_norm": config.qk_norm,
        "n_kv_groups": config.num_kv_heads,
        "rope_base": config.rope_theta,
        "dtype": dtype,
    }
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        weights |= load_file(path)
    model = model_class(sizes)
    load_hf_weights_into_qwen(model, sizes, weights)
    return model.eval()


def pad_left(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] with zeros before the shorter rows, and a mask that is True on tokens."""
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in rows])
    return ids, mask
