"""Every entry of a config.json is checked before it is used.

A wrong entry is refused here, with a message of the form `FILE: ENTRY is VALUE, expected WHAT`,
and not by a division or an allocation that fails later. Options that this decoder does not have are
refused by name, since ignoring them would silently change what the model says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shared.files.json_files import is_number, is_whole, require, require_whole, shortened

FAMILIES = ("qwen2", "qwen3")
SIZES = {  # entries that every config.json must have, with the largest value that makes sense
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 20,
    "intermediate_size": 1 << 22,
    "num_hidden_layers": 1_000,
    "num_attention_heads": 1 << 14,
}
MAX_HEAD_DIM = 1 << 14
MAX_POSITIONS = 1 << 24  # float32 counts no further
MIN_POSITIONS = 2  # one token to read and one to generate


def check_entries(hub: dict[str, Any], path: Path) -> None:
    """Raise ValueError naming an entry that is missing, has a wrong type or size, contradicts
    another, or asks for what this decoder does not do."""
    check_family(hub, path)
    check_sizes(hub, path)
    check_switches(hub, path)
    check_numbers(hub, path)
    refuse_unsupported_options(hub, path)


def check_family(hub: dict[str, Any], path: Path) -> None:
    """Raise ValueError for a model that is no dense Qwen2.5 or Qwen3."""
    family, architectures = hub.get("model_type"), hub.get("architectures")
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(
            f"{path}: model_type {shortened(family)} is not supported; this decoder implements "
            f"the dense {' and '.join(FAMILIES)} (Qwen2.5 and Qwen3)"
        )
    are_names = architectures is None or is_list_of_str(architectures)
    require(are_names, path, "architectures", architectures, "a list of names")


def check_sizes(hub: dict[str, Any], path: Path) -> None:
    """Raise ValueError for sizes that no model has, or that do not fit each other."""
    for entry, largest in SIZES.items():
        if entry not in hub:
            raise ValueError(f"{path}: the entry {entry!r} is missing")
        require_whole(hub[entry], path, entry, 1, largest)
    hidden_size, num_heads = hub["hidden_size"], hub["num_attention_heads"]
    num_kv_heads, head_dim = hub.get("num_key_value_heads"), hub.get("head_dim")
    if num_kv_heads is not None:
        divides = is_whole(num_kv_heads, 1, num_heads) and num_heads % num_kv_heads == 0
        expected = f"a divisor of num_attention_heads, which is {num_heads}"
        require(divides, path, "num_key_value_heads", num_kv_heads, expected)
    if head_dim is not None:
        is_even = is_whole(head_dim, 2, MAX_HEAD_DIM) and head_dim % 2 == 0
        require(is_even, path, "head_dim", head_dim, f"an even number from 2 to {MAX_HEAD_DIM}")
    else:
        is_even = hidden_size % (2 * num_heads) == 0
        expected = f"{num_heads} (num_attention_heads) times an even number, or a head_dim"
        require(is_even, path, "hidden_size", hidden_size, expected)
    for entry, lowest, highest in (
        ("max_position_embeddings", MIN_POSITIONS, MAX_POSITIONS),
        ("max_window_layers", 0, 1 << 40),
        ("sliding_window", 0, 1 << 40),
    ):
        if entry in hub and (hub[entry] is not None or entry == "max_position_embeddings"):
            require_whole(hub[entry], path, entry, lowest, highest)


def check_switches(hub: dict[str, Any], path: Path) -> None:
    """Raise ValueError where an entry that is on or off is neither."""
    for entry in ("attention_bias", "tie_word_embeddings", "use_sliding_window"):
        value = hub.get(entry, False)
        require(isinstance(value, bool), path, entry, value, "true or false")


def check_numbers(hub: dict[str, Any], path: Path) -> None:
    """Raise ValueError for constants that make all logits infinite or NaN."""
    eps = hub.get("rms_norm_eps", 1e-6)
    require(is_number(eps, 1e-12, 1), path, "rms_norm_eps", eps, "a number from 1e-12 to 1")
    for entry in ("rope_scaling", "rope_parameters"):
        value = hub.get(entry)
        is_flat = value is None or (
            isinstance(value, dict) and not any(isinstance(v, dict) for v in value.values())
        )
        require(is_flat, path, entry, value, "an object without further objects in it, or null")
    thetas = rope_thetas(hub)
    if not thetas:  # every Qwen states it: the hub's default would be another model
        raise ValueError(f"{path}: the entry 'rope_theta' is missing")
    for entry, theta in thetas:
        require(is_number(theta, 1, 1e12), path, entry, theta, "a number from 1 to 1e12")
        expected = f"{thetas[0][1]} as in {thetas[0][0]}"
        require(theta == thetas[0][1], path, entry, theta, expected)


def rope_thetas(hub: dict[str, Any]) -> list[tuple[str, Any]]:
    """Where config.json gives the base of RoPE, and what it is.

    transformers 4 writes `rope_theta` at the top level, transformers 5 inside `rope_parameters`.
    """
    nested = [
        (f"{name}.rope_theta", hub[name]["rope_theta"])
        for name in ("rope_scaling", "rope_parameters")
        if "rope_theta" in (hub.get(name) or {})
    ]
    top = [("rope_theta", hub["rope_theta"])] if "rope_theta" in hub else []
    return top + nested


def refuse_unsupported_options(hub: dict[str, Any], path: Path) -> None:
    """Raise ValueError for options that would silently change the logits if they were ignored."""
    places = [hub, hub.get("rope_scaling") or {}, hub.get("rope_parameters") or {}]
    rope_types = [place.get(name) for place in places[1:] for name in ("rope_type", "type")]
    scaled = [kind for kind in rope_types if kind not in ("default", None)]
    factors = [place.get("partial_rotary_factor", 1) for place in places]
    layer_types = hub.get("layer_types")
    if layer_types is not None:
        num_layers = hub["num_hidden_layers"]
        is_complete = is_list_of_str(layer_types) and len(layer_types) == num_layers
        expected = f"a list of {num_layers} names, as num_hidden_layers says"
        require(is_complete, path, "layer_types", layer_types, expected)
    window_start = hub.get("max_window_layers")  # the first layer with it
    window_start = 28 if window_start is None else window_start  # as on the hub
    refused = {
        f"RoPE scaling {shortened(scaled[:1])}": scaled != [],
        f"partial_rotary_factor {shortened(factors)}": any(factor != 1 for factor in factors),
        f"hidden_act {shortened(hub.get('hidden_act'))}": hub.get("hidden_act", "silu") != "silu",
        "sliding-window attention (use_sliding_window)": hub.get("use_sliding_window", False)
        and hub.get("sliding_window") is not None
        and window_start < hub["num_hidden_layers"],
        f"layer_types {shortened(sorted(set(layer_types or [])))}": set(
            layer_types or ["full_attention"]
        )
        != {"full_attention"},
        "attention_bias of Qwen3": hub["model_type"] == "qwen3"
        and hub.get("attention_bias", False),
        "quantized weights (quantization_config)": hub.get("quantization_config") is not None,
    }
    for option, present in refused.items():
        if present:
            raise ValueError(f"{path}: {option} is not implemented by this decoder")


def token_ids(hub: dict[str, Any], entry: str, path: Path, vocab_size: int) -> list[int] | None:
    """The token ids in an entry that may hold one or several; None where it is absent or null.

    Raises ValueError for ids that a vocabulary of `vocab_size` does not have.
    """
    value = hub.get(entry)
    if value is None:
        return None
    ids = value if isinstance(value, list) else [value]
    are_ids = bool(ids) and all(is_whole(token_id, 0, vocab_size - 1) for token_id in ids)
    expected = f"a token id from 0 to {vocab_size - 1}, or a list of them"
    require(are_ids, path, entry, value, expected)
    return ids


def is_list_of_str(value: object) -> bool:
    """Whether a JSON value is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
