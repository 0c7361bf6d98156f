"""Does the reviser read the critique? The same drafts, revised after different critiques.

    python ch05_refine/controls.py --limit 200 --out runs/controls.jsonl

Every draft gets one revision after each of these critiques:

own            what the model itself says
random step    a random step of the draft is called wrong, without looking at it
all right      "All steps are right."
true step      of a wrong draft: the first step that departs from the draft's own plan; of a right
               one that all is right. An oracle computes it from the numbers behind the problem,
               which no technique may see.

For comparison: independent samples of the same problems. Writes results/controls.json and its
section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from ch05_refine.feedback import PARAMS, own_critique, reply, revise
from ch05_refine.study import CHAPTER, CachedReplies, add_new, write_results
from shared import LLM, Cost, Problem, SamplingParams, Solution, prompts
from shared.evaluation.cli import (
    add_common_flags,
    evaluate_from_flags,
    friendly_errors,
    print_result,
)
from shared.evaluation.intervals import paired_bootstrap
from shared.evaluation.pool import PooledProblem, to_pool
from shared.evaluation.problems import WORD_CHANGES, load_problems
from shared.evaluation.results import save_result
from shared.evaluation.word_problems import PLANS, WordProblem, sample_problem, solve
from shared.grading.answers import answers_match, extract_answer, final_answer
from shared.text.prompts import ALL_RIGHT

CRITICS = ("own", "random step", "all right", "true step")
SAYS = "This step is wrong: "


def random_complaint(draft: str) -> str:
    """A complaint about a random line between the plan and the answer; always the same of a draft.

    A draft without such a line gets "Some step is wrong."
    """
    steps = draft.split("\n")[1:-1]
    return SAYS + random.Random(draft).choice(steps) if steps else "Some step is wrong."


@dataclass(frozen=True)
class Oracle:
    """Knows what the first problems of `word` mean, by their text; no technique may."""

    problems: dict[str, WordProblem]
    name: str = "the numbers behind the problems"

    @staticmethod
    def of_word(split: str, limit: int) -> Oracle:
        """Of the first `limit` problems. Raises ValueError if they are drawn in another way now."""
        rng, drawn = random.Random(f"word/{split}/0"), {}
        while len(drawn) < limit:
            problem = sample_problem(rng, split, changes=WORD_CHANGES)
            drawn.setdefault(problem.question, problem)
        if list(drawn) != [problem.question for problem in load_problems("word", split, limit)]:
            raise ValueError("the problems of `word` are drawn in another way now")
        return Oracle(drawn)

    def complaint(self, question: str, draft: str) -> str:
        """The first step of a wrong draft that departs from its plan; else that all is right."""
        problem = self.problems[question]
        if answers_match(extract_answer(draft), str(problem.answer)):
            return ALL_RIGHT
        return SAYS + first_wrong_step(problem, draft)


def first_wrong_step(problem: WordProblem, draft: str) -> str:
    """The first line that differs from what the draft's own plan asks for."""
    lines = draft.split("\n")
    for plan in PLANS:
        for split in (False, True):
            expected = solve(problem, plan, split).split("\n")
            if lines[0] == expected[0]:
                wrong = (line for line, right in zip(lines, expected) if line != right)
                return next(wrong, lines[-1])
    return lines[0]  # no such plan


def revise_after_each(
    llm: LLM,
    problem: Problem,
    *,
    n: int,
    params: SamplingParams,
    oracle: Oracle,
) -> Solution:
    """One revision of the greedy draft after each critique, and n samples; answers as the draft.

    The trace has {"critic", "critique", "solution"} for each critic, with the index of its
    revision among the completions, and {"samples"} with those of the samples.
    """
    cached, question = CachedReplies(llm), problem.question
    output = reply(cached, prompts.ask(question), replace(params, n=1, temperature=0.0))
    draft, completions = output.completions[0], [output.completions[0]]
    sampling = replace(params, n=1, seed=params.seed + 1)  # as round 1 of `self_refine`
    own = own_critique(cached, question, draft.text, sampling).completions[0].text
    true = oracle.complaint(question, draft.text)
    trace = []
    for critic, critique in zip(CRITICS, (own, random_complaint(draft.text), ALL_RIGHT, true)):
        revised = revise(cached, question, [(draft.text, critique)], sampling)
        (index,) = add_new(completions, revised.completions)
        trace.append({"critic": critic, "critique": critique, "solution": index})
    (output,) = cached.chat(prompts.ask(question), replace(params, n=n), enable_thinking=False)
    trace.append({"samples": add_new(completions, output.completions)})
    cost = sum((o.cost for outputs in cached.replies.values() for o in outputs), Cost())
    for completion in completions:
        completion.measures.clear()
    return Solution(final_answer(draft), completions, cost, trace=trace)


def revised_after(problem: PooledProblem, critic: str) -> float:
    """Whether the revision after this critic's words is right; of "samples", the share."""
    if critic == "samples":
        return mean(problem.samples[i].is_right for i in problem.trace[-1]["samples"])
    (entry,) = (entry for entry in problem.trace if entry.get("critic") == critic)
    return problem.samples[entry["solution"]].is_right


def compare_critics(pool: list[PooledProblem]) -> list[dict]:
    """A row for each critic and for the samples: of right and of wrong drafts, how many become
    right; and for critics the difference in all answers to "own" with interval and p-value."""
    right, wrong = ([p for p in pool if p.samples[0].is_right is kind] for kind in (True, False))
    rows = []
    for critic in (*CRITICS, "samples"):
        row = {"critic": critic, "right drafts": len(right), "wrong drafts": len(wrong)}
        row["kept"] = sum(revised_after(problem, critic) for problem in right)
        row["repaired"] = sum(revised_after(problem, critic) for problem in wrong)
        if critic not in ("own", "samples"):
            results = ([revised_after(p, name) for p in pool] for name in (critic, "own"))
            gain = paired_bootstrap(*results)
            row["above own"] = [gain.difference, gain.low, gain.high, gain.p_value]
        rows.append(row)
    return rows


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_flags(parser)
    parser.set_defaults(n=2, max_tokens=PARAMS.max_tokens)
    parser.add_argument("--chapter", type=Path, default=CHAPTER, metavar="DIR", help="to write to")
    return parser.parse_args()


def main() -> None:
    """Revise after each critique, and write what comes of it."""
    args = parse_args()
    with friendly_errors():
        oracle = Oracle.of_word(args.split, args.limit)
        evaluation = evaluate_from_flags(revise_after_each, args, {"oracle": oracle})
    print_result(evaluation, args)
    if evaluation.num_errors:
        raise SystemExit(1)
    content = {
        "title": f"Different critiques of the same drafts ({args.limit} problems of word)",
        "settings": evaluation.settings,
        "critics": compare_critics(to_pool(evaluation)),
    }
    save_result(args.chapter, "controls", content)
    print(f"wrote {write_results(args.chapter)}")


if __name__ == "__main__":
    main()
