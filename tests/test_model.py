"""The decoder against transformers: the same names, logits and greedy continuations.

Set REAL_QWEN_DIR to a folder with a real Qwen to compare on its weights too (a minute, 5 GB).
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from hub_models import random_hub_model
from torch import Tensor
from transformers import PreTrainedModel

from shared.decoder.config import ModelConfig
from shared.decoder.model import Qwen
from shared.engine.row_cache import RowCache
from shared.loading.checkpoint import load_model
from shared.text.tokenizer import Tokenizer

SHAPES = [(1, 1), (3, 7), (2, 1), (1, 33), (5, 2)]  # [B, T]
VARIANTS = [
    pytest.param({"tie_word_embeddings": True}, id="tied"),
    pytest.param({"num_key_value_heads": 4}, id="G=1"),
    pytest.param({"num_key_value_heads": 2}, id="G=2"),
    pytest.param({"num_key_value_heads": 1}, id="G=4"),
    pytest.param(
        {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10}, id="wide heads"
    ),
    pytest.param({"rms_norm_eps": 0.1}, id="large eps"),
]
QWEN2_5 = {  # Qwen2.5-0.5B-Instruct's config.json, as on the hub
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "max_window_layers": 21,
    "model_type": "qwen2",
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}


def our_model(hub_model: PreTrainedModel) -> Qwen:
    """Our decoder with the config and the weights of transformers' model."""
    model = Qwen(ModelConfig.from_dict(hub_model.config.to_dict()))
    model.load_state_dict(hub_model.state_dict(), strict=True)
    return model.eval().requires_grad_(False)


def greedy(next_logits: Callable[[Tensor], Tensor], prompt: list[int], count: int) -> list[int]:
    """`count` tokens, each the likeliest after all before it; every step reads the whole text."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(next_logits(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def greedy_cached(model: Qwen, prompt: list[int], count: int) -> list[int]:
    """The same with a cache: every step reads the newest token only."""
    cache = RowCache(model.config, dtype=model.dtype)
    cache.add_rows(1)
    ids, new = [], prompt
    for _ in range(count):
        new = [int(model(torch.tensor([new]), cache)[0, -1].argmax())]
        ids += new
    return ids


# --- Against transformers -------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
@pytest.mark.parametrize("changes", VARIANTS)
def test_logits_equal_transformers(family: str, changes: dict) -> None:
    reference = random_hub_model(family, **changes)
    model = our_model(reference)
    for shape in SHAPES:
        ids = torch.randint(model.config.vocab_size, shape)
        logits, expected = model(ids), reference(ids).logits
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
        assert expected.std() > 0.1  # not trivially close to one another


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_parameter_names_and_shapes_are_the_hubs(family: str, tied: bool) -> None:
    reference = random_hub_model(family, tie_word_embeddings=tied)
    model = Qwen(ModelConfig.from_dict(reference.config.to_dict()))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in reference.state_dict().items()}
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_greedy_continuations_equal_transformers(family: str) -> None:
    reference = random_hub_model(family)
    model = our_model(reference)
    for prompt in ([5], [1, 2, 3, 4, 5, 6, 7], list(range(90))):
        expected = greedy(lambda ids: reference(ids).logits, prompt, 30)
        assert greedy(model, prompt, 30) == expected
        assert greedy_cached(model, prompt, 30) == expected


# --- A real model ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_models(real_folder: Path) -> tuple[Qwen, PreTrainedModel]:
    reference = transformers.AutoModelForCausalLM.from_pretrained(real_folder, dtype=torch.float32)
    return load_model(real_folder, "cpu", torch.float32), reference.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def real_prompt(real_folder: Path) -> list[int]:
    question = {"role": "user", "content": "Tom has 3 boxes of 12 eggs and drops 5. How many?"}
    return Tokenizer.from_folder(real_folder).encode_chat([question])


def test_real_logits_equal_transformers(real_models: tuple, real_prompt: list[int]) -> None:
    model, reference = real_models
    ids = torch.tensor([real_prompt, real_prompt[::-1]])
    torch.testing.assert_close(model(ids), reference(ids).logits, atol=1e-3, rtol=0)


def test_real_greedy_continuation_equals_transformers(
    real_models: tuple, real_prompt: list[int]
) -> None:
    model, reference = real_models
    expected = greedy(lambda ids: reference(ids).logits, real_prompt, 16)
    assert greedy(model, real_prompt, 16) == expected
    assert greedy_cached(model, real_prompt, 16) == expected


# --- config.json ----------------------------------------------------------------------------------


def test_config_of_qwen2_5_as_it_is_on_the_hub() -> None:
    config = ModelConfig.from_dict(QWEN2_5)  # names a sliding window that it does not use
    assert (config.num_layers, config.num_heads, config.num_kv_heads) == (24, 14, 2)
    assert (config.head_dim, config.rope_theta) == (64, 1e6)
    assert config.qkv_bias and config.tied_head and not config.qk_norm


def test_rope_theta_in_the_spelling_of_transformers_5() -> None:
    hub = {key: value for key, value in QWEN2_5.items() if key != "rope_theta"}
    hub["rope_parameters"] = {"rope_type": "default", "rope_theta": 5e5}
    assert ModelConfig.from_dict(hub).rope_theta == 5e5


def test_rope_scaling_of_kind_default_is_none() -> None:
    hub = {**QWEN2_5, "rope_scaling": {"rope_type": "default"}}
    assert ModelConfig.from_dict(hub).rope_theta == 1e6
    assert ModelConfig.from_dict({**QWEN2_5, "rope_scaling": None}).rope_theta == 1e6


SLIDING = ["full_attention", "sliding_attention"]
REFUSED = [
    ({"model_type": "qwen3_moe"}, "qwen3_moe"),
    ({"model_type": "llama"}, "llama"),
    ({"model_type": None}, "model_type"),
    ({"use_sliding_window": True}, "use_sliding_window"),
    ({"layer_types": SLIDING * 12}, "layer_types.*sliding_attention"),
    ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "RoPE scaling.*yarn"),
    ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "RoPE scaling.*linear"),
    ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6}}, "RoPE scaling.*yarn"),
    ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "quantization_config"),
    ({"hidden_act": "gelu"}, "gelu"),
    ({"model_type": "qwen3", "attention_bias": True}, "attention_bias"),
]


@pytest.mark.parametrize(("changes", "named"), REFUSED)
def test_what_the_decoder_does_not_do_is_refused_by_name(changes: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ModelConfig.from_dict({**QWEN2_5, **changes})


def test_a_sliding_window_for_no_layer_is_accepted() -> None:
    ModelConfig.from_dict({**QWEN2_5, "use_sliding_window": True, "max_window_layers": 24})


@pytest.mark.parametrize(
    "entry",
    ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"],
)
def test_a_missing_entry_is_named(entry: str) -> None:
    hub = {key: value for key, value in QWEN2_5.items() if key != entry}
    with pytest.raises(ValueError, match=entry):
        ModelConfig.from_dict(hub)
