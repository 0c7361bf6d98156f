"""Monte Carlo tree search: rollouts tell which partial solutions are worth more samples.

    python ch06_search/search.py --method mcts --value arithmetic --limit 50

Each round walks down the tree (`select`), samples next steps (`expansion`), completes one of them
(`rollout`), and adds its score to all nodes above it (`back_up`).
"""

from __future__ import annotations

import math

from ch06_search.selection import unfinished
from ch06_search.tree import PARAMS, Node, Tree
from shared import LLM, Problem, SamplingParams, Solution
from shared.rewards.interfaces import Scorer


def mcts(
    llm: LLM,
    problem: Problem,
    *,
    n: int = 8,
    value: Scorer,
    params: SamplingParams = PARAMS,
    step_end: str = "\n",
    branch: int = 4,
    exploration: float = 0.5,
) -> Solution:
    """Monte Carlo tree search with UCT (Kocsis 2006; for language models Hao 2023): n rollouts,
    each a greedy solution from the most promising leaf, of which `branch` next steps are sampled.

    `exploration`, 0 or more, is the weight of the bonus for nodes that were rarely visited.
    """
    tree = Tree(llm, problem, value, params, step_end, n=n, branch=branch)
    for _ in range(n):
        leaf = select(tree.root, exploration)
        child = expansion(tree, leaf, branch)
        back_up(child, rollout(tree, child))
    return tree.solution()


def select(root: Node, exploration: float) -> Node:
    """Walk down to a node without unfinished children, each time to the child with the best sum of
    mean score and bonus; one that was never visited comes first."""
    node = root
    while children := unfinished(list(node.children.values())):
        node = max(children, key=lambda child: upper_bound(child, exploration))
    return node


def upper_bound(node: Node, exploration: float) -> float:
    """Mean score of the rollouts below a node, and the bonus."""
    if not node.visits:
        return math.inf
    bonus = math.sqrt(math.log(node.parent.visits) / node.visits)
    return node.total / node.visits + exploration * bonus


def expansion(tree: Tree, leaf: Node, branch: int) -> Node:
    """Sample next steps of a leaf; the one that was sampled most often is tried first."""
    children = tree.expand([leaf], branch)
    return max(unfinished(children) or children, key=lambda node: node.count)


def rollout(tree: Tree, node: Node) -> float:
    """Complete the solution greedily, in one request; returns its score."""
    if not node.is_finished:
        (node,) = tree.expand([node], max_tokens=tree.max_tokens, stop=(), temperature=0)
    tree.rate([node])
    return node.score


def back_up(node: Node, score: float) -> None:
    """Add a rollout's score to all nodes on the way to the root."""
    while node:
        node.visits += 1
        node.total += score
        node = node.parent
