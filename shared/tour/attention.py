"""To watch the attention of a model, or to replace it, without touching the model.

The decoder asks a cache for its attention (`decoder/attention.py`). The cache here keeps nothing:
it lets the model read whole texts and hands queries, keys and values to a function of your own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.decoder.attention import WholeTexts, attention
from shared.decoder.model import Qwen

# q [B, H, T, D], k and v [B, K, T, D], mask [T, T] -> mixed values [B, H, T, D]
AttentionFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass
class OwnAttention:
    """A `cache` argument for the model that computes attention with `function`, in every layer."""

    function: AttentionFunction

    def extend(self, num_tokens: int) -> OwnStep:
        """The texts begin here: nothing was read before."""
        return OwnStep(num_tokens, self.function)


class OwnStep(WholeTexts):
    """Whole texts whose attention is a given function."""

    def __init__(self, num_tokens: int, function: AttentionFunction) -> None:
        super().__init__(num_tokens, torch.device("cpu"))
        self.function = function

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [B, H, T, D], k and v [B, K, T, D] -> [B, H, T, D]."""
        return self.function(q, k, v, self.mask)


@torch.inference_mode()
def attention_weights(model: Qwen, ids: list[int]) -> Tensor:
    """How much each token attends to each other one: [num_layers, H, T, T], on the CPU."""
    watched: list[Tensor] = []

    def watch(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        # With an identity matrix in place of the values, attention returns its weights.
        identity = torch.eye(k.shape[2]).expand(*k.shape[:2], -1, -1)
        watched.append(attention(q, k, identity, mask)[0])
        return attention(q, k, v, mask)

    model(torch.tensor([ids]), OwnAttention(watch))
    return torch.stack(watched)


def copying_head(weights: Tensor, ids: list[int], num_prompt: int) -> tuple[int, int, int]:
    """The (layer, head) that best copies from the prompt, and the last position where it does.

    A head copies at position t if it attends to prompt tokens that equal the token that comes next.
    Only next tokens that occur in the prompt count, and only positions after the prompt.
    """
    tokens = torch.tensor(ids)
    is_copy = tokens[num_prompt + 1 :, None] == tokens[None, :num_prompt]  # [reply - 1, prompt]
    copied = (weights[:, :, num_prompt:-1, :num_prompt] * is_copy).sum(dim=-1)  # [layers, H, ...]
    average = copied[:, :, is_copy.any(dim=-1)].mean(dim=-1)  # [layers, H]
    layer, head = divmod(int(average.argmax()), average.shape[1])
    clearly = copied[layer, head] > 0.9 * copied[layer, head].max()
    return layer, head, num_prompt + int(clearly.nonzero()[-1])


@torch.inference_mode()
def read_with_mask(model: Qwen, ids: list[int], mask: Tensor) -> Tensor:
    """Logits [T, V] of a text in which tokens attend as `mask` [T, T] says, in every layer."""
    own = OwnAttention(lambda q, k, v, _: attention(q, k, v, mask))
    return model(torch.tensor([ids]), own)[0]


@torch.inference_mode()
def read_with_attention(
    model: Qwen, ids: list[int], attend: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """Logits [T, V] of a text that is read with `attend(q [H, D], keys, values [K, S, D])`.

    The function is called once per token and layer, with the keys and values up to that token.
    """

    def one_by_one(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        mixed = [attend(q[0, :, t], k[0, :, : t + 1], v[0, :, : t + 1]) for t in range(q.shape[2])]
        return torch.stack(mixed, dim=1)[None]

    return model(torch.tensor([ids]), OwnAttention(one_by_one))[0]
