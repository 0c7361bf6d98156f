"""What a technique does on recorded problems: how often it is right, what it costs, how long it
takes. The comparisons of `study.py` and the policies of `policy.py` are made of these numbers.

    outcome = replayed("vote of 8", partial(self_consistency, n=8), recorded)
    outcome.accuracy, outcome.tokens_per_problem
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import mean

from ch02_self_consistency.self_consistency import adaptive_consistency, self_consistency
from ch03_best_of_n.best_of_n import best_of_n, weighted_answer
from ch04_rejection.rejection import rejection_sampling
from ch07_combine.combine import (
    checked_odds,
    escalate,
    sample_until_sure,
    vote_over_techniques,
)
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
REWARD_LEADS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)
ODDS_LEADS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 14.0, 20.0)
SURE = (0.6, 0.8, 0.9, 0.95, 0.99)  # thresholds of adaptive consistency
ACCEPTED = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95)  # of rejection sampling: the reward of a sample
VOTE, WEIGHTED, ODDS = "vote", "weighted best", "checked odds"
SHOWN = {"greedy": "greedy", "beam_8": "beam search of 8", "beam_16": "beam search of 16"}
COMBINED = {  # parts of recording.py that are combinations themselves
    "refined": "vote of 4, then refine",
    "prompts": "vote of 16 over 3 prompts",
    "two_beams": "best path of two beam searches",
}


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
    """1, 2, 3, 4, 6, 8, 12, 16, ... up to `most`."""
    both = {2**k for k in range(10)} | {3 * 2**k for k in range(10)}
    return sorted(n for n in both if n <= most)


def single_techniques(recorded: list[Recorded]) -> dict[str, Callable[..., Solution]]:
    """The techniques of the earlier chapters, as far as they were recorded, by name and size."""
    scorer = NotedReward()
    vote = partial(self_consistency, params=PARAMS)
    best = partial(best_of_n, params=PARAMS, scorer=scorer)
    known = {
        shown: partial(recorded_search, name=name)
        for name, shown in SHOWN.items()
        if name in recorded[0].searches
    }
    for n in sizes(len(recorded[0].samples)):
        known[f"{VOTE} of {n}"] = partial(vote, n=n)
        known[f"{WEIGHTED} of {n}"] = partial(best, n=n, choose=weighted_answer)
        known[f"{ODDS} of {n}"] = partial(
            escalate, stages={"all": partial(best, n=n)}, enough=math.inf, weigh=checked_odds
        )
    return known


def families(recorded: list[Recorded]) -> dict[str, dict[float, Callable[..., Solution]]]:
    """The adaptive techniques and combinations, each with all values of its threshold."""
    most, scorer = len(recorded[0].samples), NotedReward()
    adaptive = partial(adaptive_consistency, n=most, params=PARAMS, batch=1)
    rejecting = partial(rejection_sampling, n=most, params=PARAMS)
    by_reward = partial(sample_until_sure, n=most, params=PARAMS, scorer=scorer)
    until_sure = partial(by_reward, weigh=checked_odds)
    known = {
        "adaptive consistency": {sure: partial(adaptive, threshold=sure) for sure in SURE},
        "rejection sampling": {
            least: partial(rejecting, verifier=NotedRewardAtLeast(least)) for least in ACCEPTED
        },
        "sample until sure, by reward": {
            lead: partial(by_reward, enough=lead) for lead in REWARD_LEADS
        },
        "sample until sure": {lead: partial(until_sure, enough=lead) for lead in ODDS_LEADS},
        "sample until sure, 4 at a time": {
            lead: partial(until_sure, enough=lead, batch=4) for lead in ODDS_LEADS
        },
        "escalate": escalations(cascade(most, with_search=False)),
    }
    if "beam_8" in recorded[0].searches:
        known["escalate with search"] = escalations(cascade(most, with_search=True))
    return known


def escalations(stages: dict[str, Callable[..., Solution]]) -> dict[float, Callable[..., Solution]]:
    """A cascade with every lead."""
    options = {"stages": stages, "weigh": checked_odds}
    return {lead: partial(escalate, enough=lead, **options) for lead in ODDS_LEADS}


def cascade(most: int, with_search: bool) -> dict[str, Callable[..., Solution]]:
    """Stages of recorded samples: one, three more, a search or twelve more, then all."""
    sampled = partial(best_of_n, params=PARAMS, scorer=NotedReward())
    stages = {"one sample": partial(sampled, n=1), "three more": partial(sampled, n=3)}
    if with_search:
        stages["beam search"] = partial(recorded_search, name="beam_8")
    else:
        stages["twelve more"] = partial(sampled, n=12)
    left = most - (4 if with_search else 16)
    return stages | ({"all samples": partial(sampled, n=left)} if left else {})


def other_combinations(recorded: list[Recorded]) -> dict[str, Callable[..., Solution]]:
    """Combinations without a threshold, as far as what they need was recorded."""
    singles, known = single_techniques(recorded), {}
    names = (SHOWN["greedy"], f"{VOTE} of 4", f"{WEIGHTED} of 4", SHOWN["beam_8"])
    if all(name in singles for name in names):
        voters = {name: singles[name] for name in names}
        known["vote over techniques"] = partial(vote_over_techniques, techniques=voters)
    for name, shown in COMBINED.items():
        if name in recorded[0].searches:
            known[shown] = partial(recorded_search, name=name)
    if "two_beams" in recorded[0].searches:
        stages = {"beams": partial(recorded_search, name="two_beams")}
        known["two beam searches, checked odds"] = partial(
            escalate, stages=stages, enough=math.inf, weigh=checked_odds
        )
    return known
