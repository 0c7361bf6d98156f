"""Six searches on a tree that is small enough to draw by hand.

    tree = TinyTree(STEPS)
    tiny_beam(tree)
    tree.vote(), len(tree.written)

Here every next step is known, with how often a model would write it and what a judge says of it.
So nothing is sampled, except by `tiny_particles`. The searches in `search.py`, `mcts.py` and
`particles.py` do the same with a real model.
"""

from __future__ import annotations

import math
import random
from collections import Counter

from ch06_search.particles import resample
from shared.grading.voting import most_frequent

Steps = tuple[str, ...]  # the steps of a partial solution; () is the root

QUESTION = "Ana has 20 shells. She buys 3 boxes of 6 and loses 5. How many does she have now?"
STEPS = {  # path: how often its last step is written there, and the judge's score of the path
    ("20+3=23",): (0.6, 0.80),
    ("20+3=23", "23-5=18"): (0.7, 0.45),
    ("20+3=23", "23-5=18", "18+6=24"): (0.6, 0.40),
    ("20+3=23", "23-5=18", "18-6=12"): (0.4, 0.10),
    ("20+3=23", "23+6=29"): (0.3, 0.40),
    ("20+3=23", "23+6=29", "29-5=24"): (0.7, 0.35),
    ("20+3=23", "23+6=29", "29+5=34"): (0.3, 0.15),
    ("3*6=18",): (0.4, 0.50),
    ("3*6=18", "20+18=38"): (0.6, 0.35),
    ("3*6=18", "20+18=38", "38+5=43"): (0.6, 0.20),
    ("3*6=18", "20+18=38", "38-5=33"): (0.4, 0.60),
    ("3*6=18", "18-5=13"): (0.4, 0.30),
    ("3*6=18", "18-5=13", "20+13=33"): (0.8, 0.90),
    ("3*6=18", "18-5=13", "20-13=7"): (0.2, 0.10),
}


class TinyTree:
    """A tree of which a search writes a part.

    steps    path: (how often its last step is written there, the judge's score of the path)
    written  the paths that were written so far, in order
    """

    def __init__(self, steps: dict[Steps, tuple[float, float]]) -> None:
        self.steps, self.written = steps, []

    def children(self, path: Steps) -> list[Steps]:
        """All next steps of a path, the most probable first; none if it is finished."""
        return [longer for longer in self.steps if longer[:-1] == path]

    def write(self, paths: list[Steps]) -> list[Steps]:
        """Write these paths; returns those that are not finished."""
        self.written += [path for path in paths if path not in self.written]
        return [path for path in paths if self.children(path)]

    def best(self, paths: list[Steps], count: int) -> list[Steps]:
        """The `count` paths with the highest scores."""
        return sorted(paths, key=lambda path: self.steps[path][1], reverse=True)[:count]

    def vote(self) -> str | None:
        """The answer of the finished paths: their vote, weighted by their scores."""
        finished = [path for path in self.written if not self.children(path)]
        scores = [self.steps[path][1] for path in finished]
        return most_frequent([answer_of(path) for path in finished], scores, "the score")


def answer_of(path: Steps) -> str:
    """What the last step of a path comes to."""
    return path[-1].partition("=")[2]


def tiny_beam(tree: TinyTree, width: int = 2) -> None:
    """Write all next steps of all beams, keep the best `width` of them, and so on."""
    beams = [()]
    while beams:
        children = [child for path in beams for child in tree.children(path)]
        beams = tree.best(tree.write(children), width)


def tiny_dvts(tree: TinyTree) -> None:
    """A search of its own from each first step; each keeps the best of its next steps."""
    heads = tree.write(tree.children(()))
    while heads:
        families = [tree.write(tree.children(head)) for head in heads]
        heads = [tree.best(family, 1)[0] for family in families if family]


def tiny_best_first(tree: TinyTree, num_paths: int = 2) -> None:
    """Continue from the best path anywhere, until `num_paths` are finished."""
    frontier, num_finished = [()], 0
    while frontier and num_finished < num_paths:
        children = tree.children(frontier.pop(0))
        unfinished = tree.write(children)
        num_finished += len(children) - len(unfinished)
        frontier = tree.best(frontier + unfinished, len(tree.steps))


def tiny_lookahead(tree: TinyTree, width: int = 2) -> None:
    """`tiny_beam`, but a step is judged by where its most probable next step leads."""
    beams = [()]
    while beams:
        beams = tree.write([child for path in beams for child in tree.children(path)])
        if len(beams) > width:  # else all are kept anyway
            ahead = {tree.children(path)[0]: path for path in beams}
            tree.write(list(ahead))
            beams = [ahead[end] for end in tree.best(list(ahead), width)]


def tiny_mcts(tree: TinyTree, num_rollouts: int = 5, exploration: float = 0.5) -> list[dict]:
    """Monte Carlo tree search: walk down, expand, roll out, back up; and again.

    Returns a row per rollout: the bounds by which it walked down, where it ended, and the visits.
    """
    visits, totals, expanded, rows = Counter(), Counter(), set(), []
    for _ in range(num_rollouts):
        bounds = {
            path: uct(totals[path], visits[path], visits[path[:-1]], exploration)
            for path in tree.steps
        }
        leaf = ()
        while leaf in expanded and (unfinished := tree.write(tree.children(leaf))):
            leaf = max(unfinished, key=bounds.get)  # 1. walk down
        tree.write(tree.children(leaf))  # 2. expand; the most probable child is tried
        expanded.add(leaf)
        child = tree.children(leaf)[0]
        end = roll_out(tree, child)  # 3. roll out
        for length in range(len(child) + 1):  # 4. back up
            visits[child[:length]] += 1
            totals[child[:length]] += tree.steps[end][1]
        rows.append({"bounds": bounds, "end": end, "score": tree.steps[end][1]})
        rows[-1]["visits"] = visits.copy()
    return rows


def uct(total: float, visits: int, parent_visits: int, exploration: float) -> float:
    """UCT: the mean score of the rollouts below a path, and a bonus for few visits."""
    if not visits:
        return math.inf
    return total / visits + exploration * math.sqrt(math.log(parent_visits) / visits)


def roll_out(tree: TinyTree, path: Steps) -> Steps:
    """Write the most probable next step until the path is finished; returns that path."""
    while tree.children(path):
        path = tree.children(path)[0]
        tree.write([path])
    return path


def tiny_particles(tree: TinyTree, n: int = 4, seed: int = 0) -> list[Steps]:
    """n paths move at once; after each step the better ones are copied. Returns where they end."""
    rng = random.Random(seed)
    paths, before = [()] * n, [1.0] * n
    while tree.children(paths[0]):  # all paths of this tree have the same length
        families = [tree.children(path) for path in paths]
        shares = [[tree.steps[child][0] for child in family] for family in families]
        paths = [rng.choices(*pair)[0] for pair in zip(families, shares)]
        tree.write(paths)
        scores = [tree.steps[path][1] for path in paths]
        weights = [score / old for score, old in zip(scores, before)]
        paths = resample(paths, weights, rng)
        before = [tree.steps[path][1] for path in paths]
    return paths
