"""What the chapter measures about chains: probabilities of their steps, accuracy by length."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable
from itertools import zip_longest
from statistics import fmean

from shared import LLM, Problem, load_problems, prompts
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.pool import POOLS_FOLDER
from shared.evaluation.problems import WORD_CHANGES
from shared.evaluation.records import Record
from shared.evaluation.word_problems import WordProblem, running_total, sample_problem, solve
from shared.grading.arithmetic import wrong_equations

EQUATION = re.compile("([0-9]+)([-+*/])([0-9]+)=(-?[0-9]+)")


def step_probabilities(llm: LLM, question: str, solution: str) -> list[float]:
    """The probability of each line of a given solution, given the question and the lines before."""
    ids = llm.tokenizer.encode(solution)
    log_sums = [0.0]  # one per line: the sum of its tokens' log-probabilities
    for token, logprob in zip(ids, llm.score(prompts.ask(question), ids)):
        log_sums[-1] += logprob
        if b"\n" in llm.tokenizer.token_bytes(token):
            log_sums.append(0.0)
    return [math.exp(log_sum) for log_sum in log_sums]


def direct_probability(llm: LLM, question: str, answer: object) -> float:
    """The probability of the whole reply "box with this answer" when no steps are written."""
    logprobs = llm.score(prompts.ask(question, prompts.DIRECT), f"\\boxed{{{answer}}}")
    return math.exp(sum(logprobs))


def turning_points(problem: WordProblem) -> set[int]:
    """Numbers of the lines on which "in order, split" turns to the next change, or to the end.

    Line 0 is the one after the plan.
    """
    changes = list(problem.changes)
    return {len(running_total(changes[:n], split=True)) for n in range(1, len(changes) + 1)}


def probabilities_by_changes(llm: LLM, num_per_length: int) -> dict[int, list[tuple]]:
    """For fresh problems of 2 to 8 changes: {changes: [(probability of each step that turns to the
    next change, of each other step, of the direct answer)]}.

    The steps are those of the plan "in order, split"; its name, line one, is left out.
    """
    rng = random.Random("step probabilities")
    rows: dict[int, list[tuple]] = {}
    for changes in range(2, 9):
        for _ in range(num_per_length):
            problem = sample_problem(rng, "test", changes=(changes, changes))
            solution = solve(problem, "in order", split=True)
            steps = step_probabilities(llm, problem.question, solution)[1:]
            turns = turning_points(problem)
            first = [p for line, p in enumerate(steps) if line in turns]
            other = [p for line, p in enumerate(steps) if line not in turns]
            direct = direct_probability(llm, problem.question, problem.answer)
            rows.setdefault(changes, []).append((first, other, direct))
    return rows


def mean_curves(rows: dict[int, list[tuple]]) -> dict[str, tuple[list[int], list[float]]]:
    """Mean probability per length: of both kinds of steps, the whole chain, the direct answer."""
    kinds = {
        "a step within a change": lambda first, other, _: fmean(other),
        "the first step of a change": lambda first, other, _: fmean(first),
        "the whole right chain": lambda first, other, _: math.prod(first + other),
        "the direct answer": lambda first, other, direct: direct,
    }
    return {
        name: (list(rows), [fmean(value(*row) for row in group) for group in rows.values()])
        for name, value in kinds.items()
    }


def short_problems(count: int) -> list[Problem]:
    """Test problems with 2 to 4 changes; those of the set `word` have 5 to 8."""
    rng = random.Random("short problems")
    drawn = [sample_problem(rng, "test", changes=(2, 4)) for _ in range(count)]
    return [
        Problem(
            p.question, str(p.answer), f"short/{i}", "word", {"num_changes": len(p.changes) - 1}
        )
        for i, p in enumerate(drawn)
    ]


def right_by_changes(
    runs: Iterable[tuple[list[Problem], Evaluation]],
) -> dict[int, tuple[int, int]]:
    """Number of changes -> (problems solved, problems), over (problems, evaluation) pairs."""
    counts: dict[int, tuple[int, int]] = {}
    for problems, evaluation in runs:
        for problem, record in zip(problems, evaluation.records):
            right, total = counts.get(problem.metadata["num_changes"], (0, 0))
            counts[problem.metadata["num_changes"]] = (right + record.correct, total + 1)
    return dict(sorted(counts.items()))


def good_estimates(golds: list[str], answers: list[str | None]) -> int:
    """How many answers have as many digits as the gold answer, and the same first digit."""
    return sum(
        answer is not None and len(answer) == len(gold) and answer[0] == gold[0]
        for gold, answer in zip(golds, answers)
    )


def right_chains(count: int) -> dict[str, str]:
    """The right chain "in order, split" of the first test problems of "word", by their question."""
    rng = random.Random("word/test/0")  # as load_problems("word") draws them
    chains: dict[str, str] = {}
    while len(chains) < count:
        drawn = sample_problem(rng, "test", changes=WORD_CHANGES)
        chains.setdefault(drawn.question, solve(drawn, "in order", split=True))
    return chains


def kind_of_slip(chain: str, right: str) -> str:
    """The kind of the slip: of the first line in which a wrong chain differs from the right one.

    "arithmetic"    an equation that does not hold
    "number"        the calculation that is due, with one other number
    "change"        anything else: another change, another sign, an end too early or too late

    Raises ValueError if the chains do not differ.
    """
    for line, due in zip_longest(chain.split("\n"), right.split("\n"), fillvalue=""):
        if line == due:
            continue
        if wrong_equations(line):
            return "arithmetic"
        ours, theirs = EQUATION.fullmatch(line), EQUATION.fullmatch(due)
        if ours and theirs and ours[2] == theirs[2]:
            return "number" if ours[1] == theirs[1] or ours[3] == theirs[3] else "change"
        return "change"
    raise ValueError("the chain is the right one")


def opening_problems() -> tuple[Problem, Problem]:
    """The two test problems that the chapter opens with: one the model solves, one it fails."""
    problems = load_problems("word", limit=400)
    return problems[354], problems[112]


def problem_with_a_false_equation() -> Problem:
    """A test problem whose chain has one false equation and no other fault."""
    return load_problems("word", limit=400)[89]


def confidences_by_kind(records: list[Record]) -> dict[str, tuple[list[float], list[float]]]:
    """CoT-decoding's confidences, {kind of branch: (of right answers, of wrong answers)}.

    A branch with at least three equals signs counts as a chain.
    """
    groups: dict[str, tuple[list[float], list[float]]] = {
        "branches without steps": ([], []),
        "branches with a chain": ([], []),
    }
    for record in records:
        for branch, confidence in zip(record.completions, record.scores):
            has_chain = branch["text"].count("=") >= 3
            group = groups["branches with a chain" if has_chain else "branches without steps"]
            group[0 if branch["answer"] == record.gold else 1].append(confidence)
    return groups


def first_records(evaluation: Evaluation, count: int) -> Evaluation:
    """The part of an evaluation that is about its first `count` problems."""
    return Evaluation(evaluation.records[:count], {}, evaluation.seconds)


def recorded_runs(name: str) -> dict[str, Evaluation]:
    """The recorded runs of each real model under this name, such as "gsm_symbolic_cot"."""
    runs = {}
    for model in ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"):
        path = POOLS_FOLDER / f"{model}_{name}.jsonl"
        if path.exists():
            runs[model] = load_evaluation(path)
    return runs
