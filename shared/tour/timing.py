"""How long the textbook model takes per token: with and without a cache, and in batches.

    python -m shared.tour.timing --model Qwen/Qwen2.5-Coder-0.5B-Instruct

The tour (`tour.ipynb`) times the shipped model in its own cells. What it says about a real Qwen is
read from `qwen.json`, the file that this command writes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from shared import LLM, SamplingParams, extract_answer, load_model, prompts
from shared.decoder.kv_cache import KVCache
from shared.decoder.model import Qwen

RECORDED = Path(__file__).with_name("qwen.json")
LENGTHS = (32, 64, 128, 256, 512, 1024)
ROWS = (1, 2, 4, 8, 16, 32, 64)
QUESTION = (
    "Ana has 245 shells. Ana buys 3 boxes of 14 shells. Tom has 20 pens. Eva takes 128. "
    "How many shells does Ana have now?"
)


def seconds_of(function: Callable[[], object], repeats: int = 7) -> float:
    """The fastest of several runs on one CPU thread, in seconds, after one run to warm up.

    The time is CPU time: what other programs on the machine use is not counted.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        function()
        times = []
        for _ in range(repeats):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        return min(times)
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def time_next_token(model: Qwen, length: int, repeats: int = 7) -> tuple[float, float]:
    """Seconds for the logits after `length` tokens: (without a cache, with a cache)."""
    ids = torch.arange(length)[None] % model.config.vocab_size  # which tokens does not matter
    cache = KVCache(model.config, num_rows=1, max_tokens=length)

    def read_one() -> None:
        cache.truncate([length - 1])  # as if everything but the last token had been read
        model(ids[:, -1:], cache)

    return seconds_of(lambda: model(ids), repeats), seconds_of(read_one, repeats)


@torch.inference_mode()
def time_step(model: Qwen, num_rows: int, length: int = 128, repeats: int = 7) -> float:
    """Seconds for one decode step of `num_rows` rows, each of `length` tokens."""
    token = torch.zeros(num_rows, 1, dtype=torch.long)
    cache = KVCache(model.config, num_rows, max_tokens=length)

    def step() -> None:
        cache.truncate([length - 1] * num_rows)
        model(token, cache)

    return seconds_of(step, repeats)


def read_recorded() -> dict:
    """What was measured on a real Qwen: see `measure`."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def measure(name: str, repeats: int = 5) -> dict:
    """What the tour says about another model: its sizes, its reply to QUESTION, its timings."""
    llm = LLM(name, device="cpu", dtype=torch.float32)
    greedy = SamplingParams(temperature=0, max_tokens=400)
    (output,) = llm.chat(prompts.ask(QUESTION), greedy, enable_thinking=False)
    reply = output.completions[0]
    model = load_model(name, "cpu", torch.float32)
    return {
        "config": asdict(model.config),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "reply": {
            "prompt_tokens": len(output.prompt_token_ids),
            "tokens": len(reply.token_ids),
            "text": reply.text,
            "answer": extract_answer(reply.text),
        },
        "next_token": [[n, *time_next_token(model, n, repeats)] for n in LENGTHS],
        "step": [[rows, time_step(model, rows, repeats=repeats)] for rows in ROWS],
    }


def main() -> None:
    """Measure one model and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a folder or an id on the hub")
    parser.add_argument("--label", help="the name to record; by default the model's own")
    parser.add_argument("--out", type=Path, default=RECORDED, help="the .json file to write")
    arguments = parser.parse_args()
    result = {"model": arguments.label or arguments.model, **measure(arguments.model)}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
