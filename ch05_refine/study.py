"""Compare every way to refine on the same drafts, and with samples of the same cost.

    python ch05_refine/study.py --limit 400 --out runs/refine.jsonl --summary compared
    python ch05_refine/study.py --gates likelihood judge --model Qwen/Qwen3-0.6B
    python ch05_refine/study.py --records runs/refine.jsonl --summary compared    # no model needed
    python ch05_refine/study.py --tables                        # pictures, RESULTS.md from results/

Prints what each way does to right and wrong drafts, and what samples at the same cost do. With
`--summary NAME` it also writes results/NAME.json, its two pictures, and RESULTS.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path

from ch05_refine.figures import plot_flows, plot_rounds
from ch05_refine.gates import add_gate_flags, check_flags, load_gates
from ch05_refine.outcomes import (
    Drawn,
    compare_ways,
    read_drawn,
    refined_pool,
    summarize,
    ways_of,
)
from ch05_refine.refine import PARAMS, ways_to_refine
from ch05_refine.tables import print_table, section
from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.errors import setting_up
from shared.evaluation.cli import (
    add_common_flags,
    evaluate_from_flags,
    friendly_errors,
    print_result,
)
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.plots import save_figure, use_style
from shared.evaluation.problems import load_problems
from shared.evaluation.results import save_result, write_page
from shared.rewards.interfaces import Scorer
from shared.scores import checked_scores
from shared.text.tokenizer import Tokenizer

CHAPTER = Path(__file__).parent
NUMBER = "number of the reply"

# --- All ways to refine, on the same drafts -------------------------------------------------------


class CachedReplies:
    """An LLM for several techniques that ask the same things: it answers each request once.

    Each technique still counts what it would have cost alone. (The same prompt with the same seed
    gives the same text anyway, so caching only saves time.) Each completion gets a number as the
    measure NUMBER, by which `add_new` recognizes it in what several techniques return.
    """

    def __init__(self, llm: LLM) -> None:
        self.llm = llm
        self.replies: dict[str, list[RequestOutput]] = {}
        self.logprobs: dict[str, list[float]] = {}
        self.numbers = itertools.count()

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self.llm.tokenizer

    def chat(
        self, messages: list[dict[str, str]], params: SamplingParams, **options: bool
    ) -> list[RequestOutput]:
        """As `LLM.chat`."""
        key = repr((messages, params, options))
        if key not in self.replies:
            self.replies[key] = self.llm.chat(messages, params, **options)
            for completion in (c for output in self.replies[key] for c in output.completions):
                completion.measures[NUMBER] = next(self.numbers)
        return self.replies[key]

    def score(self, prompt: list[int], completion: str) -> list[float]:
        """As `LLM.score`."""
        key = repr((prompt, completion))
        if key not in self.logprobs:
            self.logprobs[key] = self.llm.score(prompt, completion)
        return self.logprobs[key]


def refine_in_ways(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    rounds: int,
    gates: dict[str, Scorer],
    ways: list[str],
    answer_of: str,
    vote: bool = False,
) -> Solution:
    """Refine the same draft in several ways; if `vote`, draw n independent samples too.

    The trace says which way sampled which completion in which round (see outcomes.py). Solutions,
    but not critiques, get every gate's score as a measure. The answer is that of the way
    `answer_of`.
    """
    cached, completions, trace, answers = CachedReplies(llm), [], [], {}
    for way in ways:
        solution = ways_to_refine(gates)[way](cached, problem, rounds=rounds, params=params)
        trace += rounds_of_way(way, solution, add_new(completions, solution.completions))
        answers[way] = solution.answer
    if vote:
        asked = prompts.ask(problem.question)
        (output,) = cached.chat(asked, replace(params, n=n), enable_thinking=False)
        trace.append({"samples": add_new(completions, output.completions)})
    critiques = {entry.get("critique") for entry in trace}
    solutions = [c for i, c in enumerate(completions) if i not in critiques]
    cost = sum((o.cost for outputs in cached.replies.values() for o in outputs), Cost())
    for name, gate in gates.items():
        scores, spent = gate.score(cached, problem.question, solutions)
        cost += spent
        for solution, score in zip(solutions, checked_scores(scores, name, len(solutions))):
            solution.measures[name] = score
    for completion in completions:
        completion.measures.pop(NUMBER, None)  # of no use outside this function
    return Solution(answers[answer_of], completions, cost, trace=trace)


def add_new(completions: list[Completion], others: list[Completion]) -> list[int]:
    """Append those of the others that are not there yet; returns the index of each of the others.

    A reply that several ways asked for has one number, whatever it says. What a verifier wrote has
    none, and is always new.
    """
    index_of = {c.measures[NUMBER]: i for i, c in enumerate(completions) if NUMBER in c.measures}
    indices = []
    for other in others:
        number = other.measures.get(NUMBER)
        if number not in index_of:
            completions.append(other)
        indices.append(index_of.get(number, len(completions) - 1))
        if number is not None:
            index_of[number] = indices[-1]
    return indices


def rounds_of_way(way: str, solution: Solution, indices: list[int]) -> list[dict]:
    """A way's rounds as a trace that refers to its completions by their indices."""
    sampled, entries = iter(indices), []
    for number, this in enumerate(solution.trace):
        entry = {"way": way, "round": number, "accepted": this["accepted"]}
        entry["critique"] = next(sampled) if number > 0 else None
        has_solution = number == 0 or this["revision"] is not None
        entry["solution"] = next(sampled) if has_solution else None
        entries.append(entry)
    return entries


# --- Tables, results, pictures --------------------------------------------------------------------


def print_comparison(evaluation: Evaluation, drawn: Drawn | None = None) -> None:
    """Print the tables of an evaluation; problems that ended in an error are left out, and counted.

    Raises UserError where it holds no ways to refine.
    """
    pool = refined_pool(evaluation)
    if evaluation.num_errors:
        total = len(evaluation.records)
        print(f"{evaluation.num_errors} of {total} problems ended in an error and are left out")
    print_table(compare_ways(pool, ways_of(pool), evaluation.settings["rounds"], drawn))


def save_study(evaluation: Evaluation, drawn: Drawn | None, name: str, chapter: Path) -> None:
    """Write results/NAME.json of a comparison, its pictures, and RESULTS.md."""
    pool, settings = refined_pool(evaluation), evaluation.settings
    gates = list(settings["gates"])
    summary = summarize(pool, settings["rounds"], gates[-1], drawn)
    rows = compare_ways(pool, ways_of(pool), settings["rounds"], drawn)
    for row in rows:
        del row["right"]  # one per problem: they would make the file large
    content = {
        "title": f"{settings['model']}, {len(pool)} problems ({settings['problems']})",
        "settings": settings,
        **summary,
        "equal cost": rows if "n" in rows[0] else [],
    }
    save_result(chapter, name, content)
    save_pictures(summary, chapter / "results", name)
    print(f"wrote {write_results(chapter)}")


def save_pictures(summary: dict, folder: Path, name: str) -> None:
    """Draw where drafts go, and accuracy against rounds and tokens."""
    use_style()
    last = f"{summary['gate']}, no stop"
    flows = [way for way in ("ungated", "likelihood", "judge", "reward") if way in summary["ways"]]
    flows = [*flows, last] if last in summary["ways"] else flows
    save_figure(plot_flows(summary, flows), folder / f"{name}_flow.png")
    save_figure(plot_rounds(summary, flows), folder / f"{name}_rounds.png")


def write_results(chapter: Path) -> Path:
    """Make RESULTS.md in a chapter's folder from its results/*.json; returns its path."""
    return write_page(chapter, "Self-refinement", section)


def draw_again(chapter: Path) -> None:
    """Make the pictures and RESULTS.md again from results/*.json."""
    for path in sorted((chapter / "results").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "ways" in content:
            save_pictures(content, path.parent, path.stem)
    print(f"wrote {write_results(chapter)}")


# --- The command line -----------------------------------------------------------------------------


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    add_gate_flags(parser)
    add = parser.add_argument
    add("--pool", metavar="FILE.jsonl", help="take the samples for the vote from this file")
    add("--records", type=Path, metavar="FILE.jsonl", help="study these records: no model is run")
    add("--summary", metavar="NAME", help="write results/NAME.json, its pictures and RESULTS.md")
    add("--tables", action="store_true", help="only make RESULTS.md and the pictures again")
    add("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="folder to write to")
    parser.set_defaults(max_tokens=PARAMS.max_tokens)
    return parser.parse_args()


def compare_recorded(args: argparse.Namespace) -> tuple[Evaluation, Drawn | None]:
    """The comparison that --records holds, and the samples of --pool."""
    with setting_up():
        evaluation = load_evaluation(args.records)
    questions = [problem.question for problem in refined_pool(evaluation)]
    with setting_up():
        return evaluation, read_drawn(args.pool, questions) if args.pool else None


def compare_anew(args: argparse.Namespace) -> tuple[Evaluation, Drawn | None]:
    """Run the comparison; the samples of --pool are read first, since the run is long."""
    ways = list(ways_to_refine(dict.fromkeys(args.gates)))
    way, drawn = check_flags(args, ways), None
    if args.pool:
        with setting_up():
            problems = load_problems(args.problems, split=args.split, limit=args.limit)
            drawn = read_drawn(args.pool, [problem.question for problem in problems])
    gates, settings = load_gates(args, args.gates)
    options = {"rounds": args.rounds, "gates": gates, "ways": ways, "answer_of": way}
    options["vote"] = drawn is None
    return evaluate_from_flags(refine_in_ways, args, options, settings), drawn


def main() -> None:
    """Compare anew or from records, or only write the tables."""
    args = parse_args()
    if args.tables:
        draw_again(args.chapter)
        return
    with friendly_errors():
        evaluation, drawn = (compare_recorded if args.records else compare_anew)(args)
        if evaluation.num_errors < len(evaluation.records):
            print_comparison(evaluation, drawn)
            if args.summary:
                save_study(evaluation, drawn, args.summary, args.chapter)
    if args.records:
        print(evaluation.summary_line())
        return
    print_result(evaluation, args)
    if evaluation.num_errors:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
