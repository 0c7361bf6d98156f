"""Sample once, study many: a pool of samples of every problem, for all curves of a chapter.

    evaluate(partial(sample_pool, n=16, params=SamplingParams(temperature=0.6)), llm, problems,
             out="pool.jsonl")
    pool = read_pool("pool.jsonl")
    curve = [accuracy_at(pool, majority, n) for n in (1, 2, 4, 8, 16)]

A pool is the records file of an evaluation, so it is written as problems finish, resumes, and says
how it was made. What a technique would have answered with n samples follows by drawing n of a
problem's samples again and again. Pools of a real Qwen lie in `shared/pools`:

    python -m shared.evaluation.pool --model DIR --problems gsm8k --limit 100 --n 16 --out FILE
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared import prompts
from shared.evaluation.cli import HelpFormatter, add_common_flags, run
from shared.evaluation.evaluation import Evaluation, load_evaluation
from shared.evaluation.problem import Problem
from shared.grading.answers import answers_match, extract_answer, final_answer
from shared.grading.voting import most_frequent
from shared.llm import LLM
from shared.rewards.judge import judge_all
from shared.sampling_params import SamplingParams
from shared.solution import Solution

POOLS_FOLDER = Path(__file__).parents[1] / "pools"
GROUP = 32  # tokens of a group in `lowest_confidence`


@dataclass(frozen=True)
class Sample:
    """One sampled solution. `answer` is as the solution spells it, which is what `is_right` grades;
    `measures` are numbers by name, "logprob" (the sum) among them."""

    text: str
    answer: str | None
    is_right: bool
    num_tokens: int
    finish_reason: str
    measures: dict[str, float]


@dataclass(frozen=True)
class PooledProblem:
    """A problem with all that was sampled for it, and what the technique did round by round."""

    question: str
    gold: str
    prompt_tokens: int
    samples: list[Sample]
    trace: list[dict] = field(default_factory=list)


Choose = Callable[[list[Sample]], str | None]  # samples of one problem -> its answer


def sample_pool(
    llm: LLM, problem: Problem, *, n: int, params: SamplingParams, judged: bool = True
) -> Solution:
    """Sample n solutions; answer with their majority.

    Each gets measures: "lowest_confidence" (see there), "certainty" (mean self-certainty of its
    tokens, nats) where the engine says, and if `judged` "judge" (the model's own probability that
    it is right).
    """
    asked = prompts.ask(problem.question)
    (output,) = llm.chat(asked, replace(params, n=n), enable_thinking=False)
    cost = output.cost
    for completion in output.completions:
        completion.measures["lowest_confidence"] = lowest_confidence(completion.logprobs)
        if completion.certainties:
            completion.measures["certainty"] = completion.certainty
    if judged:
        texts = [completion.text for completion in output.completions]
        verdicts = judge_all(llm, problem.question, texts)
        for completion, score in zip(output.completions, verdicts.scores):
            completion.measures["judge"] = score
        cost += verdicts.cost
    answers = [final_answer(completion) for completion in output.completions]
    return Solution(most_frequent(answers), output.completions, cost)


def lowest_confidence(logprobs: list[float], group: int = GROUP) -> float:
    """The lowest mean log-probability of any `group` successive tokens (after Fu 2025, DeepConf:
    a solution is as trustworthy as its shakiest passage)."""
    starts = range(max(1, len(logprobs) - group + 1))
    groups = (logprobs[start : start + group] for start in starts)
    return min(sum(each) / len(each) for each in groups)


def majority(samples: list[Sample]) -> str | None:
    """The most frequent answer of some samples, spelled as in the first that has it."""
    return most_frequent([sample.answer for sample in samples])


def to_pool(evaluation: Evaluation) -> list[PooledProblem]:
    """The samples of an evaluation, each graded."""
    return [
        PooledProblem(
            record.question,
            record.gold,
            record.prompt_tokens,
            [graded(completion, record.gold) for completion in record.completions],
            record.trace,
        )
        for record in evaluation.records
    ]


def graded(completion: dict, gold: str) -> Sample:
    """A record's completion as a Sample; one cut short has an answer only if it boxed one.

    The answer is extracted anew, so old records are read by the rules of today.
    """
    measures = {name: value for name, value in completion.items() if isinstance(value, float)}
    is_whole = completion["finish_reason"] == "stop"
    answer = extract_answer(completion["text"], is_whole=is_whole)
    return Sample(
        completion["text"],
        answer,
        answer is not None and answers_match(answer, gold),
        completion["num_tokens"],
        completion["finish_reason"],
        measures,
    )


def read_pool(path: str | Path) -> list[PooledProblem]:
    """Read a pool's file. Raises what `load_evaluation` raises."""
    return to_pool(load_evaluation(path))


def accuracy_at(
    pool: list[PooledProblem], choose: Choose, n: int, *, repeats: int = 30, seed: int = 0
) -> list[float]:
    """For each problem, how often `choose` is right with n of its samples, drawn `repeats` times.

    The samples are drawn in random order, because ties go to the answer seen first: a majority of
    two is as good as one sample. With all samples, their order is that of the run. The mean is the
    accuracy at n; two such lists on one pool are paired. Raises ValueError where a problem has
    fewer than n samples.
    """
    rng = random.Random(f"{seed}/{n}")
    shares = []
    for problem in pool:
        if n > len(problem.samples):
            raise ValueError(f"n is {n}, but the pool has {len(problem.samples)} samples a problem")
        takes_all = n == len(problem.samples)
        right = 0
        for _ in range(1 if takes_all else repeats):
            drawn = problem.samples if takes_all else rng.sample(problem.samples, n)
            right += is_right_answer(choose(drawn), problem)
        shares.append(right / (1 if takes_all else repeats))
    return shares


def is_right_answer(answer: str | None, problem: PooledProblem) -> bool:
    """Whether an answer, in the spelling of some sample, is right: as that sample was graded."""
    return any(sample.is_right for sample in problem.samples if sample.answer == answer)


def main() -> None:
    """Make a pool from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_common_flags(parser)
    parser.add_argument(
        "--no-judge", dest="judged", action="store_false", help="do not ask the model to judge"
    )
    parser.set_defaults(n=16)
    args = parser.parse_args()
    run(sample_pool, args, judged=args.judged)


if __name__ == "__main__":
    main()
