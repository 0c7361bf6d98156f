"""What a technique does on recorded problems: how often it is right, what it costs, how long it
takes. The comparisons of `study.py` and the policies of `policy.py` are made of these numbers.

    outcome = replayed("vote of 8", partial(self_consistency, n=8), recorded)
    outcome.accuracy, outcome.tokens_per_problem
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import mean

from ch02_self_consistency.self_consistency import adaptive_consistency, self_consistency
from ch03_best_of_n.best_of_n import best_of_n, weighted_answer
from ch04_rejection.rejection import rejection_sampling
from ch07_combine.combine import escalate, sample_until_sure
from ch07_combine.replay import (
    NotedReward,
    NotedRewardAtLeast,
    Recorded,
    Replay,
    recorded_search,
)
from shared import LLM, SamplingParams, Solution
from shared.grading.answers import answers_match

PARAMS = SamplingParams(temperature=0.6, max_tokens=700)
ORDERS = 5  # random orders of the samples in which a technique is replayed
LEADS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.2, 1.5, 2.0, 3.0)
SURE = (0.6, 0.8, 0.9, 0.95, 0.99)  # thresholds of adaptive consistency
ACCEPTED = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95)  # of rejection sampling: the reward of a sample


@dataclass(frozen=True)
class Outcome:
    """A technique on some problems. Each list has one number per problem, the mean of all orders.

    right      how often the answer was right, 0 to 1
    tokens     generated
    scored     read by the reward model
    steps      generated one after another: what a user waits for
    requests   that had to wait for each other
    """

    name: str
    right: list[float]
    tokens: list[float]
    scored: list[float]
    steps: list[float]
    requests: list[float]

    @property
    def accuracy(self) -> float:
        """The mean over all problems."""
        return mean(self.right)

    @property
    def tokens_per_problem(self) -> float:
        """The mean over all problems."""
        return mean(self.tokens)


@lru_cache(maxsize=1 << 16)  # the same few answers are graded again and again
def is_right(answer: str | None, gold: str) -> bool:
    """Whether an answer is right."""
    return answers_match(answer, gold)


def replayed(
    name: str,
    technique: Callable[..., Solution],
    recorded: list[Recorded],
    orders: int = ORDERS,
    live: LLM | None = None,
) -> Outcome:
    """Replay a technique on every problem, in several random orders of the recorded samples."""
    columns: list[list[float]] = [[], [], [], [], []]
    for each in recorded:
        tries = [replay_once(technique, each, order, live) for order in range(orders)]
        for column, numbers in zip(columns, zip(*tries)):
            column.append(mean(numbers))
    return Outcome(name, *columns)


def replay_once(
    technique: Callable[..., Solution], recorded: Recorded, order: int, live: LLM | None = None
) -> tuple[float, ...]:
    """One try at one problem: right, tokens, scored tokens, steps, requests."""
    llm = Replay(recorded, order, live)
    solution = technique(llm, recorded.problem.without_answer())
    correct = is_right(solution.answer, recorded.problem.answer)
    cost = solution.cost
    return float(correct), cost.generated_tokens, cost.scored_tokens, llm.steps, llm.requests


# --- The techniques that are compared -------------------------------------------------------------


def sizes(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [2**k for k in range(most.bit_length())]


def single_techniques(recorded: list[Recorded]) -> dict[str, Callable[..., Solution]]:
    """The techniques of the earlier chapters, as far as they were recorded, by name and size."""
    most, scorer = len(recorded[0].samples), NotedReward()
    vote = partial(self_consistency, params=PARAMS)
    weighted = partial(best_of_n, params=PARAMS, scorer=scorer, choose=weighted_answer)
    known = {}
    for name in recorded[0].searches:
        shown = "greedy" if name == "greedy" else name.replace("beam_", "beam search of ")
        known[shown] = partial(recorded_search, name=name)
    known |= {f"vote of {n}": partial(vote, n=n) for n in sizes(most)}
    known |= {f"weighted best of {n}": partial(weighted, n=n) for n in sizes(most)}
    return known


def families(recorded: list[Recorded]) -> dict[str, dict[float, Callable[..., Solution]]]:
    """The adaptive techniques and combinations, each with all values of its threshold."""
    most, scorer = len(recorded[0].samples), NotedReward()
    adaptive = partial(adaptive_consistency, n=most, params=PARAMS, batch=1)
    rejecting = partial(rejection_sampling, n=most, params=PARAMS)
    until_sure = partial(sample_until_sure, n=most, params=PARAMS, scorer=scorer)
    known = {
        "adaptive consistency": {sure: partial(adaptive, threshold=sure) for sure in SURE},
        "rejection sampling": {
            least: partial(rejecting, verifier=NotedRewardAtLeast(least)) for least in ACCEPTED
        },
        "sample until sure": {lead: partial(until_sure, enough=lead) for lead in LEADS},
        "in batches of 4": {lead: partial(until_sure, enough=lead, batch=4) for lead in LEADS},
    }
    stages = cascade(most, with_search=False)
    known["escalate: 1, 3, 12, all"] = escalations(stages)
    if "beam_8" in recorded[0].searches:
        known["escalate: 1, 3, search, all"] = escalations(cascade(most, with_search=True))
    return known


def escalations(stages: dict[str, Callable[..., Solution]]) -> dict[float, Callable[..., Solution]]:
    """A cascade with every lead."""
    return {lead: partial(escalate, stages=stages, enough=lead) for lead in LEADS}


def cascade(most: int, with_search: bool) -> dict[str, Callable[..., Solution]]:
    """Stages of recorded samples: one, three more, then a search or twelve more, then all."""
    sampled = partial(best_of_n, params=PARAMS, scorer=NotedReward())
    first = {"one sample": partial(sampled, n=1), "three more": partial(sampled, n=3)}
    if with_search:
        last = {"all": partial(sampled, n=most - 4)}
        return first | {"beam search": partial(recorded_search, name="beam_8")} | last
    return first | {"twelve more": partial(sampled, n=12), "all": partial(sampled, n=most - 16)}


def over_techniques(recorded: list[Recorded]) -> dict[str, Callable[..., Solution]]:
    """Techniques that might vote with each other at about the tokens of a vote of 16."""
    singles = single_techniques(recorded)
    names = ("greedy", "vote of 4", "weighted best of 4", "beam search of 8")
    return {name: singles[name] for name in names if name in singles}
