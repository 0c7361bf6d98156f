"""The checks of gpu.py. Each returns a dict of figures in which `ok` says whether it holds."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import chisquare
from torch import Tensor

from shared import LLM, SamplingParams
from shared.decoder.attention import attention
from shared.decoder.model import Qwen
from shared.decoder.sampler import RowParams
from shared.engine.fast_sampler import Filters, fast_sample
from shared.loading.checkpoint import load_model

NEAR_TIE = 0.25  # nats between the two most likely tokens: rounding may swap them
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Sizes:
    """How much is computed: all of it on a GPU, a little on a CPU."""

    rows: tuple[int, ...]
    new_tokens: int
    prompt_tokens: int
    draws: int
    texts: int
    cache_bytes: int
    ladder: tuple[str, ...]  # flags of the ladder


FULL = Sizes((1, 16, 256, 1024), 128, 256, 200_000, 64, 16 << 30, ("--limit", "100"))
SMALL = Sizes((1, 4), 4, 16, 20_000, 4, 64 << 20, ("--limit", "2", "--n", "2"))


def prompt(number: int, length: int) -> list[int]:
    """Token ids that the shipped tokenizer knows, another text for each number."""
    generator = torch.Generator().manual_seed(number)
    return torch.randint(10, 250, (length,), generator=generator).tolist()


def parity(folder: Path, device: str, dtype: torch.dtype, sizes: Sizes) -> dict:
    """Logits beside those of transformers in the same dtype, both against float32.

    Holds if our largest error is at most 1.5 times theirs.
    """
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([prompt(i, sizes.prompt_tokens) for i in range(2)], device=device)
    found = {}
    with torch.inference_mode():
        for name, kind in (("exact", torch.float32), ("theirs", dtype)):
            theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=kind).to(device).eval()
            found[name] = theirs(ids).logits.float()
            del theirs
        found["ours"] = load_model(folder, device, dtype)(ids).float()
    errors = {k: (found[k] - found["exact"]).abs().max().item() for k in ("ours", "theirs")}
    return {"ok": errors["ours"] <= 1.5 * errors["theirs"] + 1e-6, **errors}


def sampler(device: str, sizes: Sizes) -> dict:
    """Draws on the device against probabilities that are worked out on the CPU in float64."""
    logits = torch.tensor([2.0, 1.5, 1.0, 0.3, 0.0, -1.0, -2.5, 1.2])
    worst = 1.0
    for params in (
        SamplingParams(temperature=0.7),
        SamplingParams(temperature=1.0, top_p=0.75),
        SamplingParams(temperature=1.3, top_k=3),
        SamplingParams(temperature=1.0, min_p=0.2, top_p=0.9),
    ):
        expected = kept_probabilities(logits.double(), params)
        rows = RowParams.stack([params], device).select(torch.zeros(sizes.draws, dtype=torch.long))
        uniforms = torch.rand(sizes.draws, 2, generator=torch.Generator().manual_seed(0)).to(device)
        batch = logits.to(device).expand(sizes.draws, -1)
        tokens = fast_sample(batch, rows, Filters.of([params]), uniforms).cpu()
        counts = torch.bincount(tokens, minlength=len(logits)).double()
        possible = expected > 0
        if counts[~possible].sum():
            return {"ok": False, "forbidden_tokens": int(counts[~possible].sum())}
        p_value = chisquare(counts[possible], expected[possible] * sizes.draws).pvalue
        worst = min(worst, float(p_value))
    return {"ok": worst > 1e-4, "smallest_p_value": worst}


def kept_probabilities(logits: Tensor, params: SamplingParams) -> Tensor:
    """The distribution [V] that the parameters ask for, by plain loops."""
    p = (logits / params.temperature).softmax(0)
    p = torch.where(p >= params.min_p * p.max(), p, 0.0)
    order = p.argsort(descending=True).tolist()
    order = order[: params.top_k] if params.top_k > 0 else order
    total, mass, kept = sum(p[i] for i in order), 0.0, torch.zeros_like(p)
    for i in order:
        kept[i] = p[i]
        mass += p[i] / total
        if mass >= params.top_p:
            break
    return kept / kept.sum()


def batch_independence(llm: LLM, sizes: Sizes) -> dict:
    """Greedy texts alone and in a batch: the same, except where the best two tokens nearly tie."""
    params = SamplingParams(temperature=0, max_tokens=sizes.new_tokens, ignore_eos=True, logprobs=2)
    prompts = [prompt(i, sizes.prompt_tokens // 2 + i) for i in range(sizes.texts)]
    together = llm.generate(prompts, params)
    differing, largest_gap = 0, 0.0
    for ids, output in zip(prompts, together):
        (alone,), (batched,) = llm.generate(ids, params)[0].completions, output.completions
        pairs = zip(alone.token_ids, batched.token_ids)
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        if first is not None:
            differing += 1
            best, second = sorted(alone.top_logprobs[first].values(), reverse=True)[:2]
            largest_gap = max(largest_gap, best - second)
    return {
        "ok": largest_gap < NEAR_TIE,
        "texts": sizes.texts,
        "differing": differing,
        "largest_gap_nats": largest_gap,
    }


def speed(llm: LLM, sizes: Sizes) -> dict:
    """Generated tokens per second with this many samples of one prompt, after a warm-up."""
    ids = prompt(0, sizes.prompt_tokens)
    found = {}
    for rows in sizes.rows:
        params = SamplingParams(n=rows, max_tokens=sizes.new_tokens, ignore_eos=True)
        llm.generate(ids, SamplingParams(n=rows, max_tokens=2, ignore_eos=True))
        start = time.perf_counter()
        llm.generate(ids, params)
        found[rows] = rows * sizes.new_tokens / (time.perf_counter() - start)
    return {"ok": True, "tokens_per_second": found}


class StaticStep:
    """One new token per row in a cache of fixed size: what a compiler or a CUDA graph can take."""

    def __init__(self, model: Qwen, rows: int, columns: int) -> None:
        config = model.config
        shape = (config.num_layers, rows, config.num_kv_heads, columns, config.head_dim)
        self.keys = torch.zeros(shape, device=model.device, dtype=model.dtype)
        self.values = torch.zeros_like(self.keys)
        self.positions = torch.zeros(rows, 1, dtype=torch.long, device=model.device)
        self.columns = torch.arange(columns, device=model.device)

    def extend(self, num_tokens: int) -> StaticStep:
        """The model asks its cache for a step: it is always this one."""
        return self

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v [rows, K, 1, D] at the position, then attend to all up to it."""
        for tensor, new in ((self.keys[layer], k), (self.values[layer], v)):
            tensor.scatter_(2, self.positions[:, None, :, None].expand_as(new), new)
        mask = self.columns <= self.positions[:, None, :, None]  # [rows, 1, 1, S]
        return attention(q, self.keys[layer], self.values[layer], mask)


@torch.inference_mode()
def static_speed(model: Qwen, sizes: Sizes) -> dict:
    """Decoding steps per second in a cache of fixed size: plainly, compiled, and as a CUDA graph.

    What the engine could gain from `torch.compile` and CUDA graphs; it uses neither.
    """
    found: dict[str, dict[int, float]] = {"plain": {}}
    for rows in sizes.rows:
        step = StaticStep(model, rows, sizes.prompt_tokens + sizes.new_tokens)
        step.positions.fill_(sizes.prompt_tokens)
        tokens = torch.zeros(rows, 1, dtype=torch.long, device=model.device)
        calls = {"plain": lambda tokens=tokens, step=step: model(tokens, step)}
        if model.device.type == "cuda":
            compiled = torch.compile(model, dynamic=False)
            calls["compiled"] = lambda tokens=tokens, step=step, run=compiled: run(tokens, step)
            calls["cuda graph"] = captured(calls["plain"])
        for name, call in calls.items():
            found.setdefault(name, {})[rows] = rows / seconds_per_call(call, sizes.new_tokens)
        del step, calls
    skipped = [] if model.device.type == "cuda" else ["compiled", "cuda graph"]
    return {"ok": True, "tokens_per_second": found, "skipped_without_gpu": skipped}


def captured(call):
    """The call as a CUDA graph, to be replayed."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()  # what is allocated or compiled on first use does not belong in the graph
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def seconds_per_call(call, times: int) -> float:
    """The mean time of a call, the device's work included, after two calls to warm up."""
    for _ in range(2):
        call()
    wait_for_device()
    start = time.perf_counter()
    for _ in range(times):
        call()
    wait_for_device()
    return (time.perf_counter() - start) / times


def wait_for_device() -> None:
    """Wait until a GPU has done what was asked of it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def synchronizations(llm: LLM, sizes: Sizes) -> dict:
    """How often a step waits for the GPU, with few rows and with many: it may not grow with rows.

    Each step copies one flag per row to the CPU, to see which rows have ended.
    """
    if llm.model.device.type != "cuda":
        return {"ok": True, "skipped": "counted on a GPU only"}
    found = {}
    for rows in (2, sizes.rows[-1]):
        params = SamplingParams(n=rows, max_tokens=sizes.new_tokens, ignore_eos=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            llm.generate(prompt(0, sizes.prompt_tokens), params)
            torch.cuda.set_sync_debug_mode("default")
        count = sum("synchroniz" in str(each.message) for each in caught)
        found[rows] = count / sizes.new_tokens
    few, many = found.values()
    return {"ok": many <= few + 1, "per_step": found}


def memory(folder: Path, device: str, dtype: torch.dtype, sizes: Sizes) -> dict:
    """Peak memory of a full batch beside the bound that `LLM(cache_bytes=...)` states.

    The bound: the weights, `cache_bytes`, 256 MiB of earlier texts, and a tenth on top.
    """
    if device != "cuda":
        return {"ok": True, "skipped": "measured on a GPU only"}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    llm = LLM(str(folder), device=device, dtype=dtype, cache_bytes=sizes.cache_bytes)
    weights = sum(p.nbytes for p in llm.model.parameters())
    params = SamplingParams(n=sizes.rows[-1], max_tokens=4 * sizes.new_tokens, ignore_eos=True)
    llm.generate(prompt(0, sizes.prompt_tokens), params)
    peak = torch.cuda.max_memory_allocated() - before
    bound = 1.1 * (weights + sizes.cache_bytes + (256 << 20))
    return {"ok": peak <= bound, "peak_gb": peak / 1e9, "bound_gb": bound / 1e9}


def ladder(sizes: Sizes, folder: Path) -> dict:
    """The shipped model's ladder, from chain of thought to search, on the default device."""
    script = ROOT / "ch07_combine" / "ladder.py"
    command = [sys.executable, str(script), *sizes.ladder, "--out", str(folder)]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    seconds = time.perf_counter() - start
    return {"ok": done.returncode == 0, "seconds": seconds, "output": done.stdout[-3000:]}
