"""Measure the shipped model: every figure of its model card, from one command.

python -m shared.tiny.report                      # 400 test problems, a few minutes
python -m shared.tiny.report --split dev          # what was looked at while building it
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared import (
    LLM,
    Problem,
    SamplingParams,
    answers_match,
    load_problems,
    prompts,
)
from shared.evaluation.intervals import auc, paired_bootstrap, pass_at_k, wilson_interval
from shared.grading.answers import final_answer
from shared.grading.voting import most_frequent
from shared.rewards.judge import judge
from shared.rewards.process_reward import ProcessRewardModel
from shared.scores import aggregate_scores
from shared.solution import Completion
from shared.tiny.documents import ALL_RIGHT

MAX_TOKENS = 700
N = 16


def is_right(completion: Completion, problem: Problem) -> bool:
    """Whether a finished completion has the right answer."""
    return answers_match(final_answer(completion), problem.answer)


def sample(
    llm: LLM, problems: list[Problem], instruction: str, params: SamplingParams
) -> list[list[Completion]]:
    """The completions of every problem."""
    asked = [prompts.ask(problem.question, instruction) for problem in problems]
    outputs = llm.generate([llm.tokenizer.encode_chat(messages) for messages in asked], params)
    return [output.completions for output in outputs]


def vote(completions: list[Completion]) -> str | None:
    """The most frequent answer of some completions."""
    return most_frequent([final_answer(completion) for completion in completions])


def with_interval(correct: list[bool]) -> dict[str, float]:
    """Accuracy and its 95% interval, rounded for printing."""
    low, high = wilson_interval(sum(correct), len(correct))
    return {
        "accuracy": round(sum(correct) / len(correct), 4),
        "low": round(low, 3),
        "high": round(high, 3),
    }


def answering(llm: LLM, problems: list[Problem], pool: list[list[Completion]]) -> dict:
    """Direct answers, greedy chain of thought, single samples, votes, and the ceiling."""
    greedy_params = SamplingParams(temperature=0, max_tokens=MAX_TOKENS)

    def greedy(instruction: str) -> list[bool]:
        """Which problems the likeliest completion after this instruction solves."""
        completions = sample(llm, problems, instruction, greedy_params)
        return [is_right(c, p) for (c,), p in zip(completions, problems)]

    steps = greedy(prompts.STEP_BY_STEP)
    right = [[is_right(c, p) for c in completions] for completions, p in zip(pool, problems)]
    report = {
        "direct answer, greedy": with_interval(greedy(prompts.DIRECT)),
        "chain of thought, greedy": with_interval(steps),
        "chain of thought, single samples": round(sum(map(sum, right)) / len(right) / N, 4),
        f"pass@{N}": round(sum(pass_at_k(N, sum(row), N) for row in right) / len(right), 4),
    }
    for n in (4, 8, 16):
        voted = [answers_match(vote(row[:n]), p.answer) for row, p in zip(pool, problems)]
        gain = paired_bootstrap(voted, steps)
        report[f"majority of {n}"] = with_interval(voted) | {
            "above greedy": round(gain.difference, 4),
            "interval": [round(gain.low, 3), round(gain.high, 3)],
        }
    return report


def ranking(llm: LLM, problems: list[Problem], pool: list[list[Completion]], count: int) -> dict:
    """How well the judge and the process reward model tell right from wrong solutions."""
    reward_model = ProcessRewardModel.from_folder()
    solutions = [(p, c) for p, completions in zip(problems, pool) for c in completions[:count]]
    right = [is_right(c, p) for p, c in solutions]
    with ThreadPoolExecutor(64) as threads:
        verdicts = list(threads.map(lambda pc: judge(llm, pc[0].question, pc[1].text), solutions))
    steps = [
        reward_model.step_scores(p.question, [c.text for c in completions[:count]])
        for p, completions in zip(problems, pool)
    ]
    scores = {"judge": verdicts}
    for method in ("last", "min", "mean", "prod"):
        scores[f"process reward model, {method}"] = [
            aggregate_scores(one, method) for each in steps for one in each
        ]
    return {
        f"AUC of the {name}": round(
            auc(
                [score for score, ok in zip(values, right) if ok],
                [score for score, ok in zip(values, right) if not ok],
            ),
            4,
        )
        for name, values in scores.items()
    }


def revising(llm: LLM, problems: list[Problem], pool: list[list[Completion]]) -> dict:
    """What becomes of right and wrong drafts after critique and revision, all greedy."""
    params = SamplingParams(temperature=0, max_tokens=MAX_TOKENS)
    drafts = [completions[0] for completions in pool]
    asked = [
        prompts.follow_up(prompts.ask(p.question), draft.text, prompts.CRITIQUE)
        for p, draft in zip(problems, drafts)
    ]
    encode = llm.tokenizer.encode_chat
    critiques = [o.completions[0].text for o in llm.generate([encode(m) for m in asked], params)]
    asked = [prompts.follow_up(m, text, prompts.REVISE) for m, text in zip(asked, critiques)]
    revisions = [o.completions[0] for o in llm.generate([encode(m) for m in asked], params)]
    counts = Counter(
        (is_right(draft, p), is_right(revision, p), critique == ALL_RIGHT)
        for p, draft, revision, critique in zip(problems, drafts, revisions, critiques)
    )

    def total(**wanted: bool) -> int:
        """How many problems have these outcomes, the others being whatever they are."""
        names = ("before", "after", "praised")
        return sum(
            count
            for key, count in counts.items()
            if all(dict(zip(names, key))[name] == value for name, value in wanted.items())
        )

    right, wrong = total(before=True), total(before=False)
    return {
        "right drafts": right,
        "right drafts kept right": total(before=True, after=True),
        "right drafts found right by the critique": total(before=True, praised=True),
        "wrong drafts": wrong,
        "wrong drafts repaired": total(before=False, after=True),
        "wrong drafts found wrong by the critique": total(before=False, praised=False),
    }


def main() -> None:
    """Measure, print, and write as JSON if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--problems", default="word")
    parser.add_argument("--split", default="test", choices=("test", "dev"))
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--only-answers", action="store_true", help="leave out judge and revision")
    parser.add_argument("--out", type=Path, help="write the report to this JSON file")
    args = parser.parse_args()
    llm = LLM(args.model)
    problems = load_problems(args.problems, split=args.split, limit=args.limit)
    params = SamplingParams(n=N, temperature=args.temperature, max_tokens=MAX_TOKENS, seed=0)
    pool = sample(llm, problems, prompts.STEP_BY_STEP, params)
    report = {"problems": f"{args.problems}, {args.split}, {len(problems)}"}
    report |= answering(llm, problems, pool)
    if not args.only_answers:
        report |= ranking(llm, problems, pool, count=4)
        report |= revising(llm, problems, pool)
    text = json.dumps(report, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
