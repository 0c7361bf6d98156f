"""Training compute: the floating point operations of the batches that a stage was trained on.

A multiplication and an addition per weight and token in the forward pass, and twice as many in the
backward pass: 6 x weights x tokens (Kaplan 2020, section 2.1), here with attention, and with the
vocabulary head only where a loss is taken. Padding counts, since it is computed. The optimizer's
own arithmetic (about 6% more with Muon) is left out, as usual.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from shared.decoder.config import ModelConfig

Batch = tuple[Tensor, Tensor]  # token ids [B, T] and targets [B, T]


def batch_flops(config: ModelConfig, rows: int, width: int, num_learned: int) -> float:
    """One training step on `rows` texts of `width` tokens, the head applied to `num_learned`."""
    heads = config.num_heads + config.num_kv_heads
    projections = 2 * config.hidden_size * config.head_dim * heads
    mlp = 3 * config.hidden_size * config.intermediate_size
    tokens = rows * width
    weights = config.num_layers * (projections + mlp)
    attention = 4 * config.num_layers * config.num_heads * config.head_dim * width / 2  # per token
    head = 2 * config.hidden_size * config.vocab_size * num_learned
    return 3.0 * (tokens * (2 * weights + attention) + head)


class CountedBatches:
    """Passes batches on and adds up what training on them costs, and how many tokens they hold.

    A resumed run skips the batches that it has seen, which draws them again: they count, so the
    sum is that of the whole stage.
    """

    def __init__(self, batches: Iterator[Batch], config: ModelConfig, ignored: int) -> None:
        self.batches, self.config, self.ignored = batches, config, ignored
        self.flops, self.tokens, self.steps = 0.0, 0, 0

    def __iter__(self) -> Iterator[Batch]:
        for ids, targets in self.batches:
            learned = int((targets != self.ignored).sum())
            self.flops += batch_flops(self.config, *ids.shape, learned)
            self.tokens += ids.numel()
            self.steps += 1
            yield ids, targets

    def write(self, path: Path) -> None:
        """Write the sums as JSON."""
        content = {"steps": self.steps, "tokens": self.tokens, "flops": self.flops}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
