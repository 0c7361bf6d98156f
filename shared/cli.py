"""What all scripts of the book share: their flags, the run, the printed result.

parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
add_common_flags(parser)
parser.set_defaults(n=1)                    # where a chapter wants other defaults
run(self_consistency, parser.parse_args())
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from shared.evaluate import Evaluation, Technique, evaluate
from shared.llm import LLM
from shared.problems import load_problems
from shared.sampler import SamplingParams


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows every default, and a script's description with its line breaks."""


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every script understands; their defaults appear in --help."""
    parser.formatter_class = HelpFormatter
    add = parser.add_argument
    add("--model", default="tiny", help='"tiny", the folder of a model, or its id on the hub')
    add("--problems", default="word", help="word, word:hard, gsm8k, math500, gym:TASK or a file")
    add("--split", default="test", help="test, dev or train, where the set has it")
    add("--limit", type=int, default=100, metavar="K", help="use the first K problems")
    add("--n", type=int, default=8, help="samples a question")
    add("--temperature", type=float, default=0.6, metavar="T", help="0 is greedy")
    add("--top-p", type=float, default=1.0, metavar="P", help="share of the likeliest tokens kept")
    add("--top-k", type=int, default=0, metavar="K", help="number of tokens kept; 0: all")
    add("--min-p", type=float, default=0.0, metavar="P", help="least share of the top token's odds")
    add("--max-tokens", type=int, default=512, metavar="L", help="longest completion, in tokens")
    add("--seed", type=int, default=0, metavar="S", help="of sampling; problems stay the same")
    add("--device", metavar="D", help="cpu, cuda or mps; None: cuda if there is one")
    add("--dtype", choices=["float32", "bfloat16", "float16"], help="None: what suits the device")
    add("--threads", type=int, default=32, help="questions worked on at the same time")
    add("--out", metavar="FILE.jsonl", help="write a record a problem; go on where it ended")


def run(technique: Technique, args: argparse.Namespace, **options: object) -> Evaluation:
    """Evaluate a technique as the common flags say, and print the result.

    The technique is called with n, params and `options`. Ends the program as `friendly_errors`
    does, and with exit code 1 if every question failed with the same error.
    """
    with friendly_errors():
        evaluation, llm = evaluate_as_told(technique, args, options)
    print_result(evaluation, llm)
    if evaluation.total_failure:
        raise SystemExit(1)
    return evaluation


@contextmanager
def friendly_errors() -> Iterator[None]:
    """End the program with one line for what the user can put right (exit code 2), and with 130
    after Ctrl-C."""
    try:
        yield
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130)  # an ordinary exit would wait for the model, or abort in the middle of it


def evaluate_as_told(
    technique: Technique, args: argparse.Namespace, options: dict
) -> tuple[Evaluation, LLM]:
    """Cheap checks first, then the model, then the run."""
    params = sampling_params(args)
    problems = load_problems(args.problems, split=args.split, limit=args.limit)
    dtype = getattr(torch, args.dtype) if args.dtype else None
    llm = LLM(args.model, device=args.device, dtype=dtype)
    settings = {name: getattr(args, name) for name in ("problems", "split", "device", "dtype")}
    bound = partial(technique, n=args.n, params=params, **options)
    evaluation = evaluate(
        bound, llm, problems, out=args.out, settings=settings, num_threads=args.threads
    )
    return evaluation, llm


def sampling_params(args: argparse.Namespace) -> SamplingParams:
    """The common flags as sampling parameters. Raises ValueError for values that make no sense."""
    names = ("n", "temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")
    return SamplingParams(**{name: getattr(args, name) for name in names})


def print_result(evaluation: Evaluation, llm: LLM) -> None:
    """Print a small table; its last line is the summary."""
    settings, records, cost = evaluation.settings, evaluation.records, evaluation.cost
    unanswered = sum(record.predicted is None and record.error is None for record in records)
    rows = {
        "technique": settings["technique"],
        "model": settings["model"],
        "problems": f"{settings['problems']}, {settings['split']}",
        "sampling": ", ".join(f"{k} {settings[k]}" for k in ("n", "temperature", "seed")),
        "right": f"{evaluation.num_correct} of {len(records)}; {unanswered} without an answer",
        "cut off": f"{sum(r.truncated for r in records)} of "
        f"{sum(len(r.completions) for r in records)} completions",
        "tokens": f"prompt {cost.prompt_tokens}, generated {cost.generated_tokens}, "
        f"scored {cost.scored_tokens}",
        "FLOPs": f"{evaluation.flops(llm.model.config):.2e} (estimate)",
    }
    for name, value in rows.items():
        print(f"{name:<11}{value}")
    print(evaluation.summary_line())
