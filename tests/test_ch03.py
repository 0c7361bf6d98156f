"""Best-of-N: the ranking on toy data, the script for real, and a hub reward model's layout."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file

from ch03_best_of_n import best_of_n as chapter
from shared import Completion, Cost, Problem, RequestOutput, SamplingParams, load_problems
from shared.pool import PooledProblem, Sample, accuracy_at
from shared.scorers import SEPARATED_SYSTEM, ProcessRewardModel, encode_separated

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "ch03_best_of_n" / "best_of_n.py"
TINY = ROOT / "shared" / "tiny" / "checkpoint"
QUESTION = "Ana has 45 shells. Ana buys 12 more. How many shells does Ana have now?"
SOLUTION = "Plan: in order.\n\n45+12=57\n\nThe answer is \\boxed{57}."


# --- A reward model in the layout of Qwen/Qwen2.5-Math-PRM-7B -------------------------------------


def write_hub_reward_model(folder: Path, with_lm_head: bool = False) -> tuple:
    """A small random one, written by transformers and torch; returns its backbone and its head."""
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(TINY / name, folder)
    tokenizer = json.loads((TINY / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer["added_tokens_decoder"]["530"] = {"content": "<extra_0>", "special": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=531,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        attn_implementation="eager",
    )
    backbone = transformers.Qwen2Model(config).eval().requires_grad_(False)
    linear = torch.nn.Linear
    head = torch.nn.Sequential(linear(32, 32), torch.nn.ReLU(), linear(32, 2)).requires_grad_(False)
    for name, parameter in [*backbone.named_parameters(), *head.named_parameters()]:
        parameter.normal_(mean=float(name.endswith("norm.weight")), std=0.3)
    tensors = {f"model.{name}": tensor for name, tensor in backbone.state_dict().items()}
    tensors |= {f"score.{name}": tensor for name, tensor in head.state_dict().items()}
    if with_lm_head:
        tensors["lm_head.weight"] = torch.ones(531, 32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    hub = config.to_dict() | {"architectures": ["Qwen2ForProcessRewardModel"]}
    (folder / "config.json").write_text(json.dumps(hub), encoding="utf-8")
    return backbone, head


@pytest.mark.parametrize("with_lm_head", [False, True])
def test_a_hub_reward_model_scores_as_transformers_backbone_and_its_head(tmp_path, with_lm_head):
    backbone, head = write_hub_reward_model(tmp_path, with_lm_head)
    # The reference of the model card: the whole chat as text, a separator after each step, and
    # the softmax probability of the second label wherever the separator stands.
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    steps = SOLUTION.split("\n\n")
    chat = [
        {"role": "system", "content": SEPARATED_SYSTEM},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"},
    ]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    ids = tokenizer(text, return_tensors="pt").input_ids
    probabilities = head(backbone(ids).last_hidden_state).softmax(dim=-1)
    expected = probabilities[ids == tokenizer.convert_tokens_to_ids("<extra_0>")][:, 1]
    assert len(expected) == 3 and expected.std() > 0.01

    model = ProcessRewardModel.from_folder(tmp_path, device="cpu")
    together = model.step_scores(QUESTION, [SOLUTION, "57"])
    torch.testing.assert_close(torch.tensor(together[0]), expected, atol=1e-5, rtol=0)
    assert len(together[1]) == 1
    assert not hasattr(model, "lm_head")


def test_a_separator_that_a_user_wrote_is_text(tmp_path):
    write_hub_reward_model(tmp_path)
    tokenizer = ProcessRewardModel.from_folder(tmp_path, device="cpu").tokenizer
    ids, ends = encode_separated(tokenizer, "What is <extra_0>?", "<extra_0>\n\n\n\nIt is 1.")
    assert ids.count(530) == len(ends) == 2
    assert [ids[end] for end in ends] == [530, 530]


def test_a_vocabulary_without_the_separator_is_refused(tiny):
    with pytest.raises(ValueError, match="<extra_0>"):
        encode_separated(tiny.tokenizer, QUESTION, SOLUTION)
