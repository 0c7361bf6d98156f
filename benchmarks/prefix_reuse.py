"""What reuse of the key/value cache across calls saves in the shape of a search.

    python benchmarks/prefix_reuse.py
    python benchmarks/prefix_reuse.py --model DIR --prompts 4 --runs 1

A search without a scorer: at each step every kept path is continued by some branches, and of all
branches of a prompt those with the likeliest step are kept. A step is one call of LLM.generate,
whose prompts are what has been kept so far; without reuse it reads all of that again. The two ways
take turns, each time with an empty cache, and a Markdown table of the medians is printed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import torch

from shared import LLM, SamplingParams, load_problems, prompts
from shared.solution import Cost

WAYS: dict[str, dict[str, int]] = {"without reuse": {"prefix_cache_bytes": 0}, "with reuse": {}}


@dataclass(frozen=True)
class Search:
    """What one search did: its cost, its seconds, and for each prompt the paths that it kept."""

    cost: Cost
    seconds: float
    kept: list[list[tuple[int, ...]]]


def search(llm: LLM, prompt_ids: list[list[int]], args: argparse.Namespace) -> Search:
    """Search on all prompts at once; a path is the token ids after its prompt."""
    kept: list[list[tuple[int, ...]]] = [[()] for _ in prompt_ids]
    cost = Cost()
    start = time.perf_counter()
    for step in range(args.steps):
        num_paths = len(kept[0])
        params = SamplingParams(
            n=args.branches // num_paths,
            max_tokens=args.step_tokens,
            seed=step,
            ignore_eos=True,
        )
        texts = [[*ids, *path] for ids, paths in zip(prompt_ids, kept) for path in paths]
        outputs = llm.generate(texts, params)
        cost = sum((output.cost for output in outputs), cost)
        for index, paths in enumerate(kept):
            mine = outputs[index * num_paths : (index + 1) * num_paths]
            branches = [
                (sum(completion.logprobs), (*path, *completion.token_ids))
                for path, output in zip(paths, mine)
                for completion in output.completions
            ]
            likeliest = [path for _, path in sorted(branches, reverse=True)]
            # Equal paths only where there are not enough different ones.
            kept[index] = [*dict.fromkeys(likeliest), *likeliest][: args.keep]
    return Search(cost, time.perf_counter() - start, kept)


def compare(args: argparse.Namespace) -> dict[str, list[Search]]:
    """Both ways in turns, `--runs` times. Raises RuntimeError where they did unequal work."""
    searches: dict[str, list[Search]] = {way: [] for way in WAYS}
    for _ in range(args.runs):
        for way, options in WAYS.items():
            llm = LLM(args.model, device="cpu", dtype=getattr(torch, args.dtype), **options)
            problems = load_problems("word", limit=args.prompts)
            prompt_ids = [llm.tokenizer.encode_chat(prompts.ask(p.question)) for p in problems]
            # Backwards, so that nothing that is kept of this warm-up helps with the prompts.
            llm.generate(prompt_ids[0][::-1], SamplingParams(max_tokens=2))
            searches[way].append(search(llm, prompt_ids, args))
            print(f"{way}: {searches[way][-1].seconds:.2f} s", flush=True)
    total = {s.cost.prompt_tokens for some in searches.values() for s in some}
    if len(total) != 1:
        raise RuntimeError(f"the searches had prompts of different lengths: {sorted(total)} tokens")
    return searches


def render(searches: dict[str, list[Search]]) -> str:
    """The table, and what reuse saved."""
    seconds = {way: statistics.median(s.seconds for s in some) for way, some in searches.items()}
    costs = {way: some[0].cost for way, some in searches.items()}
    lines = ["| | prompt tokens read | reused | seconds |", "| --- | ---: | ---: | ---: |"]
    for way, cost in costs.items():
        lines.append(
            f"| {way} | {cost.prompt_tokens - cost.reused_tokens:,} | {cost.reused_tokens:,} | "
            f"{seconds[way]:.2f} |"
        )
    reusing = costs["with reuse"]
    slow, fast = (seconds[way] for way in WAYS)
    paths = [[path for paths in searches[way][0].kept for path in paths] for way in WAYS]
    same = sum(one == other for one, other in zip(*paths))
    share = reusing.reused_tokens / reusing.prompt_tokens
    lines.append(
        f"\nReuse spares {share:.1%} of the prompt tokens, {1 - fast / slow:.1%} of the seconds; "
        f"{same} of {len(paths[0])} kept paths are the same."
    )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help='"tiny", a folder or a hub id')
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--branches", type=int, default=8, help="of a prompt at each step")
    parser.add_argument("--keep", type=int, default=2, help="of a prompt's branches at each step")
    parser.add_argument("--step-tokens", type=int, default=24, help="new tokens of a branch")
    parser.add_argument("--runs", type=int, default=3, help="the median of so many is printed")
    args = parser.parse_args()
    if args.branches % args.keep:
        parser.error("--branches must be a multiple of --keep, so that every step has as many")
    print(render(compare(args)))


if __name__ == "__main__":
    main()
