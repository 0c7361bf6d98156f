"""Compute-optimal choice: for each budget and each difficulty the technique that does best
(Snell 2024, section 3.2).

    bins = bins_of(dev.features["reward"], edges_of(dev.features["reward"]))
    policy = shared_budget(dev.right, dev.priced("reward"), bins, budget=2_000)
    right, tokens = follow(test.right, test.priced("reward"), test_bins, policy)

How difficult a problem is can be known to an oracle (the share of samples that are right), or be
predicted from the first few samples: from their agreement, or from what the reward model says. A
prediction costs these samples; a technique that samples whole solutions uses them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from ch07_combine.combine import agreement
from ch07_combine.outcomes import ODDS, ORDERS, VOTE, WEIGHTED, replay_once, single_techniques
from ch07_combine.replay import NotedReward, Recorded, Replay
from shared import SamplingParams, Solution, prompts
from shared.evaluation.intervals import paired_difference
from shared.grading.answers import final_answer
from shared.grading.voting import count_votes

FIRST = 4  # samples from which difficulty is predicted
NUM_BINS = 5
ORACLE, AGREEMENT, REWARD = "pass rate", "agreement", "reward"
PRICES = np.concatenate([[0.0], np.geomspace(1e-7, 1, 300)])  # of a token, in accuracy


@dataclass(frozen=True)
class Cases:
    """Every problem in every order of its samples is a case.

    arms       names of the techniques
    right      [arms, cases] whether a technique is right
    tokens     [arms, cases] what it generates
    first      [cases] the tokens of the first few samples
    samples    [arms] whether a technique samples whole solutions, so that it can use these
    features   by name [cases]: the higher, the easier
    orders     cases per problem, which stand one after another
    """

    arms: list[str]
    right: np.ndarray
    tokens: np.ndarray
    first: np.ndarray
    samples: np.ndarray
    features: dict[str, np.ndarray]
    orders: int

    def priced(self, feature: str | None) -> np.ndarray:
        """[arms, cases] the tokens of each technique, if a feature has to be known before."""
        if feature in (None, ORACLE):
            return self.tokens
        reusing = np.maximum(self.tokens, self.first)
        return np.where(self.samples[:, None], reusing, self.tokens + self.first)

    def per_problem(self, numbers: np.ndarray) -> list[float]:
        """[cases] -> the mean over the orders of each problem."""
        return numbers.reshape(-1, self.orders).mean(axis=1).tolist()


def arms_of(recorded: list[Recorded]) -> dict[str, Callable[..., Solution]]:
    """The techniques to choose from: those of the earlier chapters with 1, 2, 4, ... samples."""
    known = single_techniques(recorded)
    return {name: how for name, how in known.items() if is_arm(name)}


def is_arm(name: str) -> bool:
    """Whether a technique is among those to choose from."""
    family, _, count = name.rpartition(" of ")
    if family not in (VOTE, WEIGHTED, ODDS):
        return True
    n = int(count)
    return n & (n - 1) == 0 and (family == VOTE or n > 1)


def cases_of(
    recorded: list[Recorded], arms: dict[str, Callable[..., Solution]], orders: int = ORDERS
) -> Cases:
    """Replay every technique on every problem in every order."""
    cells = [(each, order) for each in recorded for order in range(orders)]
    right, tokens = [], []
    for technique in arms.values():
        tries = [replay_once(technique, each, order) for each, order in cells]
        right.append([attempt[0] for attempt in tries])
        tokens.append([attempt[1] for attempt in tries])
    found = [first_samples(each, order) for each, order in cells]
    features = {name: np.array([each[name] for each in found]) for name in (AGREEMENT, REWARD)}
    features[ORACLE] = np.array([each.pass_rate for each, _ in cells])
    families = [name.rpartition(" of ")[0] for name in arms]
    return Cases(
        list(arms),
        np.array(right),
        np.array(tokens),
        np.array([each["tokens"] for each in found]),
        np.array([family in (VOTE, WEIGHTED, ODDS) for family in families]),
        features,
        orders,
    )


def first_samples(recorded: Recorded, order: int) -> dict[str, float]:
    """What the first few samples of an order say about the difficulty, and their tokens."""
    asked = prompts.ask(recorded.problem.question)
    (output,) = Replay(recorded, order).chat(asked, SamplingParams(n=FIRST))
    votes = count_votes([final_answer(each) for each in output.completions])
    rewards, _ = NotedReward().score(None, recorded.problem.question, output.completions)
    return {
        AGREEMENT: agreement(votes, FIRST),
        REWARD: mean(rewards),
        "tokens": output.cost.generated_tokens,
    }


# --- Bins of difficulty ---------------------------------------------------------------------------


def edges_of(feature: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """Where to cut a feature so that about equally many cases fall into each bin. Values that are
    equal stay together, so there may be fewer bins."""
    return np.unique(np.quantile(feature, np.arange(1, num_bins) / num_bins))


def bins_of(feature: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """[cases] the number of each case's bin, from 0 (the hardest)."""
    return np.digitize(feature, edges)


# --- The policies ---------------------------------------------------------------------------------


def best_within(right: np.ndarray, tokens: np.ndarray, budget: float) -> int | None:
    """The technique with the highest mean accuracy among those within a budget of tokens per
    problem; ties go to the cheaper one. None if all are dearer. right, tokens [arms, cases]"""
    accuracy, cost = right.mean(axis=1), tokens.mean(axis=1)
    within = np.flatnonzero(cost <= budget).tolist()
    return max(within, key=lambda arm: (accuracy[arm], -cost[arm]), default=None)


def same_budget(
    right: np.ndarray, tokens: np.ndarray, bins: np.ndarray, budget: float
) -> dict[int, int | None]:
    """The best technique for each bin, where each bin has the same budget: bin -> arm.

    What a technique costs is its mean over all cases, so that a bin of long problems may take as
    many samples as the others.
    """
    cost = np.broadcast_to(tokens.mean(axis=1, keepdims=True), tokens.shape)
    numbers = sorted({*bins.tolist()})
    return {b: best_within(right[:, bins == b], cost[:, bins == b], budget) for b in numbers}


def shared_budget(
    right: np.ndarray, tokens: np.ndarray, bins: np.ndarray, budget: float
) -> dict[int, int] | None:
    """A technique for each bin, where only the mean over all cases must keep the budget: what easy
    problems leave goes to hard ones.

    A token has a price: each bin takes the technique with the highest accuracy after paying. Of all
    prices, the one is taken with the best accuracy within the budget. None if there is none.
    """
    numbers = sorted({*bins.tolist()})
    weight = np.array([np.mean(bins == b) for b in numbers])
    accuracy = np.array([right[:, bins == b].mean(axis=1) for b in numbers])  # [bins, arms]
    cost = np.array([tokens[:, bins == b].mean(axis=1) for b in numbers])
    best, chosen = -1.0, None
    for price in PRICES:
        arms = (accuracy - price * cost).argmax(axis=1)
        rows = np.arange(len(numbers))
        gained, spent = weight @ accuracy[rows, arms], weight @ cost[rows, arms]
        if spent <= budget and gained > best:
            best, chosen = gained, dict(zip(numbers, arms.tolist()))
    return chosen


def follow(
    right: np.ndarray, tokens: np.ndarray, bins: np.ndarray, policy: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """[cases] whether a policy is right, and the tokens that it takes.

    A bin that was empty when the policy was chosen takes the technique of the nearest one.
    """
    known = np.array(sorted(policy))
    nearest = [policy[int(known[np.abs(known - b).argmin()])] for b in bins.tolist()]
    cases = np.arange(right.shape[1])
    return right[nearest, cases], tokens[nearest, cases]


# --- The study ------------------------------------------------------------------------------------


def study_policies(dev: Cases, test: Cases, budgets: Sequence[float]) -> dict:
    """Policies chosen on dev cases and followed on test cases, for each budget per problem."""
    rows = []
    for budget in budgets:
        one = best_within(dev.right, dev.tokens, budget)
        if one is None:
            continue
        single = test.per_problem(test.right[one])
        row = {"budget": budget, "single": {"name": dev.arms[one], "accuracy": mean(single)}}
        row["single"]["tokens"] = float(test.tokens[one].mean())
        results = {}
        for feature in (ORACLE, REWARD, AGREEMENT):
            results[feature] = followed(dev, test, feature, budget)
            if results[feature]:
                right = results[feature].pop("right")
                gain, low, high = paired_difference(right, single)
                results[feature]["above_single"] = {"gain": gain, "low": low, "high": high}
        row["policies"] = results
        if results[ORACLE]:
            for feature in (REWARD, AGREEMENT):
                if results[feature]:
                    regret = results[ORACLE]["accuracy"] - results[feature]["accuracy"]
                    results[feature]["regret"] = regret
        rows.append(row)
    return {
        "title": "Compute-optimal choice",
        "arms": dev.arms,
        "rows": rows,
        "map": winners(dev, test, budgets),
        "edges": {name: edges_of(dev.features[name]).tolist() for name in dev.features},
    }


def followed(dev: Cases, test: Cases, feature: str, budget: float) -> dict | None:
    """The policy with a shared budget that knows one feature; None if no policy is within it."""
    edges = edges_of(dev.features[feature])
    bins = [bins_of(cases.features[feature], edges) for cases in (dev, test)]
    policy = shared_budget(dev.right, dev.priced(feature), bins[0], budget)
    if policy is None:
        return None
    right, tokens = follow(test.right, test.priced(feature), bins[1], policy)
    per_problem = test.per_problem(right)
    choices = {str(b): dev.arms[arm] for b, arm in policy.items()}
    result = {"accuracy": mean(per_problem), "tokens": float(tokens.mean()), "choices": choices}
    return result | {"right": per_problem}


def winners(dev: Cases, test: Cases, budgets: Sequence[float]) -> list[dict]:
    """The map: for each bin of an oracle and each budget, the technique that does best on dev cases
    with that budget per problem, and how it does on test cases."""
    edges = edges_of(dev.features[ORACLE])
    bins, theirs = (bins_of(cases.features[ORACLE], edges) for cases in (dev, test))
    cells = []
    for budget in budgets:
        for b, arm in same_budget(dev.right, dev.tokens, bins, budget).items():
            if arm is not None and (theirs == b).any():
                cell = {"bin": b, "budget": budget, "name": dev.arms[arm]}
                cell["dev_accuracy"] = float(dev.right[arm, bins == b].mean())
                cells.append(cell | {"accuracy": float(test.right[arm, theirs == b].mean())})
    return cells
