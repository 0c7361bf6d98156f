"""Recorded samples in the place of a model: what would a combination have answered?

    recorded = read_recording(folder, "test")                       # one `Recorded` per problem
    llm = Replay(recorded[0], order=3)
    solution = sample_until_sure(llm, problem, n=64, scorer=NotedReward(), enough=0.9)

A combination cannot tell the difference: it asks for whole solutions and gets recorded ones, each
at most once, in a random order that `order` seeds. So the result is one that the model itself might
have given, and thousands of variants cost no tokens. What was not recorded goes to a live model.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ch07_combine.latency import StepCounter
from shared import LLM, Completion, Cost, Problem, RequestOutput, SamplingParams, Solution, prompts
from shared.errors import UserError
from shared.evaluation.records import Record, read_records
from shared.grading.answers import answers_match, final_answer
from shared.rewards.interfaces import Scores, Verdicts
from shared.rewards.scorers import reading_cost
from shared.rewards.verifiers import is_well_formed
from shared.scores import checked_scores

POOLS = ("pool_0", "pool_1")
SEARCHES = ("greedy", "beam_8", "beam_16", "refined", "prompts", "two_beams")


@dataclass(frozen=True)
class Recorded:
    """What was recorded for one problem.

    samples    whole solutions, each with the measure "reward"
    searches   the records of other techniques, by the name of their part in `recording.py`
    pass_rate  the share of samples with the right answer: how easy the problem is for the model
    """

    problem: Problem
    prompt_tokens: int
    samples: list[Completion]
    searches: dict[str, Record]
    pass_rate: float


def read_recording(
    folder: Path, split: str, names: Sequence[str] = (*POOLS, *SEARCHES)
) -> list[Recorded]:
    """What `recording.py` wrote for a split, problem by problem; parts without a file are left out.

    If a part is unfinished, only the first problems are used that all parts have without a gap.
    Raises UserError where "pool_0" has no problem, and what `read_records` raises.
    """
    files = {name: folder / f"{split}_{name}.jsonl" for name in names}
    parts = {name: first_records(path) for name, path in files.items() if path.exists()}
    count = min(map(len, parts.values()), default=0)
    if "pool_0" not in parts or not count:
        raise UserError(f"there is no recording of the split {split} in {folder}: see recording.py")
    pools = [parts[name] for name in POOLS if name in parts]
    return [
        recorded_problem(
            [pool[i] for pool in pools],
            {name: parts[name][i] for name in SEARCHES if name in parts},
        )
        for i in range(count)
    ]


def recorded_problem(pools: Sequence[Record], searches: dict[str, Record]) -> Recorded:
    """One problem from the records of its samples, and of other techniques by name."""
    first = pools[0]
    samples = [completion_of(each) for record in pools for each in record.completions]
    answers = [final_answer(sample) for sample in samples]
    pass_rate = sum(answers_match(answer, first.gold) for answer in answers) / len(answers)
    problem = Problem(first.question, first.gold, first.id)
    return Recorded(problem, first.prompt_tokens, samples, searches, pass_rate)


def first_records(path: Path) -> list[Record]:
    """The records of the first problems, up to the first one that is missing or failed."""
    known = {record.index: record for record in read_records(path) if record.error is None}
    return [known[i] for i in itertools.takewhile(known.__contains__, itertools.count())]


def completion_of(record: dict) -> Completion:
    """A record's completion; of its tokens only the number and the total logprob are known."""
    measures = {name: value for name, value in record.items() if isinstance(value, float)}
    tokens, logprob = record["num_tokens"], record["logprob"]
    logprobs = [] if logprob is None else [logprob / tokens] * tokens
    return Completion(
        record["text"], [0] * tokens, logprobs, record["finish_reason"], measures=measures
    )


@dataclass(frozen=True)
class NotedReward:
    """The scorer of recorded samples: their measure "reward"."""

    name: str = "reward_last"

    def score(self, llm: object, question: str, solutions: Sequence[Completion]) -> Scores:
        """It costs what it cost when it was recorded. Raises ValueError where none was."""
        noted = [solution.measures.get("reward") for solution in solutions]
        rewards = checked_scores(noted, "the recorded reward", len(solutions))
        return Scores(rewards, reading_cost(solutions))


@dataclass(frozen=True)
class NotedRewardAtLeast:
    """The verifier of recorded samples: well formed, with a reward of at least `threshold`."""

    threshold: float

    @property
    def name(self) -> str:
        """For example "reward >= 0.85"."""
        return f"reward >= {self.threshold:g}"

    def verify(self, llm: object, question: str, solutions: Sequence[Completion]) -> Verdicts:
        """It costs what `NotedReward` costs."""
        rewards, cost = NotedReward().score(llm, question, solutions)
        reached = [reward >= self.threshold for reward in rewards]
        well_formed = map(is_well_formed, solutions)
        return Verdicts([ok and enough for ok, enough in zip(well_formed, reached)], cost)


class Replay(StepCounter):
    """A model that solves one problem, from its recorded samples in a random order."""

    def __init__(self, recorded: Recorded, order: int = 0, live: LLM | None = None) -> None:
        super().__init__()
        self.recorded, self.live = recorded, live
        self.left = list(recorded.samples)
        random.Random(f"{order}/{recorded.problem.id}").shuffle(self.left)

    def chat(
        self, messages: list[dict[str, str]], params: SamplingParams, **options: bool
    ) -> list[RequestOutput]:
        """Recorded samples for the question itself, and a live model's for anything else.

        Raises UserError where neither can answer.
        """
        is_question = messages == prompts.ask(self.recorded.problem.question)
        if not is_question or params.temperature == 0:
            if self.live is None:
                raise UserError("this was not recorded, and there is no live model to ask")
            return self.counted(self.live.chat(messages, params, **options))
        if params.n > len(self.left):
            raise UserError(f"{params.n} samples are wanted, {len(self.left)} are left")
        drawn, self.left = self.left[: params.n], self.left[params.n :]
        generated = sum(len(each.token_ids) for each in drawn)
        cost = Cost(
            prompt_tokens=self.recorded.prompt_tokens,
            generated_tokens=generated,
            forward_passes=1 + generated - len(drawn),
            num_prompts=1,
        )
        return self.counted([RequestOutput([], drawn, cost)])


def recorded_search(llm: Replay, problem: Problem, *, name: str) -> Solution:
    """What a recorded technique answered; the time it took is added to the replay's.

    Raises UserError where it was not recorded.
    """
    record = llm.recorded.searches.get(name)
    if record is None:
        raise UserError(f"{name} was not recorded")
    waits = [each["sequential_steps"] for each in record.trace if "sequential_steps" in each]
    llm.steps += waits[-1] if waits else max(each["num_tokens"] for each in record.completions)
    llm.requests += record.trace[-1]["requests"] if waits else 1
    completions = [completion_of(each) for each in record.completions]
    return Solution(record.predicted, completions, record.cost, record.scores)
