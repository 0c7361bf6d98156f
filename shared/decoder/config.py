"""A model's sizes, as its config.json states them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.decoder.config_checks import check_entries, rope_thetas
from shared.files.json_files import read_json


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a decoder, under the names used in this book (the hub's in `from_dict`)."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rope_theta: float
    rms_norm_eps: float
    max_positions: int
    qkv_bias: bool  # Qwen2.5
    qk_norm: bool  # Qwen3
    tied_head: bool

    @classmethod
    def from_dict(cls, hub: dict[str, Any], path: Path = Path("config.json")) -> ModelConfig:
        """Read the hub's config.json as a dict; `path` is what error messages call it.

        Raises ValueError naming an entry that is missing, has a wrong type or size, contradicts
        another, or asks for what this decoder does not do.
        """
        check_entries(hub, path)
        num_heads, hidden_size = hub["num_attention_heads"], hub["hidden_size"]
        return cls(
            vocab_size=hub["vocab_size"],
            hidden_size=hidden_size,
            intermediate_size=hub["intermediate_size"],
            num_layers=hub["num_hidden_layers"],
            num_heads=num_heads,
            num_kv_heads=hub.get("num_key_value_heads") or num_heads,
            head_dim=hub.get("head_dim") or hidden_size // num_heads,
            rope_theta=float(rope_thetas(hub)[0][1]),
            rms_norm_eps=hub.get("rms_norm_eps", 1e-6),
            max_positions=hub.get("max_position_embeddings", 32_768),
            qkv_bias=hub["model_type"] == "qwen2",
            qk_norm=hub["model_type"] == "qwen3",
            tied_head=hub.get("tie_word_embeddings", False),
        )

    @classmethod
    def from_folder(cls, folder: str | Path) -> ModelConfig:
        """Read `folder/config.json`. Raises what `read_json` and `from_dict` raise."""
        path = Path(folder) / "config.json"
        return cls.from_dict(read_json(path), path)

    def cache_bytes_per_token(self, dtype: torch.dtype) -> int:
        """Bytes that a token's keys and values take in all layers together."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * dtype.itemsize
