"""Generation: predict the next token, choose one, append it, and start again.

`generate_naive` is the whole idea. It reads the whole text again for every token, so n tokens cost
about n^2 / 2 token readings. `generate` reads every token once: the prompt in one forward pass
(prefill), then one new token per row (decode), while a cache keeps what was read.

    generate(model, [prompt_ids], SamplingParams(n=4, max_tokens=100), stop_ids)

Both produce the same tokens. `LLM` (shared/llm.py) produces them too, in larger batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shared.decoder.kv_cache import KVCache
from shared.decoder.model import Qwen
from shared.decoder.sampler import RowParams, row_uniforms, sample
from shared.sampling_params import SamplingParams


@torch.inference_mode()
def generate_naive(
    model: Qwen,
    prompt_ids: list[int],
    params: SamplingParams,
    stop_ids: list[int],
    sample_index: int = 0,
) -> list[int]:
    """Sample one completion of one prompt, running the whole text through the model each time."""
    row = RowParams.stack([params], model.device)
    uniforms = row_uniforms(params.seed, prompt_ids, sample_index, params.max_tokens)
    ids = list(prompt_ids)
    for pair in uniforms.to(model.device):
        logits = model(torch.tensor([ids], device=model.device))  # [1, T, V]
        token = sample(logits[:, -1], row, pair[None])  # [1]
        ids.append(int(token))
        if ids[-1] in stop_ids and not params.ignore_eos:
            break
    return ids[len(prompt_ids) :]


@torch.inference_mode()
def generate(
    model: Qwen, prompts: list[list[int]], params: SamplingParams, stop_ids: list[int]
) -> list[list[list[int]]]:
    """Sample n completions of each prompt in one batch: `result[prompt][sample]` is token ids.

    Of the parameters, `stop`, `logprobs` and `stop_loops` are not used here.
    """
    longest = max(map(len, prompts)) + params.max_tokens
    cache = KVCache(model.config, len(prompts), longest, model.device, model.dtype)
    logits = prefill(model, prompts, cache)  # [prompts, V]

    # Every prompt becomes n rows, each with random numbers of its own.
    prompt_of = [i for i in range(len(prompts)) for _ in range(params.n)]
    cache.select(prompt_of)
    logits = logits[prompt_of]  # [rows, V]
    uniforms = torch.stack(
        [
            row_uniforms(params.seed, prompt, i, params.max_tokens)
            for prompt in prompts
            for i in range(params.n)
        ]
    ).to(model.device)  # [rows, max_tokens, 2]

    completions: list[list[int]] = [[] for _ in prompt_of]
    live = list(range(len(prompt_of)))  # the rows that have not ended
    for position in range(params.max_tokens):
        row_params = RowParams.stack([params] * len(live), model.device)
        tokens = sample(logits, row_params, uniforms[live, position])  # [live]
        for row, token in zip(live, tokens.tolist()):
            completions[row].append(token)
        unfinished = [
            i
            for i, row in enumerate(live)
            if params.ignore_eos or completions[row][-1] not in stop_ids
        ]
        if not unfinished or position == params.max_tokens - 1:
            break
        live = [live[i] for i in unfinished]
        cache.select(unfinished)
        logits = model(tokens[unfinished, None], cache)[:, -1]  # [live, V]
    return [completions[i * params.n : (i + 1) * params.n] for i in range(len(prompts))]


def prefill(model: Qwen, prompts: list[list[int]], cache: KVCache) -> Tensor:
    """Read prompts into an empty cache, one per row; returns the logits after each [rows, V]."""
    logits = model(pad_right(prompts, model.device), cache)  # [rows, T, V]
    lengths = [len(prompt) for prompt in prompts]
    cache.truncate(lengths)  # forget the padding
    last = torch.tensor(lengths, device=model.device) - 1
    return logits[torch.arange(len(prompts), device=model.device), last]


def pad_right(sequences: list[list[int]], device: torch.device) -> Tensor:
    """Token ids of different lengths as one rectangle [B, T]; what follows a row's end is 0."""
    width = max(map(len, sequences))
    return torch.tensor([ids + [0] * (width - len(ids)) for ids in sequences], device=device)
