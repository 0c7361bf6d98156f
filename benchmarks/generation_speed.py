"""Tokens a second and peak memory beside transformers, on the same weights, in one run.

    python benchmarks/generation_speed.py                                  # the shipped model
    python benchmarks/generation_speed.py --model DIR --prompts 8 --new-tokens 32 --runs 1

Every engine gets the same prompts and must generate exactly `--new-tokens` tokens for each of
`--samples` samples a prompt. Engines take turns, each time in a process of its own, so that peak
memory is theirs alone; after a warm-up only generation is timed. Before anything is timed, all
engines' greedy continuations are compared. Needs requirements-dev.txt.

    ours         all prompts at once through LLM.generate
    sequential   transformers' generate, prompt by prompt with num_return_sequences
    batched      transformers' generate, all prompts in one left-padded batch
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from shared import LLM, SamplingParams, load_problems, prompts
from shared.checkpoint import resolve_folder
from shared.tokenizer import Tokenizer

ENGINES = ("ours", "sequential", "batched")
Generate = Callable[[list[list[int]], int, int, float], list[list[int]]]


def ours(folder: Path, dtype: torch.dtype) -> Generate:
    """This book's engine."""
    llm = LLM(str(folder), device="cpu", dtype=dtype)

    def generate(prompt_ids, samples, new_tokens, temperature):
        params = SamplingParams(
            n=samples, temperature=temperature, max_tokens=new_tokens, ignore_eos=True
        )
        outputs = llm.generate(prompt_ids, params)
        return [c.token_ids for output in outputs for c in output.completions]

    return generate


def transformers_engine(folder: Path, dtype: torch.dtype, batched: bool) -> Generate:
    """transformers' `generate`, one prompt or all prompts at a time."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    def generate(prompt_ids, samples, new_tokens, temperature):
        groups = [prompt_ids] if batched else [[ids] for ids in prompt_ids]
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        how = sampling if temperature else {"do_sample": False}
        completions = []
        for group in groups:
            width = max(map(len, group))
            ids = torch.tensor([[0] * (width - len(row)) + row for row in group])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in group])
            output = model.generate(
                ids,
                attention_mask=mask,
                num_return_sequences=samples,
                min_new_tokens=new_tokens,
                max_new_tokens=new_tokens,
                pad_token_id=0,
                repetition_penalty=1.0,  # some folders' generation_config.json sets one
                **how,
            )
            completions += output[:, width:].tolist()
        return completions

    return generate


def run_engine(args: argparse.Namespace) -> dict:
    """In a process of its own: one timed generation, or the greedy check."""
    folder = resolve_folder(args.model)
    dtype = getattr(torch, args.dtype)
    engine = (
        ours(folder, dtype)
        if args.engine == "ours"
        else transformers_engine(folder, dtype, args.engine == "batched")
    )
    tokenizer = Tokenizer.from_folder(folder)
    problems = load_problems("word", limit=args.prompts)
    prompt_ids = [tokenizer.encode_chat(prompts.ask(problem.question)) for problem in problems]
    if args.check:
        # Short enough that no prompt reaches its end of turn: transformers' loop forbids that
        # token before `new_tokens`, ours only ignores it.
        return {"texts": engine(prompt_ids[:4], 1, min(16, args.new_tokens), 0.0)}
    engine(prompt_ids[:2], 2, 4, args.temperature)  # warm-up
    start = time.perf_counter()
    completions = engine(prompt_ids, args.samples, args.new_tokens, args.temperature)
    seconds = time.perf_counter() - start
    lengths = {len(completion) for completion in completions}
    if len(completions) != args.prompts * args.samples or lengths != {args.new_tokens}:
        raise RuntimeError(f"{args.engine} made {len(completions)} completions of {lengths} tokens")
    return {"seconds": seconds, "peak_mb": peak_memory_mb()}


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far; not a number on Windows."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def in_process(engine: str, *more: str) -> dict:
    """Run this script again for one engine; its last line is the result."""
    command = [sys.executable, __file__, *sys.argv[1:], "--engine", engine, *more]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        sys.exit(f"{engine} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare_engines(args: argparse.Namespace) -> None:
    """Check, time in turns, print the table."""
    checks = {engine: in_process(engine, "--check")["texts"] for engine in args.engines}
    agree = all(texts == checks["ours"] for texts in checks.values()) if "ours" in checks else True
    if not agree:
        sys.exit(f"greedy continuations differ, so timings would mean nothing: {checks}")
    print("greedy continuations agree")
    results: dict[str, list[dict]] = {engine: [] for engine in args.engines}
    for _ in range(args.runs):
        for engine in args.engines:
            results[engine].append(in_process(engine))
    tokens = args.prompts * args.samples * args.new_tokens
    threads = torch.get_num_threads()
    print(f"{args.model}, {args.dtype}, {args.prompts} prompts x {args.samples} samples x ", end="")
    print(
        f"{args.new_tokens} tokens, {threads} threads, {platform.machine()}, median of {args.runs}"
    )
    print(f"{'engine':<12}{'seconds':>9}{'tokens/s':>10}{'peak MB':>9}{'ours is':>10}")
    seconds = {e: statistics.median(r["seconds"] for r in rs) for e, rs in results.items()}
    for engine, runs in results.items():
        peak = statistics.median(run["peak_mb"] for run in runs)
        ratio = f"{seconds[engine] / seconds['ours']:.1f} x" if "ours" in seconds else ""
        print(
            f"{engine:<12}{seconds[engine]:>9.2f}{tokens / seconds[engine]:>10.0f}{peak:>9.0f}"
            f"{ratio:>10}"
        )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help='"tiny", a folder or a hub id')
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--runs", type=int, default=3, help="the median of so many is printed")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        print(json.dumps(run_engine(args)))
    else:
        compare_engines(args)


if __name__ == "__main__":
    main()
