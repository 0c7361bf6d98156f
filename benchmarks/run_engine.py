"""One engine, once, in a process of its own, so that its peak memory is its alone.

`generation_speed.py` starts this with a job, JSON on standard input; the last line of the output
is the result. After a warm-up only the generation is timed.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from engines import ENGINES

from shared import SamplingParams


def run(job: dict) -> dict:
    """The new tokens of every sample, seconds, and this process's peak memory in MB."""
    generate = ENGINES[job["engine"]](Path(job["folder"]), getattr(torch, job["dtype"]))
    params = SamplingParams(**job["params"], ignore_eos=True)
    prompt_ids, size = job["prompt_ids"], job["batch"]
    # Backwards, so that nothing that an engine may keep of it helps with the prompts themselves.
    backwards = [ids[:-17:-1] for ids in prompt_ids[:2]]
    generate(backwards, replace(params, n=min(2, params.n), max_tokens=4))
    completions: list[list[int]] = []
    start = time.perf_counter()
    for first in range(0, len(prompt_ids), size):
        completions += generate(prompt_ids[first : first + size], params)
    seconds = time.perf_counter() - start
    return {"completions": completions, "seconds": seconds, "peak_mb": peak_memory_mb()}


def limit_memory() -> None:
    """On Linux: allocate no more than is free now, so that too large a batch is an error here,
    and not a reason for the system to end some process of its choice."""
    if sys.platform == "linux":
        import resource

        memory = Path("/proc/meminfo").read_text(encoding="utf-8")
        free = int(memory.split("MemAvailable:")[1].split()[0]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (free, free))


def peak_memory_mb() -> float | None:
    """Largest resident memory of this process so far, loading included; None on Windows."""
    if sys.platform == "linux":
        # getrusage would also count what the parent had in memory when it started this process.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / (1 << 10)
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


if __name__ == "__main__":
    limit_memory()
    print(json.dumps(run(json.load(sys.stdin))))
