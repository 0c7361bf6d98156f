"""Logits that are no numbers: an error that says why, instead of a text of nonsense."""

from __future__ import annotations

import torch


def overflow_error(dtype: torch.dtype) -> ValueError:
    """What to raise where a model of this dtype gave a NaN or infinity, and what helps."""
    if dtype == torch.float16:
        return ValueError(
            "float16 overflowed in this model (it ends at 65,504): its logits are NaN or infinite; "
            "load the model with dtype=torch.bfloat16 or torch.float32"
        )
    return ValueError(
        f"the model's logits are NaN or infinite, although it computes in {dtype}, which does not "
        "overflow in a sound model: its weights or its config.json are damaged, download it again"
    )
