"""The recordings behind the study: what is sampled once, so that every combination can use it.

    python ch07_combine/recording.py --split dev --limit 100 --records runs/combine
    python ch07_combine/recording.py --split test --limit 200 --records runs/combine

One file per part and split; an interrupted run resumes. `replay.py` gives the samples to the
combinations as a model would.

pool_0, pool_1    32 whole solutions per problem each, with the reward model's scores
beam_8, beam_16   a beam search each, whose finished paths are kept with their scores
greedy            a greedy chain of thought
refined           4 samples that vote; where they disagree, revisions (`vote_then_refine`)
prompts           16 samples, some after solved examples (`several_prompts`)
two_beams         two searches of 8 (`best_of_beams`)
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ch01_cot.cot import chain_of_thought
from ch04_rejection.quality import sample_and_score
from ch06_search.search import beam_search
from ch06_search.tree import PARAMS as STEPS
from ch06_search.values import reward_value
from ch07_combine.combine import (
    WithExamples,
    best_of_beams,
    several_prompts,
    vote_then_refine,
)
from ch07_combine.latency import timed
from shared import LLM, SamplingParams
from shared.errors import UserError, setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation
from shared.evaluation.problems import load_problems
from shared.evaluation.run_settings import Technique
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.process_reward import ProcessRewardModel

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
HALF = 32  # samples of one pool file
NEXT_HALF = 1_000_000  # the seed of the second one, far from all seeds of a technique's rounds
ROWS = 256  # samples that live at the same time, so that small machines can record
ASKS = [WithExamples("word", count) for count in (0, 1, 2)]


@dataclass(frozen=True)
class Part:
    """What is recorded in one file: a technique, and how many rows per problem takes."""

    technique: Technique
    rows: int


def parts(reward_model: ProcessRewardModel) -> dict[str, Part]:
    """The parts by name, in the order of recording."""
    value = reward_value(reward_model)
    sampled = partial(sample_and_score, n=HALF, reward_model=reward_model)
    searched = partial(timed, technique=beam_search, params=STEPS, value=value)
    greedy = partial(chain_of_thought, params=replace(PARAMS, temperature=0))
    return {
        "pool_0": Part(partial(sampled, params=PARAMS), HALF),
        "beam_8": Part(partial(searched, n=8), 8),
        "greedy": Part(greedy, 1),
        "pool_1": Part(partial(sampled, params=replace(PARAMS, seed=NEXT_HALF)), HALF),
        "beam_16": Part(partial(searched, n=16), 16),
        "refined": Part(partial(timed, technique=vote_then_refine, params=PARAMS), 4),
        "prompts": Part(partial(timed, technique=several_prompts, params=PARAMS, asks=ASKS), 8),
        "two_beams": Part(partial(timed, technique=best_of_beams, params=STEPS, value=value), 8),
    }


def record(
    names: list[str], split: str, limit: int, folder: Path, problems: str = "word"
) -> dict[str, Evaluation]:
    """Record these parts on the first `limit` problems of a split; what is there is read back.

    Raises UserError if a question failed, and what `evaluate` raises.
    """
    with setting_up():
        chosen = load_problems(problems, split=split, limit=limit)
        reward_model = ProcessRewardModel.from_folder()
        folder.mkdir(parents=True, exist_ok=True)
    llm = LLM("tiny")
    settings = {"reward_weights": weights_fingerprint(reward_model), "split": split}
    settings["problems"] = problems
    known, recorded = parts(reward_model), {}
    for name in names:
        part = known[name]
        print(f"{name}, {split} ...", file=sys.stderr, flush=True)
        recorded[name] = evaluate(
            part.technique,
            llm,
            chosen,
            out=folder / f"{split}_{name}.jsonl",
            settings=settings,
            num_threads=max(1, ROWS // part.rows),
        )
        if recorded[name].num_errors:
            raise UserError(f"{name}: {recorded[name].failures}")
    return recorded


PARTS = ("pool_0", "beam_8", "greedy", "pool_1", "beam_16", "refined", "prompts", "two_beams")


def main() -> None:
    """Record some parts, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to record")
    add("--split", default="dev", help="dev, to choose thresholds on, or test, to report")
    add("--limit", type=int, default=100, metavar="K", help="use the first K problems")
    add("--records", type=Path, default=Path("runs/combine"), metavar="DIR", help="folder")
    args = parser.parse_args()
    with friendly_errors():
        for name, evaluation in record(args.parts, args.split, args.limit, args.records).items():
            print(name, evaluation.summary_line())


if __name__ == "__main__":
    main()
