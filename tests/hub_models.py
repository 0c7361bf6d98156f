"""Small random models made by transformers: the reference for our decoder and its loading."""

import torch
import transformers
from transformers import PreTrainedModel

CONFIGS = {"qwen2": transformers.Qwen2Config, "qwen3": transformers.Qwen3Config}
SIZES = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
    "tie_word_embeddings": False,
}


def random_hub_model(family: str, seed: int = 0, **changes: object) -> PreTrainedModel:
    """transformers' own model of a family, every parameter random, biases and norms too.

    Its attention is the plain one (softmax of a masked product), written out in Python.
    """
    torch.manual_seed(seed)
    config = CONFIGS[family](**{**SIZES, **changes}, attn_implementation="eager")
    model = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        is_norm = name.endswith("norm.weight")
        parameter.normal_(mean=float(is_norm), std=0.2)
    return model
