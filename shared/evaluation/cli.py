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

from shared.backends.ray_cluster import RayCluster
from shared.backends.remote import RemoteLLM
from shared.decoder.config import ModelConfig
from shared.errors import UserError, setting_up
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.problem import Problem
from shared.evaluation.problems import load_problems
from shared.evaluation.run_settings import Technique
from shared.llm import LLM
from shared.loading.checkpoint import resolve_folder, weights_fingerprint
from shared.rewards.process_reward import ProcessRewardModel
from shared.sampling_params import SamplingParams


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
    add(
        "--cache-gb",
        dest="cache_bytes",
        type=gigabytes,
        metavar="GB",
        help="for what is being generated: decides how "
        "many samples live at once; None: half of the free memory",
    )
    add(
        "--prefix-cache-gb",
        dest="prefix_cache_bytes",
        type=gigabytes,
        metavar="GB",
        help="for what was read before, in case "
        "that it comes again; None: an eighth of the free memory, at most 0.27",
    )
    add("--threads", type=int, default=64, help="questions worked on at the same time")
    add("--out", metavar="FILE.jsonl", help="write a record per problem; resume where it stopped")
    add_elsewhere = parser.add_mutually_exclusive_group().add_argument
    add_elsewhere(
        "--ray",
        metavar="ADDRESS",
        help='use every device of a Ray cluster: HOST:PORT, or "auto" for the one on this machine, '
        "which is started if there is none; --threads then counts for each device",
    )
    add_elsewhere(
        "--base-url",
        metavar="URL",
        help="use the model on an OpenAI-compatible server (vLLM, SGLang, llama.cpp) such as "
        "http://127.0.0.1:8000/v1; --model is its name there, OPENAI_API_KEY the key if it has one",
    )


def add_reward_model_flag(parser: argparse.ArgumentParser) -> None:
    """Add --reward-model, for `load_reward_model`. Where a script must know if the flag was given,
    `parser.set_defaults(reward_model=None)`."""
    parser.add_argument(
        "--reward-model",
        default="tiny",
        metavar="R",
        help="a folder or a hub id; tiny or None: the one that comes with the tiny model",
    )


def gigabytes(text: str) -> int:
    """A flag's value in gigabytes as bytes."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no amount of memory")
    return int(value * 1e9)


def run(
    technique: Technique,
    args: argparse.Namespace,
    settings: dict | None = None,
    **options: object,
) -> Evaluation:
    """Evaluate a technique as the common flags say, and print the result.

    The technique is called with n, params and `options`; what else decides the result, such as a
    reward model's weights, belongs in `settings`, so that no run resumes under others. Ends the
    program as `friendly_errors` does, and with exit code 1 if every question failed.
    """
    with friendly_errors():
        evaluation = evaluate_from_flags(technique, args, options, settings)
    print_result(evaluation, args)
    if evaluation.total_failure:
        raise SystemExit(1)
    return evaluation


@contextmanager
def friendly_errors() -> Iterator[None]:
    """End the program with one line (exit code 2) for a UserError and for what the operating system
    or the network refuses, and with 130 after Ctrl-C. Any other error is a bug and passes."""
    try:
        yield
    except (UserError, OSError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(130)  # an ordinary exit would wait for the model, or abort in the middle of it


def evaluate_from_flags(
    technique: Technique, args: argparse.Namespace, options: dict, settings: dict | None = None
) -> Evaluation:
    """Evaluate a technique on the problems, and with the model, that the common flags name."""
    params, problems, llm = set_up(args)
    settings = recorded_flags(args) | (settings or {})
    bound = partial(technique, n=args.n, params=params, **options)
    return evaluate(bound, llm, problems, out=args.out, settings=settings, num_threads=args.threads)


def set_up(
    args: argparse.Namespace,
) -> tuple[SamplingParams, list[Problem], LLM | RemoteLLM | RayCluster]:
    """What the common flags name: cheap checks first, then the model.

    Raises UserError for what the user can put right.
    """
    with setting_up():
        params = sampling_params(args)
        problems = load_problems(args.problems, split=args.split, limit=args.limit)
        return params, problems, load_llm(args)


def recorded_flags(args: argparse.Namespace) -> dict:
    """What the common flags say of the problems and the engine, to be recorded with a run."""
    return {name: getattr(args, name) for name in ("problems", "split", "device", "dtype")}


def load_llm(args: argparse.Namespace) -> LLM | RemoteLLM | RayCluster:
    """The model where the flags say: here, on a server, or on all devices of a cluster.

    Raises ValueError for flags that do not go together, and what the three raise.
    """
    if args.base_url:
        for name in ("device", "dtype", "cache_bytes", "prefix_cache_bytes"):
            if getattr(args, name) is not None:
                flag = "--" + name.replace("_bytes", "_gb").replace("_", "-")
                raise ValueError(f"{flag} is the server's own business with --base-url")
        return RemoteLLM(args.model, base_url=args.base_url)
    options = {
        "device": args.device,
        "dtype": getattr(torch, args.dtype) if args.dtype else None,
        "cache_bytes": args.cache_bytes,
        "prefix_cache_bytes": args.prefix_cache_bytes,
    }
    if args.ray:
        return RayCluster(args.model, address=args.ray, **options)
    return LLM(args.model, **options)


def load_reward_model(args: argparse.Namespace) -> tuple[ProcessRewardModel, dict]:
    """The reward model of --reward-model, and the settings that a run with it must record.

    It is in float32 unless --dtype says otherwise. Raises UserError where it cannot be loaded.
    """
    dtype = getattr(torch, args.dtype or "float32")
    with setting_up():
        model = ProcessRewardModel.from_folder(args.reward_model or "tiny", args.device, dtype)
    return model, {"reward_weights": weights_fingerprint(model)}


def sampling_params(args: argparse.Namespace) -> SamplingParams:
    """The common flags as sampling parameters. Raises ValueError for values that make no sense."""
    names = ("n", "temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")
    return SamplingParams(**{name: getattr(args, name) for name in names})


def model_config(model: str) -> ModelConfig:
    """The sizes of a model by its name or folder."""
    return ModelConfig.from_folder(resolve_folder(model))


def print_result(evaluation: Evaluation, args: argparse.Namespace) -> None:
    """Print a small table; its last line is the summary. A server does not give the sizes of its
    model, which FLOPs are computed from."""
    config = None if args.base_url else model_config(args.model)
    settings, records, cost = evaluation.settings, evaluation.records, evaluation.cost
    unanswered = sum(record.predicted is None and record.error is None for record in records)
    right = f"{evaluation.num_correct} of {len(records)}; {unanswered} without an answer"
    if evaluation.num_undecided:
        right += f"; {evaluation.num_undecided} could not be compared"
    rows = {
        "technique": settings["technique"],
        "model": settings["model"],
        "problems": f"{settings['problems']}, {settings['split']}",
        "sampling": ", ".join(f"{k} {settings[k]}" for k in ("n", "temperature", "seed")),
        "right": right,
        "cut off": f"{sum(r.truncated for r in records)} of "
        f"{sum(len(r.completions) for r in records)} completions",
        "tokens": f"prompt {cost.prompt_tokens}, generated {cost.generated_tokens}, "
        f"scored {cost.scored_tokens}",
        "FLOPs": f"{evaluation.flops(config):.2e} (estimate)" if config else "not known",
    }
    if evaluation.failures:
        rows["errors"] = evaluation.failures
    for name, value in rows.items():
        print(f"{name:<11}{value}")
    print(evaluation.summary_line())
