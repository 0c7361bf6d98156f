"""Every search against best-of-N and self-consistency, at equal numbers of generated tokens.

    python ch06_search/study.py --limit 400 --records runs/search    # more than an hour of one core
    python ch06_search/study.py --recorded shared/pools/qwen2.5-coder-0.5b_gsm_symbolic
    python ch06_search/study.py --tables                             # only from results/*.json

One pool of whole solutions serves both rivals: what they answer with n of its samples follows for
every n. A search is compared with the n that costs as many generated tokens, problem by problem.
Two controls show what judging the steps is worth: a beam search that prunes by a coin, and a plain
vote of the paths that a beam search has finished. An interrupted run with --records resumes.

--recorded compares a beam search of a real model, POOL_beam.jsonl, with its pool, POOL.jsonl.

Writes results/*.json, and from these the figure results/compared.png and the page RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean

from ch06_search.equal_tokens import (
    RIVALS,
    accuracy_at_any,
    compare,
    curve,
    different_answers,
    revoted,
    samples_for,
    weighted,
)
from ch06_search.figures import plot_compared
from ch06_search.search import METHODS, PARAMS, beam_search
from ch06_search.tables import section, write_results
from ch06_search.tree import Node
from shared import LLM, Cost, Problem, SamplingParams, Solution, load_problems, prompts
from shared.errors import UserError, setting_up
from shared.evaluation.cli import HelpFormatter, friendly_errors
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.evaluation import compare as compare_runs
from shared.evaluation.intervals import paired_difference
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.pool import majority, to_pool
from shared.evaluation.results import save_result
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.loading.checkpoint import weights_fingerprint
from shared.rewards.interfaces import Scorer, Scores
from shared.rewards.process_reward import ProcessRewardModel
from shared.rewards.step_reader import StepReader

CHAPTER = Path(__file__).parent
POOL_SIZE = 24  # samples per problem, enough for the most expensive search
WHOLE = SamplingParams(temperature=0.6, max_tokens=700)  # for rivals, as in the earlier chapters
SIZES = {"beam": (4, 8, 16)}  # n of a search; the others:
OTHER_SIZES = (8,)
COIN_SIZE = 8
PAIRS = [  # of controls, and what each adds to the other at the same n
    ("beam", "beam, coin"),
    ("beam, plain vote", "beam, coin, plain vote"),
    ("beam", "beam, plain vote"),
    ("beam, coin", "beam, coin, plain vote"),
]


def sample_and_score(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, value: Scorer
) -> Solution:
    """Sample n whole solutions and note the value of each; answer with their weighted vote."""
    asked = prompts.ask(problem.question)
    (output,) = llm.chat(asked, replace(params, n=n), enable_thinking=False)
    completions = output.completions
    nodes = [Node(c.token_ids, c.text, finish_reason=c.finish_reason) for c in completions]
    scores, cost = value.score(llm, problem.question, nodes)
    for completion, score in zip(completions, scores):
        completion.measures["value"] = score
    answers = [final_answer(completion) for completion in completions]
    answer = most_frequent(answers, scores, "the score")
    return Solution(answer, completions, output.cost + cost, scores)


@dataclass(frozen=True)
class Coin:
    """A value that knows nothing: a random number, but the same each time for the same text."""

    seed: int = 0
    name: str = "coin"

    def score(self, llm: LLM, question: str, solutions: Sequence[Node]) -> Scores:
        """From 0 to 1."""
        seeds = (f"{self.seed} {question} {node.text}" for node in solutions)
        return Scores([random.Random(seed).random() for seed in seeds], Cost())


@dataclass(frozen=True)
class SplitValue:
    """One value judges the partial solutions and another the finished ones. With a coin for the
    steps, the search prunes blindly and votes as the others do."""

    steps: Scorer
    ends: Scorer
    name: str = "split_value"

    def score(self, llm: LLM, question: str, solutions: Sequence[Node]) -> Scores:
        """Scores from 0 to 1, in the order of the solutions, and what both values cost."""
        known, total = {}, Cost()
        for value, is_end in ((self.steps, False), (self.ends, True)):
            asked = [node for node in solutions if node.is_finished == is_end]
            if asked:
                scores, cost = value.score(llm, question, asked)
                known |= dict(zip(asked, scores))
                total += cost
        return Scores([known[node] for node in solutions], total)


# --- The two studies ------------------------------------------------------------------------------


def measured(
    name: str,
    technique: Callable[..., Solution],
    problems: list[Problem],
    settings: dict,
    args: argparse.Namespace,
) -> Evaluation:
    """A technique's run, with an empty prefix cache. Raises UserError if a question
    failed."""
    print(f"{name} ...", file=sys.stderr)
    out = args.records and args.records / f"{name}.jsonl"
    options = {"out": out, "settings": settings, "num_threads": args.threads}
    run = evaluate(technique, LLM("tiny"), problems, **options)
    if run.num_errors:
        raise UserError(f"{name}: {run.failures}")
    return run


def study_searches(args: argparse.Namespace) -> dict:
    """Sample the rivals' pool, run every search and the controls, and compare them."""
    params, whole = replace(PARAMS, seed=args.seed), replace(WHOLE, seed=args.seed)
    with setting_up():
        problems = load_problems(args.problems, split=args.split, limit=args.limit)
        reward_model = ProcessRewardModel.from_folder()
    settings = {"reward_weights": weights_fingerprint(reward_model)}

    def searched(name: str, method: Callable, n: int, value: Scorer) -> Evaluation:
        """The run of one search."""
        technique = partial(method, n=n, params=params, value=value)
        return measured(f"{name}_{n}", technique, problems, settings, args)

    rivals = partial(sample_and_score, n=args.pool, params=whole, value=StepReader(reward_model))
    pool = to_pool(measured("pool", rivals, problems, settings, args))
    runs = {
        (name, n): searched(name, method, n, StepReader(reward_model))
        for name, (method, _) in METHODS.items()
        for n in SIZES.get(name, OTHER_SIZES)
    }
    coin = SplitValue(Coin(args.seed), StepReader(reward_model))
    controls = {("beam, coin", COIN_SIZE): searched("coin", beam_search, COIN_SIZE, coin)}
    for (name, n), run in [*runs.items(), *controls.items()]:
        if name.startswith("beam"):
            controls[f"{name}, plain vote", n] = revoted(run, majority)
    settings |= {"problems": args.problems, "split": args.split, "num_problems": len(problems)}
    settings |= {"model": "tiny", "search_temperature": params.temperature}
    settings |= {"rival_temperature": whole.temperature, "seed": args.seed}
    return {
        "title": "Searches and their rivals",
        "settings": settings,
        "searches": [compare(run, pool, name) for (name, _), run in runs.items()],
        "controls": [compare(run, pool, name) for (name, _), run in controls.items()],
        "differences": differences(runs | controls),
        "rivals": [row for name, choose in RIVALS.items() for row in curve(pool, choose, name)],
    }


def differences(runs: dict[tuple[str, int], Evaluation]) -> list[dict]:
    """How much better one search is than another at the same n, for the PAIRS that were run."""
    return [
        {"n": n, "a": name, "b": other} | asdict(compare_runs(runs[name, n], runs[other, n]))
        for name, other in PAIRS
        for n in SIZES["beam"]
        if (name, n) in runs and (other, n) in runs
    ]


def study_recorded(pool_stem: Path) -> dict:
    """A recorded beam search whose value is the model's own judgement, against whole solutions of
    as many tokens from the recorded pool. Raises what `load_evaluation` raises."""
    with setting_up():
        search = load_evaluation(pool_stem.with_name(f"{pool_stem.name}_beam.jsonl"))
        pool = to_pool(load_evaluation(pool_stem.with_name(f"{pool_stem.name}.jsonl")))
    row = search.row("beam search")
    n = samples_for(pool, row["tokens_per_problem"])
    row |= {"n": search.settings["n"], "different_answers": different_answers(to_pool(search))}
    row["reused"] = search.cost.reused_tokens / search.cost.prompt_tokens
    rivals = []
    chooses = {"vote": majority, "weighted by the judge": partial(weighted, measure="judge")}
    for name, choose in chooses.items():
        theirs = accuracy_at_any(pool, choose, n)
        gain, low, high = paired_difference([record.correct for record in search.records], theirs)
        rivals.append({"name": name, "n": n, "accuracy": mean(theirs)})
        rivals[-1] |= {"gain": gain, "low": low, "high": high}
    first = [replace(problem, samples=problem.samples[: row["n"]]) for problem in pool]
    settings = search.settings | {"rival_different_answers": different_answers(first)}
    title = f"{Path(search.settings['model']).name} on {search.settings['problems']}"
    return {"title": title, "settings": settings, "search": row, "recorded_rivals": rivals}


# --- The command line -----------------------------------------------------------------------------


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--problems", default="word", help="word or word:hard: what the reward model was made for")
    add("--split", default="test", help="test or dev")
    add("--limit", type=int, default=400, metavar="K", help="use the first K problems")
    add("--seed", type=int, default=0, help="of sampling")
    add("--pool", type=int, default=POOL_SIZE, help="whole solutions per problem, for the rivals")
    add("--threads", type=int, default=64, help="questions worked on at the same time")
    add("--records", type=Path, metavar="DIR", help="keep every record here, and resume from it")
    add("--recorded", type=Path, metavar="POOL", help="compare a recorded search instead")
    add("--tables", action="store_true", help="only make the figure and RESULTS.md again")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Make one study, or none, and then the figure and the page of all results."""
    args = parse_args()
    with friendly_errors():
        if not args.tables:
            content = study_recorded(args.recorded) if args.recorded else study_searches(args)
            name = f"{args.recorded.name}_beam" if args.recorded else "compared"
            save_result(args.chapter, name, content)
            print(section(content))
        compared = args.chapter / "results" / "compared.json"
        if compared.exists():
            use_style()
            figure = plot_compared(json.loads(compared.read_text(encoding="utf-8")))
            save_figure(figure, compared.with_suffix(".png"))
        print(f"wrote {write_results(args.chapter)}")


if __name__ == "__main__":
    main()
