"""Tokens a second and peak memory beside other engines, on the same weights, in one run.

    python benchmarks/generation_speed.py --workload tiny          # see workloads.py for the others
    python benchmarks/generation_speed.py --workload all --model DIR --json results.json
    python benchmarks/generation_speed.py --workload tiny --prompts 4 --new-tokens 8 --runs 1
    python benchmarks/generation_speed.py --table results.json     # Markdown, nothing is run

Every engine (engines.py) gets the same token ids and must generate this many tokens for each
of the samples. Before anything is timed, all engines' greedy continuations are compared. Then they
take turns, each time in a process of its own; transformers and the batched generator of
reasoning-from-scratch with several batch sizes. Beside them stands what the machine could do at
best (roofline.py), measured between the rounds. Needs requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import tables
import torch
from engines import BATCH_MATTERS, ENGINES, why_not
from roofline import Machine, Weights, describe, least_seconds, measure
from workloads import (
    GIVEN,
    QWEN3_06B,
    RANDOM,
    SHIPPED,
    WORKLOADS,
    Workload,
    make_prompts,
    write_random_model,
)

from shared.decoder.config import ModelConfig
from shared.loading.checkpoint import resolve_folder

RUNNER = Path(__file__).parent / "run_engine.py"
BATCHES = (1, 4, 16)  # prompts a batch, besides all of them
CHECKED_PROMPTS, CHECKED_TOKENS = 4, 16
OUT_OF_MEMORY = "out of memory"


def compare_engines(workload: Workload, folder: Path, args: argparse.Namespace) -> dict:
    """Check all engines on a workload, time them and the machine in turns: a record for --json."""
    config = ModelConfig.from_folder(folder)
    prompt_ids = make_prompts(workload, folder)
    job = {"folder": str(folder), "dtype": args.dtype, "prompt_ids": prompt_ids}
    engines = [engine for engine in args.engines if takes_part(engine, config)]
    check_greedy(engines, job, min(CHECKED_TOKENS, workload.new_tokens))
    job["params"] = {
        "n": workload.samples,
        "max_tokens": workload.new_tokens,
        "temperature": workload.temperature,
        "top_p": workload.top_p,
    }
    runs, machines = [], [measured(args.dtype)]
    for _ in range(args.runs):
        for engine in engines:
            runs += [timed(job, engine, size) for size in batch_sizes(engine, workload.prompts)]
        machines.append(measured(args.dtype))
    machine = median_machine(machines)
    weights = Weights.of(config, getattr(torch, args.dtype))
    lengths = [len(ids) for ids in prompt_ids]
    return {
        "workload": asdict(workload),
        "dtype": args.dtype,
        "prompt_lengths": lengths,
        "num_runs": args.runs,
        "machine": asdict(machine),
        "platform": f"{platform.machine()}, torch {torch.__version__}",
        "least_seconds": least_seconds(
            lengths, workload.samples, workload.new_tokens, weights, machine
        ),
        "runs": runs,
    }


def measured(dtype: str) -> Machine:
    """The machine as it is just now: what else a shared one does can halve its speed."""
    machine = measure(getattr(torch, dtype))
    print(f"  this machine: {describe(machine)}", flush=True)
    return machine


def median_machine(machines: list[Machine]) -> Machine:
    """The median of each number."""
    return Machine(
        statistics.median(machine.bytes_per_second for machine in machines),
        statistics.median(machine.flops_per_second for machine in machines),
        machines[0].threads,
    )


def takes_part(engine: str, config: ModelConfig) -> bool:
    """Whether an engine can run this model; says so where it cannot."""
    if reason := why_not(engine, config):
        print(f"  {engine} is left out: {reason}")
    return reason is None


def batch_sizes(engine: str, num_prompts: int) -> list[int]:
    """How many prompts at a time an engine is given, in turn."""
    if engine not in BATCH_MATTERS:
        return [num_prompts]
    return sorted({min(size, num_prompts) for size in (*BATCHES, num_prompts)})


def check_greedy(engines: list[str], job: dict, new_tokens: int) -> None:
    """Stop unless all engines give the same greedy continuations of the first few prompts."""
    job = job | {
        "prompt_ids": job["prompt_ids"][:CHECKED_PROMPTS],
        "params": {"n": 1, "max_tokens": new_tokens, "temperature": 0.0},
    }
    found = {engine: run_engine(job, engine, CHECKED_PROMPTS) for engine in engines}
    for engine, result in found.items():
        if "error" in result:
            sys.exit(f"{engine}: {result['error']} in the greedy check")
        if result["completions"] != found[engines[0]]["completions"]:
            sys.exit(
                f"greedy continuations differ, so timings would mean nothing:\n{engines[0]} "
                f"{found[engines[0]]['completions']}\n{engine} {result['completions']}"
            )
    print(f"  greedy continuations agree: {', '.join(engines)}")


def timed(job: dict, engine: str, batch: int) -> dict:
    """One run of one engine, without the tokens."""
    result = run_engine(job, engine, batch)
    result.pop("completions", None)
    outcome = result.get("error") or f"{result['seconds']:.2f} s"
    print(f"  {engine}, {batch} prompts a batch: {outcome}", flush=True)
    return {
        "engine": engine,
        "batch": batch,
        "batch_matters": engine in BATCH_MATTERS,
        **result,
    }


def run_engine(job: dict, engine: str, batch: int) -> dict:
    """Run one engine in a process of its own; {"error": …} where memory did not suffice.

    Stops the benchmark where the engine fails otherwise, or made what it was not asked for.
    """
    done = subprocess.run(
        [sys.executable, str(RUNNER)],
        input=json.dumps(job | {"engine": engine, "batch": batch}),
        capture_output=True,
        text=True,
    )
    killed = sys.platform != "win32" and done.returncode == -signal.SIGKILL
    if killed or "can't allocate memory" in done.stderr or "not enough memory" in done.stderr:
        return {"error": OUT_OF_MEMORY}
    if done.returncode:
        sys.exit(f"{engine} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    asked = [job["params"]["max_tokens"]] * (len(job["prompt_ids"]) * job["params"]["n"])
    if (made := [len(tokens) for tokens in result["completions"]]) != asked:
        sys.exit(f"{engine} made completions of {made} tokens, not {asked}")
    return result


def chosen_workloads(args: argparse.Namespace) -> list[Workload]:
    """The workloads of the command line, with its sizes; the same one only once."""
    names = list(WORKLOADS) if args.workload == "all" else [args.workload]
    sizes = {
        name: value
        for name in ("prompts", "samples", "new_tokens", "prompt_tokens")
        if (value := getattr(args, name)) is not None
    }
    chosen = [replace(workload, **sizes) for name in names for workload in WORKLOADS[name]]
    if args.model is None and args.workload == "all":
        print("qwen2.5-0.5b is left out: give the folder of a checkpoint as --model")
        chosen = [workload for workload in chosen if workload.model != GIVEN]
    return list(dict.fromkeys(chosen))


def with_folders(workloads: list[Workload], model: str | None) -> Iterator[tuple[Workload, Path]]:
    """Each workload with its model's folder; the random model is written when it is needed."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {SHIPPED: resolve_folder("tiny")}
        for workload in workloads:
            if workload.model == RANDOM and RANDOM not in folders:
                folders[RANDOM] = Path(scratch) / "model"
                write_random_model(folders[RANDOM], QWEN3_06B)
            if workload.model == GIVEN:
                folders[GIVEN] = resolve_folder(model)
            yield workload, folders[workload.model]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", default="tiny", choices=(*WORKLOADS, "all"))
    parser.add_argument("--model", help="folder or hub id of the checkpoint of qwen2.5-0.5b")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--prompts", type=int, help="instead of the workload's own number")
    parser.add_argument("--samples", type=int, help="of each prompt, likewise")
    parser.add_argument("--new-tokens", type=int, help="of each sample, likewise")
    parser.add_argument("--prompt-tokens", type=int, help="of each prompt, likewise")
    parser.add_argument("--runs", type=int, default=3, help="the median of so many is reported")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to a file")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="only print these")
    args = parser.parse_args()
    if args.table:
        for file in args.table:
            for record in json.loads(file.read_text(encoding="utf-8")):
                print(tables.render(record))
        return
    if args.workload == "qwen2.5-0.5b" and args.model is None:
        parser.error("qwen2.5-0.5b needs the folder of a checkpoint as --model")
    records = []
    for workload, folder in with_folders(chosen_workloads(args), args.model):
        print(f"{workload.name}: {workload.prompts} prompts x {workload.samples} samples")
        records.append(compare_engines(workload, folder, args))
        print(f"\n{tables.render(records[-1])}", flush=True)
        if args.json:  # after each workload, so that an interrupted run keeps what it has
            args.json.write_text(json.dumps(records, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
