"""Particle filtering: many partial solutions move at once, and the better ones are copied.

    python ch06_search/search.py --method particles --n 16

Systematic resampling draws one random number for all particles, so the copies of a particle differ
from their expected number by less than one.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections import Counter

from ch06_search.tree import PARAMS, Node, Tree
from shared import LLM, Problem, SamplingParams, Solution
from shared.rewards.interfaces import Scorer
from shared.scores import checked_scores


def particle_filter(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Scorer,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    weighted: bool = False,
) -> Solution:
    """n particles, each a partial solution. After every step they are resampled, the better ones
    more often (Puri 2025). At the end each particle has one vote: its score has already decided how
    many copies of it there are. With `weighted`, each distinct path votes once, with its score as
    weight, as in the other searches."""
    tree = Tree(llm, problem, value, params, step_end, n=n)
    votes = Counter(drift(tree, n, random.Random(params.seed)))
    return tree.solution({node: node.score for node in votes} if weighted else votes)


def drift(tree: Tree, n: int, rng: random.Random) -> list[Node]:
    """Move n particles until all are finished; returns where they end. A particle's weight is the
    factor by which its step raised its score: so a path ends up among the particles in proportion
    to its probability under the model times its score."""
    particles, before = [tree.root] * n, [1.0] * n
    while live := [node for node in particles if not node.is_finished]:
        stepped = iter(tree.expand(live))
        particles = [node if node.is_finished else next(stepped) for node in particles]
        tree.rate(particles)
        weights = [node.score / max(old, 1e-9) for node, old in zip(particles, before)]
        particles = resample(particles, weights, rng)
        before = [node.score for node in particles]
    return particles


def resample(nodes: list[Node], weights: list[float], rng: random.Random) -> list[Node]:
    """The same number of nodes, each on average in proportion to its weight: evenly spaced points
    select from the cumulative weights (systematic resampling). All weights 0: the nodes unchanged.

    Raises ValueError for a weight that is negative or not a finite number.
    """
    weights = checked_scores(weights, "the weight", len(nodes))
    if min(weights, default=0.0) < 0:
        raise ValueError(f"the weight must not be negative, but the lowest one is {min(weights)}")
    if not any(weights):
        return nodes
    most = max(weights)  # the sum of very large weights would overflow
    cumulative = list(itertools.accumulate(weight / most for weight in weights))
    spacing, start = cumulative[-1] / len(nodes), rng.random()
    points = [
        min((i + start) * spacing, math.nextafter(cumulative[-1], 0)) for i in range(len(nodes))
    ]
    return [nodes[bisect.bisect_right(cumulative, point)] for point in points]
