"""What the chapter measures about chains: probabilities of their steps, accuracy by length."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from statistics import fmean

from shared import LLM, Problem, load_problems, prompts
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.pool import POOLS_FOLDER
from shared.evaluation.records import Record
from shared.evaluation.word_problems import sample_problem, solve


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


def probabilities_by_changes(llm: LLM, num_per_length: int) -> dict[int, list[tuple]]:
    """For fresh problems of 2 to 8 changes: {changes: [(probability of each step, of the direct
    answer)]}. The steps are those of the plan "in order, split"; its name, line one, is left out.
    """
    rng = random.Random("step probabilities")
    rows: dict[int, list[tuple]] = {}
    for changes in range(2, 9):
        for _ in range(num_per_length):
            problem = sample_problem(rng, "test", changes=(changes, changes))
            solution = solve(problem, "in order", split=True)
            steps = step_probabilities(llm, problem.question, solution)[1:]
            direct = direct_probability(llm, problem.question, problem.answer)
            rows.setdefault(changes, []).append((steps, direct))
    return rows


def mean_curves(rows: dict[int, list[tuple]]) -> dict[str, tuple[list[int], list[float]]]:
    """Mean probability per length of one step, of the whole chain and of the direct answer."""
    kinds = {
        "one right step": lambda steps, _: fmean(steps),
        "the whole right chain": lambda steps, _: math.prod(steps),
        "the direct answer": lambda _, direct: direct,
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


def opening_problems() -> tuple[Problem, Problem]:
    """The two test problems that the chapter opens with: one the model solves, one it fails."""
    problems = load_problems("word", limit=400)
    return problems[354], problems[112]


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
