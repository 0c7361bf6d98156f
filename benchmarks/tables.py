"""Markdown tables of the records that `generation_speed.py` writes, one record a workload."""

from __future__ import annotations

import statistics

HEADER = ("engine", "seconds", "tokens/s", "peak MB", "share of the bound", "ours is")


def render(record: dict) -> str:
    """A heading, and a table with a line an engine; an engine that was tried with several batch
    sizes has two: prompt by prompt, and its fastest."""
    workload = record["workload"]
    tokens = workload["prompts"] * workload["samples"] * workload["new_tokens"]
    least = record["least_seconds"]
    medians = {key: median_run(runs) for key, runs in by_contestant(record["runs"]).items()}
    our_seconds = next((run["seconds"] for (name, _), run in medians.items() if name == "ours"), 0)

    lines = [HEADER, ("---",) + ("---:",) * (len(HEADER) - 1)]
    for (engine, batch), run in shown(medians).items():
        name = f"{engine}, {batch_name(batch)}" if run["batch_matters"] else engine
        lines.append((name, *figures(run, tokens, least, our_seconds)))
    machine = record["machine"]
    bound = (
        f"roofline ({machine['bytes_per_second'] / 1e9:.1f} GB/s, "
        f"{machine['flops_per_second'] / 1e9:.0f} GFLOP/s)"
    )
    lines.append((bound, f"{least:.2f}", rate(tokens / least), "", "100%", ""))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{heading(record)}\n\n{table}\n"


def heading(record: dict) -> str:
    """What was asked for, and where it was run."""
    workload, machine, lengths = record["workload"], record["machine"], record["prompt_lengths"]
    shortest, longest = min(lengths), max(lengths)
    length = str(longest) if shortest == longest else f"{shortest} to {longest}"
    return (
        f"**{workload['name']}** ({workload['model']} model): {workload['prompts']} x {length} "
        f"prompt tokens, {workload['samples']} samples x {workload['new_tokens']} new tokens, "
        f"top-p {workload['top_p']}, {record['dtype']}, {machine['threads']} threads, "
        f"{record['platform']}, median of {record['num_runs']}"
    )


def by_contestant(runs: list[dict]) -> dict[tuple[str, int], list[dict]]:
    """Runs by engine and batch size, in the order of the first turn."""
    grouped: dict[tuple[str, int], list[dict]] = {}
    for run in runs:
        grouped.setdefault((run["engine"], run["batch"]), []).append(run)
    return grouped


def median_run(runs: list[dict]) -> dict:
    """Medians of seconds and memory; an error where any of the runs failed."""
    if errors := [run["error"] for run in runs if "error" in run]:
        return {**runs[0], "error": errors[0]}
    peaks = [run["peak_mb"] for run in runs]
    return {
        **runs[0],
        "seconds": statistics.median(run["seconds"] for run in runs),
        "peak_mb": None if None in peaks else statistics.median(peaks),
    }


def shown(medians: dict[tuple[str, int], dict]) -> dict[tuple[str, int], dict]:
    """Of each engine the smallest batch, and the fastest where that is another one."""
    chosen = {}
    for engine in dict.fromkeys(engine for engine, _ in medians):
        tried = {key: run for key, run in medians.items() if key[0] == engine}
        smallest = min(tried)
        fastest = min(tried, key=lambda key: tried[key].get("seconds", float("inf")))
        chosen |= {key: tried[key] for key in (smallest, fastest)}
    return chosen


def batch_name(prompts: int) -> str:
    """How the prompts were put together."""
    return "prompt by prompt" if prompts == 1 else f"{prompts} prompts a batch"


def figures(run: dict, tokens: int, least: float, our_seconds: float) -> tuple[str, ...]:
    """The cells after the engine's name."""
    if "error" in run:
        return run["error"], "", "", "", ""
    seconds = run["seconds"]
    peak = "" if run["peak_mb"] is None else f"{run['peak_mb']:,.0f}"
    ratio = f"{seconds / our_seconds:.1f} x" if our_seconds else ""
    return f"{seconds:.2f}", rate(tokens / seconds), peak, f"{least / seconds:.1%}", ratio


def rate(tokens_per_second: float) -> str:
    """With a decimal where whole numbers would be too coarse."""
    return f"{tokens_per_second:,.0f}" if tokens_per_second >= 100 else f"{tokens_per_second:.1f}"
