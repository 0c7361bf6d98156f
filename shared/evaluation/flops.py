"""How many floating point operations something took, estimated from its tokens."""

from __future__ import annotations

from shared.decoder.config import ModelConfig
from shared.solution import Cost


def estimate_flops(config: ModelConfig, cost: Cost, num_completions: int = 1) -> float:
    """Floating point operations of a cost: 2 x weights x tokens + attention.

    Every token passes all weight matrices (embeddings are only looked up; the head counts), at one
    multiplication and one addition per weight. Attention adds 4 x layers x heads x head_dim for
    each earlier token that a token attends to: half a prompt on average while a prompt is read,
    then the prompt and half a completion.
    """
    projections = (
        2 * config.hidden_size * config.head_dim * (config.num_heads + config.num_kv_heads)
    )
    mlp = 3 * config.hidden_size * config.intermediate_size
    weights = config.num_layers * (projections + mlp) + config.hidden_size * config.vocab_size
    prompt = cost.prompt_tokens / max(1, cost.num_prompts)
    completion = cost.generated_tokens / max(1, num_completions)
    read = cost.prompt_tokens - cost.reused_tokens
    answered = cost.generated_tokens + cost.scored_tokens
    attended = read * prompt / 2 + answered * (prompt + completion / 2)
    attention = 4 * config.num_layers * config.num_heads * config.head_dim * attended
    return 2.0 * weights * (read + answered) + attention
