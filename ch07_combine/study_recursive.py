"""Accuracy against length: one call, recursive calls, and a model that writes the recursion itself.

    python ch07_combine/study_recursive.py sizes              # how long a piece: on dev stories
    python ch07_combine/study_recursive.py stories            # by hand, on test stories
    python ch07_combine/study_recursive.py tasks --model DIR --dtype bfloat16 --out FOLDER
    python ch07_combine/study_recursive.py tables             # only RECURSIVE.md and the figures

`tasks` asks about long lists of orders, ten tasks at a time: a recursive language model, a fixed
split, and the whole list in one prompt. Every finished task is a line of JSON in --out, with all
that was said; the same command resumes there, and counts the batches that are complete. The
sessions alone are in results/recursive/transcripts.jsonl. Each study writes a file
results/recursive/NAME.json, and all of them make RECURSIVE.md with its figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from ch01_cot.cot import chain_of_thought
from ch07_combine.long_stories import long_stories
from ch07_combine.long_tasks import KINDS, long_tasks, split_task
from ch07_combine.recursive import (
    GREEDY,
    LIMITS,
    SAMPLING,
    Limits,
    recursive_language_model,
    solve_story,
)
from ch07_combine.recursive_tables import save_study, write_recursive_page
from ch07_combine.rivals import split_and_join, whole_context
from shared import LLM, Problem
from shared.evaluation.cli import HelpFormatter, add_common_flags, friendly_errors, load_llm
from shared.evaluation.evaluate import evaluate
from shared.evaluation.evaluation import Evaluation, compare
from shared.evaluation.intervals import paired_bootstrap, wilson_interval
from shared.evaluation.records import Record
from shared.evaluation.run_settings import Technique

CHAPTER = Path(__file__).parent
STORY_LENGTHS = (5, 15, 30, 60)  # events; training stories have 2 to 8
TASK_LENGTHS = (50, 150, 450)  # orders
SIZES = (1, 2, 3, 4, 6)  # of a piece of a story, in sentences
MOST_TOKENS = 1_400  # of one call on a whole story, for which 60 events leave little more
RLM = "recursive language model"
PIECES = "Stories of 15 events, solved greedily in pieces of 1, 2, ... sentences. `called`: calls."
STORIES = "`gain`: the paired difference to the row above. `called`: calls per problem."
LISTS = (
    "`rlm gain`: how much better the recursive language model is, paired. `called`: calls per "
    "task. Five tasks, one of each kind, share a list."
)


# --- By hand, on stories --------------------------------------------------------------------------


def sizes(args: argparse.Namespace) -> None:
    """Which piece size is the most accurate, greedily, on dev stories of 15 events."""
    llm, problems = load_llm(args), long_stories(15, args.limit, "dev")
    rows = []
    for size in args.sizes:
        technique = partial(solve_story, size=size, params=GREEDY)
        rows.append(story_row(run(technique, llm, problems, args, f"size_{size}"), 15, str(size)))
    settings = {"model": llm.name, "split": "dev", "problems": args.limit}
    head = {"title": "Size of a piece", "caption": PIECES, "settings": settings}
    save_study(args.chapter, "sizes", head, rows)


def stories(args: argparse.Namespace) -> None:
    """One call, recursive calls, and recursive calls with a vote each, on test stories."""
    llm, n = load_llm(args), args.n
    sampled = replace(SAMPLING, max_tokens=MOST_TOKENS, seed=args.seed)
    greedy = replace(sampled, temperature=0)
    techniques = {
        "one call": partial(chain_of_thought, params=greedy),
        "recursive calls": partial(solve_story, size=args.size, params=greedy),
        f"recursive calls, votes of {n}": partial(solve_story, size=args.size, n=n, params=sampled),
    }
    settings = {"model": llm.name, "split": "test", "problems": args.limit, "n": n}
    settings |= {"size": args.size, "temperature": sampled.temperature, "seed": args.seed}
    rows = []
    for length in args.lengths:
        problems, before = long_stories(length, args.limit), None
        for name, technique in techniques.items():
            done = run(technique, llm, problems, args, f"{length}_{name}")
            rows.append(story_row(done, length, name))
            if before:
                gain = compare(done, before)
                rows[-1]["gain"] = [gain.difference, gain.low, gain.high]
            before = done
        head = {"title": "Stories", "caption": STORIES, "settings": settings}
        save_study(args.chapter, "stories", head, rows)


def story_row(evaluation: Evaluation, length: int, name: str) -> dict:
    """Accuracy with its interval and cost per problem. `called`: prompts per problem."""
    row, count = evaluation.row(name), len(evaluation.records)
    return {
        "length": length,
        **row,
        "prompt_tokens": evaluation.cost.prompt_tokens / count,
        "called": evaluation.cost.num_prompts / count,
        "unanswered": sum(record.predicted is None for record in evaluation.records),
    }


def run(
    technique: Technique, llm: LLM, problems: list[Problem], args: argparse.Namespace, name: str
) -> Evaluation:
    """Evaluate; with --out, in a file of this name that a later call resumes."""
    out = None
    if args.out:
        folder = Path(args.out)
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / f"{name.replace(', ', '_').replace(' ', '_')}.jsonl"
    settings = {"dtype": args.dtype}
    limits = getattr(technique, "keywords", {}).get("limits")
    settings |= {"limits": asdict(limits)} if limits else {}
    return evaluate(technique, llm, problems, out=out, settings=settings, num_threads=args.threads)


# --- As published, on lists of orders -------------------------------------------------------------


def tasks(args: argparse.Namespace) -> None:
    """A recursive language model and its rivals on long lists, a batch of tasks at a time."""
    llm = load_llm(args)
    params = replace(GREEDY, max_tokens=args.max_tokens)
    limits = Limits(args.turns, args.calls, args.depth, args.tokens)
    techniques = {
        RLM: partial(recursive_language_model, params=params, limits=limits),
        "split and join": partial(split_and_join, params=params),
        "whole context": partial(whole_context, params=params),
    }
    settings = {"model": Path(llm.name).name, "dtype": args.dtype, "split": args.split}
    settings |= {"max_tokens": args.max_tokens} | asdict(limits)
    head = {"title": "Lists of orders", "caption": LISTS, "settings": settings}
    records: dict[tuple[int, str], list[Record]] = {}
    for first in range(0, args.limit, args.batch):
        for name in args.methods:
            for length in args.lengths:
                batch = long_tasks(length, args.limit, args.split)[first : first + args.batch]
                file = f"{length}_{name}_{first}"
                print(f"{name}, {length} orders, tasks {first} to {first + len(batch) - 1}")
                done = run(techniques[name], llm, batch, args, file)
                records.setdefault((length, name), []).extend(done.records)
                save_study(args.chapter, "tasks", head, task_rows(records))
                save_transcripts(args.chapter, records)


def save_transcripts(chapter: Path, records: dict[tuple[int, str], list[Record]]) -> None:
    """Write what was said in the sessions, without the long texts: a JSON line for each task."""
    lines = []
    for length in sorted({length for length, _ in records}):
        for record in records.get((length, RLM), []):
            query, _ = split_task(record.question)
            kept = {"id": record.id, "query": query, "gold": record.gold}
            kept |= {"predicted": record.predicted, "correct": record.correct}
            lines.append(json.dumps(kept | {"trace": record.trace}, ensure_ascii=False))
    path = chapter / "results" / "recursive" / "transcripts.jsonl"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def task_rows(records: dict[tuple[int, str], list[Record]]) -> list[dict]:
    """A row for each length and technique, in this order, over the tasks that were finished."""
    rows = []
    for length, name in sorted(records):
        own, rlm = records[length, name], records.get((length, RLM), [])
        right = [record.correct for record in own]
        low, high = wilson_interval(sum(right), len(right))
        cost = mean_cost(own)
        row = {"length": length, "name": name, "problems": len(own), "accuracy": cost("correct")}
        row |= {"low": low, "high": high}
        for kind in KINDS:
            those = [record.correct for record in own if record.id.endswith(kind)]
            row[kind] = f"{sum(those)} of {len(those)}"
        both = [record.correct for record in rlm[: len(right)]]
        if name != RLM and len(both) == len(right):
            gain = paired_bootstrap(both, right)
            row["rlm_gain"] = [gain.difference, gain.low, gain.high]
        row |= {
            "tokens_per_problem": cost("generated_tokens"),
            "prompt_tokens": cost("prompt_tokens"),
            "called": cost("num_prompts"),
            "unanswered": sum(record.predicted is None for record in own),
            "errors": sum(record.error is not None for record in own),
        }
        rows.append(row)
    return rows


def mean_cost(records: list[Record]) -> Callable[[str], float]:
    """A function that gives the mean of one entry of some records."""
    return lambda name: sum(getattr(record, name) for record in records) / len(records)


# --- The command line -----------------------------------------------------------------------------


def tables(args: argparse.Namespace) -> None:
    """Only make RECURSIVE.md and the figures again."""
    print(f"wrote {write_recursive_page(args.chapter)}")


def parse_args() -> argparse.Namespace:
    """The command line: one study, with the flags that have an effect on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    studies = parser.add_subparsers(required=True, metavar="STUDY")
    added = {}
    for study in (sizes, stories, tasks, tables):
        name = study.__name__
        added[name] = studies.add_parser(name, help=study.__doc__, description=study.__doc__)
        added[name].set_defaults(study=study)
        help_ = "folder to write to"
        added[name].add_argument("--chapter", type=Path, default=CHAPTER, metavar="D", help=help_)
    for name in ("sizes", "stories", "tasks"):
        add_common_flags(added[name])
        added[name].set_defaults(n=4)
    added["sizes"].add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="K")
    added["stories"].add_argument("--size", type=int, default=3, help="sentences in a piece")
    for name, lengths in (("stories", STORY_LENGTHS), ("tasks", TASK_LENGTHS)):
        added[name].add_argument("--lengths", type=int, nargs="+", default=lengths, metavar="L")
    add = added["tasks"].add_argument
    names = (RLM, "split and join", "whole context")
    add("--methods", nargs="+", choices=names, default=names, help="in this order")
    add("--batch", type=int, default=10, metavar="K", help="tasks in one file")
    add("--turns", type=int, default=LIMITS.turns, help="replies in a session")
    add("--calls", type=int, default=LIMITS.calls, help="calls of llm_query")
    add("--depth", type=int, default=LIMITS.depth, help="levels of sessions")
    add("--tokens", type=int, default=LIMITS.tokens, help="generated tokens in all")
    added["tasks"].set_defaults(limit=30, max_tokens=GREEDY.max_tokens)
    return parser.parse_args()


def main() -> None:
    """Do what the command line asks for."""
    args = parse_args()
    with friendly_errors():
        args.study(args)


if __name__ == "__main__":
    main()
